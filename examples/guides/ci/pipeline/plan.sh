#!/bin/sh
# Writes the plan to keys.tfplan and shows it. The CI system's secret store gives TF_VAR_pin.
set -u

terraform init -input=false || exit
terraform plan -input=false -lock-timeout=10m -detailed-exitcode -out=keys.tfplan
code=$?
case $code in
0) echo "Nothing to apply." ;;
2) echo "keys.tfplan waits for an approval." ;;
*) exit $code ;;
esac
