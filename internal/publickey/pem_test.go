package publickey

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

func TestParsePEM(t *testing.T) {
	key := newKeys(t)[P256]
	text, err := PEM(key)
	if err != nil {
		t.Fatal(err)
	}
	block := func(label, content string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: []byte(content)}))
	}
	const (
		secret  = "SECRET"
		private = "the text holds a private key; only its public half belongs here, which " +
			"`openssl pkey -in FILE -pubout` writes"
		broken = "the PEM block cannot be read: its base64 is damaged, or its END line is missing or another block's"
		more   = "the text holds more than the PEM block; leave the rest out"
		noCert = "the certificate cannot be read: it has no key where X.509 puts it, or is not DER"
	)
	base64DER := strings.Join(strings.Split(strings.TrimSpace(text), "\n")[1:3], "\n")
	spki, err := MarshalSPKI(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, text, err string }{
		{"a block", text, ""},
		{"white space around it", "\n\t " + strings.ReplaceAll(text, "\n", "\r\n") + "\n\n", ""},
		{"lines that end as on old Macs", strings.ReplaceAll(text, "\n", "\r"), ""},
		{"no newline at the end", strings.TrimSuffix(text, "\n"), ""},
		{"a byte order mark", "\ufeff" + text, ""},
		{"a byte order mark and blank lines", "\ufeff\r\n" + text, ""},
		{"indented lines", "    " + strings.ReplaceAll(text, "\n", "  \n    "), ""},
		{"lines indented by tabs and wide blanks", "\t\u00a0" + strings.ReplaceAll(text, "\n", "\n\t\u00a0"), ""},
		{"nothing", "", "the text holds no PEM block"},
		{"prose", secret + " text", "the text holds no PEM block"},
		{"the name of a file", secret + ".PEM", `the text holds no PEM block; if it is the name of a file, give the file's ` +
			`text, as in file("key.pem")`},
		{"the path of a file", "./" + secret, `the text holds no PEM block; if it is the name of a file, give the file's ` +
			`text, as in file("key.pem")`},
		{"a JWK", `{"kty":"EC","d":"SECRET"}`, "the text holds no PEM block; it looks like JSON, such as a JWK"},
		{"OpenSSH's form", "ssh-rsa AAAASECRET me@home",
			"the text holds no PEM block, but a public key as SSH writes it. " + convertSSH},
		{"SSH2's form", "---- BEGIN SSH2 PUBLIC KEY ----\nSECRET",
			"the text holds no PEM block, but a public key as SSH writes it. " + convertSSH},
		{"DER in base64", base64DER,
			"the text holds no PEM block; it looks like DER in base64, which needs the lines " +
				"-----BEGIN PUBLIC KEY----- and -----END PUBLIC KEY----- around it, or those of a CERTIFICATE"},
		{"DER", string(spki),
			"the text holds no PEM block; it looks like DER, of which `openssl pkey -pubin -inform DER -in FILE` " +
				"or `openssl x509 -in FILE` makes PEM"},
		{"a second block", text + text,
			"the text holds more than one PEM block; give the one whose key is meant, of a chain " +
				"usually the first"},
		{"text before it", "my key\n" + text, more},
		{"text behind it", text + secret, more},
		{"line feeds written out", strings.ReplaceAll(text, "\n", `\n`),
			`the text has \n written out where its lines should end; give it real line ends`},
		{"blanks instead of line feeds", strings.ReplaceAll(text, "\n", " "),
			"the PEM block is on one line; its BEGIN and END need lines of their own"},
		{"a private key", block("PRIVATE KEY", secret), private},
		{"an EC private key", block("EC PRIVATE KEY", secret), private},
		{"a private key behind the public one", text + block("PRIVATE KEY", secret), private},
		{"a private key with a broken end", "-----BEGIN PRIVATE KEY-----\n" + secret, private},
		{"an encrypted private key", block("ENCRYPTED PRIVATE KEY", secret), strings.Replace(private, "a private",
			"an encrypted private", 1)},
		{"one that is encrypted in the old way", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n" + secret,
			strings.Replace(private, "a private", "an encrypted private", 1)},
		{"a private key of OpenSSH's", block("OPENSSH PRIVATE KEY", secret),
			"the text holds a private key; only its public half belongs here. " + convertSSH},
		{"a private key of PuTTY's", "PuTTY-User-Key-File-3: ssh-rsa\n" + secret, private},
		{"another label", block(secret, secret), "the PEM block must be PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE"},
		{"a certificate request", block("NEW CERTIFICATE REQUEST", secret), certificateRequest},
		{"an OpenPGP key, whose base64 has a checksum",
			"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nU0VDUkVU\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----",
			"the PEM block is one of OpenPGP, which is not supported"},
		{"no end", strings.SplitAfter(text, "\n")[0] + base64DER, broken},
		{"an end of another label", strings.Replace(text, "END PUBLIC KEY", "END CERTIFICATE", 1), broken},
		{"damaged base64", strings.Replace(text, "MF", "M!", 1), broken},
		{"a PUBLIC KEY that is none", block("PUBLIC KEY", secret), "the key is not a SubjectPublicKeyInfo"},
		{"an RSA PUBLIC KEY that is none", block("RSA PUBLIC KEY", secret), "the key is not an RSAPublicKey"},
		{"a PUBLIC KEY by the name RSA PUBLIC KEY", strings.ReplaceAll(text, "PUBLIC", "RSA PUBLIC"),
			"the PEM block is named RSA PUBLIC KEY, but holds what belongs in a block PUBLIC KEY"},
		{"a CERTIFICATE that is none", block("CERTIFICATE", secret), noCert},
		{"a CERTIFICATE that ends before its key", block("CERTIFICATE", "\x30\x05\x30\x03\x02\x01\x01"), noCert},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := ParsePEM(test.text)
			if test.err != "" {
				if err == nil || err.Error() != test.err || got != nil {
					t.Errorf("got %v, error %v; want the error %s", got, err, test.err)
				}
				return
			}
			if err != nil || !Equal(got, key) {
				t.Errorf("got %v, error %v", got, err)
			}
		})
	}
}

