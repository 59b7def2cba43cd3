# To give a key this text as its kid: key_id = provider::hsm::key_id("id-token-1")
output "key_id" {
  value = provider::hsm::key_id("id-token-1") # 69642d746f6b656e2d31
}
