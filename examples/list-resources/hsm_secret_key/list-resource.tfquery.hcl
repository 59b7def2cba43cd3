# In a file whose name ends in .tfquery.hcl, beside the configuration. To list:
#   terraform query
# To write resources and import blocks for all that is listed:
#   terraform query -generate-config-out=adopted.tf
# deletion_policy is "prevent" in what is written, and the plan after it changes nothing.
list "hsm_secret_key" "records" {
  provider = hsm
  limit    = 1000 # Terraform's own is 100

  config {
    label_prefix = "records"
  }
}
