#!/bin/sh
# Runs the test on a SoftHSM token that exists for as long as the test does.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export SOFTHSM2_CONF="$folder/softhsm2.conf"
echo "directories.tokendir = $folder" >"$SOFTHSM2_CONF"

# Nothing of the environment may lead to a token with real keys.
unset HSM_SLOT HSM_TOKEN_SERIAL HSM_PIN_FILE
# SOFTHSM is the module's path where it is another one.
export HSM_LIBRARY="${SOFTHSM:-/usr/lib/softhsm/libsofthsm2.so}" HSM_TOKEN_LABEL=throw-away
HSM_PIN=$(openssl rand -hex 8)
export HSM_PIN
softhsm2-util --init-token --free --label "$HSM_TOKEN_LABEL" --so-pin "$(openssl rand -hex 8)" --pin "$HSM_PIN"

terraform test -filter=token.tftest.hcl
