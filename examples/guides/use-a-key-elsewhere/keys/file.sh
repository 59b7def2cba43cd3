echo "a long report" >report
openssl rand -hex 32 >password # for this file alone; encrypt it in place of the letter, then delete it
openssl enc -aes-256-cbc -pbkdf2 -pass file:password -in report -out report.enc
openssl enc -d -aes-256-cbc -pbkdf2 -pass file:password -in report.enc
