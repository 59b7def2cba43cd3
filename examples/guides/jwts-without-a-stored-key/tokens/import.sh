# github.pem is what GitHub has let you download.
hsm() { pkcs11-tool --module "$HSM_LIBRARY" --token-label "$HSM_TOKEN_LABEL" --login --pin env:HSM_PIN "$@"; }
openssl pkey -in github.pem -outform DER -out github.key
openssl pkey -in github.pem -pubout -outform DER -out github.pub
hsm --write-object github.key --type privkey --usage-sign --sensitive --label github --id 6769746875622d31
hsm --write-object github.pub --type pubkey --usage-sign --label github --id 6769746875622d31
shred -u github.pem github.key
