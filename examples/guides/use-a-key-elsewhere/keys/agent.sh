eval "$(ssh-agent -P "$(realpath "$HSM_LIBRARY")")" # an agent that may load this module
ssh-add -s "$HSM_LIBRARY"                           # asks for the PIN
ssh-add -L
