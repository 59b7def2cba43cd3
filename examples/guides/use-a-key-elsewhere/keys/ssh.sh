echo "$(terraform output -raw ssh)" >tokens.pub
ssh-keygen -D "$HSM_LIBRARY"
