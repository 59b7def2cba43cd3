package x509cert_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/x509cert"
)

func TestSerialNumbers(t *testing.T) {
	for _, test := range []struct{ text, formatted, err string }{
		{"1", "01", ""},
		{"01", "01", ""},
		{"0A:bC:01", "0abc01", ""},
		{"7fffffffffffffffffffffffffffffffffffffff", "7fffffffffffffffffffffffffffffffffffffff", ""},
		{"80", "80", ""},
		{"0", "00", ""},
		{"", "", "the serial number is empty"},
		{"0x1f", "", "the serial number begins with 0x; leave that out"},
		{"1:2", "", "the serial number has colons, but not two hex digits between each"},
		{"01:", "", "the serial number has colons, but not two hex digits between each"},
		{"-1", "", "the serial number must be hex digits, such as 1f or 00:1f"},
		{"1g", "", "the serial number must be hex digits, such as 1f or 00:1f"},
		{" 1", "", "the serial number must be hex digits, such as 1f or 00:1f"},
		{strings.Repeat("1", 1025), "", "the serial number is too long; it may have 20 bytes"},
	} {
		serial, err := x509cert.ParseSerial(test.text)
		if err != nil || test.err != "" {
			if err == nil || err.Error() != test.err {
				t.Errorf("%q: the error is %v, want %s", test.text, err, test.err)
			}
			continue
		}
		if got := x509cert.FormatSerial(serial); got != test.formatted {
			t.Errorf("%q is %s, want %s", test.text, got, test.formatted)
		}
	}
	if got := x509cert.FormatSerial(big.NewInt(-1)); got != "-01" {
		t.Errorf("-1 is %s", got)
	}
	seen := map[string]bool{}
	longest := 0
	for range 100 {
		serial, err := x509cert.NewSerial()
		if err != nil {
			t.Fatal(err)
		}
		longest = max(longest, serial.BitLen())
		if serial.Sign() <= 0 || serial.BitLen() > 159 || seen[serial.String()] {
			t.Errorf("the serial number is %s", serial)
		}
		seen[serial.String()] = true
	}
	if longest < 130 { // of 100 random numbers of 159 bits, the longest is shorter once in 2^2900
		t.Errorf("the longest serial number has %d bits", longest)
	}
}

