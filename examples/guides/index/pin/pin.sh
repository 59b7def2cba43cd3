read -rs pin # type the PIN and press Enter: it is not shown, and in no history
(umask 077 && printf '%s\n' "$pin" >~/hsm-pin)
unset pin
export HSM_PIN_FILE=~/hsm-pin
