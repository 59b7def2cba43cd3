openssl req -in issuing.csr -noout -verify -subject
openssl req -in issuing.csr -noout -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha256
