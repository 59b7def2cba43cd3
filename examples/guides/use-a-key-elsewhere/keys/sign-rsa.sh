terraform output -raw documents >documents.pem
echo "a contract" >document
hsm --sign --mechanism SHA256-RSA-PKCS --id 646f63756d656e74732d31 \
  --input-file document --output-file document.sig
openssl dgst -sha256 -verify documents.pem -signature document.sig document

hsm --sign --mechanism SHA256-RSA-PKCS-PSS --id 646f63756d656e74732d31 \
  --input-file document --output-file document.pss
openssl dgst -sha256 -verify documents.pem -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest \
  -signature document.pss document
