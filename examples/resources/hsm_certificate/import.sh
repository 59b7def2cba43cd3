# By the ID in hexadecimal, as pkcs11-tool --list-objects prints it:
terraform import hsm_certificate.root 726f6f742d31

# By the ID and the SHA-256 fingerprint, where several certificates have the ID:
terraform import hsm_certificate.root 726f6f742d31@92b6fd894502b0d3992bcd6ee03f9a3f43687d7620529fd1d3635c6c37ac4907
