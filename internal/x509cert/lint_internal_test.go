package x509cert

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/zmap/zlint/v3/lint"
)

func TestEachLintLeftOutIsThere(t *testing.T) {
	for name := range lintsLeftOut {
		if lint.GlobalRegistry().CertificateLints().ByName(name) == nil {
			t.Errorf("there is no lint %s", name)
		}
	}
	for _, l := range lints().certificate {
		if l.Citation == "" || l.Description == "" {
			t.Errorf("%s does not say what it is about", l.Name)
		}
	}
	for _, l := range lints().list {
		if l.Citation == "" || l.Description == "" {
			t.Errorf("%s does not say what it is about", l.Name)
		}
	}
	if n := len(lints().certificate); n < 80 {
		t.Errorf("%d lints of certificates apply", n)
	}
	if n := len(lints().list); n < 8 {
		t.Errorf("%d lints of lists apply", n)
	}
}

func TestEachArgumentOfALintIsOne(t *testing.T) {
	used := map[string]bool{}
	for _, name := range lint.GlobalRegistry().Names() {
		for _, row := range lintArguments {
			if strings.Contains(name, row.text) {
				used[row.text] = true
				break
			}
		}
	}
	for _, row := range lintArguments {
		if !used[row.text] {
			t.Errorf("no lint has %s in its name", row.text)
		}
	}
}

func TestWhichResultsOfALintAreProblems(t *testing.T) {
	meta := lint.LintMetadata{Name: "e_serial_number_x", Citation: "RFC", Description: "It is so."}
	for status := lint.Reserved; status <= lint.Fatal; status++ {
		bad := status == lint.Error || status == lint.Fatal
		got := lintProblem("certificate", meta, &lint.LintResult{Status: status})
		if len(got) != 0 != bad || bad && got[0].Argument != "serial_number" {
			t.Errorf("%s: %v", status, got)
		}
	}
	if got := lintProblem("certificate", meta, nil); got != nil {
		t.Errorf("of no result: %v", got)
	}
}

// What Check would miss, the lints find.
func TestLintsFindWhatIsWrong(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name     string
		change   func(c *x509.Certificate)
		argument string
		lint     string
	}{
		{"nothing", func(*x509.Certificate) {}, "", ""},
		{"a long common name", func(c *x509.Certificate) { c.Subject.CommonName = strings.Repeat("a", 65) },
			"subject.common_name", "e_subject_common_name_max_length"},
		{"a use of a CA", func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCertSign }, "allowed_uses",
			"e_ext_key_usage_cert_sign_without_ca"},
		{"a use that there is advice about", func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageKeyEncipherment },
			"", ""},
		{"a long serial number", func(c *x509.Certificate) { c.SerialNumber = new(big.Int).Lsh(big.NewInt(1), 168) },
			"serial_number",
			"e_serial_number_longer_than_20_octets"},
		{"a relative URI", func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: oidSubjectAltName, Value: []byte("\x30\x04\x86\x02/a")}}
		}, "uris", "e_ext_san_uri_relative"},
		{"an empty label", func(c *x509.Certificate) { c.DNSNames = []string{"a..example.com"} }, "dns_names",
			"e_rfc_dnsname_empty_label"},
	} {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(5), Subject: pkix.Name{CommonName: "leaf"}, NotBefore: time.Now(),
			NotAfter: time.Now().Add(time.Hour),
			KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true, MaxPathLen: -1,
			AuthorityKeyId: []byte{1},
		}
		test.change(template)
		ca := &x509.Certificate{Subject: pkix.Name{CommonName: "ca"}, SubjectKeyId: []byte{1}}
		der, err := x509.CreateCertificate(rand.Reader, template, ca, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		problems := lintCertificate(der)
		if test.lint == "" {
			if len(problems) > 0 {
				t.Errorf("%s: %v", test.name, problems)
			}
			continue
		}
		found := false
		for _, p := range problems {
			found = found || strings.Contains(p.Says, test.lint) && p.Argument == test.argument
		}
		if !found {
			t.Errorf("%s: the lints say %v", test.name, problems)
		}
	}

	// A list with a revocation after its own time.
	issuer := &x509.Certificate{Subject: pkix.Name{CommonName: "ca"}, SubjectKeyId: []byte{1},
		KeyUsage: x509.KeyUsageCRLSign}
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour),
		RevokedCertificateEntries: []x509.RevocationListEntry{{
			SerialNumber: big.NewInt(1), RevocationTime: time.Now().Add(time.Minute), ReasonCode: 7,
		}},
	}, issuer, key)
	if err != nil {
		t.Fatal(err)
	}
	problems := lintList(der)
	if len(problems) != 2 || problems[0].Argument != "revoked" ||
		!strings.Contains(problems[0].Says+problems[1].Says, "e_crl_revocation_time_after_this_update") ||
		!strings.Contains(problems[0].Says+problems[1].Says, "e_crl_has_valid_reason_code") {
		t.Errorf("the lints say %v", problems)
	}
}

