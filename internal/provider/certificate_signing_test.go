package provider_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	hsmprovider "github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider"
)

// clock is what a provider takes for the time.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// at sets it, so that a step of a test begins at that time.
func (c *clock) at(text string) func() {
	return func() {
		now, err := time.Parse(time.RFC3339, text)
		if err != nil {
			panic(err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.now = now
	}
}

// clocked gives the provider by that clock.
func (b *bench) clocked(c *clock) map[string]func() (tfprotov6.ProviderServer, error) {
	return map[string]func() (tfprotov6.ProviderServer, error){"hsm": func() (tfprotov6.ProviderServer, error) {
		hooks := append(slices.Clone(b.hooks), b.faults.Hook, hsmtest.KeepApart)
		p := hsmprovider.New("test", hsmprovider.WithHooks(hooks...), hsmprovider.WithClock(c.time))()
		b.mu.Lock()
		b.made = append(b.made, p)
		b.mu.Unlock()
		return listener{hsmprovider.NewServer(func() provider.Provider { return p })(), b}, nil
	}}
}

// keyPEM makes a pair with pkcs11-tool, and gives its public key as a configuration has it.
func (b *bench) keyPEM(kind, id string) string {
	b.t.Helper()
	b.Tool(b.t, "--keypairgen", "--key-type", kind, "--usage-sign", "--label", "key "+id, "--id", id)
	return quotedPEM("PUBLIC KEY", b.spki(id))
}

func quotedPEM(kind string, der []byte) string {
	return fmt.Sprintf("%q", pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// signed is the block of a resource of what is signed, with these lines, and with those of otherwise whose argument is
// not among them.
func signed(kind, name string, otherwise map[string]string, lines ...string) string {
	for argument, line := range hsmtest.InOrder(otherwise) {
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, argument) }) {
			lines = append(lines, line)
		}
	}
	return fmt.Sprintf("resource \"hsm_%s\" %q {\n  %s\n}\n", kind, name, strings.Join(lines, "\n  "))
}

// root, request, leafOf and crl are blocks; what the lines leave out is as it often is.
func root(name, key string, lines ...string) string {
	return signed("self_signed_cert", name, map[string]string{
		"public_key_pem":        "public_key_pem = " + key,
		"subject":               `subject { common_name = "Root" }`,
		"validity_period_hours": "validity_period_hours = 8760",
		"allowed_uses":          `allowed_uses = ["cert_signing", "crl_signing"]`,
		"is_ca_certificate":     "is_ca_certificate = true",
	}, lines...)
}

func request(name, key string, lines ...string) string {
	return signed("cert_request", name, map[string]string{
		"public_key_pem": "public_key_pem = " + key,
		"subject":        `subject { common_name = "leaf.example.com" }`,
		"dns_names":      `dns_names = ["leaf.example.com"]`,
	}, lines...)
}

func leafOf(name, ca, request string, lines ...string) string {
	return signed("locally_signed_cert", name, map[string]string{
		"ca_cert_pem":           "ca_cert_pem = " + ca,
		"cert_request_pem":      "cert_request_pem = " + request,
		"validity_period_hours": "validity_period_hours = 24",
		"allowed_uses":          `allowed_uses = ["digital_signature", "server_auth"]`,
	}, lines...)
}

func crl(ca string, lines ...string) string {
	return signed("crl", "c", map[string]string{
		"ca_cert_pem":           "ca_cert_pem = " + ca,
		"validity_period_hours": "validity_period_hours = 168",
	}, lines...)
}

const (
	rootCert   = "hsm_self_signed_cert.root"
	rootPEM    = rootCert + ".cert_pem"
	leafReq    = "hsm_cert_request.leaf"
	leafReqPEM = leafReq + ".cert_request_pem"
	leafCert   = "hsm_locally_signed_cert.leaf"
	theCRL     = "hsm_crl.c"
)

// remembered has the attributes of a resource, and says in a later step whether they changed.
type remembered struct{ was map[string]any }

func (k *remembered) remember(address string) attributes {
	return attributes{address, func(state map[string]any) error {
		k.was = maps.Clone(state)
		return nil
	}}
}

// stays says that the attribute is as it was; changes, that it is not.
func (k *remembered) stays(address string, names ...string) attributes {
	return attributes{address, func(state map[string]any) error {
		for _, name := range names {
			if state[name] != k.was[name] {
				return fmt.Errorf("%s is\n%v\nand was\n%v", name, state[name], k.was[name])
			}
		}
		return nil
	}}
}

func (k *remembered) changes(address string, names ...string) attributes {
	return attributes{address, func(state map[string]any) error {
		for _, name := range names {
			if state[name] == k.was[name] {
				return fmt.Errorf("%s is still\n%v", name, state[name])
			}
		}
		return nil
	}}
}

// action checks what is planned for a resource.
func action(address string, what plancheck.ResourceActionType) resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(address, what)}}
}

