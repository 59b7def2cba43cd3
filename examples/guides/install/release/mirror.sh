#!/bin/sh
# Puts the archives in this folder into a mirror: ./mirror.sh /srv/terraform/providers
set -eu

mirror=${1:?must be the folder of the mirror}
for host in registry.terraform.io registry.opentofu.org; do
  folder=$mirror/$host/terraform-provider-hsm/hsm
  mkdir -p "$folder"
  cp terraform-provider-hsm_*.zip "$folder"
done
