echo "a record" >record
openssl rand -hex 16 >record.iv # a new one for each file, which is lost without it; no secret
hsm --encrypt --mechanism AES-CBC-PAD --iv "$(cat record.iv)" --id 7265636f7264732d31 \
  --input-file record --output-file record.enc
hsm --decrypt --mechanism AES-CBC-PAD --iv "$(cat record.iv)" --id 7265636f7264732d31 \
  --input-file record.enc --output-file record.again
cat record.again
