package x509cert_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/x509cert"
)

// A key of each kind that certificates can be of, made once.
var keys = sync.OnceValue(func() map[string]crypto.Signer {
	made := map[string]crypto.Signer{}
	keep := func(name string, key crypto.Signer, err error) {
		if err != nil {
			panic(err)
		}
		made[name] = key
	}
	for _, name := range []string{"RSA", "RSA 2"} {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		keep(name, key, err)
	}
	for name, curve := range map[string]elliptic.Curve{
		"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521(), "P-256 2": elliptic.P256(),
		"P-224": elliptic.P224(),
	} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		keep(name, key, err)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	keep("Ed25519", key, err)
	return made
})

// every is a key and a way that it signs.
var every = []struct{ key, algorithm string }{
	{"RSA", ""}, {"RSA", "SHA384-RSA"}, {"RSA", "SHA512-RSA"}, {"RSA", "SHA256-RSAPSS"}, {"RSA", "SHA384-RSAPSS"},
	{"RSA", "SHA512-RSAPSS"}, {"P-256", ""}, {"P-384", ""}, {"P-384", "ECDSA-SHA256"}, {"P-521", ""}, {"Ed25519", ""},
}

// start is when the tests' certificates begin: openssl verifies them now.
var start = time.Now().Add(-time.Hour)

// openssl runs openssl in a folder of its own, with the files.
func openssl(t *testing.T, files map[string]string, arguments ...string) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.CommandContext(t.Context(), "openssl", arguments...)
	command.Dir = folder
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(arguments, " "), err, output)
	}
	return string(output)
}

// caProfile is that of a CA.
func caProfile(name string) x509cert.Profile {
	return x509cert.Profile{
		Subject: x509cert.Subject{CommonName: name}, AllowedUses: []string{"cert_signing", "crl_signing"}, IsCA: true,
		NotBefore: start, NotAfter: start.Add(1000 * time.Hour),
	}
}

// leafProfile is that of a server.
func leafProfile(names ...string) x509cert.Profile {
	return x509cert.Profile{
		Subject: x509cert.Subject{CommonName: "leaf"}, Names: x509cert.Names{DNS: names},
		AllowedUses: []string{"digital_signature", "server_auth"}, NotBefore: start,
		NotAfter: start.Add(100 * time.Hour),
	}
}

func parse(t *testing.T, der []byte) *x509.Certificate {
	t.Helper()
	certificate, err := x509cert.ParseCertificate(x509cert.CertificatePEM(der))
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// create makes a certificate and reads it.
func create(t *testing.T, p x509cert.Profile, pub crypto.PublicKey, issuer *x509.Certificate,
	signer crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := p.Create(pub, issuer, signer)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, der)
}

func TestOpenSSLAndGoAgreeWithEachRequest(t *testing.T) {
	for _, test := range every {
		t.Run(test.key+" "+test.algorithm, func(t *testing.T) {
			key := keys()[test.key]
			request := x509cert.Request{
				Subject: x509cert.Subject{CommonName: "a.example", Country: "DE", EmailAddress: "a@a.example"},
				Names: x509cert.Names{
					DNS: []string{"a.example", "*.b.example"}, IPs: []string{"192.0.2.1", "2001:db8::1"},
					URIs: []string{"spiffe://a.example/b"}, Emails: []string{"a@a.example"},
				},
				AllowedUses:        []string{"digital_signature", "server_auth", "client_auth"},
				SignatureAlgorithm: test.algorithm,
			}
			der, err := request.Create(key)
			if err != nil {
				t.Fatal(err)
			}
			text := x509cert.RequestPEM(der)
			output := strings.Join(strings.Fields(openssl(t, map[string]string{"r.pem": text}, "req", "-in", "r.pem",
				"-verify",
				"-noout", "-text")), " ")
			output = strings.ReplaceAll(output, " = ", "=") // as older versions write it
			for _, want := range []string{
				"self-signature verify OK", "C=DE, CN=a.example, emailAddress=a@a.example",
				"DNS:a.example, DNS:*.b.example, email:a@a.example, IP Address:192.0.2.1, IP " +
					"Address:2001:DB8:0:0:0:0:0:1, URI:spiffe://a.example/b",
				"X509v3 Key Usage: critical Digital Signature X509v3",
				"TLS Web Server Authentication, TLS Web Client Authentication",
			} {
				if !strings.Contains(output, want) {
					t.Errorf("openssl does not say %q, but\n%s", want, output)
				}
			}
			read, err := x509cert.ParseRequest(text)
			if err != nil {
				t.Fatal(err)
			}
			_, names, err := x509cert.RequestNames(read)
			if err != nil || !slices.Equal(names.DNS, request.Names.DNS) || !slices.Equal(names.IPs,
				request.Names.IPs) ||
				!slices.Equal(names.URIs, request.Names.URIs) || !slices.Equal(names.Emails, request.Names.Emails) {
				t.Errorf("the names are read as %v, %v", names, err)
			}
			if uses, isCA, err := x509cert.RequestUses(read); err != nil || isCA || !slices.Equal(uses,
				request.AllowedUses) {
				t.Errorf("the uses are read as %q, CA %v, %v", uses, isCA, err)
			}
			if test.algorithm != "" && read.SignatureAlgorithm.String() != test.algorithm {
				t.Errorf("it is signed by %s", read.SignatureAlgorithm)
			}
		})
	}
}

