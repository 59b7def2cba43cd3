#!/bin/sh
set -eu

terraform providers lock -fs-mirror="$HOME/.terraform.d/plugins" terraform-provider-hsm/hsm
terraform init
