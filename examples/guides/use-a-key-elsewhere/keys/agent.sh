eval "$(ssh-agent -P "$HSM_LIBRARY")" # an agent that may load this module
ssh-add -s "$HSM_LIBRARY"             # asks for the PIN
ssh-add -L
