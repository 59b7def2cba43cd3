#!/bin/sh
# For a schedule: fails if the keys on the token are not what the configuration says.
set -eu

terraform init -input=false
terraform plan -input=false -lock-timeout=10m -detailed-exitcode