// openssl makes certificates that crypto/x509 refuses, and says what their keys are.
func TestTheKeyOfACertificateIsReadWhateverElseIsInIt(t *testing.T) {
	for name, test := range map[string]struct{ curve, key, certificate string }{
		"a negative serial number":               {P256, "", "-set_serial -5"},
		"a URI with a blank":                     {P256, "", "-addext subjectAltName=URI:http://a b"},
		"an extension that holds no such thing":  {P256, "", "-addext 1.3.6.1.5.5.7.1.1=DER:0500"},
		"a compressed point":                     {P384, "-conv_form compressed", ""},
		"a curve given by its numbers":           {P256, "-param_enc explicit", ""},
		"P-384 by its numbers":                   {P384, "-param_enc explicit", ""},
		"P-521 by its numbers":                   {P521, "-param_enc explicit", ""},
		"secp256k1 by its numbers":               {Secp256k1, "-param_enc explicit", ""},
		"numbers with compressed points":         {P256, "-param_enc explicit -conv_form compressed", ""},
		"a curve that crypto/x509 does not know": {Secp256k1, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			private, formed := filepath.Join(dir, "key.pem"), filepath.Join(dir, "formed.pem")
			openssl(t, append([]string{"genpkey", "-out", private}, opensslKeys[test.curve]...)...)
			openssl(t, append([]string{"ec", "-in", private, "-out", formed}, strings.Fields(test.key)...)...)
			args := []string{"req", "-x509", "-new", "-key", formed, "-subj", "/CN=test", "-days", "1"}
			if option, value, ok := strings.Cut(test.certificate, " "); ok {
				args = append(args, option, value)
			}
			text := string(openssl(t, args...))
			block, _ := pem.Decode([]byte(text))
			if _, err := x509.ParseCertificate(block.Bytes); err == nil {
				t.Error("crypto/x509 reads the certificate, which proves nothing then")
			}
			der := openssl(t, "pkey", "-in", private, "-pubout", "-outform", "DER")
			key, err := ParsePEM(text)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := MarshalSPKI(key); err != nil || !bytes.Equal(got, der) || Curve(key) != test.curve {
				t.Errorf("got %x on %s, error %v, want %x", got, Curve(key), err, der)
			}
		})
	}
}

// Whoever may choose the generator makes a private key to any point (CVE-2020-0601).
func TestACurveWithOtherNumbersIsRefused(t *testing.T) {
	private := filepath.Join(t.TempDir(), "key.pem")
	openssl(t, append([]string{"genpkey", "-out", private}, opensslKeys[P256]...)...)
	der := openssl(t, "ec", "-in", private, "-pubout", "-outform", "DER", "-param_enc", "explicit")
	if _, err := ParseSPKI(der); err != nil {
		t.Fatal(err)
	}
	other := newKeys(t)[P256]
	domain := curveNamed(P256).domain
	for name, change := range map[string]struct{ from, to []byte }{
		"another generator, as in CVE-2020-0601": {curveNamed(P256).generator(), Point(other)},
		"another b":                              {domain.b.Bytes(), domain.gx.Bytes()},
		"another order":                          {domain.n.Bytes(), domain.p.Bytes()},
		"another a":                              {unhex("fffffffc0420"), unhex("fffffffb0420")},
		"another cofactor": {append(domain.n.Bytes(), 2, 1, 1), append(domain.n.Bytes(), 2, 1,
			2)},
		"another kind of field": {unhex("2a8648ce3d0101"), unhex("2a8648ce3d0102")},
	} {
		if !bytes.Contains(der, change.from) {
			t.Errorf("%s: there is nothing to change", name)
		}
		_, err := ParseSPKI(bytes.Replace(der, change.from, change.to, 1))
		const want = "the key's curve is given by its numbers, and they are not all those of one of " +
			"P-256, P-384, P-521, secp256k1, Ed25519"
		if err == nil || err.Error() != want {
			t.Errorf("%s: got the error %v", name, err)
		}
	}
}

