# What to send to the project: terraform output -raw report
data "hsm_report" "this" {}

output "report" {
  value = data.hsm_report.this.text
}