// What was signed is held against what was asked for, part by part.
func TestEachDifferenceIsSeen(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	length := 1
	start := time.Now()
	asked := Profile{
		Subject: Subject{CommonName: "ca"}, Names: Names{DNS: []string{"a.example"}},
		AllowedUses: []string{"cert_signing"}, IsCA: true,
		MaxPathLength: &length, NotBefore: start, NotAfter: start.Add(time.Hour), Serial: big.NewInt(1),
		Policies: []string{"2.5.29.32.0"},
		NameConstraints: NameConstraints{
			PermittedDNS: []string{"example"}, ExcludedDNS: []string{"b.example"},
			PermittedIPs: []string{"10.0.0.0/8"}, ExcludedIPs: []string{"10.1.0.0/16"},
			PermittedEmails: []string{"example"}, ExcludedEmails: []string{"b.example"},
			PermittedURIs: []string{"example"}, ExcludedURIs: []string{"b.example"},
		},
		CRLDistributionPoints: []string{"http://a.example"}, OCSPServers: []string{"http://a.example"},
		IssuerURLs: []string{"http://a.example"},
	}
	for _, test := range []struct {
		name   string
		change func(p *Profile)
		pub    crypto.PublicKey
		says   string
	}{
		{"nothing", func(*Profile) {}, nil, ""},
		{"serial", func(p *Profile) { p.Serial = big.NewInt(2) }, nil, "its serial number"},
		{"subject", func(p *Profile) { p.Subject.CommonName = "b" }, nil, "its issuer, its subject"},
		{"start", func(p *Profile) { p.NotBefore = start.Add(-time.Hour) }, nil, "its start"},
		{"end", func(p *Profile) { p.NotAfter = start.Add(2 * time.Hour) }, nil, "its end"},
		{"names", func(p *Profile) { p.Names.DNS[0] = "b.example" }, nil, "its names"},
		{"uses", func(p *Profile) { p.AllowedUses = []string{"cert_signing", "crl_signing"} }, nil, "its key usage"},
		{"extended uses", func(p *Profile) { p.AllowedUses = []string{"cert_signing", "server_auth"} }, nil,
			"its extended key usage"},
		{"path length", func(p *Profile) { p.MaxPathLength = nil }, nil, "its basic constraints"},
		{"authority key", func(p *Profile) { p.SetAuthorityKeyID = true }, nil, "its authority key identifier"},
		{"policies", func(p *Profile) { p.Policies = nil }, nil, "its policies"},
		{"constraints", func(p *Profile) { p.NameConstraints.PermittedDNS = []string{"example.com"} }, nil,
			"its name constraints"},
		{"no constraints", func(p *Profile) { p.NameConstraints = NameConstraints{} }, nil,
			"its name constraints, its critical extensions"},
		{"excluded domains", func(p *Profile) { p.NameConstraints.ExcludedDNS = nil }, nil, "its name constraints"},
		{"permitted addresses", func(p *Profile) { p.NameConstraints.PermittedIPs = []string{"10.0.0.0/9"} }, nil,
			"its name constraints"},
		{"excluded addresses", func(p *Profile) { p.NameConstraints.ExcludedIPs = nil }, nil, "its name constraints"},
		{"permitted mail", func(p *Profile) { p.NameConstraints.PermittedEmails = nil }, nil, "its name constraints"},
		{"excluded mail", func(p *Profile) { p.NameConstraints.ExcludedEmails = nil }, nil, "its name constraints"},
		{"permitted URIs", func(p *Profile) { p.NameConstraints.PermittedURIs = nil }, nil, "its name constraints"},
		{"excluded URIs", func(p *Profile) { p.NameConstraints.ExcludedURIs = nil }, nil, "its name constraints"},
		{"lists", func(p *Profile) { p.CRLDistributionPoints = nil }, nil, "its crl distribution points"},
		{"responders", func(p *Profile) { p.OCSPServers = nil }, nil, "its ocsp servers"},
		{"issuers", func(p *Profile) { p.IssuerURLs = nil }, nil, "its issuing certificate urls"},
		{"algorithm", func(p *Profile) { p.SignatureAlgorithm = "ECDSA-SHA384" }, nil, "its signature algorithm"},
		{"key", func(*Profile) {}, other.Public(), "its key, its subject key identifier"},
	} {
		want, _, err := asked.templates(key.Public(), nil)
		if err != nil {
			t.Fatal(err)
		}
		made := asked
		made.Names.DNS = []string{"a.example"}
		test.change(&made)
		pub := test.pub
		if pub == nil {
			pub = key.Public()
		}
		template, _, err := made.templates(pub, nil)
		if err != nil {
			t.Fatal(err)
		}
		parent := *template
		parent.PublicKey = key.Public()
		der, err := x509.CreateCertificate(rand.Reader, template, &parent, pub, key)
		if err != nil {
			t.Fatal(err)
		}
		err = verifyCertificate(der, want, want)
		const begins = "x509cert: the certificate that was made differs from what was asked for: "
		if test.says == "" && err != nil || test.says != "" && (err == nil || err.Error() != begins+test.says) {
			t.Errorf("%s: the error is %v, want %s", test.name, err, test.says)
		}
	}
	template, _, err := asked.templates(key.Public(), nil)
	if err != nil {
		t.Fatal(err)
	}
	more := *template // than was asked for
	more.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 2, 3}}
	more.PublicKey = key.Public()
	der, err := x509.CreateCertificate(rand.Reader, &more, &more, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := verifyCertificate(der, template, template); err == nil ||
		!strings.HasSuffix(err.Error(), ": its extended key usage") {
		t.Errorf("the error is %v", err)
	}
	der, err = x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := verifyCertificate(der, template, withKey(template, other.Public())); err == nil ||
		!strings.HasPrefix(err.Error(), "x509cert: the signature of the certificate that was made: ") {
		t.Errorf("the error is %v", err)
	}
}

