package provider_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/compare"
	"github.com/hashicorp/terraform-plugin-testing/config"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/querycheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"github.com/hashicorp/terraform-plugin-testing/tfversion"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// authority is a CA that tests make in memory.
type authority struct {
	t    testing.TB
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

var serials atomic.Int64

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{t: t, key: key}
	a.cert = a.sign(name, &key.PublicKey, true, time.Now().Add(-time.Hour), nil)
	return a
}

// sign makes a certificate of a day and an hour. issuer nil: it signs itself.
func (a *authority) sign(name string, pub crypto.PublicKey, isCA bool, from time.Time,
	issuer *x509.Certificate) *x509.Certificate {
	a.t.Helper()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano() + serials.Add(1)),
		Subject:      pkix.Name{CommonName: name, Organization: []string{"Example"}},
		NotBefore:    from, NotAfter: from.Add(25 * time.Hour), BasicConstraintsValid: true, IsCA: isCA,
	}
	if isCA {
		tmpl.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	}
	if issuer == nil {
		issuer = tmpl
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, issuer, pub, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

// leaf is a certificate for a public key, which begins so long ago.
func (a *authority) leaf(name string, pub crypto.PublicKey, ago time.Duration) *x509.Certificate {
	a.t.Helper()
	return a.sign(name, pub, false, time.Now().Add(-ago), a.cert)
}

// publicKey is that of the pair with the ID 6b31.
func (b *bench) publicKey() crypto.PublicKey {
	b.t.Helper()
	pub, err := x509.ParsePKIXPublicKey(b.spki("6b31"))
	if err != nil {
		b.t.Fatal(err)
	}
	return pub
}

func pemOf(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

func sumOf(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// certified is the block of the resource hsm_certificate.NAME.
func certified(name, pem string, lines ...string) string {
	return fmt.Sprintf("resource \"hsm_certificate\" %q {\n  certificate_pem = <<-EOT\n%s  EOT\n  %s\n}\n", name, pem,
		strings.Join(lines, "\n  "))
}

// writeCertificate has another tool write a certificate.
func (b *bench) writeCertificate(c *x509.Certificate, id, label string) {
	b.t.Helper()
	file := filepath.Join(b.t.TempDir(), "certificate.der")
	if err := os.WriteFile(file, c.Raw, 0o600); err != nil {
		b.t.Fatal(err)
	}
	b.Tool(b.t, "--write-object", file, "--type", "cert", "--id", id, "--label", label)
}

// readCertificate is what another tool reads of the certificate with the ID and the label; nil where there is none.
func (b *bench) readCertificate(id, label string) []byte {
	b.t.Helper()
	if !strings.Contains(b.Tool(b.t, "--list-objects", "--type", "cert"), "label:      "+label+"\n") {
		return nil
	}
	file := filepath.Join(b.t.TempDir(), "read.der")
	b.Tool(b.t, "--read-object", "--type", "cert", "--id", id, "--label", label, "--output-file", file)
	der, err := os.ReadFile(file)
	if err != nil {
		b.t.Fatal(err)
	}
	return der
}

// hasCertificate makes sure that the token has the certificate, or, of nil, none of the name.
func (b *bench) hasCertificate(id, label string, want *x509.Certificate) {
	b.t.Helper()
	have := b.readCertificate(id, label)
	if want == nil && have != nil || want != nil && !bytes.Equal(have, want.Raw) {
		b.t.Errorf("the token has another certificate with the ID %s and the label %q, or none: %d bytes", id, label,
			len(have))
	}
}

const certificateAddress = "hsm_certificate.c"

func certificateHas(attribute, value string) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(certificateAddress, tfjsonpath.New(attribute), knownvalue.StringExact(value))
}

// actsOn expects an action for the certificate.
func actsOn(action plancheck.ResourceActionType, more ...plancheck.PlanCheck) resource.ConfigPlanChecks {
	acts := plancheck.ExpectResourceAction(certificateAddress, action)
	return resource.ConfigPlanChecks{PreApply: append([]plancheck.PlanCheck{acts}, more...)}
}

func step(s resource.TestStep, says ...remark) turn { return turn{s, says} }

// TestACertificateLives writes a certificate, changes its label and ID in place, renews it, and destroys it.
func TestACertificateLives(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.make("web", "6b31")
	ca := newAuthority(t, "CA")
	pub := b.publicKey()
	first, second := ca.leaf("web", pub, time.Hour), ca.leaf("web", pub, time.Minute)
	loose := "\n\n" + strings.ReplaceAll(pemOf(first), "\n", "  \n")
	after := func(check func()) func() { return check }
	b.test(
		step(resource.TestStep{
			Config: b.config(certified("c", pemOf(first), `label = "web"`)),
			ConfigPlanChecks: actsOn(plancheck.ResourceActionCreate,
				plancheck.ExpectKnownValue(certificateAddress, tfjsonpath.New("key_id"),
					knownvalue.StringExact("6b31")),
				plancheck.ExpectKnownValue(certificateAddress, tfjsonpath.New("fingerprint_sha256"),
					knownvalue.StringExact(sumOf(first)))),
			ConfigStateChecks: []statecheck.StateCheck{
				certificateHas("key_id", "6b31"), certificateHas("subject", "CN=web,O=Example"),
				certificateHas("issuer", "CN=CA,O=Example"),
				certificateHas("serial_number", fmt.Sprintf("%x", first.SerialNumber)),
				certificateHas("deletion_policy", "delete"),
				certificateHas("validity_start_time", first.NotBefore.UTC().Format(time.RFC3339)),
				certificateHas("validity_end_time", first.NotAfter.UTC().Format(time.RFC3339)),
				certificateHas("fingerprint_sha256", sumOf(first)),
				certificateHas("uri", "pkcs11:token="+b.Label+";id=%6B%31;type=cert"),
			},
		}),
		step(resource.TestStep{
			PreConfig:        after(func() { b.hasCertificate("6b31", "web", first) }),
			Config:           b.config(certified("c", loose, `label = "web"`)),
			ConfigPlanChecks: actsOn(plancheck.ResourceActionNoop),
		}),
		step(resource.TestStep{
			Config: b.config(certified("c", pemOf(first), `label = "www"`)),
			ConfigPlanChecks: actsOn(plancheck.ResourceActionUpdate,
				plancheck.ExpectKnownValue(certificateAddress, tfjsonpath.New("uri"),
					knownvalue.StringExact("pkcs11:token="+b.Label+";id=%6B%31;type=cert"))),
		}),
		step(resource.TestStep{
			PreConfig: after(func() {
				b.hasCertificate("6b31", "www", first)
				b.hasCertificate("6b31", "web", nil)
			}),
			Config:           b.config(certified("c", pemOf(first), `label = "www"`, `key_id = "6B39"`)),
			ConfigPlanChecks: actsOn(plancheck.ResourceActionUpdate),
			ConfigStateChecks: []statecheck.StateCheck{certificateHas("key_id", "6B39"),
				certificateHas("uri", "pkcs11:token="+b.Label+";id=%6B%39;type=cert")},
		}),
		step(resource.TestStep{
			PreConfig:        after(func() { b.hasCertificate("6b39", "www", first) }),
			Config:           b.config(certified("c", pemOf(second), `label = "www"`)),
			ConfigPlanChecks: actsOn(plancheck.ResourceActionUpdate),
			ConfigStateChecks: []statecheck.StateCheck{certificateHas("key_id", "6b31"),
				certificateHas("fingerprint_sha256", sumOf(second))},
		}),
		step(resource.TestStep{
			PreConfig:    after(func() { b.hasCertificate("6b31", "www", second) }),
			ResourceName: certificateAddress, ImportState: true, ImportStateId: "6b31@" + sumOf(second),
			ImportStateVerify:                    true,
			ImportStateVerifyIdentifierAttribute: "fingerprint_sha256",
			ImportStateVerifyIgnore:              []string{"deletion_policy"},
		}),
		step(resource.TestStep{Config: b.config()}),
	)
	b.hasCertificate("6b31", "www", nil)
	b.hasCertificate("6b39", "www", nil)
}

// TestACertificateIsRenewedInTheApplyThatSignsIt has the plan not know the new one yet.
func TestACertificateIsRenewedInTheApplyThatSignsIt(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t, "P-256")
	b := newBench(t)
	key := b.keyPEM("EC:prime256v1", "6b31")
	config := func(name string) string {
		return b.config(root("root", key, fmt.Sprintf("subject {\n common_name = %q\n }", name)),
			"resource \"hsm_certificate\" \"c\" {\n  certificate_pem = hsm_self_signed_cert.root.cert_pem\n"+
				"  label = \"root\"\n}\n")
	}
	at := tfjsonpath.New[string]
	b.test(
		step(resource.TestStep{
			Config: config("first"), ConfigStateChecks: []statecheck.StateCheck{certificateHas("subject", "CN=first")},
		}),
		step(resource.TestStep{
			Config: config("second"), ConfigPlanChecks: actsOn(plancheck.ResourceActionUpdate,
				plancheck.ExpectUnknownValue(certificateAddress, at("subject")),
				plancheck.ExpectUnknownValue(certificateAddress, at("fingerprint_sha256")),
				plancheck.ExpectUnknownValue(certificateAddress, at("uri"))),
			ConfigStateChecks: []statecheck.StateCheck{
				certificateHas("subject", "CN=second"), certificateHas("key_id", "6b31"),
				statecheck.CompareValuePairs(certificateAddress, at("certificate_pem"), rootCert, at("cert_pem"),
					compare.ValuesSame()),
			},
		}),
		step(resource.TestStep{
			PreConfig: func() {
				if have := b.certificatesHeld(); len(have) != 1 {
					t.Errorf("the token holds %v", have)
				}
			},
			Config: config("second"), ConfigPlanChecks: actsOn(plancheck.ResourceActionNoop),
		}),
	)
}

// TestACertificateThatChangesBehindTerraform is seen by the next plan, which corrects it. A stranger's certificate in
// its place is neither taken for it, nor destroyed.
func TestACertificateThatChangesBehindTerraform(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.make("web", "6b31")
	ca := newAuthority(t, "CA")
	own, strangers := ca.leaf("web", b.publicKey(), time.Hour), newAuthority(t, "Evil").cert
	config := b.config(certified("c", pemOf(own), `label = "web"`))
	gone := warns("Certificate Not On The Token", "it leaves the state", sumOf(own))
	b.test(
		step(resource.TestStep{Config: config}),
		step(resource.TestStep{
			PreConfig: func() { b.Tool(t, "--type", "cert", "--id", "6b31", "--label", "web", "--set-id", "6b32") },
			Config:    config, ConfigPlanChecks: actsOn(plancheck.ResourceActionCreate),
		}, gone),
		step(resource.TestStep{
			PreConfig: func() {
				b.hasCertificate("6b31", "web", own)
				b.Tool(t, "--delete-object", "--type", "cert", "--id", "6b31", "--label", "web")
				b.writeCertificate(strangers, "6b31", "web")
			},
			Config: config, ConfigPlanChecks: actsOn(plancheck.ResourceActionCreate),
		}, gone),
		step(resource.TestStep{Config: b.config()}),
	)
	b.hasCertificate("6b31", "web", strangers)
}

// TestACertificateFollowsItsKey gives a pair another ID. The certificate follows in the same apply, whether the pair's
// resource moves certificates itself or not.
func TestACertificateFollowsItsKey(t *testing.T) {
	for _, moves := range []bool{false, true} {
		t.Run(fmt.Sprintf("move_certificates %t", moves), func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.make("web", "6b31")
			own := newAuthority(t, "CA").leaf("web", b.publicKey(), time.Hour)
			config := func(id string, more ...string) string {
				return b.config(append(more, pair("k", `label = "web"`, fmt.Sprintf("key_id = %q", id),
					fmt.Sprintf("move_certificates = %t", moves)),
					certified("c", pemOf(own), `label = "web"`, "depends_on = [hsm_rsa_keypair.k]"))...)
			}
			stays := warns("Certificates Keep The Old Key ID").pointing("key_id")
			if moves {
				stays = stays.maybe()
			}
			b.test(
				step(resource.TestStep{Config: config("6b31",
					"import {\n  to = hsm_rsa_keypair.k\n  id = \"6b31\"\n}\n")}),
				step(resource.TestStep{
					Config: config("6b32"), ConfigPlanChecks: actsOn(plancheck.ResourceActionUpdate,
						// An apply may come to the certificate first, where nothing makes it wait for the pair.
						plancheck.ExpectUnknownValue(certificateAddress, tfjsonpath.New("key_id"))),
					ConfigStateChecks: []statecheck.StateCheck{certificateHas("key_id", "6b32"),
						certificateHas("uri", "pkcs11:token="+b.Label+";id=%6B%32;type=cert")},
				}, warns("Key ID Changes").pointing("key_id"), stays),
				step(resource.TestStep{
					PreConfig: func() { b.hasCertificate("6b32", "web", own) },
					Config:    config("6b32"), ConfigPlanChecks: actsOn(plancheck.ResourceActionNoop),
				}),
				step(resource.TestStep{
					Config: b.config(certified("c", pemOf(own), `label = "web"`),
						"removed {\n  from = hsm_rsa_keypair.k\n  lifecycle {\n    destroy = false\n  }\n}\n"),
				}),
				step(resource.TestStep{ // and back, by another tool
					PreConfig: func() {
						for _, class := range []string{"privkey", "pubkey"} {
							b.Tool(t, "--type", class, "--id", "6b32", "--set-id", "6b31")
						}
						if moves {
							b.Tool(t, "--type", "cert", "--id", "6b32", "--label", "web", "--set-id", "6b31")
						}
					},
					Config:            b.config(certified("c", pemOf(own), `label = "web"`)),
					ConfigStateChecks: []statecheck.StateCheck{certificateHas("key_id", "6b31")},
				}),
			)
		})
	}
}

