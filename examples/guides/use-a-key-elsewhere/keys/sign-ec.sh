terraform output -raw jwt >jwt.pem
echo "a contract" >contract
openssl dgst -sha256 -binary -out digest contract
hsm --sign --mechanism ECDSA --signature-format openssl --id 6a77742d31 \
  --input-file digest --output-file contract.ec
openssl dgst -sha256 -verify jwt.pem -signature contract.ec contract
