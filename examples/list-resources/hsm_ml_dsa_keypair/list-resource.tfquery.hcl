# Put this in a file whose name ends in .tfquery.hcl, beside the configuration. To list the keys:
#   terraform query
# To write resources and import blocks for all of them:
#   terraform query -generate-config-out=adopted.tf
# What is written has deletion_policy = "prevent". The next apply changes nothing, except that it removes usages that
# other tools have set and that no key of the type can have.
list "hsm_ml_dsa_keypair" "firmware" {
  provider = hsm
  limit    = 1000 # the default is 100

  config {
    label_prefix = "firmware"
  }
}