func TestEachDifferenceOfAListIsSeen(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	issuer := &x509.Certificate{
		RawSubject: []byte("\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01a"), SubjectKeyId: []byte{1},
		KeyUsage:  x509.KeyUsageCRLSign,
		PublicKey: key.Public(), PublicKeyAlgorithm: x509.ECDSA,
	}
	asked := List{
		Number: big.NewInt(1), ThisUpdate: start, NextUpdate: start.Add(time.Hour),
		Revoked: []Revocation{{big.NewInt(3), start, "superseded"}},
	}
	for _, test := range []struct {
		name   string
		change func(l *List)
		says   string
	}{
		{"nothing", func(*List) {}, ""},
		{"number", func(l *List) { l.Number = big.NewInt(2) }, "its number"},
		{"time", func(l *List) { l.ThisUpdate = start.Add(-time.Hour) }, "its time"},
		{"next update", func(l *List) { l.NextUpdate = start.Add(2 * time.Hour) }, "its next update"},
		{"entries", func(l *List) { l.Revoked = nil }, "its entries"},
		{"reason", func(l *List) { l.Revoked = []Revocation{{big.NewInt(3), start, ""}} }, "its entries"},
		{"algorithm", func(l *List) { l.SignatureAlgorithm = "ECDSA-SHA512" }, "its signature algorithm"},
	} {
		made := asked
		test.change(&made)
		der, err := x509.CreateRevocationList(rand.Reader, made.template(key.Public()), issuer, key)
		if err != nil {
			t.Fatal(err)
		}
		err = verifyList(der, asked.template(key.Public()), issuer)
		const begins = "x509cert: the revocation list that was made differs from what was asked for: "
		if test.says == "" && err != nil || test.says != "" && (err == nil || err.Error() != begins+test.says) {
			t.Errorf("%s: the error is %v, want %s", test.name, err, test.says)
		}
	}
	der, err := x509.CreateRevocationList(rand.Reader, asked.template(key.Public()), issuer, key)
	if err != nil {
		t.Fatal(err)
	}
	other := *issuer
	other.SubjectKeyId = []byte{2}
	if err := verifyList(der, asked.template(key.Public()), &other); err == nil ||
		!strings.HasSuffix(err.Error(), ": its authority key identifier") {
		t.Errorf("the error is %v", err)
	}
}

