# By the key ID in hexadecimal, as pkcs11-tool --list-objects prints it:
terraform import hsm_secret_key.records 7265636f7264732d31

# By label and key ID, to be sure that it is the right key:
terraform import hsm_secret_key.records records/7265636f7264732d31

# By PKCS#11 URI:
terraform import hsm_secret_key.records 'pkcs11:object=records;id=records-1;type=secret-key'

# By key ID and its check value (key_check_value), where several keys have the ID:
terraform import hsm_secret_key.records 7265636f7264732d31@a1b2c3
