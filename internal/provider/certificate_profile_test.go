package provider_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// signingCA is a CA of the tests' own, whose certificates and requests a configuration has as texts.
type signingCA struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newSigningCA(t *testing.T, change func(*x509.Certificate)) signingCA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, NotBefore: time.Date(2030, 1, 1, 0, 0,
			0, 0, time.UTC),
		NotAfter: time.Date(2030, 1, 3, 0, 0, 0, 0, time.UTC), BasicConstraintsValid: true, IsCA: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, MaxPathLen: -1,
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return signingCA{t, key, cert}
}

func (a signingCA) pem() string { return quotedPEM("CERTIFICATE", a.cert.Raw) }

func (a signingCA) publicPEM() string {
	der, err := x509.MarshalPKIXPublicKey(a.key.Public())
	if err != nil {
		a.t.Fatal(err)
	}
	return quotedPEM("PUBLIC KEY", der)
}

// requestOf is the DER of a request of that key.
func (a signingCA) requestOf(template x509.CertificateRequest) []byte {
	der, err := x509.CreateCertificateRequest(rand.Reader, &template, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return der
}

// TestWhatCannotBeSignedIsAnErrorOfThePlan at its argument, with a token that is not there.
func TestWhatCannotBeSignedIsAnErrorOfThePlan(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	anybody := newSigningCA(t, nil)
	ca, key := anybody.pem(), anybody.publicPEM()
	other := newSigningCA(t, nil).publicPEM()
	bottom := newSigningCA(t, func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = 0, true }).pem()
	narrow := newSigningCA(t, func(c *x509.Certificate) {
		c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{"example.org"}
	}).pem()
	noCA := newSigningCA(t, func(c *x509.Certificate) { c.IsCA, c.KeyUsage = false, 0 }).pem()
	good := anybody.requestOf(x509.CertificateRequest{Subject: pkix.Name{CommonName: "leaf.example.com"},
		DNSNames: []string{"leaf.example.com"}})
	bad := slices.Clone(good)
	bad[len(bad)-1] ^= 1
	otherName, err := asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 8, Bytes: []byte{42, 3}}})
	if err != nil {
		t.Fatal(err)
	}
	strange := anybody.requestOf(x509.CertificateRequest{ExtraExtensions: []pkix.Extension{
		{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: otherName},
	}})
	req := quotedPEM("CERTIFICATE REQUEST", good)
	secp256k1 := fmt.Sprintf("%q", b.Command(t, "openssl", "ec", "-in", secp256k1Key(b), "-pubout"))
	const (
		noRequest = "Request Cannot Be Made"
		noCert    = "Certificate Cannot Be Made"
		noList    = "Revocation List Cannot Be Made"
	)
	rows := []struct {
		what, block string
		says        remark
	}{
		{"a subject whose country is no code", request("leaf", key, "subject {\n common_name = \"x\"\n country = "+
			"\"Germany\"\n }"),
			fails(noRequest).pointing("subjectcountry")},
		{"a DNS name with a blank", request("leaf", key, `dns_names = ["a.example.com", "b example.com"]`),
			fails(noRequest, "dns_names[1]: It ").pointing("dns_names[1]")},
		{"an IP address that is none", request("leaf", key, `ip_addresses = ["10.0.0.256"]`),
			fails(noRequest).pointing("ip_addresses[0]")},
		{"a relative URI", request("leaf", key, `uris = ["/x"]`), fails(noRequest).pointing("uris[0]")},
		{"an address without a host", request("leaf", key, `email_addresses = ["a"]`),
			fails(noRequest).pointing("email_addresses[0]")},
		{"a key that X.509 libraries do not know", request("leaf", secp256k1), fails(noRequest,
			"secp256k1").pointing("public_key_pem")},
		{"a private key", request("leaf", `"-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----"`),
			fails("Invalid Public Key", "private key").pointing("public_key_pem")},
		{"an algorithm of another key", request("leaf", key, `signature_algorithm = "SHA256-RSA"`),
			fails(noRequest).pointing("signature_algorithm")},
		{"a CA that signs no certificates", root("root", key, `allowed_uses = ["crl_signing"]`),
			fails(noCert).pointing("allowed_uses")},
		{"a signer of certificates that is no CA", root("root", key, `is_ca_certificate = false`,
			`allowed_uses = ["cert_signing"]`),
			fails(noCert).pointing("allowed_uses[0]")},
		{"a policy that is no OID", root("root", key, `policies = ["some"]`), fails(noCert).pointing("policies[0]")},
		{"a domain that is none", root("root", key, "name_constraints = { permitted_dns_domains = [\"a b\"] }"),
			fails(noCert, "a b").pointing("name_constraints")},
		{"a certificate that has ended before it is signed", root("root", key,
			`not_before = "2029-01-01T00:00:00Z"`, "validity_period_hours = 1"),
			fails("Due As Soon As Signed", "2029-01-01T01:00:00Z").pointing("not_before")},
		{"a certificate that is due at once", root("root", key, "validity_period_hours = 24", "early_renewal_hours "+
			"= 24"),
			fails("Due As Soon As Signed").pointing("early_renewal_hours")},
		{"a certificate that outlives its CA", leafOf("leaf", ca, req, "validity_period_hours = 72"), fails(noCert,
			"2030-01-03T00:00:00Z").
			pointing("validity_period_hours")},
		{"a certificate of a key to come that outlives its CA", leafOf("leaf", ca, "terraform_data.later.id",
			"validity_period_hours = 72"),
			fails(noCert, "2030-01-03T00:00:00Z").pointing("validity_period_hours")},
		{"a certificate that begins before its CA", leafOf("leaf", ca, req, `not_before = "2029-12-31T23:00:00Z"`),
			fails(noCert).
				pointing("not_before")},
		{"a CA below one that allows none", leafOf("leaf", bottom, req, "is_ca_certificate = true",
			`allowed_uses = ["cert_signing"]`),
			fails(noCert).pointing("is_ca_certificate")},
		{"a name of the request outside the CA's constraints", leafOf("leaf", narrow, req),
			fails(noCert).pointing("cert_request_pem")},
		{"a name outside the CA's constraints", leafOf("leaf", narrow, req, "subject {\n organization = \"x\"\n }",
			`dns_names = ["a.example.org", "a.example.com"]`), fails(noCert).pointing("dns_names[1]")},
		{"an issuer that is no CA", leafOf("leaf", noCA, req), fails(noCert).pointing("ca_cert_pem")},
		{"a request whose signature is wrong", leafOf("leaf", ca, quotedPEM("CERTIFICATE REQUEST", bad)),
			fails("Invalid Certificate Request").
				pointing("cert_request_pem")},
		{"a request that is a certificate", leafOf("leaf", ca, ca), fails("Invalid Certificate " +
			"Request").pointing("cert_request_pem")},
		{"a request with a name that would be lost", leafOf("leaf", ca, quotedPEM("CERTIFICATE REQUEST", strange)),
			fails("Invalid Certificate Request").pointing("cert_request_pem")},
		{"a CA that is a request", leafOf("leaf", req, req), fails("Invalid CA Certificate").pointing("ca_cert_pem")},
		{"another key than the CA's", leafOf("leaf", ca, req, "ca_public_key_pem = "+other), fails("Not The Key Of " +
			"The CA").pointing("ca_public_key_pem")},
		{"a URL that is none", leafOf("leaf", ca, req, `crl_distribution_points = ["x"]`),
			fails(noCert).pointing("crl_distribution_points[0]")},
		{"a list of one that is no CA", crl(noCA), fails(noList).pointing("ca_cert_pem")},
		{"a serial number that is none", crl(ca, revokedList(revokedEntry("x"))), fails("Invalid Serial " +
			"Number").pointing("revoked[0]serial_number")},
		{"a time that is none", crl(ca, revokedList(`{ serial_number = "1", time = "now" }`)), fails("Invalid " +
			"Time").pointing("revoked[0]time")},
		{"a revocation to come", crl(ca, revokedList(`{ serial_number = "1", time = "2031-01-01T00:00:00Z" }`)),
			fails(noList).pointing("revoked[0]")},
		{"a use that is none", leafOf("leaf", ca, req, `allowed_uses = ["sign"]`), fails("Unknown " +
			"Word").pointing("allowed_uses[0]")},
	}
	var c clock
	var turns []turn
	nowhere := block("hsm", line("library", filepath.Join(t.TempDir(), "none.so")), line("token_label", "none"),
		line("pin", "0000"))
	for _, row := range rows {
		turns = append(turns, turn{resource.TestStep{PreConfig: c.at("2030-01-01T00:10:00Z"),
			Config: nowhere + "resource \"terraform_data\" \"later\" {}\n" + row.block, PlanOnly: true},
			[]remark{row.says}})
	}
	b.testWith(b.clocked(&c), turns...)
}

