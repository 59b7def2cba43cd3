package provider_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

func certificates(name string, lines ...string) string {
	return fmt.Sprintf("data \"hsm_certificates\" %q {\n  %s\n}\n", name, strings.Join(lines, "\n  "))
}

// nonsense writes a certificate object whose value is no certificate.
func (b *bench) nonsense(id, label string) {
	b.t.Helper()
	err := b.Session(func(ctx context.Context, s *cryptoki.Session) error {
		_, err := s.CreateObject(ctx, []cryptoki.Attribute{
			cryptoki.ULong(cryptoki.CKA_CLASS, object.CertificateClass),
			cryptoki.ULong(cryptoki.CKA_CERTIFICATE_TYPE, 0),
			cryptoki.Bool(cryptoki.CKA_TOKEN, true), cryptoki.Bool(cryptoki.CKA_PRIVATE, false),
			cryptoki.Bytes(cryptoki.CKA_ID, []byte(id)), cryptoki.Bytes(cryptoki.CKA_LABEL, []byte(label)),
			cryptoki.Bytes(cryptoki.CKA_SUBJECT, []byte{0x30, 0}),
			cryptoki.Bytes(cryptoki.CKA_VALUE, []byte("nonsense")),
		})
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// TestCertificatesAreListed by the data source, with what cannot be read among them.
func TestCertificatesAreListed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.make("web", "6b31")
	ca := newAuthority(t, "CA")
	web := ca.leaf("web", b.publicKey(), time.Hour)
	b.writeCertificate(ca.cert, "6361", "CA")
	b.writeCertificate(web, "6b31", "web")
	b.nonsense("k9", "odd")
	has := func(name string, want ...map[string]knownvalue.Check) statecheck.StateCheck {
		var rows []knownvalue.Check
		for _, row := range want {
			rows = append(rows, knownvalue.ObjectPartial(row))
		}
		return statecheck.ExpectKnownValue("data.hsm_certificates."+name, tfjsonpath.New("certificates"),
			knownvalue.ListExact(rows))
	}
	text := knownvalue.StringExact
	caRow := map[string]knownvalue.Check{
		"key_id": text("6361"), "label": text("CA"), "subject": text("CN=CA,O=Example"), "is_ca": knownvalue.Bool(true),
		"has_private_key": knownvalue.Bool(false), "certificate_pem": text(pemOf(ca.cert)),
		"fingerprint_sha256": text(sumOf(ca.cert)),
		"problem":            knownvalue.Null(),
	}
	webRow := map[string]knownvalue.Check{
		"key_id": text("6b31"), "label": text("web"), "subject": text("CN=web,O=Example"),
		"issuer": text("CN=CA,O=Example"),
		"is_ca":  knownvalue.Bool(false), "has_private_key": knownvalue.Bool(true), "certificate_pem": text(pemOf(web)),
		"serial_number":     text(fmt.Sprintf("%x", web.SerialNumber)),
		"validity_end_time": text(web.NotAfter.UTC().Format(time.RFC3339)),
	}
	oddRow := map[string]knownvalue.Check{"label": text("odd"), "subject": knownvalue.Null(),
		"has_private_key": knownvalue.Null(),
		"problem":         knownvalue.NotNull()}
	b.test(
		step(resource.TestStep{
			Config: b.config(certificates("all"), certificates("id", `key_id = "6B31"`),
				certificates("label", `label = "CA"`),
				certificates("none", `label = "nobody"`)),
			ConfigStateChecks: []statecheck.StateCheck{has("all", caRow, webRow, oddRow), has("id", webRow),
				has("label", caRow), has("none")},
		}),
		step(resource.TestStep{
			Config:            b.config(certificates("subject", `subject = "CN=web,O=Example"`)),
			ConfigStateChecks: []statecheck.StateCheck{has("subject", webRow)},
		}, warns("Certificates That Cannot Be Read", `"odd"`)),
	)
}

// x5cCheck is the first key's chain in a set, as go-jose reads it.
type x5cCheck struct {
	want []string // SHA-256 fingerprints
}

func (c x5cCheck) check(state map[string]any) error {
	var set jose.JSONWebKeySet
	text, _ := state["json"].(string)
	if err := json.Unmarshal([]byte(text), &set); err != nil { // go-jose checks the leaf's key and x5t#S256
		return err
	}
	var have []string
	for _, link := range set.Keys[0].Certificates {
		have = append(have, sumOf(link))
	}
	if fmt.Sprint(have) != fmt.Sprint(c.want) || len(have) > 0 && len(set.Keys[0].CertificateThumbprintSHA256) == 0 {
		return fmt.Errorf("the chain is %v, not %v: %s", have, c.want, text)
	}
	return nil
}

// TestASetHasItsCertificates in x5c: the leaf of each key, and its issuers. Nothing that a stranger puts beside them is
// published.
func TestASetHasItsCertificates(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.make("web", "6b31")
	ca, evil := newAuthority(t, "CA"), newAuthority(t, "Evil")
	web, renewed := ca.leaf("web", b.publicKey(), time.Hour), ca.leaf("web", b.publicKey(), time.Minute)
	strangers := evil.leaf("web", b.publicKey(), time.Second)
	b.writeCertificate(ca.cert, "6361", "CA")
	chain := func(want ...string) []statecheck.StateCheck {
		return []statecheck.StateCheck{attributes{"data.hsm_jwks.s", x5cCheck{want}.check}}
	}
	config := b.config(jwks("s", `key_ids = ["6b31"]`, "x5c = true"))
	b.test(
		step(resource.TestStep{Config: b.config(jwks("s", `key_ids = ["6b31"]`)), ConfigStateChecks: chain()}),
		step(resource.TestStep{Config: config},
			fails("No Chain Of Certificates", `"web" (key_id 6b31)`, "no certificate for the key").pointing("x5c")),
		step(resource.TestStep{
			PreConfig: func() { b.writeCertificate(web, "6b31", "web") },
			Config:    config, ConfigStateChecks: chain(sumOf(web), sumOf(ca.cert)),
		}),
		step(resource.TestStep{
			PreConfig: func() { b.writeCertificate(renewed, "6b39", "any") },
			Config:    config, ConfigStateChecks: chain(sumOf(renewed), sumOf(ca.cert)),
		}),
		step(resource.TestStep{
			PreConfig: func() { b.writeCertificate(strangers, "6b31", "strange") },
			Config:    config,
		}, fails("No Chain Of Certificates", "several valid certificates", sumOf(strangers),
			sumOf(web)).pointing("x5c")),
		step(resource.TestStep{
			Config: b.config(jwks("s", `key_ids = ["6b31"]`, "x5c = true",
				fmt.Sprintf("x5c_leaves = [%q]", strings.ToUpper(sumOf(web))))),
			ConfigStateChecks: chain(sumOf(web), sumOf(ca.cert)),
		}),
		step(resource.TestStep{ // as a list comes out whose resources are not there
			Config: b.config(jwks("s", `key_ids = ["6b31"]`, "x5c = true", "x5c_leaves = []")),
		}, fails("No Chain Of Certificates", "none of the certificates that x5c_leaves names").pointing("x5c")),
		step(resource.TestStep{
			Config:   b.config(jwks("s", `key_ids = ["6b31"]`, fmt.Sprintf("x5c_leaves = [%q]", sumOf(web)))),
			PlanOnly: true,
		}, fails("Invalid Combination Of Arguments", "x5c_leaves").pointing("x5c_leaves")),
		step(resource.TestStep{
			Config: b.config(jwks("s", `key_ids = ["6b31"]`, "x5c = true", `profile = "hydra"`)), PlanOnly: true,
		}, fails("Invalid Combination Of Arguments", "Ory Hydra publishes no certificates").pointing("profile")),
		step(resource.TestStep{Config: b.config()}),
	)
}
