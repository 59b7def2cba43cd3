package provider_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// in is the same reader in a folder below.
func (s shell) in(folder string) shell {
	s.dir = filepath.Join(s.dir, folder)
	return s
}

// on runs commands where the guide's token.sh has been run.
func (s shell) on(well bool, commands string) string {
	s.t.Helper()
	return s.does(well, "sh", "-ec", ". ./token.sh\n"+commands)
}

func ago(by time.Duration) string { return time.Now().Add(-by).UTC().Format(time.RFC3339) }

// aged has the certificate in a file begin long ago, and nobody say when it is due.
func (s shell) aged(file string, by time.Duration) {
	s.t.Helper()
	s.edit(file, "early_renewal_hours ", fmt.Sprintf("not_before = %q # ", ago(by)))
}

// Two readers, each with a token of his own, hand files to each other.
func TestTheGuideACertificateAuthority(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t)
	const guide = "certificate-authority.md.tmpl"
	s := newReader(t).with("TF_CLI_ARGS_apply=-auto-approve")
	s.copy("certificate-authority/root", "root")
	s.copy("certificate-authority/issuing", "issuing")
	root, issuing := s.in("root"), s.in("issuing")
	const day = 24 * time.Hour
	const year = 8766 * time.Hour
	root.edit("main.tf", "is_ca_certificate ", fmt.Sprintf("not_before = %q\nis_ca_certificate ", ago(6*year)))
	carry := func(from, to shell, files ...string) {
		t.Helper()
		for _, file := range files {
			text, err := os.ReadFile(filepath.Join(from.dir, file))
			if err != nil {
				t.Fatal(err)
			}
			s.write(filepath.Join(to.dir, file), string(text))
		}
	}

	s.says(root.on(true, "terraform init; terraform apply; terraform output -raw root >root.pem; "+
		"terraform output -raw crl >root.crl"), "3 added")
	asked := issuing.on(true, "terraform init; terraform apply; terraform output -raw request >issuing.csr")
	s.says(asked, "2 added")
	fingerprint := regexp.MustCompile(`fingerprint = "(\w{64})"`).FindStringSubmatch(asked)

	carry(issuing, root, "issuing.csr")
	root.take("certificate-authority/root-signs")
	root.aged("issuing.tf", 9*year/2)
	looked := root.does(true, "sh", "-ec", ". ./look.sh")
	s.says(looked, "verify OK", "Example Issuing CA")
	if fingerprint == nil || !strings.Contains(looked, fingerprint[1]) {
		t.Errorf("the apply shows the fingerprint %q, and look.sh\n%s", fingerprint, looked)
	}
	s.says(root.on(true, "terraform apply; terraform output -raw issuing >issuing.pem"),
		"1 added, 0 changed, 0 destroyed")

	carry(root, issuing, "root.pem", "root.crl", "issuing.pem")
	issuing.take("certificate-authority/chain")
	s.says(issuing.on(true, "terraform apply; terraform output -raw crl >issuing.crl"),
		"3 added, 0 changed, 0 destroyed")
	listed := issuing.on(true, `pkcs11-tool --module "$HSM_LIBRARY" --token-label issuing --list-objects --type cert`)
	for _, line := range []string{`label:\s+issuing`, `ID:\s+69737375696e672d31`, `label:\s+root`,
		`ID:\s+726f6f742d31`} {
		if !regexp.MustCompile(line).MatchString(listed) {
			t.Errorf("%q is not among the token's certificates:\n%s", line, listed)
		}
	}

	issuing.take("certificate-authority/web")
	const publish = "terraform apply; terraform output -raw web >web.pem; terraform output -raw crl >issuing.crl"
	// Outside of what the root permits.
	issuing.edit("web.sh", "DNS:www.example.com", "DNS:www.example.net")
	issuing.does(true, "sh", "-ec", ". ./web.sh")
	s.says(issuing.on(false, "terraform plan"),
		"The CA may not certify the DNS name www.example.net: its name constraints forbid it")
	issuing.edit("web.sh", "DNS:www.example.net", "DNS:www.example.com")
	issuing.does(true, "sh", "-ec", ". ./web.sh")
	s.says(issuing.on(true, publish), "1 added, 0 changed, 0 destroyed")
	s.shows(guide, "web.pem: OK", issuing.does(true, "sh", "-ec", ". ./verify.sh"))
	chain, err := tls.LoadX509KeyPair(filepath.Join(issuing.dir, "web.pem"), filepath.Join(issuing.dir, "web.key"))
	if err != nil {
		t.Fatal(err)
	}
	port := serveTLS(t, chain)
	issuing.trusts(port)
	issuing.looksUp(port, true)

	// The key was copied. An entry that is published does not go.
	revoke := issuing.certificate("web.pem")
	serial, expires := fmt.Sprintf("%x", revoke.SerialNumber.Bytes()), revoke.NotAfter.Format(time.RFC3339)
	s.says(issuing.on(true, "terraform output revoke"), `"`+serial+`"`, `"`+expires+`"`)
	issuing.take("certificate-authority/revoked")
	issuing.edit("crl.tf", "5f8e1c7b2a", serial)
	issuing.edit("crl.tf", "2026-12-01T09:00:00Z", ago(0))
	issuing.edit("crl.tf", "2027-02-27T08:00:00Z", expires)
	s.says(issuing.on(true, publish), "0 added, 1 changed, 0 destroyed")
	s.shows(guide, "certificate revoked", issuing.does(false, "sh", "-ec", ". ./verify.sh"))
	issuing.looksUp(port, false)
	list, err := os.ReadFile(filepath.Join(issuing.dir, "crl.tf"))
	if err != nil {
		t.Fatal(err)
	}
	issuing.take("certificate-authority/chain")
	s.says(issuing.on(false, "terraform plan"), "Published Revocation Dropped", serial)
	s.write(filepath.Join(issuing.dir, "crl.tf"), string(list))

	// A new key for the server, and a certificate that is not on the list.
	issuing.does(true, "sh", "-ec", ". ./web.sh")
	issuing.aged("web.tf", 61*day)
	s.says(issuing.on(true, publish), "1 added, 0 changed, 1 destroyed")
	s.says(issuing.does(true, "sh", "-ec", ". ./verify.sh"), "web.pem: OK")

	// Due: the plan says so.
	issuing.take("certificate-authority/web")
	s.shows(guide, "Certificate Is Due", issuing.on(true, "terraform plan"))
	before := issuing.certificate("web.pem")
	s.says(issuing.on(true, publish), "1 added, 0 changed, 1 destroyed")
	after := issuing.certificate("web.pem")
	if after.SerialNumber.Cmp(before.SerialNumber) == 0 ||
		!bytes.Equal(after.RawSubjectPublicKeyInfo, before.RawSubjectPublicKeyInfo) {
		t.Errorf("the renewed certificate is %v, and was %v", after.SerialNumber, before.SerialNumber)
	}
	s.says(issuing.does(true, "sh", "-ec", ". ./verify.sh"), "web.pem: OK")

	// The root is unplugged.
	if err := os.Rename(filepath.Join(root.dir, "token"), filepath.Join(root.dir, "safe")); err != nil {
		t.Fatal(err)
	}
	const unplugged = "HSM_LIBRARY=/nowhere/module.so terraform plan -refresh=false"
	s.says(root.on(true, unplugged), "No changes.")
	root.take("certificate-authority/root-signs")
	s.says(root.on(true, unplugged), "Certificate Is Due", "hsm_locally_signed_cert.issuing")
	root.edit("main.tf", "not_before =", "early_renewal_hours = 131490 # 15 years:")
	s.says(root.on(false, unplugged), "Certificate Is Due", "prevent_destroy", "hsm_self_signed_cert.root")
	root.edit("main.tf", "early_renewal_hours = 131490 # 15 years:", "not_before =")
	if err := os.RemoveAll(filepath.Join(root.dir, "token")); err != nil { // which token.sh has made
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(root.dir, "safe"), filepath.Join(root.dir, "token")); err != nil {
		t.Fatal(err)
	}

	// The issuing CA's certificate is renewed: what it has issued stays valid.
	s.says(root.on(true, "terraform apply; terraform output -raw issuing >issuing.pem"),
		"1 added, 0 changed, 1 destroyed")
	carry(root, issuing, "issuing.pem")
	s.says(issuing.does(true, "sh", "-ec", ". ./verify.sh"), "web.pem: OK")
	s.says(issuing.on(true, publish),
		"0 added, 3 changed, 0 destroyed") // the object, the list's CA and the server's CA
	s.says(issuing.does(true, "sh", "-ec", ". ./verify.sh"), "web.pem: OK")

	// The root's state is lost. Its key comes back, and its list has a higher number.
	first := root.list("root.crl").Number
	root.loses()
	if err := os.Remove(filepath.Join(root.dir, "issuing.tf")); err != nil {
		t.Fatal(err)
	}
	root.take("certificate-authority/root-recovered")
	s.says(root.on(true, "terraform apply; terraform output -raw crl >root.crl"),
		"1 imported, 1 added, 0 changed, 0 destroyed")
	if again := root.list("root.crl").Number; again.Cmp(first) <= 0 {
		t.Errorf("the list had the number %d, and has %d", first, again)
	}
	carry(root, issuing, "root.crl")
	s.says(issuing.does(true, "sh", "-ec", ". ./verify.sh"), "web.pem: OK")
	s.says(root.on(true, "terraform plan"), "No changes.")
}
