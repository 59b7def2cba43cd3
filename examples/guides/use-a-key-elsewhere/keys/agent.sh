eval "$(ssh-agent)"       # if no agent runs yet
ssh-add -s "$HSM_LIBRARY" # asks for the PIN
ssh-add -L