// TestACertificateWithoutAKeyNeedsAnID is an error of the plan.
func TestACertificateWithoutAKeyNeedsAnID(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ca := newAuthority(t, "CA")
	b.test(
		step(resource.TestStep{Config: b.config(certified("c", pemOf(ca.cert), `label = "CA"`)), PlanOnly: true},
			fails("Unable to Plan Certificate: No Key For The Certificate", "give key_id").pointing("key_id")),
		step(resource.TestStep{Config: b.config(certified("c", pemOf(ca.cert), `label = "CA"`, `key_id = "6361"`))}),
		step(resource.TestStep{Config: b.config(certified("c", pemOf(ca.cert), `label = "CA"`, `key_id = "6361"`),
			certified("d", pemOf(ca.cert), `label = "copy"`, `key_id = "6361"`)), PlanOnly: true},
			fails("Certificate Has Another Resource").pointing("certificate_pem").maybe(),
			fails("Unable to Plan Certificate: Certificate Already On The Token",
				"terraform import hsm_certificate.NAME 6361@"+sumOf(ca.cert))),
	)
}

// TestACertificateIsProtected by its deletion_policy, in the words that keys have for it.
func TestACertificateIsProtected(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ca := newAuthority(t, "CA")
	config := func(policy string) string {
		return b.config(certified("c", pemOf(ca.cert), `label = "CA"`, `key_id = "6361"`,
			fmt.Sprintf("deletion_policy = %q", policy)))
	}
	b.test(
		step(resource.TestStep{Config: config("prevent")}),
		step(resource.TestStep{Config: b.config(), PlanOnly: true}, fails("Certificate Is Protected From Destruction")),
		step(resource.TestStep{
			PreConfig: func() { b.Tool(t, "--type", "cert", "--id", "6361", "--label", "CA", "--set-id", "6362") },
			Config:    config("prevent"), PlanOnly: true,
		}, fails("Unable to Read Certificate: Certificate Not On The Token")),
		step(resource.TestStep{
			PreConfig: func() { b.Tool(t, "--type", "cert", "--id", "6362", "--label", "CA", "--set-id", "6361") },
			Config:    config("abandon"),
		}),
		step(resource.TestStep{Config: b.config()}, warns("Certificate Stays On The Token")),
	)
	b.hasCertificate("6361", "CA", ca.cert)
}

