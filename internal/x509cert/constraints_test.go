package x509cert_test

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/x509cert"
)

// Names are refused in the plan just where Go's verifier or openssl would refuse the certificate.
func TestNameConstraintsForbidWhatVerifiersForbid(t *testing.T) {
	key := keys()["P-256"]
	dns := []string{
		"example.com", "EXAMPLE.com", "a.example.com", "b.a.example.com", "*.example.com", "*.a.example.com",
		"xexample.com", "com",
		"example.org", "localhost", "x_y.example.com",
	}
	domains := []string{"example.com", ".example.com", "a.example.com", ".a.example.com", "com", ".com", "Example.Com",
		"example.org"}
	emails := []string{"a@example.com", "A@example.com", "a@EXAMPLE.com", "b@a.example.com", "c@example.org",
		"a.b@example.com"}
	uris := []string{
		"https://example.com/", "https://a.example.com:8443/b", "spiffe://EXAMPLE.com/x", "https://b.a.example.com/",
		"spiffe://example.org/a",
		"https://xexample.com/",
	}
	for _, form := range []struct {
		name        string
		names       []string
		constraints []string
		put         func(n *x509cert.Names, name string)
		constrain   func(c *x509.Certificate, permitted, excluded []string)
	}{
		{"DNS", dns, domains, func(n *x509cert.Names, name string) { n.DNS = []string{name} },
			func(c *x509.Certificate, permitted, excluded []string) {
				c.PermittedDNSDomains, c.ExcludedDNSDomains = permitted, excluded
			}},
		{"IP", []string{"10.1.2.3", "11.0.0.1", "10.2.0.1", "2001:db8::1", "2001:db9::1"},
			[]string{"10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0", "10.1.2.3/32", "2001:db8::/32", "::/0"},
			func(n *x509cert.Names, name string) { n.IPs = []string{name} },
			func(c *x509.Certificate, permitted, excluded []string) {
				c.PermittedIPRanges, c.ExcludedIPRanges = nets(t, permitted), nets(t, excluded)
			}},
		{"mail", emails, append([]string{"a@example.com", "a@Example.com", "a.b@example.com"}, domains...),
			func(n *x509cert.Names, name string) { n.Emails = []string{name} },
			func(c *x509.Certificate, permitted, excluded []string) {
				c.PermittedEmailAddresses, c.ExcludedEmailAddresses = permitted, excluded
			}},
		{"URI", uris, domains, func(n *x509cert.Names, name string) { n.URIs = []string{name} },
			func(c *x509.Certificate, permitted, excluded []string) {
				c.PermittedURIDomains, c.ExcludedURIDomains = permitted, excluded
			}},
	} {
		for i, constraint := range form.constraints {
			next := form.constraints[(i+1)%len(form.constraints)]
			for _, lists := range [][2][]string{
				{{constraint}, nil}, {nil, {constraint}}, {{constraint}, {next}}, {{constraint, next}, nil}, {nil,
					{constraint, next}},
			} {
				t.Run(fmt.Sprintf("%s permitted %s excluded %s", form.name, lists[0], lists[1]), func(t *testing.T) {
					template := &x509.Certificate{
						SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotBefore: start,
						NotAfter: start.Add(time.Hour * 999),
						IsCA:     true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
						PermittedDNSDomainsCritical: true,
					}
					form.constrain(template, lists[0], lists[1])
					der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
					if err != nil {
						t.Fatal(err)
					}
					ca := parse(t, der)
					leaves, profiles := map[string]*x509.Certificate{}, map[string]x509cert.Profile{}
					for _, name := range form.names {
						profile := leafProfile()
						profile.AllowedUses = nil
						form.put(&profile.Names, name)
						leaves[name], profiles[name] = unchecked(t, profile, ca), profile
					}
					byOpenSSL := opensslAccepts(t, ca, leaves)
					for name, leaf := range leaves {
						byGo := goAccepts(ca, leaf)
						problems := profiles[name].Check(key.Public(), ca)
						if (len(problems) == 0) != (byGo && byOpenSSL[name]) {
							t.Errorf("%s: Go accepts it: %v, openssl: %v, but Check says %q", name, byGo,
								byOpenSSL[name], told(problems))
						}
						if len(problems) > 0 && !strings.Contains(problems[0].Says, name) {
							t.Errorf("%s: Check says %q", name, told(problems))
						}
					}
				})
			}
		}
	}
}

