terraform output -raw seal >seal.pem
echo "a contract" >contract
hsm --sign --mechanism SHA256-RSA-PKCS --id 7365616c2d31 --input-file contract --output-file contract.sig
openssl dgst -sha256 -verify seal.pem -signature contract.sig contract

hsm --sign --mechanism SHA256-RSA-PKCS-PSS --id 7365616c2d31 --input-file contract --output-file contract.pss
openssl dgst -sha256 -verify seal.pem -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest \
  -signature contract.pss contract