func TestOpenSSLAndGoAgreeWithEachChain(t *testing.T) {
	for _, test := range every {
		t.Run(test.key+" "+test.algorithm, func(t *testing.T) {
			key, other := keys()[test.key], keys()["P-256 2"]
			rootProfile := caProfile("root")
			rootProfile.SignatureAlgorithm = test.algorithm
			root := create(t, rootProfile, key.Public(), nil, key)

			below := caProfile("intermediate")
			below.MaxPathLength, below.SignatureAlgorithm = new(int), test.algorithm
			intermediate := create(t, below, other.Public(), root, key)
			leaf := create(t, leafProfile("a.example"), keys()["P-384"].Public(), intermediate, other)

			lists := ""
			for _, ca := range []struct {
				certificate *x509.Certificate
				key         crypto.Signer
				algorithm   string
			}{{root, key, test.algorithm}, {intermediate, other, ""}} {
				list := x509cert.List{
					Number: big.NewInt(7), ThisUpdate: start, NextUpdate: start.Add(48 * time.Hour),
					SignatureAlgorithm: ca.algorithm,
					Revoked: []x509cert.Revocation{
						{Serial: big.NewInt(9), Time: start, Reason: "key_compromise"}, {Serial: big.NewInt(5),
							Time: start},
					},
				}
				der, err := list.Create(ca.certificate, ca.key)
				if err != nil {
					t.Fatal(err)
				}
				lists += x509cert.ListPEM(der)
			}
			files := map[string]string{
				"root.pem":         x509cert.CertificatePEM(root.Raw),
				"intermediate.pem": x509cert.CertificatePEM(intermediate.Raw),
				"leaf.pem":         x509cert.CertificatePEM(leaf.Raw), "lists.pem": lists,
			}
			openssl(t, files, "verify", "-x509_strict", "-CAfile", "root.pem", "-untrusted", "intermediate.pem",
				"-crl_check_all", "-CRLfile", "lists.pem", "-purpose", "sslserver", "-verify_hostname", "a.example",
				"leaf.pem")
			openssl(t, files, "crl", "-in", "lists.pem", "-CAfile", "root.pem", "-verify", "-noout")

			roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
			roots.AddCert(root)
			intermediates.AddCert(intermediate)
			if _, err := leaf.Verify(x509.VerifyOptions{
				Roots: roots, Intermediates: intermediates, DNSName: "a.example",
			}); err != nil {
				t.Error(err)
			}
		})
	}
}

// smallRSA is a key that is too small.
func smallRSA(t *testing.T) crypto.PublicKey {
	t.Helper()
	key, err := oneSmallRSA()
	if err != nil {
		t.Fatal(err)
	}
	return key.Public()
}

var oneSmallRSA = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 1024) })

// secp256k1Point is the point that generates the curve (SEC 2, 2.4.1).
var secp256k1Point, _ = hex.DecodeString("0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798" +
	"483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8")

