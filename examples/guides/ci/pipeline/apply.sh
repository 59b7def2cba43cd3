#!/bin/sh
# Applies the plan that was approved, and nothing else. It needs TF_VAR_pin again.
set -eu

terraform init -input=false
terraform apply -input=false -lock-timeout=10m keys.tfplan
