variable "new_pin" {
  type      = string
  ephemeral = true
}

variable "new_so_pin" {
  type      = string
  ephemeral = true
}

resource "hsm_token" "web" {
  label             = "web"
  pin_wo            = var.new_pin
  pin_wo_version    = 1
  so_pin_wo         = var.new_so_pin
  so_pin_wo_version = 1
}
