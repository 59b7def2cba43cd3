echo "a record" >record
iv=$(openssl rand -hex 16) # a new one for each text; it need not be secret
hsm --encrypt --mechanism AES-CBC-PAD --iv "$iv" --id 7265636f7264732d31 --input-file record --output-file record.enc
hsm --decrypt --mechanism AES-CBC-PAD --iv "$iv" --id 7265636f7264732d31 --input-file record.enc