func TestTheSubjectIsWrittenAsTheTLSProviderWritesIt(t *testing.T) {
	key := keys()["P-256"]
	profile := leafProfile("a.example")
	profile.Subject = x509cert.Subject{
		CommonName: "name", Organization: "org", OrganizationalUnit: "unit", Locality: "place", Province: "land",
		Country:    "DE",
		PostalCode: "12345", SerialNumber: "A-1", EmailAddress: "a@b.example", StreetAddress: []string{"one", "two"},
		DomainComponents: []string{"com", "example"},
	}
	certificate := create(t, profile, key.Public(), nil, key)
	output := openssl(t, map[string]string{"c.pem": x509cert.CertificatePEM(certificate.Raw)},
		"x509", "-in", "c.pem", "-noout", "-subject", "-nameopt", "compat,show_type")
	output = strings.ReplaceAll(output, " = ", "=") // as older versions write it
	const subject = "subject=DC=IA5STRING:com, DC=IA5STRING:example, C=PRINTABLESTRING:DE, ST=PRINTABLESTRING:land, " +
		"L=PRINTABLESTRING:place, street=PRINTABLESTRING:one + street=PRINTABLESTRING:two, " +
		"postalCode=PRINTABLESTRING:12345, O=PRINTABLESTRING:org, OU=PRINTABLESTRING:unit, " +
		"CN=PRINTABLESTRING:name, serialNumber=PRINTABLESTRING:A-1, emailAddress=IA5STRING:a@b.example\n"
	if output != subject {
		t.Errorf("openssl says %swant         %s", output, subject)
	}
	// The tls provider leaves the order to crypto/x509/pkix.
	profile.Subject.DomainComponents = nil
	certificate = create(t, profile, key.Public(), nil, key)
	want, err := asn1.Marshal(pkix.Name{
		CommonName: "name", Organization: []string{"org"}, OrganizationalUnit: []string{"unit"},
		Locality: []string{"place"},
		Province: []string{"land"}, Country: []string{"DE"}, PostalCode: []string{"12345"}, SerialNumber: "A-1",
		StreetAddress: []string{"one", "two"}, ExtraNames: []pkix.AttributeTypeAndValue{{
			Type:  asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1},
			Value: asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte("a@b.example")},
		}},
	}.ToRDNSequence())
	if err != nil || !bytes.Equal(certificate.RawSubject, want) {
		t.Errorf("the subject is %x, want %x, %v", certificate.RawSubject, want, err)
	}
}

func TestExtensionsAreAsRFC5280HasThem(t *testing.T) {
	key := keys()["P-256"]
	certificate := create(t, caProfile("ca"), key.Public(), nil, key)
	bits, err := asn1.Marshal(asn1.BitString{Bytes: publickey.Point(key.Public()), BitLength: 65 * 8})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha1.Sum(bits[3:]) // after the tag, the length and the number of unused bits
	if !bytes.Equal(certificate.SubjectKeyId, sum[:]) {
		t.Errorf("the subject key identifier is %x, want %x", certificate.SubjectKeyId, sum)
	}
	if len(certificate.AuthorityKeyId) > 0 {
		t.Error("it has an authority key identifier, which nobody asked for")
	}

	profile := leafProfile("a.example")
	leaf := create(t, profile, key.Public(), nil, key)
	if len(leaf.SubjectKeyId) > 0 {
		t.Error("the leaf has a subject key identifier, which nobody asked for")
	}
	profile.SetSubjectKeyID, profile.SetAuthorityKeyID = true, true
	both := create(t, profile, key.Public(), nil, key)
	if !bytes.Equal(both.SubjectKeyId, sum[:]) || !bytes.Equal(both.AuthorityKeyId, sum[:]) {
		t.Errorf("the identifiers are %x and %x, want %x", both.SubjectKeyId, both.AuthorityKeyId, sum)
	}

	issued := create(t, leafProfile("a.example"), keys()["RSA"].Public(), certificate, key)
	if !bytes.Equal(issued.AuthorityKeyId, sum[:]) {
		t.Errorf("the issued certificate's authority key identifier is %x, want %x", issued.AuthorityKeyId, sum)
	}
	without := *certificate // as other software makes CAs
	without.SubjectKeyId = nil
	if issued = create(t, leafProfile("a.example"), keys()["RSA"].Public(), &without,
		key); !bytes.Equal(issued.AuthorityKeyId, sum[:]) {
		t.Errorf("the authority key identifier is %x, want %x", issued.AuthorityKeyId, sum)
	}

	nobody := leafProfile("a.example")
	nobody.Subject = x509cert.Subject{}
	constrained := caProfile("ca")
	constrained.NameConstraints.ExcludedDNS = []string{"a.example"}
	for _, test := range []struct {
		name        string
		certificate *x509.Certificate
		critical    string
	}{
		{"a CA", certificate, "2.5.29.15 2.5.29.19"},
		{"a leaf without a subject", create(t, nobody, keys()["RSA"].Public(), certificate, key),
			"2.5.29.15 2.5.29.17 2.5.29.19"},
		{"a leaf with one", issued, "2.5.29.15 2.5.29.19"},
		{"a CA with constraints", create(t, constrained, key.Public(), nil, key), "2.5.29.15 2.5.29.19 2.5.29.30"},
	} {
		var critical []string
		for _, e := range test.certificate.Extensions {
			if e.Critical {
				critical = append(critical, e.Id.String())
			}
		}
		slices.Sort(critical)
		if got := strings.Join(critical, " "); got != test.critical {
			t.Errorf("%s has the critical extensions %s, want %s", test.name, got, test.critical)
		}
	}
}

