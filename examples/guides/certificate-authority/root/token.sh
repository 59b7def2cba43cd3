# Makes a SoftHSM token to try this with. Run it by ". ./token.sh" in each new shell: it makes no second token.
export SOFTHSM2_CONF="$PWD/softhsm2.conf"
mkdir -p token
echo "directories.tokendir = $PWD/token" >"$SOFTHSM2_CONF"
# SOFTHSM is the module's path where it is another one.
export HSM_LIBRARY="${SOFTHSM:-/usr/lib/softhsm/libsofthsm2.so}" HSM_TOKEN_LABEL=root HSM_PIN=1234567
softhsm2-util --show-slots | grep -q "Label: *$HSM_TOKEN_LABEL *$" ||
  softhsm2-util --init-token --free --label "$HSM_TOKEN_LABEL" --so-pin 7654321 --pin "$HSM_PIN"
