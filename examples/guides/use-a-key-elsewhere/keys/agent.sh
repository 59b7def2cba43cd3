ssh-add -s "$HSM_LIBRARY" # asks for the PIN
ssh-add -L