// file writes a text of the state to a file.
func file(t *testing.T, state map[string]any, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	text, _ := state[name].(string)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func parsedCert(state map[string]any) (*x509.Certificate, error) {
	text, _ := state["cert_pem"].(string)
	block, rest := pem.Decode([]byte(text))
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("cert_pem is %q", text)
	}
	return x509.ParseCertificate(block.Bytes)
}

var certKeys = []struct {
	name, kind, algorithm string
	signatures            []string // all that it can make, the default first
	needs                 []string // curves
}{
	{"RSA", "rsa:2048", "RSA", []string{"SHA256-RSA", "SHA384-RSA", "SHA512-RSA", "SHA256-RSAPSS", "SHA384-RSAPSS",
		"SHA512-RSAPSS"}, nil},
	{"P-256", "EC:prime256v1", "ECDSA", []string{"ECDSA-SHA256", "ECDSA-SHA384", "ECDSA-SHA512"}, []string{"P-256"}},
	{"P-384", "EC:secp384r1", "ECDSA", []string{"ECDSA-SHA384", "ECDSA-SHA256", "ECDSA-SHA512"}, []string{"P-384"}},
	{"P-521", "EC:secp521r1", "ECDSA", []string{"ECDSA-SHA512", "ECDSA-SHA256", "ECDSA-SHA384"}, []string{"P-521"}},
	{"Ed25519", "EC:edwards25519", "ED25519", []string{"Ed25519"}, []string{"Ed25519"}},
}

