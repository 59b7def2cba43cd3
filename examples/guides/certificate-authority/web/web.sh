openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout web.key -out web.csr \
  -subj /CN=www.example.com -addext subjectAltName=DNS:www.example.com
