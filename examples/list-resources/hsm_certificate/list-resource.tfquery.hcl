# Put this in a file whose name ends in .tfquery.hcl, beside the configuration. To list the certificates:
#   terraform query
# To write resources and import blocks for all of them:
#   terraform query -generate-config-out=adopted.tf
# What is written has deletion_policy = "prevent".
list "hsm_certificate" "example" {
  provider = hsm
  limit    = 1000 # the default is 100

  config {
    label_prefix = "example-"
  }
}