// TestEveryKeySignsAllOfIt has each kind of key sign a request, a root, a leaf and a list by each algorithm, in one
// apply, and openssl and Go agree with them.
func TestEveryKeySignsAllOfIt(t *testing.T) {
	t.Parallel()
	for _, k := range certKeys {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			if k.needs != nil {
				hsmtest.NeedsCurves(t, k.needs...)
			}
			b := newBench(t)
			key := b.keyPEM(k.kind, "6b31")
			var turns []turn
			revokedAt := time.Now().UTC().Format(time.RFC3339)
			picker := hsmtest.Pick(t, map[hsmtest.Extent]int{hsmtest.Sample: 2, hsmtest.Matrix: 1,
				hsmtest.All: 1}[hsmtest.ThisExtent(t)])
			for i, algorithm := range append([]string{""}, k.signatures[1:]...) {
				if i > 0 && !picker.Takes() {
					continue
				}
				var lines []string
				want := k.signatures[i]
				if algorithm != "" {
					lines = []string{line("signature_algorithm", algorithm)}
				}
				states := map[string]map[string]any{}
				step := resource.TestStep{Config: b.config(
					root("root", key, lines...), request("leaf", key, lines...),
					leafOf("leaf", rootPEM, leafReqPEM, append(lines,
						`crl_distribution_points = ["http://crl.example.com/root.crl"]`)...),
					crl(rootPEM, append(lines, `revoked = [{ serial_number = "0a1b", time = "`+revokedAt+`" }]`)...),
				)}
				for _, address := range []string{rootCert, leafReq, leafCert, theCRL} {
					step.ConfigStateChecks = append(step.ConfigStateChecks, attributes{address,
						func(state map[string]any) error {
							states[address] = state
							algorithm, of := state["key_algorithm"], state["signature_algorithm"]
							if algorithm == nil {
								algorithm = state["ca_key_algorithm"]
							}
							if algorithm != k.algorithm || of != want {
								return fmt.Errorf("the key is %v and the signature %v", algorithm, of)
							}
							return nil
						}})
				}
				step.ConfigStateChecks = append(step.ConfigStateChecks, holds(func() error {
					ca, req := file(t, states[rootCert], "cert_pem"), file(t, states[leafReq], "cert_request_pem")
					leaf, list := file(t, states[leafCert], "cert_pem"), file(t, states[theCRL], "crl_pem")
					b.Command(t, "openssl", "req", "-in", req, "-noout", "-verify")
					b.Command(t, "openssl", "verify", "-x509_strict", "-CAfile", ca, leaf)
					b.Command(t, "openssl", "crl", "-in", list, "-noout", "-CAfile", ca)
					b.Command(t, "openssl", "verify", "-crl_check", "-CRLfile", list, "-CAfile", ca, leaf)
					rootX, err := parsedCert(states[rootCert])
					if err != nil {
						return err
					}
					leafX, err := parsedCert(states[leafCert])
					if err != nil {
						return err
					}
					pool := x509.NewCertPool()
					pool.AddCert(rootX)
					_, err = leafX.Verify(x509.VerifyOptions{Roots: pool, DNSName: "leaf.example.com"})
					return err
				}))
				turns = append(turns, turn{TestStep: step})
			}
			b.test(turns...)
			if have := b.halves(); len(have) != 2 {
				t.Errorf("the token holds %v", have)
			}
		})
	}
}

