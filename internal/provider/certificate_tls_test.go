package provider_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// site is the name of every server here.
const site = "www.example.com"

// The server's own key is in memory, and of the kind that the CAs have.
func TestAChainServesTLSUntilItsLeafIsRevoked(t *testing.T) {
	t.Parallel()
	for kind, the := range hsmtest.InOrder(map[string]struct {
		curve string
		key   func() (crypto.Signer, error)
	}{
		"RSA":   {"", func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) }},
		"P-256": {"P-256", func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }},
		"P-384": {"P-384", func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P384(), rand.Reader) }},
		"P-521": {"P-521", func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P521(), rand.Reader) }},
		"Ed25519": {"Ed25519", func() (crypto.Signer, error) {
			_, key, err := ed25519.GenerateKey(rand.Reader)
			return key, err
		}},
	}) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			if the.curve != "" {
				hsmtest.NeedsCurves(t, the.curve)
			}
			key, err := the.key()
			if err != nil {
				t.Fatal(err)
			}
			b := newBench(t)
			folder := func() shell { return shell{t: t, dir: t.TempDir(), env: os.Environ(), ran: new(int)} }
			before, after := folder(), folder()
			request := requestFor(t, key)
			b.test(
				turn{TestStep: resource.TestStep{
					Config:            b.config(twoCAs(the.curve), siteCert(request), listsOf("[]")),
					ConfigStateChecks: []statecheck.StateCheck{keeps(before)},
				}},
				turn{TestStep: resource.TestStep{
					Config: b.config(twoCAs(the.curve), siteCert(request), listsOf(`[{
						serial_number = hsm_locally_signed_cert.leaf.serial_number
						time          = hsm_locally_signed_cert.leaf.validity_start_time
						reason        = "superseded"
					}]`)),
					ConfigStateChecks: []statecheck.StateCheck{keeps(after)},
				}},
			)
			if t.Failed() {
				return
			}
			if was, is := before.certificate("leaf.pem"), after.certificate("leaf.pem"); !was.Equal(is) {
				t.Fatal("the list has changed the certificate")
			}
			before.goVerifies()

			chain := tls.Certificate{PrivateKey: key}
			for _, file := range []string{"leaf.pem", "issuing.pem"} {
				chain.Certificate = append(chain.Certificate, before.certificate(file).Raw)
			}
			port := serveTLS(t, chain)
			before.trusts(port)
			before.looksUp(port, true)
			after.looksUp(port, false)
			verify := []string{"verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", site, "-CAfile",
				"root.pem", "-untrusted", "issuing.pem", "-crl_check_all", "-CRLfile", "both.crl", "leaf.pem"}
			before.says(before.does(true, "openssl", verify...), "leaf.pem: OK")
			after.says(after.does(false, "openssl", verify...), "certificate revoked")
		})
	}
}

// twoCAs are a root and a CA below it, both with keys of one kind.
func twoCAs(curve string) string {
	pairs := pair("root", `label = "root"`) + pair("issuing", `label = "issuing"`)
	resourceType := "hsm_rsa_keypair"
	if curve != "" {
		resourceType, pairs = "hsm_ec_keypair", ""
		for _, name := range []string{"root", "issuing"} {
			pairs += keyPairBlock(resourceType, name, map[string]string{"deletion_policy": `"delete"`},
				[]string{line("label", name), line("curve", curve)})
		}
	}
	return pairs + strings.ReplaceAll(`
		resource "hsm_self_signed_cert" "root" {
			public_key_pem        = KEYPAIR.root.public_key_pem
			subject { common_name = "Root" }
			is_ca_certificate     = true
			max_path_length       = 1
			allowed_uses          = ["cert_signing", "crl_signing"]
			validity_period_hours = 87600
		}
		resource "hsm_cert_request" "issuing" {
			public_key_pem        = KEYPAIR.issuing.public_key_pem
			subject { common_name = "Issuing" }
		}
		resource "hsm_locally_signed_cert" "issuing" {
			cert_request_pem      = hsm_cert_request.issuing.cert_request_pem
			ca_cert_pem           = hsm_self_signed_cert.root.cert_pem
			ca_public_key_pem     = KEYPAIR.root.public_key_pem
			is_ca_certificate     = true
			max_path_length       = 0
			allowed_uses          = ["cert_signing", "crl_signing"]
			validity_period_hours = 8760
		}
		output "root_pem" { value = hsm_self_signed_cert.root.cert_pem }
		output "issuing_pem" { value = hsm_locally_signed_cert.issuing.cert_pem }
	`, "KEYPAIR", resourceType)
}

// siteCert is the certificate for a request.
func siteCert(request string) string {
	return fmt.Sprintf(`
		resource "hsm_locally_signed_cert" "leaf" {
			cert_request_pem      = %q
			ca_cert_pem           = hsm_locally_signed_cert.issuing.cert_pem
			allowed_uses          = ["digital_signature", "server_auth"]
			validity_period_hours = 24
		}
		output "leaf_pem" { value = hsm_locally_signed_cert.leaf.cert_pem }
	`, request)
}