func secp256k1Key(b *bench) string {
	key := filepath.Join(b.t.TempDir(), "key.pem")
	b.Command(b.t, "openssl", "ecparam", "-name", "secp256k1", "-genkey", "-noout", "-out", key)
	return key
}

// TestWhatIsNotKnownYetIsNoError plans what is known later, and what is wrong with the rest is said.
func TestWhatIsNotKnownYetIsNoError(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	later := "resource \"terraform_data\" \"later\" {}\n"
	const id = "terraform_data.later.id"
	anybody := newSigningCA(t, nil)
	key := anybody.publicPEM()
	plan := func(blocks string, says ...remark) turn {
		return turn{resource.TestStep{Config: b.config(later, blocks), PlanOnly: true,
			ExpectNonEmptyPlan: len(says) == 0}, says}
	}
	b.test(
		plan(request("leaf", id, "subject {\n common_name = "+id+"\n country = "+id+"\n}", "dns_names = ["+id+"]",
			"uris = ["+id+"]",
			"email_addresses = ["+id+"]", "ip_addresses = ["+id+"]")),
		plan(root("root", key, "subject {\n common_name = "+id+"\n}", "policies = ["+id+"]", "serial_number = "+id,
			"not_before = "+id,
			"name_constraints = { permitted_dns_domains = ["+id+"] }", "allowed_uses = ["+id+"]",
			"validity_period_hours = length("+id+")",
			"early_renewal_hours = length("+id+")")),
		plan(leafOf("leaf", id, id, "dns_names = ["+id+"]", "ocsp_servers = ["+id+"]", "ca_public_key_pem = "+id)),
		plan(crl(id, revokedList(revokedEntry("0a"), "{ serial_number = "+id+", time = "+id+", reason "+
			"= "+id+", expires = "+id+" }"))),
		plan(request("leaf", id, "subject {\n common_name = "+id+"\n country = \"Germany\"\n}", "dns_names = "+
			"["+id+", \"a b\"]"),
			fails("Request Cannot Be Made").pointing("subjectcountry"), fails("Request Cannot Be "+
				"Made").pointing("dns_names[1]")),
	)
	if n := b.faults.Count(""); n != 0 {
		t.Errorf("%d calls were made", n)
	}
}

