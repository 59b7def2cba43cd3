package provider_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
)

// TestAKeyThatDoesNotSignIsToldAtItsArgument has every resource sign with a key that is not on the token, or that
// decrypts alone.
func TestAKeyThatDoesNotSignIsToldAtItsArgument(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "CA")
	caPEM, key := strconv.Quote(pemOf(ca.cert)), strconv.Quote(pemOf(ca.leaf("web", ca.cert.PublicKey, time.Hour)))
	const none = "No Key Pair With This Public Key"
	const certificate, req = "Unable to Sign Certificate: ", "Unable to Sign Certificate Request: "
	const list = "Unable to Sign Revocation List: "
	decrypts := pair("d", `label = "d"`, `usage = ["decrypt"]`) + request("x", "hsm_rsa_keypair.d.public_key_pem")
	asked := pair("k", `label = "web"`, `key_id = "6b31"`) + request("r", "hsm_rsa_keypair.k.public_key_pem")
	for name, row := range map[string]struct {
		block   string
		says    string
		pointed string
	}{
		"a request":                        {request("x", key), req + none, "public_key_pem"},
		"a request of a key that decrypts": {decrypts, req + "Key Does Not Sign This", "public_key_pem"},
		"a self-signed certificate":        {root("x", key), certificate + none, "public_key_pem"},
		"a certificate": {asked + leafOf("x", caPEM, "hsm_cert_request.r.cert_request_pem",
			"validity_period_hours = 1"), certificate + none, "ca_cert_pem"},
		"a certificate, with the CA's key": {asked + leafOf("x", caPEM, "hsm_cert_request.r.cert_request_pem",
			"validity_period_hours = 1", "ca_public_key_pem = "+key), certificate + none, "ca_public_key_pem"},
		"a list": {crl(caPEM), list + none, "ca_cert_pem"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.test(step(resource.TestStep{Config: b.config(row.block)}, fails(row.says).pointing(row.pointed)),
				step(resource.TestStep{Config: b.config()}))
		})
	}
}