// TestASignedCertificateLives is the life of a certificate by a clock: what changes it, what does not, and when it is
// due.
func TestASignedCertificateLives(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t, "P-256")
	b := newBench(t)
	key, other := b.keyPEM("EC:prime256v1", "6b31"), b.keyPEM("EC:prime256v1", "6b32")
	crlf := strings.ReplaceAll(key, `\n`, `\r\n`)
	var c clock
	var k remembered
	turnAt := func(at, block string, what plancheck.ResourceActionType, says []remark, checks ...attributes) turn {
		step := resource.TestStep{PreConfig: c.at(at), Config: b.config(block), ConfigPlanChecks: action(rootCert,
			what)}
		for _, check := range checks {
			step.ConfigStateChecks = append(step.ConfigStateChecks, check)
		}
		return turn{step, says}
	}
	const day = "validity_period_hours = 24"
	is := func(want map[string]any) attributes {
		return attributes{rootCert, func(state map[string]any) error {
			for name, value := range want {
				if fmt.Sprint(state[name]) != fmt.Sprint(value) {
					return fmt.Errorf("%s is %v", name, state[name])
				}
			}
			return nil
		}}
	}
	same := k.stays(rootCert, "cert_pem", "serial_number", "validity_start_time")
	anew := k.changes(rootCert, "cert_pem", "serial_number")
	remember := k.remember(rootCert)
	b.testWith(b.clocked(&c),
		turnAt("2030-01-01T00:01:00Z", root("root", key, day), plancheck.ResourceActionCreate, nil, remember,
			is(map[string]any{
				"validity_start_time": "2030-01-01T00:00:00Z", "validity_end_time": "2030-01-02T00:00:00Z",
				"ready_for_renewal":   false,
				"early_renewal_hours": 0, "signature_algorithm": "ECDSA-SHA256", "key_algorithm": "ECDSA",
			})),
		turnAt("2030-01-01T12:00:00Z", root("root", key, day), plancheck.ResourceActionNoop, nil, same),
		// Nothing is signed for what says the same.
		turnAt("2030-01-01T12:00:00Z", root("root", crlf, day, `not_before = "2030-01-01T01:00:00+01:00"`,
			"early_renewal_hours = 2",
			`signature_algorithm = "ECDSA-SHA256"`), plancheck.ResourceActionUpdate, nil, same,
			is(map[string]any{"early_renewal_hours": 2, "ready_for_renewal": false})),
		turnAt("2030-01-01T12:00:00Z", root("root", key, day), plancheck.ResourceActionUpdate, nil, same),
		// Nor for what is empty and was left out, or has no meaning.
		turnAt("2030-01-01T12:00:00Z", root("root", key, day, "dns_names = []", "uris = []", "policies = []",
			"max_path_length = -1", "name_constraints = { permitted_dns_domains = [] }",
			"subject {\n common_name = \"Root\"\n organization = \"\"\n street_address = []\n }"),
			plancheck.ResourceActionUpdate, nil, same),
		turnAt("2030-01-01T12:00:00Z", root("root", key, day), plancheck.ResourceActionUpdate, nil, same),
		// Due early, and then no more.
		turn{TestStep: resource.TestStep{PreConfig: c.at("2030-01-01T21:59:59Z"), Config: b.config(root("root",
			key, day,
			"early_renewal_hours = 2")), ConfigPlanChecks: action(rootCert, plancheck.ResourceActionUpdate)}},
		turn{TestStep: resource.TestStep{PreConfig: c.at("2030-01-01T22:00:00Z"), RefreshState: true,
			ExpectNonEmptyPlan: true},
			says: []remark{warns("Certificate Is Due", "2 hours before that (early_renewal_hours)",
				"since 2030-01-01T22:00:00Z").
				pointing("ready_for_renewal")}},
		turnAt("2030-01-01T22:00:00Z", root("root", key, day), plancheck.ResourceActionUpdate, nil, same,
			is(map[string]any{"ready_for_renewal": false})),
		turnAt("2030-01-01T22:00:01Z", root("root", key, day, "early_renewal_hours = 2"),
			plancheck.ResourceActionReplace, []remark{
				warns("Certificate Is Due").pointing("ready_for_renewal"),
			}, anew, remember, is(map[string]any{"validity_start_time": "2030-01-01T21:59:01Z",
				"ready_for_renewal": false})),
		// Past its end.
		turnAt("2030-01-05T00:00:00Z", root("root", key, day, "early_renewal_hours = 2"),
			plancheck.ResourceActionReplace, []remark{
				warns("Certificate Is Due", "It ended at 2030-01-02T21:59:01Z").pointing("ready_for_renewal"),
			}, anew, remember),
		// One that is tainted is signed anew, before or after the other one goes.
		turn{TestStep: resource.TestStep{Taint: []string{rootCert}, Config: b.config(root("root", key, day,
			"early_renewal_hours = 2",
			"lifecycle { create_before_destroy = true }")), ConfigPlanChecks: action(rootCert,
			plancheck.ResourceActionReplace),
			ConfigStateChecks: []statecheck.StateCheck{anew, remember}}},
		turn{TestStep: resource.TestStep{Taint: []string{rootCert}, Config: b.config(root("root", key, day,
			"early_renewal_hours = 2")),
			ConfigPlanChecks:  action(rootCert, plancheck.ResourceActionReplace),
			ConfigStateChecks: []statecheck.StateCheck{anew, remember}}},
		// What it says changes.
		turnAt("2030-01-05T00:00:00Z", root("root", key, "validity_period_hours = 25"),
			plancheck.ResourceActionReplace, nil, anew, remember),
		turnAt("2030-01-05T00:00:00Z", root("root", other, "validity_period_hours = 25"),
			plancheck.ResourceActionReplace, nil, anew, remember),
		turnAt("2030-01-05T00:00:00Z", root("root", other, "validity_period_hours = 25",
			`subject { common_name = "Other" }`),
			plancheck.ResourceActionReplace, nil, anew, remember),
		turnAt("2030-01-05T00:00:00Z", root("root", other, "validity_period_hours = 25",
			`subject { common_name = "Other" }`,
			`serial_number = "0A:1B"`), plancheck.ResourceActionReplace, nil, remember,
			is(map[string]any{"serial_number": "0A:1B"})),
		turnAt("2030-01-05T00:00:00Z", root("root", other, "validity_period_hours = 25",
			`subject { common_name = "Other" }`,
			`serial_number = "0a1b"`), plancheck.ResourceActionUpdate, nil, k.stays(rootCert, "cert_pem")),
		// A number that the configuration has is given twice by a renewal, but not by another CA.
		turnAt("2030-01-07T00:00:00Z", root("root", other, "validity_period_hours = 25",
			`subject { common_name = "Other" }`, `serial_number = "0A1b"`), plancheck.ResourceActionReplace,
			[]remark{warns("Certificate Is Due").pointing("ready_for_renewal"),
				warns("Serial Number Given Twice", "the serial number 0A1b of the one that it replaces").
					pointing("serial_number")}, k.changes(rootCert, "cert_pem"), remember),
		turnAt("2030-01-07T00:00:00Z", root("root", other, "validity_period_hours = 25", `serial_number = "0A1b"`),
			plancheck.ResourceActionReplace, nil, k.changes(rootCert, "cert_pem"), remember),
	)
}