// TestAChainInOneApply makes a root with name constraints, an intermediate and a leaf, whose names come from requests
// and from the certificate's own arguments, and openssl and Go verify it.
func TestAChainInOneApply(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t, "P-256")
	b := newBench(t)
	rootKey, middleKey, leafKey := b.keyPEM("EC:prime256v1", "01"), b.keyPEM("rsa:2048", "02"),
		b.keyPEM("EC:secp384r1", "03")
	const middle = "hsm_locally_signed_cert.middle"
	uses := `allowed_uses = ["cert_signing", "crl_signing"]`
	chain := func(leaf ...string) string {
		return root("root", rootKey, "max_path_length = 1", `subject {
			common_name = "Root"
			organization = "ACME Examples, Inc"
			country = "US"
			domain_components = ["com", "example"]
		}`, `name_constraints = {
			permitted_dns_domains = ["example.com"]
			excluded_ip_ranges = ["0.0.0.0/0", "::/0"]
		}`, `policies = ["1.3.6.1.4.1.99999.1"]`) +
			request("middle", middleKey, `subject { common_name = "Middle" }`, "dns_names = []") +
			leafOf("middle", rootPEM, "hsm_cert_request.middle.cert_request_pem", "is_ca_certificate = true",
				"max_path_length = 0", uses,
				"validity_period_hours = 8760") +
			request("leaf", leafKey, `uris = ["https://leaf.example.com/"]`) +
			leafOf("leaf", middle+".cert_pem", leafReqPEM, append(leaf, "ca_public_key_pem = "+middleKey,
				`issuing_certificate_urls = ["http://ca.example.com/middle.crt"]`,
				`ocsp_servers = ["http://ocsp.example.com/"]`)...)
	}
	states := map[string]map[string]any{}
	verified := func(names x509.Certificate) holds {
		return func() error {
			ca, between, end := file(t, states[rootCert], "cert_pem"), file(t, states[middle], "cert_pem"), file(t,
				states[leafCert], "cert_pem")
			b.Command(t, "openssl", "verify", "-x509_strict", "-CAfile", ca, "-untrusted", between, end)
			roots, middles := x509.NewCertPool(), x509.NewCertPool()
			certs := map[string]*x509.Certificate{}
			for address, state := range states {
				cert, err := parsedCert(state)
				if err != nil {
					return err
				}
				certs[address] = cert
				if serial := fmt.Sprintf("%x",
					cert.SerialNumber); strings.TrimLeft(state["serial_number"].(string), "0") != serial {
					return fmt.Errorf("serial_number is %v, and the certificate has %s", state["serial_number"], serial)
				}
			}
			roots.AddCert(certs[rootCert])
			middles.AddCert(certs[middle])
			leaf := certs[leafCert]
			if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: middles,
				DNSName: leaf.DNSNames[0]}); err != nil {
				return err
			}
			if !slices.Equal(leaf.DNSNames, names.DNSNames) || leaf.Subject.String() != names.Subject.String() ||
				fmt.Sprint(leaf.URIs) != "[https://leaf.example.com/]" {
				return fmt.Errorf("the leaf is of %s with %v and %v", leaf.Subject, leaf.DNSNames, leaf.URIs)
			}
			if certs[middle].NotAfter.After(certs[rootCert].NotAfter) {
				return fmt.Errorf("the intermediate ends at %s, after its CA", certs[middle].NotAfter)
			}
			return nil
		}
	}
	step := func(names x509.Certificate, leaf ...string) turn {
		s := resource.TestStep{Config: b.config(chain(leaf...))}
		for _, address := range []string{rootCert, middle, leafCert} {
			s.ConfigStateChecks = append(s.ConfigStateChecks, attributes{address, func(state map[string]any) error {
				states[address] = state
				return nil
			}})
		}
		s.ConfigStateChecks = append(s.ConfigStateChecks, verified(names))
		return turn{TestStep: s}
	}
	b.test(
		step(x509.Certificate{Subject: pkix.Name{CommonName: "leaf.example.com"},
			DNSNames: []string{"leaf.example.com"}}),
		step(x509.Certificate{Subject: pkix.Name{CommonName: "other.example.com"},
			DNSNames: []string{"other.example.com"}},
			`subject { common_name = "other.example.com" }`, `dns_names = ["other.example.com"]`),
	)
}

