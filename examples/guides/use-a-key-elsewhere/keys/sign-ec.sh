terraform output -raw tokens >tokens.pem
echo "a contract" >document
openssl dgst -sha256 -binary -out digest document
hsm --sign --mechanism ECDSA --signature-format openssl --id 746f6b656e732d31 \
  --input-file digest --output-file document.ec
openssl dgst -sha256 -verify tokens.pem -signature document.ec document