func nets(t *testing.T, texts []string) []*net.IPNet {
	t.Helper()
	var all []*net.IPNet
	for _, text := range texts {
		_, n, err := net.ParseCIDR(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
	return all
}

// unchecked is a certificate with the names of a profile that Create might refuse.
func unchecked(t *testing.T, p x509cert.Profile, ca *x509.Certificate) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: p.Subject.CommonName}, NotBefore: start,
		NotAfter: start.Add(time.Hour * 9),
		DNSNames: p.Names.DNS, EmailAddresses: p.Names.Emails,
	}
	if p.Subject.EmailAddress != "" {
		template.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{
			Type:  asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1},
			Value: asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte(p.Subject.EmailAddress)},
		}}
	}
	for _, ip := range p.Names.IPs {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(ip))
	}
	for _, text := range p.Names.URIs {
		uri, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		template.URIs = append(template.URIs, uri)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, keys()["P-256 2"].Public(), keys()["P-256"])
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, der)
}

func goAccepts(ca, leaf *x509.Certificate) bool {
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err == nil
}

// opensslAccepts says of each leaf whether openssl verifies it.
func opensslAccepts(t *testing.T, ca *x509.Certificate, leaves map[string]*x509.Certificate) map[string]bool {
	t.Helper()
	folder := t.TempDir()
	write := func(name string, c *x509.Certificate) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(x509cert.CertificatePEM(c.Raw)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("ca.pem", ca)
	files, arguments := map[string]string{}, []string{"verify", "-CAfile", "ca.pem"}
	for name, leaf := range leaves {
		file := fmt.Sprintf("leaf%d.pem", len(files))
		write(file, leaf)
		files[file], arguments = name, append(arguments, file)
	}
	command := exec.CommandContext(t.Context(), "openssl", arguments...)
	command.Dir = folder
	output, _ := command.CombinedOutput() // which fails where one leaf is not accepted
	accepted := map[string]bool{}
	for file, name := range files {
		accepted[name] = strings.Contains(string(output), file+": OK\n")
		if !accepted[name] && !strings.Contains(string(output), "error "+file+": verification failed") {
			t.Fatalf("openssl says nothing of %s, but\n%s", file, output)
		}
	}
	return accepted
}

// What the subject says where a certificate has no names is held against the constraints by openssl alone.
func TestNameConstraintsHoldForTheSubject(t *testing.T) {
	key := keys()["P-256"]
	profile := caProfile("ca.example.org") // outside of its own constraints, which are of what is below it
	profile.NameConstraints = x509cert.NameConstraints{PermittedDNS: []string{"example.com"},
		ExcludedEmails: []string{"example.org"}}
	ca := create(t, profile, key.Public(), nil, key)
	for _, test := range []struct {
		name     string
		subject  x509cert.Subject
		names    x509cert.Names
		argument string
	}{
		{"a host inside", x509cert.Subject{CommonName: "a.example.com"}, x509cert.Names{}, ""},
		{"a host outside", x509cert.Subject{CommonName: "a.example.org"}, x509cert.Names{}, "subject.common_name"},
		{"a host outside, with DNS names inside", x509cert.Subject{CommonName: "a.example.org"},
			x509cert.Names{DNS: []string{"a.example.com"}}, ""},
		{"no host", x509cert.Subject{CommonName: "A person"}, x509cert.Names{}, ""},
		{"a mail address inside", x509cert.Subject{CommonName: "a", EmailAddress: "a@example.com"}, x509cert.Names{},
			""},
		{"a mail address outside", x509cert.Subject{CommonName: "a", EmailAddress: "a@example.org"}, x509cert.Names{},
			"subject.email_address"},
	} {
		leaf := leafProfile()
		leaf.AllowedUses, leaf.Subject, leaf.Names = nil, test.subject, test.names
		accepted := opensslAccepts(t, ca, map[string]*x509.Certificate{"it": unchecked(t, leaf, ca)})["it"]
		if accepted != (test.argument == "") {
			t.Errorf("%s: openssl accepts it: %v", test.name, accepted)
		}
		problems := leaf.Check(key.Public(), ca)
		if test.argument == "" && len(problems) > 0 || test.argument != "" && (len(problems) != 1 ||
			problems[0].Argument != test.argument) {
			t.Errorf("%s: Check says %q", test.name, told(problems))
		}
		// The same out of a request.
		der, err := x509cert.Request{Subject: test.subject, Names: test.names}.Create(key)
		if err != nil {
			t.Fatal(err)
		}
		request, err := x509cert.ParseRequest(x509cert.RequestPEM(der))
		if err != nil {
			t.Fatal(err)
		}
		leaf.Subject = x509cert.Subject{}
		if leaf.RawSubject, leaf.Names, err = x509cert.RequestNames(request); err != nil {
			t.Fatal(err)
		}
		problems = leaf.Check(key.Public(), ca)
		if test.argument == "" && len(problems) > 0 || test.argument != "" && (len(problems) != 1 ||
			problems[0].Argument != "cert_request_pem") {
			t.Errorf("%s, in a request: Check says %q", test.name, told(problems))
		}
	}
}

// A CA's common name is no server's, and may look like one outside of the constraints.
func TestNameConstraintsHoldForNoCommonNameOfACA(t *testing.T) {
	key := keys()["P-256"]
	profile := caProfile("root")
	profile.NameConstraints.PermittedDNS = []string{"example.com"}
	root := create(t, profile, key.Public(), nil, key)
	if problems := caProfile("ca.example.org").Check(key.Public(), root); len(problems) > 0 {
		t.Errorf("Check says %q", told(problems))
	}
	middle := create(t, caProfile("ca.example.org"), keys()["P-256 2"].Public(), root, key)
	leaf := create(t, leafProfile("a.example.com"), key.Public(), middle, keys()["P-256 2"])
	folder := t.TempDir()
	for name, c := range map[string]*x509.Certificate{"root": root, "middle": middle, "leaf": leaf} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(x509cert.CertificatePEM(c.Raw)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.CommandContext(t.Context(), "openssl", "verify", "-CAfile", "root", "-untrusted", "middle", "leaf")
	command.Dir = folder
	if output, err := command.CombinedOutput(); err != nil {
		t.Errorf("openssl: %v\n%s", err, output)
	}
}

// A URI without a host, or with an address for one, cannot be held against constraints: Go refuses it below any.
func TestAURIWithoutAHostIsRefusedBelowConstraints(t *testing.T) {
	key := keys()["P-256"]
	profile := caProfile("ca")
	profile.NameConstraints.PermittedDNS = []string{"example.com"}
	ca := create(t, profile, key.Public(), nil, key)
	for name, refused := range map[string]bool{
		"urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6": true, "https://192.0.2.1/": true,
		"https://[2001:db8::1]/": true,
		"https://example.org/":   false,
	} {
		leaf := leafProfile()
		leaf.AllowedUses, leaf.Names.URIs = nil, []string{name}
		if accepted := goAccepts(ca, unchecked(t, leaf, ca)); accepted == refused {
			t.Errorf("%s: Go accepts it: %v", name, accepted)
		}
		if problems := leaf.Check(key.Public(), ca); (len(problems) == 1 && problems[0].Argument == "uris") != refused {
			t.Errorf("%s: Check says %q", name, told(problems))
		}
	}
}
