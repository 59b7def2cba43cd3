# By the key ID in hexadecimal, as pkcs11-tool --list-objects prints it:
terraform import hsm_ml_dsa_keypair.firmware 6669726d776172652d31

# By label and key ID, to be sure that it is the right key:
terraform import hsm_ml_dsa_keypair.firmware firmware/6669726d776172652d31

# By PKCS#11 URI:
terraform import hsm_ml_dsa_keypair.firmware 'pkcs11:object=firmware;id=firmware-1'

# By key ID and its fingerprint (public_key_fingerprint_sha256), where several keys have the ID:
terraform import hsm_ml_dsa_keypair.firmware 6669726d776172652d31@5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9
