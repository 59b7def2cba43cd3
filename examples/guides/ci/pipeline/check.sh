#!/bin/sh
# Fails if keys.tfplan holds the PIN, and if that cannot be checked. It needs unzip.
set -eu

: "${TF_VAR_pin:?is not set}"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
unzip -q keys.tfplan -d "$folder"
if printf '%s\n' "$TF_VAR_pin" | grep -rqFf - "$folder"; then
  echo "keys.tfplan holds the PIN." >&2
  exit 1
fi
