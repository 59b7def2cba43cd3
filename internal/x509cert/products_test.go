package x509cert_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

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
		AllowedUses: []string{"digital_signature", "server_auth"}, NotBefore: start, NotAfter: start.Add(100 * time.Hour),
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
func create(t *testing.T, p x509cert.Profile, pub crypto.PublicKey, issuer *x509.Certificate, signer crypto.Signer) *x509.Certificate {
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
				AllowedUses: []string{"digital_signature", "server_auth", "client_auth"}, SignatureAlgorithm: test.algorithm,
			}
			der, err := request.Create(key)
			if err != nil {
				t.Fatal(err)
			}
			text := x509cert.RequestPEM(der)
			output := strings.Join(strings.Fields(openssl(t, map[string]string{"r.pem": text}, "req", "-in", "r.pem", "-verify",
				"-noout", "-text")), " ")
			for _, want := range []string{
				"self-signature verify OK", "C = DE, CN = a.example, emailAddress = a@a.example",
				"DNS:a.example, DNS:*.b.example, email:a@a.example, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1, " +
					"URI:spiffe://a.example/b",
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
			if err != nil || !slices.Equal(names.DNS, request.Names.DNS) || !slices.Equal(names.IPs, request.Names.IPs) ||
				!slices.Equal(names.URIs, request.Names.URIs) || !slices.Equal(names.Emails, request.Names.Emails) {
				t.Errorf("the names are read as %v, %v", names, err)
			}
			if uses, isCA, err := x509cert.RequestUses(read); err != nil || isCA || !slices.Equal(uses, request.AllowedUses) {
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
						{Serial: big.NewInt(9), Time: start, Reason: "key_compromise"}, {Serial: big.NewInt(5), Time: start},
					},
				}
				der, err := list.Create(ca.certificate, ca.key)
				if err != nil {
					t.Fatal(err)
				}
				lists += x509cert.ListPEM(der)
			}
			files := map[string]string{
				"root.pem": x509cert.CertificatePEM(root.Raw), "intermediate.pem": x509cert.CertificatePEM(intermediate.Raw),
				"leaf.pem": x509cert.CertificatePEM(leaf.Raw), "lists.pem": lists,
			}
			openssl(t, files, "verify", "-x509_strict", "-CAfile", "root.pem", "-untrusted", "intermediate.pem",
				"-crl_check_all", "-CRLfile", "lists.pem", "-purpose", "sslserver", "-verify_hostname", "a.example", "leaf.pem")
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