// TestTheTLSProvidersExamples are those of its documentation, after the change of names.
func TestTheTLSProvidersExamples(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	uses := `allowed_uses = ["key_encipherment", "digital_signature", "server_auth"]`
	example := func(key string) string {
		subject := "subject {\n common_name = \"example.com\"\n organization = \"ACME Examples, Inc\"\n }"
		return signed("cert_request", "leaf", nil, "public_key_pem = "+key, subject) +
			signed("self_signed_cert", "example", nil, "public_key_pem = "+key, "validity_period_hours = 12",
				"early_renewal_hours = 3", uses,
				`dns_names = ["example.com", "example.net"]`, subject) +
			signed("self_signed_cert", "without_names", nil, "public_key_pem = "+key, subject,
				"validity_period_hours = 12", uses) +
			root("root", key, "validity_period_hours = 12") +
			signed("locally_signed_cert", "leaf", nil, "cert_request_pem = "+leafReqPEM, "ca_public_key_pem "+
				"= "+key, "ca_cert_pem = "+rootPEM,
				"validity_period_hours = 12", uses)
	}
	empty := resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}
	// The documentation's key may be one on a curve too.
	for key, says := range map[string][]remark{
		b.keyPEM("rsa:2048", "01"): nil,
		b.keyPEM("EC:prime256v1", "02"): {
			warns("Use Without A Meaning", "TLS needs digital_signature alone").pointing("allowed_uses[0]"),
		},
	} {
		b.test(
			turn{TestStep: resource.TestStep{Config: b.config(example(key))}, says: says},
			turn{TestStep: resource.TestStep{Config: b.config(example(key)), ConfigPlanChecks: empty}},
		)
	}
}