func TestMaxPathLengthMeansWhatTheTLSProviderHasItMean(t *testing.T) {
	key := keys()["P-256"]
	for _, test := range []struct {
		name string
		isCA bool
		asks *int
		want int
	}{
		{"a CA without one", true, nil, -1}, {"a CA with -1", true, new(-1), -1}, {"a CA with 0", true, new(0),
			0},
		{"a CA with 2", true, new(2), 2}, {"a leaf with 0", false, new(0), -1}, {"a leaf with 2", false,
			new(2), -1},
	} {
		profile := leafProfile("a.example")
		if test.isCA {
			profile = caProfile("ca")
		}
		profile.MaxPathLength = test.asks
		got := create(t, profile, key.Public(), nil, key)
		if got.MaxPathLen != test.want || got.MaxPathLenZero != (test.want == 0) || got.IsCA != test.isCA {
			t.Errorf("%s has %d (zero: %v), want %d", test.name, got.MaxPathLen, got.MaxPathLenZero, test.want)
		}
	}
}

func TestDatesAreWrittenAsTheirYearsWantIt(t *testing.T) {
	key := keys()["P-256"]
	profile := leafProfile("a.example")
	profile.NotBefore = time.Date(2049, 12, 31, 23, 59, 59, 999, time.FixedZone("west", -60))
	profile.NotAfter = time.Date(2050, 1, 1, 0, 1, 0, 1, time.UTC)
	certificate := create(t, profile, key.Public(), nil, key)
	if got := certificate.NotBefore.Format(time.RFC3339Nano); got != "2050-01-01T00:00:59Z" {
		t.Errorf("it begins at %s", got)
	}
	profile.NotBefore = time.Date(2049, 12, 31, 23, 59, 59, 999, time.UTC)
	certificate = create(t, profile, key.Public(), nil, key)
	for _, time := range []string{"\x17\x0d491231235959Z", "\x18\x0f20500101000100Z"} {
		if !bytes.Contains(certificate.Raw, []byte(time)) {
			t.Errorf("it has no %q", time)
		}
	}
}

