package provider_test

import (
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// From the tls provider's words to this provider's: nothing else differs in the two configurations.
var fromTLS = strings.NewReplacer(
	"tls_private_key.", "hsm_rsa_keypair.", "private_key_pem", "public_key_pem",
	"tls_cert_request", "hsm_cert_request", "tls_self_signed_cert", "hsm_self_signed_cert",
	"tls_locally_signed_cert", "hsm_locally_signed_cert",
)

func TestTheGuideComingFromTLS(t *testing.T) {
	t.Parallel()
	read := func(file string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(examples, "from-tls", file))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	b := newBench(t)
	s := newReader(t, "../from-tls/after").onToken(b)
	format := exec.Command("terraform", "fmt", "-")
	format.Path, format.Env = os.Getenv("TF_ACC_TERRAFORM_PATH"), s.env
	format.Stdin = strings.NewReader(fromTLS.Replace(read("before/certificates.tf")))
	renamed, err := format.Output()
	if err != nil {
		t.Fatal(err)
	}
	if after := read("after/certificates.tf"); string(renamed) != after {
		t.Errorf("with the names changed, it is\n%s\nand not\n%s", renamed, after)
	}

	s.does(true, "terraform", "init")
	s.says(s.does(true, "terraform", "apply", "-auto-approve"), "6 added")
	for _, output := range []string{"ca", "request", "issued", "self_signed"} {
		s.write(filepath.Join(s.dir, output+".pem"), s.does(true, "terraform", "output", "-raw", output))
	}
	s.says(s.does(true, "openssl", "req", "-in", "request.pem", "-verify", "-noout", "-subject", "-nameopt", "RFC2253"),
		"verify OK", "CN=example.com,O=Example")
	s.says(s.does(true, "openssl", "verify", "-purpose", "sslserver", "-verify_hostname", "example.com", "-CAfile",
		"ca.pem",
		"issued.pem"), "issued.pem: OK")
	s.says(s.does(true, "openssl", "verify", "-purpose", "sslserver", "-verify_hostname", "example.com",
		"-CAfile", "self_signed.pem", "self_signed.pem"), "self_signed.pem: OK")
	s.says(s.does(false, "openssl", "verify", "-CAfile", "self_signed.pem", "issued.pem"), "unable to get local issuer")
	for _, file := range []string{"issued", "self_signed"} {
		if names := s.certificate(file + ".pem").DNSNames; len(names) != 0 {
			t.Errorf("%s.pem has the names %v, and none was asked for", file, names)
		}
	}
	s.says(s.does(true, "terraform", "plan"), "No changes.")

	// What the guide calls stricter: each is an error of one plan, which signs nothing.
	request := s.block("request.pem", "CERTIFICATE REQUEST")
	request[len(request)-1] ^= 1
	s.write(filepath.Join(s.dir, "forged.pem"),
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request})))
	s.does(true, "sh", "-ec", `openssl genrsa 1024 | openssl rsa -pubout -out small.pem
		for curve in secp256k1 prime256v1; do
			openssl ecparam -name $curve -genkey -noout | openssl ec -pubout -out $curve.pem
		done`)
	s.write(filepath.Join(s.dir, "strict.tf"), `
		locals {
			ca      = hsm_self_signed_cert.ca.cert_pem
			request = hsm_cert_request.server.cert_request_pem
		}
		`+
		signsItself("ca_without", `is_ca_certificate = true`, `allowed_uses = ["crl_signing"]`)+
		signsItself("signing_without", `allowed_uses = ["cert_signing"]`)+
		signsItself("small", `public_key_pem = file("small.pem")`)+
		signsItself("unknown", `public_key_pem = file("secp256k1.pem")`)+
		signsItself("encrypts", `public_key_pem = file("prime256v1.pem")`, `allowed_uses = ["data_encipherment"]`)+
		signsItself("nowhere", `allowed_uses = ["server_auth"]`)+
		issuedHere("longer", `validity_period_hours = 9000`)+
		issuedHere("no_ca", `ca_cert_pem = hsm_locally_signed_cert.server.cert_pem`)+
		issuedHere("other_key", `ca_public_key_pem = hsm_rsa_keypair.server.public_key_pem`)+
		issuedHere("forged", `cert_request_pem = file("forged.pem")`))
	planned := s.does(false, "terraform", "plan")
	s.says(planned, "A CA needs the use cert_signing", "Only a CA has the use cert_signing",
		"The RSA key has 1024 bits",
		"secp256k1", "An EC key cannot have the use data_encipherment",
		"A certificate for server_auth names its server",
		"after its CA's certificate", "The certificate is not one of a CA")
	for _, name := range []string{"ca_without", "signing_without", "small", "unknown", "encrypts", "nowhere", "longer",
		"no_ca", "other_key", "forged"} {
		if n := strings.Count(planned, "signed_cert."+name+",\n"); n != 1 {
			t.Errorf("the plan says %d times that %s is wrong", n, name)
		}
	}
	if t.Failed() {
		t.Log(planned)
	}
}

// signsItself is a certificate that signs itself, and issuedHere one of the example's CA: with the lines, and with
// others where the lines say nothing of them.
func signsItself(name string, lines ...string) string {
	return keyPairBlock("hsm_self_signed_cert", name, map[string]string{
		"public_key_pem": "hsm_rsa_keypair.ca.public_key_pem", "allowed_uses": `["digital_signature"]`,
		"validity_period_hours": "1",
	}, append(lines, `subject { common_name = "A Server" }`))
}

func issuedHere(name string, lines ...string) string {
	return keyPairBlock("hsm_locally_signed_cert", name, map[string]string{
		"cert_request_pem": "local.request", "ca_cert_pem": "local.ca", "allowed_uses": `["digital_signature"]`,
		"validity_period_hours": "1",
	}, lines)
}

// The old key, which is in a state, certifies the new CA: who trusts the old root alone trusts what the new CA issues.
func TestTheGuideComingFromTLSCrossSigns(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := newReader(t, "../from-tls/after").onToken(b)
	s.write(filepath.Join(s.dir, "asks.tf"), `
		resource "hsm_cert_request" "ca" {
			public_key_pem = hsm_rsa_keypair.ca.public_key_pem
			subject {
				common_name  = "Example CA"
				organization = "Example"
			}
		}
		output "ca_request" { value = hsm_cert_request.ca.cert_request_pem }`)
	s.does(true, "terraform", "init")
	s.does(true, "terraform", "apply", "-auto-approve")
	s.does(true, "sh", "-ec", `terraform output -raw ca_request >ca.csr
		terraform output -raw issued >issued.pem
		openssl req -x509 -newkey rsa:2048 -nodes -keyout old.key -subj "/CN=Old CA" -days 90 -out old.pem
		echo basicConstraints=critical,CA:TRUE >ca.ext
		openssl x509 -req -in ca.csr -CA old.pem -CAkey old.key -CAcreateserial -days 60 -extfile ca.ext -out cross.pem`)
	s.says(s.does(false, "openssl", "verify", "-CAfile", "old.pem", "issued.pem"), "unable to get local issuer")
	s.says(s.does(true, "openssl", "verify", "-CAfile", "old.pem", "-untrusted", "cross.pem", "issued.pem"),
		"issued.pem: OK")
}
