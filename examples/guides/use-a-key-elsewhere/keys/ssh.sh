echo "$(terraform output -raw ssh)" >jwt.pub
ssh-keygen -D "$HSM_LIBRARY"