func TestARequestIsCertifiedWithItsSubjectAsItStands(t *testing.T) {
	key, ca := keys()["RSA"], keys()["P-256"]
	issuer := create(t, caProfile("ca"), ca.Public(), nil, ca)
	subject, err := asn1.Marshal(pkix.RDNSequence{{
		{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: asn1.RawValue{Tag: asn1.TagBMPString,
			Bytes: []byte("\x00a\x00b")}},
		{Type: asn1.ObjectIdentifier{2, 5, 4, 10}, Value: "org"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		RawSubject: subject, DNSNames: []string{"a.example"},
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	request, err := x509cert.ParseRequest(x509cert.RequestPEM(der))
	if err != nil {
		t.Fatal(err)
	}
	profile := leafProfile()
	profile.Subject = x509cert.Subject{}
	if profile.RawSubject, profile.Names, err = x509cert.RequestNames(request); err != nil {
		t.Fatal(err)
	}
	if got := create(t, profile, request.PublicKey, issuer, ca); !bytes.Equal(got.RawSubject, subject) {
		t.Errorf("the subject is %x, want %x", got.RawSubject, subject)
	}

	// A subject out of a request that the lints refuse is one of the request.
	if profile.RawSubject, err = asn1.Marshal(pkix.Name{CommonName: strings.Repeat("a",
		65)}.ToRDNSequence()); err != nil {
		t.Fatal(err)
	}
	want(t, profile.Rehearse(request.PublicKey, issuer), "cert_request_pem: The certificate would break a rule of "+
		"RFC 5280")
}

func TestANameThatAProfileCannotHaveIsNotLeftOut(t *testing.T) {
	key := keys()["P-256"]
	for _, test := range []struct {
		name  string
		value string // in hex
		err   string
	}{
		{"otherName", "3010a00e060a2b060104018237140203a000", "a name has the form otherName"},
		{"directoryName", "3004a4023000", "a name has the form directoryName"},
		{"registeredID", "300488022a03", "a name has the form registeredID"},
		{"an address of five bytes", "300787050102030405", ""},
	} {
		value, err := hex.DecodeString(test.value)
		if err != nil {
			t.Fatal(err)
		}
		request := &x509.CertificateRequest{ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17},
			Value: value}}}
		der, err := x509.CreateCertificateRequest(rand.Reader, request, key)
		if err != nil {
			t.Fatal(err)
		}
		read, err := x509cert.ParseRequest(x509cert.RequestPEM(der))
		if err == nil {
			_, _, err = x509cert.RequestNames(read)
		}
		if err == nil || !strings.HasPrefix(err.Error(), test.err) {
			t.Errorf("%s: the error is %v, want %s", test.name, err, test.err)
		}
	}
}

func TestTheUsesOfARequestAreRead(t *testing.T) {
	key := keys()["RSA"]
	for _, request := range []x509cert.Request{
		{}, {IsCA: true}, {IsCA: true, AllowedUses: []string{"cert_signing", "crl_signing"}},
		{AllowedUses: []string{"digital_signature", "content_commitment", "key_encipherment", "data_encipherment"}},
		{AllowedUses: []string{"any_extended", "netscape_server_gated_crypto", "microsoft_kernel_code_signing"}},
	} {
		der, err := request.Create(key)
		if err != nil {
			t.Fatal(err)
		}
		read, err := x509cert.ParseRequest(x509cert.RequestPEM(der))
		if err != nil {
			t.Fatal(err)
		}
		uses, isCA, err := x509cert.RequestUses(read)
		if err != nil || isCA != request.IsCA || !slices.Equal(uses, request.AllowedUses) {
			t.Errorf("%+v is read as %q, CA %v, %v", request, uses, isCA, err)
		}
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Value: []byte{0x30, 4, 6, 2, 0x2a,
			3}}},
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	read, err := x509cert.ParseRequest(x509cert.RequestPEM(der))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := x509cert.RequestUses(read); err == nil || !strings.Contains(err.Error(), "1.2.3") {
		t.Errorf("the error is %v", err)
	}
}

func TestEveryUseIsInItsCertificate(t *testing.T) {
	for _, use := range x509cert.Uses() {
		key, signer := keys()["RSA"], keys()["P-256"]
		profile := leafProfile("a.example")
		profile.AllowedUses = []string{use}
		switch use {
		case "cert_signing", "crl_signing":
			profile = caProfile("ca")
		case "encipher_only", "decipher_only", "key_agreement":
			profile.AllowedUses = []string{"key_agreement", use}
			key = keys()["P-384"]
		}
		issuer := create(t, caProfile("ca"), signer.Public(), nil, signer)
		certificate := create(t, profile, key.Public(), issuer, signer)
		output := openssl(t, map[string]string{"c.pem": x509cert.CertificatePEM(certificate.Raw)},
			"x509", "-in", "c.pem", "-noout", "-ext", "keyUsage,extendedKeyUsage")
		if says := opensslUses[use]; !strings.Contains(output, says) {
			t.Errorf("%s: openssl does not say %s, but %s", use, says, output)
		}
	}
}