func TestEachDifferenceOfARequestIsSeen(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	asked := Request{Subject: Subject{CommonName: "a"}, Names: Names{DNS: []string{"a"}},
		AllowedUses: []string{"server_auth"}}
	for _, test := range []struct {
		name   string
		change func(r *Request)
		says   string
	}{
		{"nothing", func(*Request) {}, ""},
		{"subject", func(r *Request) { r.Subject.CommonName = "b" }, "its subject"},
		{"names", func(r *Request) { r.Names = Names{} }, "its requested extensions"},
		{"uses", func(r *Request) { r.AllowedUses = []string{"client_auth"} }, "its requested extensions"},
		{"algorithm", func(r *Request) { r.SignatureAlgorithm = "ECDSA-SHA512" }, "its signature algorithm"},
	} {
		made := asked
		test.change(&made)
		template, err := made.template(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
		if err != nil {
			t.Fatal(err)
		}
		want, err := asked.template(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		err = verifyRequest(der, want, key.Public())
		const begins = "x509cert: the request that was made differs from what was asked for: "
		if test.says == "" && err != nil || test.says != "" && (err == nil || err.Error() != begins+test.says) {
			t.Errorf("%s: the error is %v, want %s", test.name, err, test.says)
		}
	}
}

// The words of extended key usages have the identifiers that crypto/x509 writes.
func TestExtendedUsesHaveTheirIdentifiers(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, use := range extendedUses {
		template := &x509.Certificate{SerialNumber: big.NewInt(1), ExtKeyUsage: []x509.ExtKeyUsage{use.usage}}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		want, err := asn1.Marshal([]asn1.ObjectIdentifier{use.oid})
		if err != nil {
			t.Fatal(err)
		}
		if got := extension(certificate.Extensions, oidExtKeyUsage); string(got) != string(want) {
			t.Errorf("%s has %x, Go writes %x", use.word, want, got)
		}
	}
}

func BenchmarkRehearse(b *testing.B) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	profile := Profile{
		Subject: Subject{CommonName: "a"}, AllowedUses: []string{"cert_signing"}, IsCA: true, NotBefore: time.Now(),
		NotAfter: time.Now().Add(time.Hour),
	}
	for b.Loop() {
		if problems := profile.Rehearse(key.Public(), nil); len(problems) > 0 {
			b.Fatal(problems)
		}
	}
}
