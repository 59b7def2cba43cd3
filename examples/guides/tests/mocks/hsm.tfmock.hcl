# What the token and the keys of a mocked provider look like: real public keys, "mock-rsa" and "mock-ec", whose private
# halves are gone. Every key of one resource looks the same. What the configuration itself says stays as it says.

mock_resource "hsm_rsa_keypair" {
  defaults = {
    key_id                        = "6d6f636b2d727361"
    kid                           = "mock-rsa"
    uri                           = "pkcs11:token=mock;id=%6D%6F%63%6B%2D%72%73%61"
    jwk                           = "{\"use\":\"sig\",\"kty\":\"RSA\",\"kid\":\"mock-rsa\",\"alg\":\"RS256\",\"n\":\"jJkLLRz1_V9STgcc112R_Ewja4VVhjgO-kdg-S6UlsnZOjdXU6sA-dejDiR9e4klPrCAqSjoW0AvjLsmqaoKrK8kVFcJEU6FqHpVvshnrANqK3lpKAr9qg8E8asbx9K5nS1iBPujYk_h5WAMYIzb8ZyD_2zaQcjRpJiQZwXJu3KN3lBeQQzRhKtX0cIMM4JFJmXoXQiOwohVvuhM7ssV6qX600VRSqPHm-_dDLl-hBvlewAyOev1C8Kzu_E6Q0aXujcLUfdwySlp3cy8hB-BaZbbzntpuJ8Rh6JCIZSDDVi77OG8lc2KlxQA-sS1Xm7GmE7Mja8PYO3BJE-chM6SVw\",\"e\":\"AQAB\"}"
    public_key_pem                = <<-EOT
      -----BEGIN PUBLIC KEY-----
      MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAjJkLLRz1/V9STgcc112R
      /Ewja4VVhjgO+kdg+S6UlsnZOjdXU6sA+dejDiR9e4klPrCAqSjoW0AvjLsmqaoK
      rK8kVFcJEU6FqHpVvshnrANqK3lpKAr9qg8E8asbx9K5nS1iBPujYk/h5WAMYIzb
      8ZyD/2zaQcjRpJiQZwXJu3KN3lBeQQzRhKtX0cIMM4JFJmXoXQiOwohVvuhM7ssV
      6qX600VRSqPHm+/dDLl+hBvlewAyOev1C8Kzu/E6Q0aXujcLUfdwySlp3cy8hB+B
      aZbbzntpuJ8Rh6JCIZSDDVi77OG8lc2KlxQA+sS1Xm7GmE7Mja8PYO3BJE+chM6S
      VwIDAQAB
      -----END PUBLIC KEY-----
    EOT
    public_key_openssh            = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCMmQstHPX9X1JOBxzXXZH8TCNrhVWGOA76R2D5LpSWydk6N1dTqwD516MOJH17iSU+sICpKOhbQC+MuyapqgqsryRUVwkRToWoelW+yGesA2oreWkoCv2qDwTxqxvH0rmdLWIE+6NiT+HlYAxgjNvxnIP/bNpByNGkmJBnBcm7co3eUF5BDNGEq1fRwgwzgkUmZehdCI7CiFW+6EzuyxXqpfrTRVFKo8eb790MuX6EG+V7ADI56/ULwrO78TpDRpe6NwtR93DJKWndzLyEH4FpltvOe2m4nxGHokIhlIMNWLvs4byVzYqXFAD6xLVebsaYTsyNrw9g7cEkT5yEzpJX"
    public_key_fingerprint_sha256 = "c77a7bfda2b90d0c9ae5a65005044eeddb53394cdae87560477f1f0dc1e198ea"
    modulus_bits                  = 2048
    public_exponent               = 65537
    usage                         = ["sign"]
    deletion_policy               = "prevent"
    token_serial                  = "6d6f636b"
    extractable                   = false
    local                         = true
    private                       = true
    sensitive                     = true
    always_sensitive              = true
    never_extractable             = true
  }
}

