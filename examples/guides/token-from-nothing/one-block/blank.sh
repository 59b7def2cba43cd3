# A SoftHSM without a token, to try this with. Run it by ". ./blank.sh" in each new shell: it exports where it is.
export SOFTHSM2_CONF="$PWD/softhsm2.conf"
mkdir -p tokens
echo "directories.tokendir = $PWD/tokens" >"$SOFTHSM2_CONF"
# SOFTHSM is the module's path where it is another one.
export HSM_LIBRARY="${SOFTHSM:-/usr/lib/softhsm/libsofthsm2.so}" HSM_TOKEN_LABEL=web
export HSM_PIN=31415926 HSM_SO_PIN=27182818