// exampleCertificate is the certificate of the example.
func exampleCertificate(t *testing.T) *x509.Certificate {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(examples, "resources", "hsm_certificate", "resource.tf"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "<<-EOT\n")
	body, _, _ := strings.Cut(rest, "  EOT")
	block, _ := pem.Decode([]byte(strings.ReplaceAll(body, "    ", "")))
	if block == nil {
		t.Fatal("the example has no certificate")
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestTheImportExamplesAdoptACertificate that another tool has written, by each of the documented ways, and the list
// finds it.
func TestTheImportExamplesAdoptACertificate(t *testing.T) {
	folder := filepath.Join("resources", "hsm_certificate")
	c := exampleCertificate(t)
	for name, needs := range map[string][]tfversion.TerraformVersionCheck{
		"import-by-identity.tf": knowsIdentity, "import-by-string-id.tf": nil,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			nameInEnvironment(t, b.Token)
			b.writeCertificate(c, "726f6f742d31", "example-root")
			files := sources(t, folder)
			with := layOut(t, append(files, filepath.Join(examples, folder, name))...)
			text, err := os.ReadFile(filepath.Join(with, name))
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(with, name), strings.ReplaceAll(string(text), "1f0d5b7a3c9e2468", b.serial()))
			steps := []resource.TestStep{{
				ConfigDirectory: config.StaticDirectory(with), PlanOnly: true, ExpectNonEmptyPlan: true,
				ConfigPlanChecks: resource.ConfigPlanChecks{PostApplyPreRefresh: []plancheck.PlanCheck{
					// Of deletion_policy.
					plancheck.ExpectResourceAction("hsm_certificate.root", plancheck.ResourceActionUpdate),
				}},
			}}
			if needs == nil {
				for _, id := range importCommands(t, filepath.Join(examples, folder, "import.sh"),
					"hsm_certificate.root") {
					steps = append(steps, resource.TestStep{
						ConfigDirectory: config.StaticDirectory(layOut(t, files...)),
						ResourceName:    "hsm_certificate.root",
						ImportState:     true, ImportStateId: id,
						ImportStateCheck: func(states []*terraform.InstanceState) error {
							if len(states) != 1 || states[0].Attributes["fingerprint_sha256"] != sumOf(c) {
								return fmt.Errorf("%s imported %v", id, states)
							}
							return nil
						},
					})
				}
			}
			testExampleOn(t, needs, steps...)
		})
	}
	t.Run("list", func(t *testing.T) {
		b := newBench(t)
		nameInEnvironment(t, b.Token)
		b.writeCertificate(c, "726f6f742d31", "example-root")
		text, err := os.ReadFile(filepath.Join(examples, "list-resources", "hsm_certificate",
			"list-resource.tfquery.hcl"))
		if err != nil {
			t.Fatal(err)
		}
		testExampleOn(t, knowsQueries,
			resource.TestStep{ConfigDirectory: config.StaticDirectory(layOut(t,
				filepath.Join(examples, "provider", "provider.tf")))},
			resource.TestStep{Query: true, Config: string(text), QueryResultChecks: []querycheck.QueryResultCheck{
				querycheck.ExpectLength("hsm_certificate.example", 1),
				querycheck.ExpectIdentity("hsm_certificate.example", map[string]knownvalue.Check{
					"token_serial":       knownvalue.StringExact(b.serial()),
					"key_id":             knownvalue.StringExact("726f6f742d31"),
					"fingerprint_sha256": knownvalue.StringExact(sumOf(c)),
				}),
			}})
	})
}
