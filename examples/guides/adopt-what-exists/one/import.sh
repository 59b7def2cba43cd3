terraform import hsm_rsa_keypair.mail "6d61696c@$fingerprint"
