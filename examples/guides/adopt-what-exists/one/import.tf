import {
  to = hsm_rsa_keypair.mail
  id = "mail/6d61696c" # the label and the key ID: both have to be right
}
