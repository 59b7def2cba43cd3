#!/bin/sh
# Fails unless the archives in this folder are a release's: ./verify.sh 0.1.0
# Only the key in hsm.asc counts, whatever other keys gpg knows.
set -eu

sums=terraform-provider-hsm_${1:?must be the version, such as 0.1.0}_SHA256SUMS
gpg --yes --output hsm.gpg --dearmor hsm.asc
gpgv --keyring ./hsm.gpg "$sums.sig" "$sums"
sha256sum --check --ignore-missing "$sums"