// TestARequestLives signs for what changes the request, and for nothing else.
func TestARequestLives(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t, "P-256")
	b := newBench(t)
	key, other := b.keyPEM("EC:prime256v1", "6b31"), b.keyPEM("EC:prime256v1", "6b32")
	var turns []turn
	var k remembered
	for _, c := range []struct {
		block string
		what  plancheck.ResourceActionType
	}{
		{request("leaf", key), plancheck.ResourceActionCreate},
		{request("leaf", strings.ReplaceAll(key, `\n`, `\r\n`)), plancheck.ResourceActionUpdate},
		{request("leaf", other), plancheck.ResourceActionReplace},
		{request("leaf", other, `subject { common_name = "other.example.com" }`), plancheck.ResourceActionReplace},
		{request("leaf", other, `dns_names = ["a.example.com", "b.example.com"]`), plancheck.ResourceActionReplace},
		{request("leaf", other, `dns_names = ["b.example.com", "a.example.com"]`), plancheck.ResourceActionReplace},
		{request("leaf", other, `ip_addresses = ["10.0.0.1"]`, `uris = ["https://example.com/"]`,
			`email_addresses = ["a@example.com"]`),
			plancheck.ResourceActionReplace},
		{request("leaf", other, `allowed_uses = ["digital_signature"]`), plancheck.ResourceActionReplace},
		{request("leaf", other, `allowed_uses = ["cert_signing"]`, "is_ca_certificate = true"),
			plancheck.ResourceActionReplace},
		{request("leaf", other, `allowed_uses = ["cert_signing"]`, "is_ca_certificate = true",
			`signature_algorithm = "ECDSA-SHA256"`),
			plancheck.ResourceActionNoop},
		{request("leaf", other, `allowed_uses = ["cert_signing"]`, "is_ca_certificate = true",
			`signature_algorithm = "ECDSA-SHA384"`),
			plancheck.ResourceActionReplace},
	} {
		check := k.changes(leafReq, "cert_request_pem")
		if c.what == plancheck.ResourceActionUpdate || c.what == plancheck.ResourceActionNoop {
			check = k.stays(leafReq, "cert_request_pem")
		}
		step := resource.TestStep{Config: b.config(c.block), ConfigPlanChecks: action(leafReq, c.what)}
		step.ConfigStateChecks = append(step.ConfigStateChecks, check, k.remember(leafReq))
		turns = append(turns, turn{TestStep: step})
	}
	b.test(turns...)
}

