output "generation" {
  value = provider::hsm::generation("2026-01-01T00:00:00Z", "90d", "2026-04-01T00:00:00Z") # 2
}

# In a ring, the third argument is plantimestamp().