// TestAnotherCertificateOfTheCA of the same key and name changes in place, and signs nothing, as does a request that
// was signed anew.
func TestAnotherCertificateOfTheCA(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t, "P-256")
	b := newBench(t)
	key := b.keyPEM("EC:prime256v1", "01")
	requester := newSigningCA(t, nil)
	template := x509.CertificateRequest{Subject: pkix.Name{CommonName: "leaf.example.com"},
		DNSNames: []string{"leaf.example.com"}}
	first := quotedPEM("CERTIFICATE REQUEST", requester.requestOf(template))
	again := quotedPEM("CERTIFICATE REQUEST", requester.requestOf(template))
	template.DNSNames = append(template.DNSNames, "b.example.com")
	other := quotedPEM("CERTIFICATE REQUEST", requester.requestOf(template))
	cas := root("root", key) + root("again", key, "validity_period_hours = 9000") + root("other", key,
		`subject { common_name = "Other" }`)
	var k remembered
	step := func(block string, what plancheck.ResourceActionType, check attributes) turn {
		s := resource.TestStep{Config: b.config(cas, block), ConfigPlanChecks: action(leafCert, what)}
		s.ConfigStateChecks = append(s.ConfigStateChecks, check, k.remember(leafCert))
		return turn{TestStep: s}
	}
	same, anew := k.stays(leafCert, "cert_pem"), k.changes(leafCert, "cert_pem")
	b.test(
		step(leafOf("leaf", rootPEM, first), plancheck.ResourceActionCreate, k.remember(leafCert)),
		step(leafOf("leaf", "hsm_self_signed_cert.again.cert_pem", first), plancheck.ResourceActionUpdate, same),
		step(leafOf("leaf", "hsm_self_signed_cert.again.cert_pem", again), plancheck.ResourceActionUpdate, same),
		step(leafOf("leaf", "hsm_self_signed_cert.again.cert_pem", again, "ca_public_key_pem = "+key),
			plancheck.ResourceActionUpdate, same),
		// Another key than the CA's is an error, though nothing was to be signed.
		step(leafOf("leaf", "hsm_self_signed_cert.again.cert_pem", again, "ca_public_key_pem = "+requester.publicPEM()),
			plancheck.ResourceActionUpdate,
			same).expecting(fails("Not The Key Of The CA").pointing("ca_public_key_pem")),
		// What is empty and was left out says the same, but for the names of the request.
		step(leafOf("leaf", "hsm_self_signed_cert.again.cert_pem", again, "ocsp_servers = []"),
			plancheck.ResourceActionUpdate, same),
		step(leafOf("leaf", "hsm_self_signed_cert.again.cert_pem", again, "uris = []"),
			plancheck.ResourceActionReplace, anew),
		step(leafOf("leaf", "hsm_self_signed_cert.again.cert_pem", other), plancheck.ResourceActionReplace, anew),
		step(leafOf("leaf", "hsm_self_signed_cert.other.cert_pem", other), plancheck.ResourceActionReplace, anew),
	)
}

// TestACertificateBeginsWithItsCA where both are made at one time for equally long, and never before it.
func TestACertificateBeginsWithItsCA(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t, "P-256")
	b := newBench(t)
	key := b.keyPEM("EC:prime256v1", "01")
	var c clock
	begins := func(leaf string, want string) resource.TestStep {
		s := resource.TestStep{Config: b.config(root("root", key, "validity_period_hours = 24"), request("leaf",
			key), leaf)}
		s.ConfigStateChecks = append(s.ConfigStateChecks, attributes{leafCert, func(state map[string]any) error {
			if state["validity_start_time"] != want {
				return fmt.Errorf("it begins at %v", state["validity_start_time"])
			}
			return nil
		}})
		return s
	}
	at := func(text string, s resource.TestStep) turn {
		s.PreConfig = c.at(text)
		return turn{TestStep: s}
	}
	leaf := func(lines ...string) string { return leafOf("leaf", rootPEM, leafReqPEM, lines...) }
	b.testWith(b.clocked(&c),
		at("2030-01-01T00:01:00Z", begins("", "")).only(),
		at("2030-01-01T01:00:00Z", begins(leaf(), "2030-01-01T00:59:00Z")).expecting(fails("Certificate Cannot Be "+
			"Made").pointing("validity_period_hours")),
		at("2030-01-01T00:59:59Z", begins(leaf(), "2030-01-01T00:00:00Z")),
		at("2030-01-01T01:01:00Z", begins(leaf(), "2030-01-01T00:00:00Z")),
		at("2030-01-01T01:01:00Z", begins(leaf("set_subject_key_id = true"), "")).expecting(fails("Certificate "+
			"Cannot Be Made",
			"2030-01-02T00:00:00Z").pointing("validity_period_hours")),
		at("2030-01-01T01:01:00Z", begins(leaf("validity_period_hours = 1"), "2030-01-01T01:00:00Z")),
	)
}

// only leaves out the checks of a turn's state; expecting makes it a plan that fails.
func (t turn) only() turn {
	t.ConfigStateChecks = nil
	return t
}

func (t turn) expecting(says remark) turn {
	t.PlanOnly, t.ConfigStateChecks, t.ConfigPlanChecks = true, nil, resource.ConfigPlanChecks{}
	t.says = []remark{says}
	return t
}
