package provider_test

import (
	"fmt"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
)

// TestACertificateIsRenewedByTheRunThatSignsIt has one run sign a certificate and put it on the token, so that the plan
// knows nothing of it, under the ID of its key and under one that is given, which changes too.
func TestACertificateIsRenewedByTheRunThatSignsIt(t *testing.T) {
	for name, keyID := range map[string]func(turn int) string{
		"under the ID of its key": func(int) string { return "" },
		"under an ID of its own":  func(turn int) string { return fmt.Sprintf(`key_id = "633%d"`, turn) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			config := func(turn int) string {
				return b.config(pair("k", `label = "web"`, `key_id = "6b31"`), fmt.Sprintf(`
					resource "hsm_self_signed_cert" "s" {
						public_key_pem        = hsm_rsa_keypair.k.public_key_pem
						validity_period_hours = 24
						allowed_uses          = ["client_auth"]
						subject { common_name = "name %d" }
					}
					resource "hsm_certificate" "c" {
						certificate_pem = hsm_self_signed_cert.s.cert_pem
						label           = "web"
						%s
					}`, turn, keyID(turn)))
			}
			unknown := func(attribute string) plancheck.PlanCheck {
				return plancheck.ExpectUnknownValue(certificateAddress, tfjsonpath.New(attribute))
			}
			at := "6332"
			if keyID(2) == "" {
				at = "6b31"
			}
			b.test(
				step(resource.TestStep{Config: config(1), ConfigPlanChecks: actsOn(plancheck.ResourceActionCreate)}),
				step(resource.TestStep{
					Config: config(2),
					ConfigPlanChecks: actsOn(plancheck.ResourceActionUpdate, unknown("subject"), unknown("issuer"),
						unknown("serial_number"), unknown("validity_start_time"), unknown("validity_end_time"),
						unknown("fingerprint_sha256"), unknown("uri")),
					ConfigStateChecks: []statecheck.StateCheck{
						certificateHas("subject", "CN=name 2"), certificateHas("key_id", at),
						statecheck.ExpectKnownValue(certificateAddress, tfjsonpath.New("token_serial"),
							knownvalue.NotNull()),
					},
				}),
				step(resource.TestStep{Config: config(2), ConfigPlanChecks: actsOn(plancheck.ResourceActionNoop)}),
				step(resource.TestStep{Config: b.config()}, warns("Certificates Of A Destroyed Key").maybe()),
			)
		})
	}
}
