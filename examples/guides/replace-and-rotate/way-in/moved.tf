moved {
  from = hsm_ec_keypair.web
  to   = hsm_ec_keypair.web["web"]
}
