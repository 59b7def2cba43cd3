# What the token and the keys of a mocked provider look like: real public keys, "mock-rsa", "mock-ec" and "mock-ml-dsa",
# whose private halves are gone. Every key of one resource looks the same, and every certificate. What the configuration itself says stays as it
# says.

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

mock_resource "hsm_ml_dsa_keypair" {
  defaults = {
    key_id                        = "6d6f636b2d6d6c2d647361"
    kid                           = "mock-ml-dsa"
    uri                           = "pkcs11:token=mock;id=%6D%6F%63%6B%2D%6D%6C%2D%64%73%61"
    jwk                           = "{\"use\":\"sig\",\"kty\":\"AKP\",\"kid\":\"mock-ml-dsa\",\"alg\":\"ML-DSA-44\",\"pub\":\"7iuBpHiqxaez7pXXPa22lKsQBZHVTVpZgFiDRowU8tN1C1iLjb4M23qYrJMoBhpTzzY90aFPGbEyZQnBz747kHsYSO9ll1PHocPcWKgCE9r1u5K7rU95xwWkYHnrCm6OIDRY1KU91mESySW88_LWjEaIWrRiRW2Y7M1JQKruUR4xY7R5j9SBNy71UTXfocQMaRBj42Pzyu2qEFz5-K1VSTFdYCF16loRvjRor1ZIaeL4JMiFH06Hy0CeW3NVwgfhMrywivYC96M4DivftgVMjTmDmfPwCb1kxeZkD1JJ-h4QUi209NA1xKuBjdPRYoaTclE5pldEz75bx1rTwxBbWAG1PdTh418Yb8i0bQNW0LpZMZ1YQhGe5PZPfNSssiCMhmOfy6LRXdRAkBhPzkWY9scmsFS-TkEZioDFhCjMySba6UcFXi-9ThWpOCpjK93iKlc_DCEUyOS-r4zSRA3tRZvJ4UDTmUgRvBNAEbPPPjl0ulBEScvQobpfGhJ9dUcPrktVYhJjptA50IZNaogH_DWv2zxQjOnWVzdGwbGP5qFIg36QtZzsUlOs6jx3SwblqRx9XHSnwFCBsTBZUl28iiAkz5_jN7dakvQoSeI9GSjwlFO_9JAE4zmPCzljIBW8U3dvsSvuK0bFt7JKwNqGWLHjcCzyS_djwP46nprM5ua-Cc93czklOecHYhTLmVZeRL6lPOmLlBlyevAs420jDBnM0twARZgVEKvLTocAcobhxAosYcPlOmCO8_eGCJB0L04zxqwZH6Vm-61O8EZW9BbECXEimCu1kb1k3xwlXURiKeD0evK-TelnVReuR8oyKYtyA-EGk2Pb7-JZZsa1YHvOAijJha0vfXV_8AY4ZpyAEZ_dpi-Top-CKAGLFL2MWC65PP_laIyoOhcT070uupQ3iukCso2T2Q_Tw1sNw1qS1_V9wcxjJd3bFLtkVh05ycmOg4h-fn2r6DUPTmqFXK9utnvgU9JLEx0NirW70odlB-D5Tvx9xmVyvzbjzsVT9qyGgP-gf-U9vZZtJkSUgGfFdnZiu3AQGQTBIpbYwGjSaNDFlhkqeSirQmwkoU5VKy_u9xBY7gPrWCnEuAU5WEH3rkKW6lWS_KQaoopXfEaZbMAsxp8F_o-VWt1pKUHBglfcbc9mYcrlkGJD2vGKg24TIgyQ5MrxE7HVb3SS2SXCorFdUXA7fJcUz9Z5bUb94nqiwl2jz4EcFFYQ2XyvqSAzZjGoA2XHKmZ-yQX7dhX_-TxibE24TGGGyb_GI2Efy-iJCbQ_5_kngziCaQxz23zuq8-xZY2bM2sKteb9bL4fMB0fQi6SCyrpc3kDgN4p6CvNOXZeGY7JN1WpOoP6pupjUPgFR7FSSV9mg5W6llCzqRQLX3vdeXgbfnr0Ilttxz1mI8aaTvtyEBDNmFIoIEEV3ZhZnSTPC7AfvhCg_alxgfx_XTfZWvDBsX7o_XkfWEE7-Fdmc3XKX3IWQYgQtrO2rck_fGHRnJp80DhkoxBD0H5qFMVuqBrYNr00rNT_OK_Dhm0SoKY_K1D1RISmkFp3PGvuBiWNu3Ee3FBHPO6knXBXbaUDN_GfhX2kkHUQNrw-P8gGH7uXd-0Pj7L_njgSRlksrdop_AI92qR99CbPvNdeHZXYiu8O-xAK_47suTydVfEBsYwfThk7Ii7jwvB8QnQ_EWh2cSd9HzrmaSStd_slE5Pgstt3ssYjv79VOynqDQWgZcp_FmvQgtQq9w\"}"
    public_key_pem                = <<-EOT
      -----BEGIN PUBLIC KEY-----
      MIIFMjALBglghkgBZQMEAxEDggUhAO4rgaR4qsWns+6V1z2ttpSrEAWR1U1aWYBY
      g0aMFPLTdQtYi42+DNt6mKyTKAYaU882PdGhTxmxMmUJwc++O5B7GEjvZZdTx6HD
      3FioAhPa9buSu61PeccFpGB56wpujiA0WNSlPdZhEsklvPPy1oxGiFq0YkVtmOzN
      SUCq7lEeMWO0eY/UgTcu9VE136HEDGkQY+Nj88rtqhBc+fitVUkxXWAhdepaEb40
      aK9WSGni+CTIhR9Oh8tAnltzVcIH4TK8sIr2AvejOA4r37YFTI05g5nz8Am9ZMXm
      ZA9SSfoeEFIttPTQNcSrgY3T0WKGk3JROaZXRM++W8da08MQW1gBtT3U4eNfGG/I
      tG0DVtC6WTGdWEIRnuT2T3zUrLIgjIZjn8ui0V3UQJAYT85FmPbHJrBUvk5BGYqA
      xYQozMkm2ulHBV4vvU4VqTgqYyvd4ipXPwwhFMjkvq+M0kQN7UWbyeFA05lIEbwT
      QBGzzz45dLpQREnL0KG6XxoSfXVHD65LVWISY6bQOdCGTWqIB/w1r9s8UIzp1lc3
      RsGxj+ahSIN+kLWc7FJTrOo8d0sG5akcfVx0p8BQgbEwWVJdvIogJM+f4ze3WpL0
      KEniPRko8JRTv/SQBOM5jws5YyAVvFN3b7Er7itGxbeySsDahlix43As8kv3Y8D+
      Op6azObmvgnPd3M5JTnnB2IUy5lWXkS+pTzpi5QZcnrwLONtIwwZzNLcAEWYFRCr
      y06HAHKG4cQKLGHD5TpgjvP3hgiQdC9OM8asGR+lZvutTvBGVvQWxAlxIpgrtZG9
      ZN8cJV1EYing9Hryvk3pZ1UXrkfKMimLcgPhBpNj2+/iWWbGtWB7zgIoyYWtL311
      f/AGOGacgBGf3aYvk6KfgigBixS9jFguuTz/5WiMqDoXE9O9LrqUN4rpArKNk9kP
      08NbDcNaktf1fcHMYyXd2xS7ZFYdOcnJjoOIfn59q+g1D05qhVyvbrZ74FPSSxMd
      DYq1u9KHZQfg+U78fcZlcr82487FU/ashoD/oH/lPb2WbSZElIBnxXZ2YrtwEBkE
      wSKW2MBo0mjQxZYZKnkoq0JsJKFOVSsv7vcQWO4D61gpxLgFOVhB965ClupVkvyk
      GqKKV3xGmWzALMafBf6PlVrdaSlBwYJX3G3PZmHK5ZBiQ9rxioNuEyIMkOTK8ROx
      1W90ktklwqKxXVFwO3yXFM/WeW1G/eJ6osJdo8+BHBRWENl8r6kgM2YxqANlxypm
      fskF+3YV//k8YmxNuExhhsm/xiNhH8voiQm0P+f5J4M4gmkMc9t87qvPsWWNmzNr
      CrXm/Wy+HzAdH0Iukgsq6XN5A4DeKegrzTl2XhmOyTdVqTqD+qbqY1D4BUexUklf
      ZoOVupZQs6kUC1973Xl4G3569CJbbcc9ZiPGmk77chAQzZhSKCBBFd2YWZ0kzwuw
      H74QoP2pcYH8f1032VrwwbF+6P15H1hBO/hXZnN1yl9yFkGIELaztq3JP3xh0Zya
      fNA4ZKMQQ9B+ahTFbqga2Da9NKzU/zivw4ZtEqCmPytQ9USEppBadzxr7gYljbtx
      HtxQRzzupJ1wV22lAzfxn4V9pJB1EDa8Pj/IBh+7l3ftD4+y/544EkZZLK3aKfwC
      PdqkffQmz7zXXh2V2IrvDvsQCv+O7Lk8nVXxAbGMH04ZOyIu48LwfEJ0PxFodnEn
      fR865mkkrXf7JROT4LLbd7LGI7+/VTsp6g0FoGXKfxZr0ILUKvc=
      -----END PUBLIC KEY-----
    EOT
    public_key_openssh            = null
    public_key_fingerprint_sha256 = "5356fdc316b878b037a7afe25db108e84b802b6318dfcfdad3d9414b881563ca"
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

mock_resource "hsm_certificate" {
  defaults = {
    key_id              = "6d6f636b2d6563"
    deletion_policy     = "delete"
    subject             = "CN=Example Root CA,O=Example"
    issuer              = "CN=Example Root CA,O=Example"
    serial_number       = "1f2e3d4c5b6a7988"
    validity_start_time = "2026-11-29T22:24:03Z"
    validity_end_time   = "2081-09-01T22:24:03Z"
    fingerprint_sha256  = "92b6fd894502b0d3992bcd6ee03f9a3f43687d7620529fd1d3635c6c37ac4907"
    uri                 = "pkcs11:token=mock;id=%6D%6F%63%6B%2D%65%63;type=cert"
    token_serial        = "6d6f636b"
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

mock_resource "hsm_cert_request" {
  defaults = {
    cert_request_pem    = <<-EOT
      -----BEGIN CERTIFICATE REQUEST-----
      MIIBBTCBqwIBADAbMRkwFwYDVQQDDBBtb2NrLmV4YW1wbGUuY29tMFkwEwYHKoZI
      zj0CAQYIKoZIzj0DAQcDQgAEucCtOI9cBCQfHDvXU5bdSx2KZo9kkqV4G+TO8dU6
      JihgWC7MPHfwoeMuc9wAOtXA1pwCeXErRb6com3hHAD2dqAuMCwGCSqGSIb3DQEJ
      DjEfMB0wGwYDVR0RBBQwEoIQbW9jay5leGFtcGxlLmNvbTAKBggqhkjOPQQDAgNJ
      ADBGAiEA9Flcmvlz4slRNKVF9C8cq1YupcbIhamoezB985D8q2sCIQCy4vnpeJP5
      4ou6KmrvmUCjkp9oT+eB+l7+98/SjAnDLw==
      -----END CERTIFICATE REQUEST-----
    EOT
    signature_algorithm = "ECDSA-SHA256"
    key_algorithm       = "ECDSA"
    is_ca_certificate   = false
  }
}

mock_resource "hsm_self_signed_cert" {
  defaults = {
    cert_pem             = <<-EOT
      -----BEGIN CERTIFICATE-----
      MIIBVTCB+6ADAgECAgVtb2NrATAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtb2Nr
      MCAXDTI2MTEyOTIyMTkwM1oYDzIwNzYxMTE2MjIxOTAzWjAPMQ0wCwYDVQQDDARt
      b2NrMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEucCtOI9cBCQfHDvXU5bdSx2K
      Zo9kkqV4G+TO8dU6JihgWC7MPHfwoeMuc9wAOtXA1pwCeXErRb6com3hHAD2dqNC
      MEAwDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYEFM8u
      mQR8bbg811XdIWqNwwQN47+RMAoGCCqGSM49BAMCA0kAMEYCIQDxWfDTHXjtxMXN
      WpcvgraZ5BveP+5P4vXR3xs0KrBb6AIhANGHr8ASitp88bOaABUoJjCEkaOG7zjf
      Sj151dcdSrmZ
      -----END CERTIFICATE-----
    EOT
    serial_number        = "6d6f636b01"
    signature_algorithm  = "ECDSA-SHA256"
    key_algorithm        = "ECDSA"
    validity_start_time  = "2026-11-29T22:19:03Z"
    validity_end_time    = "2076-11-16T22:19:03Z"
    ready_for_renewal    = false
    early_renewal_hours  = 0
    is_ca_certificate    = false
    set_subject_key_id   = false
    set_authority_key_id = false
  }
}

mock_resource "hsm_locally_signed_cert" {
  defaults = {
    cert_pem            = <<-EOT
      -----BEGIN CERTIFICATE-----
      MIIBtDCCAVmgAwIBAgIFbW9jawIwCgYIKoZIzj0EAwIwDzENMAsGA1UEAwwEbW9j
      azAgFw0yNjExMjkyMjE5MDNaGA8yMDc2MDkyNzIyMTkwM1owGzEZMBcGA1UEAwwQ
      bW9jay5leGFtcGxlLmNvbTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABMjML/va
      6r5DhAULDQrmYAwFF34eTPNq5dFLC6UMr4+S/iGc7qeUO8VEkfhmoskBtMHDWmKP
      FarG2x/55B0WpnejgZMwgZAwDAYDVR0TAQH/BAIwADAOBgNVHQ8BAf8EBAMCB4Aw
      EwYDVR0lBAwwCgYIKwYBBQUHAwEwHwYDVR0jBBgwFoAUzy6ZBHxtuDzXVd0hao3D
      BA3jv5EwGwYDVR0RBBQwEoIQbW9jay5leGFtcGxlLmNvbTAdBgNVHQ4EFgQU30fs
      O4Hcx1/WL9WifBxBS98/O70wCgYIKoZIzj0EAwIDSQAwRgIhALBqAPawADMhkL8U
      If+Uu4Rw+tfPPPjHliFjtc3dDT5OAiEAi+Ac7m//JjK7kzCBBaGanERMS/i5lhTd
      rIjHeQ1T9c0=
      -----END CERTIFICATE-----
    EOT
    serial_number       = "6d6f636b02"
    signature_algorithm = "ECDSA-SHA256"
    ca_key_algorithm    = "ECDSA"
    validity_start_time = "2026-11-29T22:19:03Z"
    validity_end_time   = "2076-09-27T22:19:03Z"
    ready_for_renewal   = false
    early_renewal_hours = 0
    is_ca_certificate   = false
    set_subject_key_id  = false
  }
}

mock_resource "hsm_crl" {
  defaults = {
    crl_pem             = <<-EOT
      -----BEGIN X509 CRL-----
      MIHIMG8CAQEwCgYIKoZIzj0EAwIwDzENMAsGA1UEAwwEbW9jaxcNMjYxMTI5MjIx
      OTAzWhcNMzYxMTI2MjIxOTAzWqAvMC0wHwYDVR0jBBgwFoAUzy6ZBHxtuDzXVd0h
      ao3DBA3jv5EwCgYDVR0UBAMCAQEwCgYIKoZIzj0EAwIDSQAwRgIhAKCZTeYsTRH+
      bsDf5PsnGClA5wU0DKucvjdl+au/nitbAiEAlOBGCuSoH8tn6+MbYcHXB3M+5It/
      NAu9nGJqdmc8CZs=
      -----END X509 CRL-----
    EOT
    crl_number          = 1
    signature_algorithm = "ECDSA-SHA256"
    ca_key_algorithm    = "ECDSA"
    validity_start_time = "2026-11-29T22:19:03Z"
    validity_end_time   = "2036-11-26T22:19:03Z"
    ready_for_renewal   = false
    early_renewal_hours = 0
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
    parameter_set                  = null
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