// opensslUses is what openssl calls the uses.
var opensslUses = map[string]string{
	"any_extended": "Any Extended Key Usage", "cert_signing": "Certificate Sign", "client_auth": "TLS Web Client " +
		"Authentication",
	"code_signing": "Code Signing", "content_commitment": "Non Repudiation", "crl_signing": "CRL Sign",
	"data_encipherment": "Data Encipherment", "decipher_only": "Decipher Only", "digital_signature": "Digital " +
		"Signature",
	"email_protection": "E-mail Protection", "encipher_only": "Encipher Only", "ipsec_end_system": "IPSec End System",
	"ipsec_tunnel": "IPSec Tunnel", "ipsec_user": "IPSec User", "key_agreement": "Key Agreement",
	"key_encipherment": "Key Encipherment", "microsoft_commercial_code_signing": "Microsoft Commercial Code Signing",
	"microsoft_kernel_code_signing": "1.3.6.1.4.1.311.61.1.1", "microsoft_server_gated_crypto": "Microsoft Server " +
		"Gated Crypto",
	"netscape_server_gated_crypto": "Netscape Server Gated Crypto", "ocsp_signing": "OCSP Signing",
	"server_auth": "TLS Web Server Authentication", "timestamping": "Time Stamping",
}

func TestARevokedLeafIsRefused(t *testing.T) {
	key := keys()["RSA"]
	ca := create(t, caProfile("ca"), key.Public(), nil, key)
	leaf := create(t, leafProfile("a.example"), keys()["P-256"].Public(), ca, key)
	list := x509cert.List{
		Number: big.NewInt(3), ThisUpdate: start, NextUpdate: start.Add(48 * time.Hour),
		Revoked: []x509cert.Revocation{{Serial: leaf.SerialNumber, Time: start, Reason: "key_compromise"}},
	}
	for i, reason := range x509cert.Reasons() {
		list.Revoked = append(list.Revoked, x509cert.Revocation{Serial: big.NewInt(int64(100 - i)), Time: start,
			Reason: reason})
	}
	der, err := list.Create(ca, key)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for name, text := range map[string]string{
		"ca.pem": x509cert.CertificatePEM(ca.Raw), "leaf.pem": x509cert.CertificatePEM(leaf.Raw),
		"list.pem": x509cert.ListPEM(der),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.CommandContext(t.Context(), "openssl", "verify", "-CAfile", "ca.pem", "-crl_check", "-CRLfile",
		"list.pem", "leaf.pem")
	command.Dir = folder
	if output, err := command.CombinedOutput(); err == nil || !strings.Contains(string(output), "certificate revoked") {
		t.Errorf("openssl says %v, %s", err, output)
	}

	read, err := x509cert.ParseList(x509cert.ListPEM(der))
	if err != nil {
		t.Fatal(err)
	}
	revoked := x509cert.Revoked(read)
	if len(revoked) != len(list.Revoked) {
		t.Fatalf("%d entries are read, want %d", len(revoked), len(list.Revoked))
	}
	if !slices.IsSortedFunc(read.RevokedCertificateEntries, func(a, b x509.RevocationListEntry) int {
		return a.SerialNumber.Cmp(b.SerialNumber)
	}) {
		t.Error("the entries are not sorted by their serial numbers")
	}
	byWord := map[string]x509cert.Revocation{}
	for _, r := range revoked {
		if r.Time.Unix() != start.Unix() {
			t.Errorf("an entry's time is %s", r.Time)
		}
		byWord[r.Serial.String()] = r
	}
	for _, r := range list.Revoked {
		reason := r.Reason
		if reason == "unspecified" {
			reason = "" // which RFC 5280, 5.3.1 has left out
		}
		if got := byWord[r.Serial.String()].Reason; got != reason {
			t.Errorf("the reason of %s is read as %q, want %q", r.Serial, got, reason)
		}
	}
	if got := strings.Count(openssl(t, map[string]string{"list.pem": x509cert.ListPEM(der)}, "crl", "-in", "list.pem",
		"-noout",
		"-text"), "X509v3 CRL Reason Code"); got != len(list.Revoked)-1 {
		t.Errorf("openssl sees %d reasons, want %d", got, len(list.Revoked)-1)
	}
}

func TestAListOfACAWithoutKeyUsages(t *testing.T) {
	key := keys()["P-256"]
	template := &x509.Certificate{ // as older software makes CAs
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotBefore: start,
		NotAfter: start.Add(time.Hour * 99),
		IsCA:     true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	ca := parse(t, der)
	list := x509cert.List{Number: big.NewInt(1), ThisUpdate: start, NextUpdate: start.Add(48 * time.Hour)}
	if der, err = list.Create(ca, key); err != nil {
		t.Fatal(err)
	}
	openssl(t, map[string]string{"list.pem": x509cert.ListPEM(der), "ca.pem": x509cert.CertificatePEM(ca.Raw)},
		"crl", "-in", "list.pem", "-CAfile", "ca.pem", "-verify", "-noout")
}

func TestAnEntryOfADeltaListIsReadAsOne(t *testing.T) {
	key := keys()["P-256"]
	ca := create(t, caProfile("ca"), key.Public(), nil, key)
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: start, NextUpdate: start.Add(time.Hour),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(1), RevocationTime: start,
			ReasonCode: 8}},
	}, ca, key)
	if err != nil {
		t.Fatal(err)
	}
	list, err := x509cert.ParseList(x509cert.ListPEM(der))
	if err != nil {
		t.Fatal(err)
	}
	revoked := x509cert.Revoked(list)
	if len(revoked) != 1 || revoked[0].Reason != "remove_from_crl" || slices.Contains(x509cert.Reasons(),
		"remove_from_crl") {
		t.Errorf("the entries are %v", revoked)
	}
}

