# Makes two SoftHSM tokens to try this with. Run it by ". ./tokens.sh": what it exports is for this shell.
export SOFTHSM2_CONF="$PWD/softhsm2.conf"
mkdir tokens
echo "directories.tokendir = $PWD/tokens" >"$SOFTHSM2_CONF"
export HSM_LIBRARY="${SOFTHSM:-/usr/lib/softhsm/libsofthsm2.so}" HSM_PIN=1234567
for label in north south; do
  softhsm2-util --init-token --free --label "$label" --so-pin 7654321 --pin "$HSM_PIN"
done
