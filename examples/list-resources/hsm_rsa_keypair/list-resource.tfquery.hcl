# In a file whose name ends in .tfquery.hcl, beside the configuration. To list:
#   terraform query
# To write resources and import blocks for all that is listed:
#   terraform query -generate-config-out=adopted.tf
# deletion_policy is "prevent" in what is written. The plan after it changes nothing, but for usages that other tools
# have left and that no key of its type can have: those it takes off.
list "hsm_rsa_keypair" "hydra" {
  provider = hsm
  limit    = 1000 # Terraform's own is 100

  config {
    label_prefix = "hydra."
  }
}