// TestAPlanTouchesNoToken refreshes, plans, changes in place and destroys with a module that is not there, and what is
// new is planned too.
func TestAPlanTouchesNoToken(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t, "P-256")
	b := newBench(t)
	key := b.keyPEM("EC:prime256v1", "6b31")
	all := func(lines ...string) string {
		return root("root", key, lines...) + request("leaf", key) + leafOf("leaf", rootPEM, leafReqPEM) + crl(rootPEM)
	}
	nowhere := block("hsm", line("library", filepath.Join(t.TempDir(), "none.so")), line("token_label", "none"),
		line("pin", "0000"))
	unknown := `resource "terraform_data" "later" {}
` + block("hsm", b.library(), "token_label = terraform_data.later.id", line("pin", b.PIN))
	empty := resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}
	calls := 0
	b.test(
		turn{TestStep: resource.TestStep{Config: b.config(all()),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{during{
				func() { calls = b.faults.Count("") }}}}}},
		turn{TestStep: resource.TestStep{PreConfig: func() {
			if calls != 0 {
				t.Errorf("the plan of new ones made %d calls", calls)
			}
			b.closeProviders()
			b.faults.Clear()
		}, Config: b.config(all()), ConfigPlanChecks: empty}},
		turn{TestStep: resource.TestStep{Config: nowhere + all(), ConfigPlanChecks: empty}},
		turn{TestStep: resource.TestStep{Config: unknown + all(), PlanOnly: true, ExpectNonEmptyPlan: true}},
		turn{TestStep: resource.TestStep{Config: nowhere + all("early_renewal_hours = 1"),
			ConfigPlanChecks: action(rootCert,
				plancheck.ResourceActionUpdate)}},
		turn{TestStep: resource.TestStep{Config: nowhere + all("early_renewal_hours = 1") + request("new", key),
			PlanOnly:           true,
			ExpectNonEmptyPlan: true}},
		turn{TestStep: resource.TestStep{Config: nowhere, ConfigPlanChecks: action(rootCert,
			plancheck.ResourceActionDestroy)}},
	)
	if n := b.faults.Count(""); n != 0 {
		t.Errorf("%d calls were made: %v", n, b.faults.Calls())
	}
}

// TestSigningThatFailsLeavesNoState has each call of a signature fail in turn, until one succeeds.
func TestSigningThatFailsLeavesNoState(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t, "P-256")
	b := newBench(t)
	key := b.keyPEM("EC:prime256v1", "6b31")
	var turns []turn
	for _, function := range []string{"C_OpenSession", "C_FindObjectsInit", "C_GetAttributeValue", "C_SignInit",
		"C_Sign"} {
		for _, blockOf := range []struct{ called, block string }{
			{"Certificate", root("root", key)}, {"Certificate Request", request("leaf", key)},
		} {
			turns = append(turns, turn{TestStep: resource.TestStep{
				PreConfig: func() {
					b.closeProviders()
					b.faults.Clear()
					b.faults.Inject(hsmtest.Fault{Function: function, Nth: 1, Onwards: true,
						Code: cryptoki.CKR_DEVICE_ERROR})
				},
				Config: b.config(blockOf.block),
			}, says: []remark{fails("Unable to Sign "+blockOf.called, "CKR_DEVICE_ERROR")}})
		}
	}
	whole := func() { b.closeProviders(); b.faults.Clear() }
	list := func(lines ...string) string { return b.config(root("root", key), crl(rootPEM, lines...)) }
	var k remembered
	for i, fault := range []hsmtest.Fault{
		{Function: "C_SignInit", Nth: 1, Onwards: true, Code: cryptoki.CKR_DEVICE_ERROR},
		{Function: "C_Sign", Nth: 1, Onwards: true, Code: cryptoki.CKR_DEVICE_ERROR},
	} {
		entry := revokedList(`{ serial_number = "0a", time = "2026-01-01T00:00:00Z" }`)
		if i == 0 {
			turns = append(turns, turn{TestStep: resource.TestStep{PreConfig: whole, Config: list(),
				ConfigPlanChecks:  action(theCRL, plancheck.ResourceActionCreate),
				ConfigStateChecks: []statecheck.StateCheck{k.remember(theCRL)}}})
		}
		turns = append(turns,
			turn{TestStep: resource.TestStep{PreConfig: func() { whole(); b.faults.Inject(fault) },
				Config: list(entry)},
				says: []remark{fails("Unable to Sign Revocation List", fault.Function+": CKR_DEVICE_ERROR")}})
	}
	turns = append(turns, turn{TestStep: resource.TestStep{PreConfig: whole, Config: list(),
		ConfigPlanChecks: action(theCRL,
			plancheck.ResourceActionNoop), ConfigStateChecks: []statecheck.StateCheck{k.stays(theCRL, "crl_pem",
			"crl_number")}}})
	b.testWith(map[string]func() (tfprotov6.ProviderServer, error){"hsm": func() (tfprotov6.ProviderServer, error) {
		server, err := b.server()
		return stateKeeper{server.(listener)}, err
	}}, turns...)
}

