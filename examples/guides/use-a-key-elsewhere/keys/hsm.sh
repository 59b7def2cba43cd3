hsm() { pkcs11-tool --module "$HSM_LIBRARY" --token-label "$HSM_TOKEN_LABEL" --login --pin env:HSM_PIN "$@"; }
