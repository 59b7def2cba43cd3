resource "hsm_rsa_keypair" "release" {
  label  = "release"
  key_id = "72656c656173652d31" # text: release-1
}

# openssl dgst -sha256 -verify release.pem -signature signature SHA256SUMS
ephemeral "hsm_signature" "sums" {
  public_key_pem = hsm_rsa_keypair.release.public_key_pem
  message_base64 = base64encode("2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae  release.zip\n")
  algorithm      = "SHA256-RSA"
}