mock_resource "hsm_ec_keypair" {
  defaults = {
    key_id                        = "6d6f636b2d6563"
    kid                           = "mock-ec"
    uri                           = "pkcs11:token=mock;id=%6D%6F%63%6B%2D%65%63"
    jwk                           = "{\"use\":\"sig\",\"kty\":\"EC\",\"kid\":\"mock-ec\",\"crv\":\"P-256\",\"alg\":\"ES256\",\"x\":\"yMwv-9rqvkOEBQsNCuZgDAUXfh5M82rl0UsLpQyvj5I\",\"y\":\"_iGc7qeUO8VEkfhmoskBtMHDWmKPFarG2x_55B0Wpnc\"}"
    public_key_pem                = <<-EOT
      -----BEGIN PUBLIC KEY-----
      MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEyMwv+9rqvkOEBQsNCuZgDAUXfh5M
      82rl0UsLpQyvj5L+IZzup5Q7xUSR+GaiyQG0wcNaYo8VqsbbH/nkHRamdw==
      -----END PUBLIC KEY-----
    EOT
    public_key_openssh            = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBMjML/va6r5DhAULDQrmYAwFF34eTPNq5dFLC6UMr4+S/iGc7qeUO8VEkfhmoskBtMHDWmKPFarG2x/55B0Wpnc="
    public_key_fingerprint_sha256 = "2b158171c4ae8e990add8e400f619ae17cbd97e58a70cf9204ccd53c3e0efb05"
    usage                         = ["sign"]
    deletion_policy               = "prevent"
    token_serial                  = "6d6f636b"
    extractable                   = false
    local                         = true
    private                       = true
    sensitive                     = true
    always_sensitive              = true
    never_extractable             = true
  }
}

# keys has no pair: take current.
mock_resource "hsm_key_ring" {
  defaults = {
    standby_label    = "mock.standby"
    retired_label    = "mock.retired"
    key_id_prefix    = "mock-"
    modulus_bits     = 4096
    previous         = 1
    min_publish_time = "24h"
    retired          = "keep"
    extractable      = false
    deletion_policy  = "prevent"
    current = {
      generation                    = 1
      role                          = "current"
      label                         = "mock"
      key_id                        = "6d6f636b2d6563"
      kid                           = "mock-ec"
      uri                           = "pkcs11:token=mock;id=%6D%6F%63%6B%2D%65%63"
      jwk                           = "{\"use\":\"sig\",\"kty\":\"EC\",\"kid\":\"mock-ec\",\"crv\":\"P-256\",\"alg\":\"ES256\",\"x\":\"yMwv-9rqvkOEBQsNCuZgDAUXfh5M82rl0UsLpQyvj5I\",\"y\":\"_iGc7qeUO8VEkfhmoskBtMHDWmKPFarG2x_55B0Wpnc\"}"
      public_key_pem                = <<-EOT
        -----BEGIN PUBLIC KEY-----
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEyMwv+9rqvkOEBQsNCuZgDAUXfh5M
        82rl0UsLpQyvj5L+IZzup5Q7xUSR+GaiyQG0wcNaYo8VqsbbH/nkHRamdw==
        -----END PUBLIC KEY-----
      EOT
      public_key_fingerprint_sha256 = "2b158171c4ae8e990add8e400f619ae17cbd97e58a70cf9204ccd53c3e0efb05"
      published_since               = "2026-01-01T00:00:00Z"
    }
    uris                 = ["pkcs11:token=mock;id=%6D%6F%63%6B%2D%65%63"]
    rotation_possible_at = "2026-01-02T00:00:00Z"
    token_serial         = "6d6f636b"
  }
}

mock_resource "hsm_secret_key" {
  defaults = {
    key_id            = "6d6f636b2d616573"
    uri               = "pkcs11:token=mock;id=%6D%6F%63%6B%2D%61%65%73;type=secret-key"
    key_check_value   = "a92a2a"
    deletion_policy   = "prevent"
    token_serial      = "6d6f636b"
    extractable       = false
    local             = true
    private           = true
    sensitive         = true
    always_sensitive  = true
    never_extractable = true
  }
}

