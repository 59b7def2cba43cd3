# Makes two SoftHSM tokens to try this with, unless they are there. Run it by ". ./tokens.sh" in each new shell: it
# exports where they are.
export SOFTHSM2_CONF="$PWD/softhsm2.conf"
mkdir -p tokens
echo "directories.tokendir = $PWD/tokens" >"$SOFTHSM2_CONF"
# SOFTHSM is the module's path where it is another one.
export HSM_LIBRARY="${SOFTHSM:-/usr/lib/softhsm/libsofthsm2.so}" HSM_PIN=1234567
for label in north south; do
  softhsm2-util --show-slots | grep -w "$label" >/dev/null ||
    softhsm2-util --init-token --free --label "$label" --so-pin 7654321 --pin "$HSM_PIN"
done
