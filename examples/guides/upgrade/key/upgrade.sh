#!/bin/sh
set -eu

terraform state pull >before-upgrade.tfstate
terraform init -upgrade
terraform version
terraform plan
