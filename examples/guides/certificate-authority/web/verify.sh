cat root.crl issuing.crl >lists.pem
openssl verify -CAfile root.pem -untrusted issuing.pem -CRLfile lists.pem -crl_check_all web.pem
