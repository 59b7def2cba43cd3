output "kid" {
  value = provider::hsm::kid("69642D746F6B656E2D31") # id-token-1
}

# What is no printable text stays hexadecimal.
output "kid_of_bytes" {
  value = provider::hsm::kid("FF01") # ff01
}
