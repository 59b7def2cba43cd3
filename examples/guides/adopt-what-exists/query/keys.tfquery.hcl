list "hsm_rsa_keypair" "pair" {
  provider = hsm
  limit    = 1000 # the default is 100
}