func TestReadPEMSaysWhatAKeyForPSSIsRestrictedTo(t *testing.T) {
	for name, test := range map[string]struct {
		options string
		want    PSS
	}{
		"nothing": {"", PSS{}},
		"a hash": {"md:sha384 mgf1_md:sha384 saltlen:48",
			PSS{crypto.SHA384, crypto.SHA384, 48}},
		"another mask": {"md:sha256 mgf1_md:sha512 saltlen:20",
			PSS{crypto.SHA256, crypto.SHA512, 20}},
		"what is not written out": {"md:sha1 mgf1_md:sha1 saltlen:20",
			PSS{crypto.SHA1, crypto.SHA1, 20}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			private := filepath.Join(t.TempDir(), "key.pem")
			var options []string
			for option := range strings.FieldsSeq(test.options) {
				options = append(options, "-pkeyopt", "rsa_pss_keygen_"+option)
			}
			openssl(t, append([]string{"genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:1024", "-out",
				private},
				options...)...)
			public := string(openssl(t, "pkey", "-in", private, "-pubout"))
			modulus := openssl(t, "rsa", "-in", private, "-noout", "-modulus")
			info, err := ReadPEM(public)
			if err != nil || info.PSS == nil || *info.PSS != test.want {
				t.Fatalf("got %+v, error %v, want %+v", info.PSS, err, test.want)
			}
			pkcs1, err := ParsePEM(public)
			if err != nil || !Equal(pkcs1, info.PublicKey) {
				t.Errorf("the key is %v, error %v", pkcs1, err)
			}
			if got := hexModulus(info.PublicKey); got != strings.TrimSpace(string(modulus)) {
				t.Errorf("got %s, want %s", got, modulus)
			}
		})
	}
	plain, err := PEM(newKeys(t)["RSA"])
	if err != nil {
		t.Fatal(err)
	}
	if info, err := ReadPEM(plain); err != nil || info.PSS != nil {
		t.Errorf("any other RSA key is restricted to %v, error %v", info.PSS, err)
	}
}

func TestParametersForPSSThatAreRefused(t *testing.T) {
	const none = "the key is one for RSASSA-PSS alone, and its parameters cannot be read"
	for name, test := range map[string]struct{ params, err string }{
		"NULL":                {"0500", none},
		"two of them":         {"30003000", none},
		"a trailer of 2":      {"3005a303020102", none},
		"a negative salt":     {"3005a2030201ff", none},
		"an unknown field":    {"3005a403020101", none},
		"a hash that is none": {"3004a0020500", none},
		"MD5": {"3010a00e300c06082a864886f70d02050500",
			"the key is one for RSASSA-PSS alone, with the hash 1.2.840.113549.2.5, which is not supported"},
		"another mask function": {"300fa10d300b06092a864886f70d010109",
			"the key is one for RSASSA-PSS alone, with the mask function 1.2.840.113549.1.1.9, which is not MGF1"},
		"a mask without a hash": {"300fa10d300b06092a864886f70d010108", none},
	} {
		if pss, err := parsePSS(unhex(test.params)); err == nil || err.Error() != test.err || pss != nil {
			t.Errorf("%s: got %v, error %v; want the error %s", name, pss, err, test.err)
		}
	}
}

func hexModulus(pub crypto.PublicKey) string {
	return fmt.Sprintf("Modulus=%X", pub.(*rsa.PublicKey).N)
}

func FuzzParsePEM(f *testing.F) {
	for _, key := range newKeys(f) {
		text, err := PEM(key)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		f.Add(strings.ReplaceAll(text, "PUBLIC KEY", "CERTIFICATE"))
	}
	f.Fuzz(func(t *testing.T, text string) {
		key, err := ParsePEM(text)
		if err != nil {
			return
		}
		written, err := PEM(key)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParsePEM(written); err != nil || !Equal(again, key) {
			t.Fatalf("%q is read back as %v, error %v", written, again, err)
		}
	})
}