// TestEveryMakeSigns has a pair of each kind that a make has sign a certificate, and openssl verifies it.
func TestEveryMakeSigns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, address, block string
		curves               []string
	}{
		// Without decrypt, a TPM's RSA key signs nothing.
		{"RSA", key, pair("k", `label = "k"`, `key_id = "6b31"`, `usage = ["sign", "decrypt"]`), nil},
		{"P-256", "hsm_ec_keypair.k", ecPair(`label = "k"`, `key_id = "6b31"`, `usage = ["sign"]`), []string{"P-256"}},
		{"Ed25519", "hsm_ec_keypair.k", ecPair(`label = "k"`, `key_id = "6b31"`, `curve = "Ed25519"`),
			[]string{"Ed25519"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.curves != nil {
				hsmtest.NeedsCurves(t, c.curves...)
			}
			b := newBench(t)
			config := b.config(c.block, root("root", c.address+".public_key_pem"))
			resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: b.factories(), Steps: []resource.TestStep{
				{Config: config, ConfigStateChecks: []statecheck.StateCheck{attributes{rootCert,
					func(state map[string]any) error {
						cert := file(t, state, "cert_pem")
						b.Command(t, "openssl", "verify", "-check_ss_sig", "-CAfile", cert, cert)
						return nil
					}}}},
				{Config: config,
					ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}},
			}})
		})
	}
}

// TestThePINIsInNothingThatIsSigned runs the real program, with its log.
func TestThePINIsInNothingThatIsSigned(t *testing.T) {
	t.Parallel()
	hsmtest.Needs(t, hsmtest.OwnToken)
	hsmtest.NeedsCurves(t, "P-256")
	b := newBench(t)
	wrong := hsmtest.RandomPIN()
	key := b.keyPEM("EC:prime256v1", "6b31")
	s := newShell(t, b, ephemeralPIN+"variable \"name\" {}\n"+root("root", key, "subject {\n common_name = "+
		"var.name\n }")+request("leaf", key)+
		leafOf("leaf", rootPEM, leafReqPEM)+crl(rootPEM)).with("TF_VAR_name=Root")
	_, log := s.with("TF_VAR_pin="+b.PIN).terraform(false, "apply", "-auto-approve")
	if logins, signatures := calls(log, "C_Login"), calls(log, "C_Sign "); logins != 1 || signatures < 4 {
		t.Errorf("an apply logged in %d times, for %d signatures", logins, signatures)
	}
	_, log = s.with("TF_VAR_pin="+wrong).terraform(false, "plan", "-out=first.plan", "-detailed-exitcode")
	if n := calls(log, ""); n != 0 {
		t.Errorf("a plan made %d calls", n)
	}
	printed, log := s.with("TF_VAR_pin="+wrong, "TF_VAR_name=Other").terraform(true, "apply", "-auto-approve",
		"-no-color")
	if n := calls(log, "C_Login"); n != 1 || !wrapped("Unable to Sign Certificate: PIN Refused").MatchString(printed) {
		t.Errorf("a wrong PIN was sent %d times:\n%s", n, printed)
	}
	s.innocent(b.PIN, wrong)
}