// What is not known yet is not rehearsed, and what is known of it is checked.
func TestWhatIsNotKnownYetIsNotRehearsed(t *testing.T) {
	key := keys()["P-256"]
	ca := create(t, caProfile("ca"), key.Public(), nil, key)
	for name, change := range map[string]func(p *x509cert.Profile){
		"a start": func(p *x509cert.Profile) { p.NotBefore = time.Time{} },
		"an end":  func(p *x509cert.Profile) { p.NotAfter = time.Time{} },
	} {
		profile := leafProfile("a.example")
		change(&profile)
		if problems := profile.Rehearse(key.Public(), ca); len(problems) > 0 {
			t.Errorf("%s: %s", name, told(problems))
		}
		profile.Policies = []string{"policy"}
		if problems := profile.Rehearse(key.Public(), ca); len(problems) != 1 {
			t.Errorf("%s, and a policy that is none: %s", name, told(problems))
		}
	}
	if problems := leafProfile("a.example").Rehearse(nil, ca); len(problems) > 0 {
		t.Errorf("a key: %s", told(problems))
	}
	for name, change := range map[string]func(l *x509cert.List){
		"a number":      func(l *x509cert.List) { l.Number = nil },
		"a start":       func(l *x509cert.List) { l.ThisUpdate = time.Time{} },
		"an end":        func(l *x509cert.List) { l.NextUpdate = time.Time{} },
		"an entry":      func(l *x509cert.List) { l.Revoked[0].Serial = nil },
		"its time":      func(l *x509cert.List) { l.Revoked[0].Time = time.Time{} },
		"none of those": func(*x509cert.List) {},
	} {
		list := x509cert.List{Number: big.NewInt(1), ThisUpdate: start, NextUpdate: start.Add(time.Hour),
			Revoked: []x509cert.Revocation{{Serial: big.NewInt(2), Time: start}}}
		change(&list)
		if problems := list.Rehearse(ca); len(problems) > 0 {
			t.Errorf("%s of a list: %s", name, told(problems))
		}
	}
}
