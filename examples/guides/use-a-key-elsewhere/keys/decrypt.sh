terraform output -raw letters >letters.pem
echo "dear HSM" >letter
openssl pkeyutl -encrypt -pubin -inkey letters.pem -in letter -out letter.enc \
  -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha1 -pkeyopt rsa_mgf1_md:sha1
hsm --decrypt --mechanism RSA-PKCS-OAEP --hash-algorithm SHA-1 --mgf MGF1-SHA1 \
  --id 6c6574746572732d31 --input-file letter.enc --output-file letter.again
cat letter.again
