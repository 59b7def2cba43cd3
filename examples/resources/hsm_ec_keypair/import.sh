# By the key ID in hexadecimal, as pkcs11-tool --list-objects prints it:
terraform import hsm_ec_keypair.tokens 746f6b656e732d31

# By label and key ID, to be sure that it is the right key:
terraform import hsm_ec_keypair.tokens tokens/746f6b656e732d31

# By PKCS#11 URI:
terraform import hsm_ec_keypair.tokens 'pkcs11:object=tokens;id=tokens-1'
