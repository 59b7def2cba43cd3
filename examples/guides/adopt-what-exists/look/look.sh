hsm() { pkcs11-tool --module "$HSM_LIBRARY" --token-label "$HSM_TOKEN_LABEL" --login --pin env:HSM_PIN "$@"; }
hsm --list-objects
fingerprint=$(hsm --read-object --type pubkey --id 6d61696c | openssl dgst -sha256 -r | cut -d ' ' -f 1)
echo "$fingerprint"