mock_resource "hsm_token" {
  defaults = {
    serial               = "6d6f636b"
    slot_id              = 0
    model                = "mock"
    manufacturer         = "mock"
    firmware_version     = "1.0"
    hardware_version     = "1.0"
    user_pin_initialized = true
    deletion_policy      = "prevent"
    erase_keys           = false
  }
}

mock_data "hsm_jwks" {
  defaults = {
    json = "{\"keys\":[{\"use\":\"sig\",\"kty\":\"EC\",\"kid\":\"mock-ec\",\"crv\":\"P-256\",\"alg\":\"ES256\",\"x\":\"yMwv-9rqvkOEBQsNCuZgDAUXfh5M82rl0UsLpQyvj5I\",\"y\":\"_iGc7qeUO8VEkfhmoskBtMHDWmKPFarG2x_55B0Wpnc\"},{\"use\":\"sig\",\"kty\":\"RSA\",\"kid\":\"mock-rsa\",\"alg\":\"RS256\",\"n\":\"jJkLLRz1_V9STgcc112R_Ewja4VVhjgO-kdg-S6UlsnZOjdXU6sA-dejDiR9e4klPrCAqSjoW0AvjLsmqaoKrK8kVFcJEU6FqHpVvshnrANqK3lpKAr9qg8E8asbx9K5nS1iBPujYk_h5WAMYIzb8ZyD_2zaQcjRpJiQZwXJu3KN3lBeQQzRhKtX0cIMM4JFJmXoXQiOwohVvuhM7ssV6qX600VRSqPHm-_dDLl-hBvlewAyOev1C8Kzu_E6Q0aXujcLUfdwySlp3cy8hB-BaZbbzntpuJ8Rh6JCIZSDDVi77OG8lc2KlxQA-sS1Xm7GmE7Mja8PYO3BJE-chM6SVw\",\"e\":\"AQAB\"}]}"
  }
}

mock_data "hsm_public_key" {
  defaults = {
    key_id                         = "6d6f636b2d6563"
    label                          = "mock"
    kid                            = "mock-ec"
    uri                            = "pkcs11:token=mock;id=%6D%6F%63%6B%2D%65%63"
    type                           = "EC"
    curve                          = "P-256"
    bits                           = null
    has_private_key                = true
    usage                          = ["sign"]
    public_usage                   = ["verify"]
    jwk                            = "{\"use\":\"sig\",\"kty\":\"EC\",\"kid\":\"mock-ec\",\"crv\":\"P-256\",\"alg\":\"ES256\",\"x\":\"yMwv-9rqvkOEBQsNCuZgDAUXfh5M82rl0UsLpQyvj5I\",\"y\":\"_iGc7qeUO8VEkfhmoskBtMHDWmKPFarG2x_55B0Wpnc\"}"
    public_key_pem                 = <<-EOT
      -----BEGIN PUBLIC KEY-----
      MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEyMwv+9rqvkOEBQsNCuZgDAUXfh5M
      82rl0UsLpQyvj5L+IZzup5Q7xUSR+GaiyQG0wcNaYo8VqsbbH/nkHRamdw==
      -----END PUBLIC KEY-----
    EOT
    public_key_openssh             = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBMjML/va6r5DhAULDQrmYAwFF34eTPNq5dFLC6UMr4+S/iGc7qeUO8VEkfhmoskBtMHDWmKPFarG2x/55B0Wpnc="
    public_key_fingerprint_sha256  = "2b158171c4ae8e990add8e400f619ae17cbd97e58a70cf9204ccd53c3e0efb05"
    public_key_fingerprint_openssh = "SHA256:iBwp4diJXAjdEpgBVgoKLkurvQopV5jgh7gG2hHhVzQ"
    local                          = true
    private                        = true
    sensitive                      = true
    always_sensitive               = true
    never_extractable              = true
  }
}
