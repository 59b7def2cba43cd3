# You may leave out token_serial. With it, the import is refused on any other token.
import {
  to = hsm_certificate.root
  identity = {
    key_id             = "726f6f742d31"
    fingerprint_sha256 = "92b6fd894502b0d3992bcd6ee03f9a3f43687d7620529fd1d3635c6c37ac4907"
    token_serial       = "1f0d5b7a3c9e2468"
  }
}