func TestPEMIsReadAndWhatIsWrongIsSaid(t *testing.T) {
	key := keys()["P-256"]
	certificate := create(t, caProfile("ca"), key.Public(), nil, key)
	text := x509cert.CertificatePEM(certificate.Raw)
	if got := parse(t, certificate.Raw); !got.Equal(certificate) {
		t.Error("another certificate is read")
	}
	der, err := x509cert.Request{}.Create(key)
	if err != nil {
		t.Fatal(err)
	}
	request := x509cert.RequestPEM(der)
	block := func(label string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
	}
	changed := slices.Clone(der)
	changed[len(changed)-1] ^= 1
	readCertificate := func(text string) error { return second(x509cert.ParseCertificate(text)) }
	readRequest := func(text string) error { return second(x509cert.ParseRequest(text)) }
	readList := func(text string) error { return second(x509cert.ParseList(text)) }
	for _, test := range []struct {
		name string
		read func(string) error
		text string
		err  string
	}{
		{"a certificate, indented", readCertificate, "\n  " + strings.ReplaceAll(text, "\n", "\n  "), ""},
		{"a certificate with an older label", readCertificate, block("X509 CERTIFICATE", certificate.Raw), ""},
		{"a chain", readCertificate, text + text, "the text holds more than one PEM block; give the one certificate " +
			"that is meant, of a chain usually the first"},
		{"a request for a certificate", readCertificate, request, "the PEM block is a certificate request; it must " +
			"be CERTIFICATE"},
		{"another block", readCertificate, block("SECRET", []byte("x")), "the PEM block must be CERTIFICATE"},
		{"a private key", readCertificate, block("PRIVATE KEY", []byte("SECRET")),
			"the text holds a private key, which does not belong here; give the PEM block CERTIFICATE"},
		{"nothing", readCertificate, "", "the text holds no PEM block"},
		{"the name of a file", readCertificate, "SECRET.pem",
			`the text holds no PEM block; if it is the name of a file, give the file's text, as in file("ca.pem")`},
		{"JSON", readCertificate, "{}", "the text holds no PEM block; it looks like JSON"},
		{"DER in base64", readCertificate, base64.StdEncoding.EncodeToString(certificate.Raw),
			"the text holds no PEM block; it looks like DER in base64, which needs the lines -----BEGIN " +
				"CERTIFICATE----- and -----END CERTIFICATE----- around it"},
		{"DER", readCertificate, "0\x82\x01\x00", "the text holds no PEM block; it looks like DER, of which `openssl " +
			"x509 -in FILE` makes PEM"},
		{"no certificate", readCertificate, block("CERTIFICATE", []byte("SECRET")),
			"the PEM block holds no certificate that can be read: malformed certificate"},
		{"a damaged block", readCertificate, "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
			"the PEM block cannot be read: its base64 is damaged, or its END line is missing or another block's"},
		{"secp256k1", readCertificate, opensslMakes(t, "req", "-x509", "-newkey", "ec", "-pkeyopt",
			"ec_paramgen_curve:secp256k1", "-nodes", "-keyout", "key.pem", "-subj", "/CN=a"),
			"the key is on the curve secp256k1, which libraries for X.509 do not know: they could not read the " +
				"certificate. Use an RSA key, or one on P-256, P-384, P-521 or Ed25519"},
		{"a request", readRequest, request, ""},
		{"a request with an older label", readRequest, block("NEW CERTIFICATE REQUEST", der), ""},
		{"a certificate for a request", readRequest, text, "the PEM block is a certificate; it must be CERTIFICATE " +
			"REQUEST"},
		{"a request that was changed", readRequest, block("CERTIFICATE REQUEST", changed),
			"the request's signature is not that of the key in it: the request was changed after it was signed, or " +
				"signed with another key; make it anew"},
		{"no request", readRequest, block("CERTIFICATE REQUEST", []byte("SECRET")),
			"the PEM block holds no certificate request, or a damaged one"},
		{"a request of secp256k1", readRequest, opensslMakes(t, "req", "-newkey", "ec", "-pkeyopt",
			"ec_paramgen_curve:secp256k1", "-nodes", "-keyout", "key.pem", "-subj", "/CN=a"),
			"the key is on the curve secp256k1, which libraries for X.509 do not know"},
		{"a request of an RSA-PSS key", readRequest, opensslMakes(t, "req", "-newkey", "rsa-pss", "-nodes", "-keyout",
			"key.pem",
			"-subj", "/CN=a"), "the key is restricted to RSASSA-PSS (id-RSASSA-PSS)"},
		{"a request signed by MD5", readRequest, opensslMakes(t, "req", "-newkey", "rsa:2048", "-md5", "-nodes",
			"-keyout",
			"key.pem", "-subj", "/CN=a"), "the request's signature is not secure; make the request anew, with " +
			"SHA-256 at least"},
		{"a request of P-224", readRequest, opensslMakes(t, "req", "-newkey", "ec", "-pkeyopt",
			"ec_paramgen_curve:secp224r1",
			"-nodes", "-keyout", "key.pem", "-subj", "/CN=a"),
			"the key is on a curve that is not supported. Use a key on P-256, P-384 or P-521"},
		{"a certificate of P-224", readCertificate, opensslMakes(t, "req", "-x509", "-newkey", "ec", "-pkeyopt",
			"ec_paramgen_curve:secp224r1", "-nodes", "-keyout", "key.pem", "-subj", "/CN=a"),
			"the key is on a curve that is not supported. Use a key on P-256, P-384 or P-521"},
		{"a request of Ed448", readRequest, opensslMakes(t, "req", "-newkey", "ed448", "-nodes", "-keyout", "key.pem",
			"-subj", "/CN=a"),
			"no certificate can be of this kind of key. Use an RSA key"},
		{"no list", readList, block("X509 CRL", []byte("SECRET")), "the PEM block holds no revocation list that can " +
			"be read: "},
		{"a certificate for a list", readList, text, "the PEM block is a certificate; it must be X509 CRL"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.read(test.text)
			if test.err == "" && err != nil || test.err != "" && (err == nil || !strings.HasPrefix(err.Error(),
				test.err)) {
				t.Errorf("the error is %v, want %s", err, test.err)
			}
			if err != nil && (strings.Contains(err.Error(), "SECRET") || strings.HasSuffix(err.Error(), ".")) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

// opensslMakes is the PEM block that openssl writes.
func opensslMakes(t *testing.T, arguments ...string) string {
	t.Helper()
	output := openssl(t, nil, arguments...)
	_, block, _ := strings.Cut(output, "-----BEGIN ") // dots stand before it
	return "-----BEGIN " + block
}

func TestUsesThatCannotBeReadAreAnError(t *testing.T) {
	for name, test := range map[string]struct {
		id    asn1.ObjectIdentifier
		value string
		err   string
	}{
		"key usage": {asn1.ObjectIdentifier{2, 5, 29, 15}, "\x30\x00", "the key usage that the request asks for " +
			"cannot be read"},
		"extended key usage": {asn1.ObjectIdentifier{2, 5, 29, 37}, "\x03", "the extended key usage that the request " +
			"asks for cannot be read"},
		"basic constraints": {asn1.ObjectIdentifier{2, 5, 29, 19}, "\x30\x00\x00", "the basic constraints that the " +
			"request asks for cannot be read"},
	} {
		request := &x509.CertificateRequest{Extensions: []pkix.Extension{{Id: test.id, Value: []byte(test.value)}}}
		if _, _, err := x509cert.RequestUses(request); err == nil || err.Error() != test.err {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
}

func TestDefaultSignatureAlgorithms(t *testing.T) {
	for name, want := range map[string]string{
		"RSA": "SHA256-RSA", "P-256": "ECDSA-SHA256", "P-384": "ECDSA-SHA384", "P-521": "ECDSA-SHA512",
		"Ed25519": "Ed25519",
		"P-224":   "",
	} {
		if got := x509cert.DefaultSignatureAlgorithm(keys()[name].Public()); got != want {
			t.Errorf("%s signs by %q, want %q", name, got, want)
		}
	}
	for _, word := range x509cert.SignatureAlgorithms() {
		known := false
		for a := x509.SignatureAlgorithm(1); a < 20; a++ {
			known = known || a.String() == word
		}
		if !known {
			t.Errorf("Go has no %s", word)
		}
	}
}

func FuzzParseCertificate(f *testing.F) {
	key := keys()["P-256"]
	der, err := caProfile("ca").Create(key.Public(), nil, key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(x509cert.CertificatePEM(der))
	f.Add(strings.Replace(x509cert.CertificatePEM(der), "CERTIFICATE", "X509 CRL", 2))
	f.Add("{")
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = x509cert.ParseList(text)
		certificate, err := x509cert.ParseCertificate(text)
		if err != nil {
			return
		}
		if _, err := publickey.MarshalSPKI(certificate.PublicKey); err != nil {
			t.Error(err)
		}
		_ = leafProfile("a.example").Check(key.Public(), certificate)
		_ = x509cert.List{}.Check(certificate)
	})
}

func FuzzParseRequest(f *testing.F) {
	der, err := x509cert.Request{
		Subject: x509cert.Subject{CommonName: "a"}, Names: x509cert.Names{DNS: []string{"a"},
			IPs: []string{"192.0.2.1"}},
		AllowedUses: []string{"digital_signature", "server_auth"},
	}.Create(keys()["Ed25519"])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(x509cert.RequestPEM(der))
	f.Add(x509cert.CertificatePEM(der))
	f.Fuzz(func(_ *testing.T, text string) {
		if request, err := x509cert.ParseRequest(text); err == nil {
			use(request)
		}
	})
}

// FuzzRequestNames signs whatever extensions it gets, which hardly any random request is.
func FuzzRequestNames(f *testing.F) {
	f.Add([]byte{0x30, 3, 0x82, 1, 'a'}, []byte{3, 2, 7, 0x80}, []byte{0x30, 0})
	f.Fuzz(func(_ *testing.T, names, uses, constraints []byte) {
		use(&x509.CertificateRequest{Extensions: requested(names, uses, constraints),
			PublicKey: keys()["Ed25519"].Public()})
	})
}

// use does with a request what the one who certifies it does.
func use(request *x509.CertificateRequest) {
	profile := leafProfile()
	profile.Subject = x509cert.Subject{}
	var err error
	if profile.RawSubject, profile.Names, err = x509cert.RequestNames(request); err != nil {
		return
	}
	if profile.AllowedUses, profile.IsCA, err = x509cert.RequestUses(request); err != nil {
		return
	}
	_ = profile.Rehearse(request.PublicKey, nil)
}

func requested(names, uses, constraints []byte) []pkix.Extension {
	return []pkix.Extension{
		{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: names}, {Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Value: uses},
		{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Value: uses}, {Id: asn1.ObjectIdentifier{2, 5, 29, 19},
			Value: constraints},
	}
}
