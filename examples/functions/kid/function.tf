output "kid" {
  value = provider::hsm::kid("69642D746F6B656E2D31") # id-token-1
}

# An ID that is not printable text stays hexadecimal.
output "kid_of_bytes" {
  value = provider::hsm::kid("FF01") # ff01
}
