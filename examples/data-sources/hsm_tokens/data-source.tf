# This needs no PIN. It shows which tokens there are to choose from.
data "hsm_tokens" "all" {}

output "tokens" {
  value = {
    for slot in data.hsm_tokens.all.slots : slot.slot => "${slot.label}, serial number ${slot.serial}"
    if slot.initialised == true && slot.label != null && slot.serial != null
  }
}

output "failing_slots" {
  value = { for slot in data.hsm_tokens.all.slots : slot.slot => slot.error if slot.error != null }
}