// listsOf are the lists of the root, which has revoked nothing, and of the CA below it.
func listsOf(revoked string) string {
	return `
		resource "hsm_crl" "root" {
			ca_cert_pem           = hsm_self_signed_cert.root.cert_pem
			validity_period_hours = 24
			revoked               = []
		}
		resource "hsm_crl" "issuing" {
			ca_cert_pem           = hsm_locally_signed_cert.issuing.cert_pem
			validity_period_hours = 24
			revoked               = ` + revoked + `
		}
		output "root_crl" { value = hsm_crl.root.crl_pem }
		output "issuing_crl" { value = hsm_crl.issuing.crl_pem }
	`
}

// requestFor is a request for a server's key, made by Go.
func requestFor(t *testing.T, key crypto.Signer) string {
	t.Helper()
	request, err := x509.CreateCertificateRequest(rand.Reader,
		&x509.CertificateRequest{Subject: pkix.Name{CommonName: site}, DNSNames: []string{site}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request}))
}

// keeps is a state check that never fails: it writes each output into a file, leaf_pem into leaf.pem.
type keeps shell

func (k keeps) CheckState(_ context.Context, req statecheck.CheckStateRequest, resp *statecheck.CheckStateResponse) {
	for name, output := range req.State.Values.Outputs {
		text, ok := output.Value.(string)
		if !ok {
			resp.Error = fmt.Errorf("the output %s is %v", name, output.Value)
			return
		}
		shell(k).write(filepath.Join(k.dir, strings.Replace(name, "_", ".", 1)), text)
	}
}

// Witnesses, which share no code with the provider.

// certificate is the first one in a file.
func (s shell) certificate(file string) *x509.Certificate {
	s.t.Helper()
	cert, err := x509.ParseCertificate(s.block(file, "CERTIFICATE"))
	if err != nil {
		s.t.Fatal(err)
	}
	return cert
}

// list is the revocation list in a file.
func (s shell) list(file string) *x509.RevocationList {
	s.t.Helper()
	list, err := x509.ParseRevocationList(s.block(file, "X509 CRL"))
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

func (s shell) block(file, kind string) []byte {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, file))
	if err != nil {
		s.t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != kind {
		s.t.Fatalf("%s is no %s: %s", file, kind, text)
	}
	return block.Bytes
}

// goVerifies has Go's library verify the chain and the lists.
func (s shell) goVerifies() {
	s.t.Helper()
	root, issuing := s.certificate("root.pem"), s.certificate("issuing.pem")
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(root)
	between.AddCert(issuing)
	options := x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: site}
	if chains, err := s.certificate("leaf.pem").Verify(options); err != nil || len(chains) != 1 || len(chains[0]) != 3 {
		s.t.Errorf("Go finds the chains %v: %v", chains, err)
	}
	for file, issuer := range map[string]*x509.Certificate{"root.crl": root, "issuing.crl": issuing} {
		if err := s.list(file).CheckSignatureFrom(issuer); err != nil {
			s.t.Errorf("%s: %v", file, err)
		}
	}
}

// serveTLS is a server of the site until the test ends, and its port.
func serveTLS(t *testing.T, chain tls.Certificate) (port string) {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello from the site")
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{chain}, MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that refuse the certificate
	server.StartTLS()
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// trusts fails the test where clients do not trust the server by root.pem, or where they would without it.
func (s shell) trusts(port string) {
	s.t.Helper()
	s.says(s.sClient(true, port, "-CAfile", "root.pem"), "Verification: OK")
	s.sClient(false, port, "-no-CAfile", "-no-CApath", "-no-CAstore")
	if _, err := exec.LookPath("curl"); err != nil {
		s.t.Logf("without curl: %v", err)
		return
	}
	s.says(s.curl(true, port, "--cacert", "root.pem"), "hello from the site")
	s.curl(false, port)
}

// looksUp fails the test where clients that look into issuing.crl and root.crl do not trust the server by root.pem, or
// trust it though they should not.
func (s shell) looksUp(port string, trusted bool) {
	s.t.Helper()
	s.does(true, "sh", "-c", "cat issuing.crl root.crl >both.crl")
	said := s.sClient(trusted, port, "-CAfile", "root.pem", "-crl_check", "-CRL", "issuing.crl")
	if trusted {
		s.says(said, "Verification: OK")
	} else {
		s.says(said, "certificate revoked")
	}
	if _, err := exec.LookPath("curl"); err != nil {
		s.t.Logf("without curl: %v", err)
		return
	}
	said = s.curl(trusted, port, "--cacert", "root.pem", "--crlfile", "both.crl")
	if !trusted {
		s.says(said, "revoked")
	}
}

// sClient is a visit by openssl s_client.
func (s shell) sClient(well bool, port string, args ...string) string {
	s.t.Helper()
	// Without an end of its input, it would wait for something to send.
	return s.does(well, "sh", append([]string{"-c", `exec openssl s_client "$@" </dev/null`, "s_client", "-brief",
		"-connect", "127.0.0.1:" + port, "-servername", site, "-verify_hostname", site, "-verify_return_error"},
		args...)...)
}

// curl is a visit by curl.
func (s shell) curl(well bool, port string, args ...string) string {
	s.t.Helper()
	return s.does(well, "curl", append([]string{"-q", "--silent", "--show-error", "--noproxy", "*",
		"--resolve", site + ":" + port + ":127.0.0.1", "https://" + site + ":" + port + "/"}, args...)...)
}
