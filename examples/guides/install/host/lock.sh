#!/bin/sh
# Writes the checksums for all of these platforms into .terraform.lock.hcl.
set -eu

terraform providers lock \
  -platform=linux_amd64 -platform=linux_arm64 -platform=windows_amd64 -platform=darwin_arm64 "$@"
