# The certificate of a CA whose key is not on this token: programs find it by the ID that you choose. For the certificate of a
# key on the token, leave key_id out, and take certificate_pem from the resource or the CA that made it.
resource "hsm_certificate" "root" {
  label           = "example-root"
  key_id          = "726f6f742d31" # "root-1"
  certificate_pem = <<-EOT
    -----BEGIN CERTIFICATE-----
    MIIBtDCCAVmgAwIBAgIIHy49TFtqeYgwCgYIKoZIzj0EAwIwLDEQMA4GA1UECgwH
    RXhhbXBsZTEYMBYGA1UEAwwPRXhhbXBsZSBSb290IENBMCAXDTI2MTEyOTIyMjQw
    M1oYDzIwODEwOTAxMjIyNDAzWjAsMRAwDgYDVQQKDAdFeGFtcGxlMRgwFgYDVQQD
    DA9FeGFtcGxlIFJvb3QgQ0EwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASUy6rO
    qxv2fK6sgDxfklBuJUgQH1M4MK6g2DFOXREahm7OOrgasVatGstcaJL/CnbHnKi9
    0vSk9BFFiBwdMeF2o2MwYTAdBgNVHQ4EFgQUl4o5uYbs5lb1OwKO5kv6/ys8Uy0w
    HwYDVR0jBBgwFoAUl4o5uYbs5lb1OwKO5kv6/ys8Uy0wDwYDVR0TAQH/BAUwAwEB
    /zAOBgNVHQ8BAf8EBAMCAQYwCgYIKoZIzj0EAwIDSQAwRgIhALp2QIUGzQAZ2NWu
    G0kObQ4LYKkmxDBPjLFK9zK0BJrYAiEA/26L4kkTM5frCJKxdFUCRTpxDspDjQ61
    wqKNesA85As=
    -----END CERTIFICATE-----
  EOT
}
