package x509cert_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/x509cert"
)

// told are problems, each as its argument, its index and its text.
func told(problems []x509cert.Problem) string {
	var lines []string
	for _, p := range problems {
		where := p.Argument
		if p.Index >= 0 {
			where = fmt.Sprintf("%s[%d]", p.Argument, p.Index)
		}
		lines = append(lines, where+": "+p.Says)
	}
	return strings.Join(lines, "\n")
}

// want checks that problems begin as they should: "" is none at all.
func want(t *testing.T, problems []x509cert.Problem, begins string) {
	t.Helper()
	got := told(problems)
	if begins == "" && got != "" || !strings.HasPrefix(got, begins) || len(problems) > 1 {
		t.Errorf("the problems are\n%s\nand should be one that begins\n%s", got, begins)
	}
	for _, p := range problems {
		if !strings.HasSuffix(p.Says, ".") || strings.HasSuffix(p.Says, "..") {
			t.Errorf("%q is no full sentence", p.Says)
		}
	}
}

// A row for each rule on a certificate that signs itself: what fails, and beside it what passes.
func TestCheckOfACertificateThatSignsItself(t *testing.T) {
	type profile = x509cert.Profile
	leaf := func(change func(p *profile)) profile {
		p := leafProfile("a.example")
		change(&p)
		return p
	}
	ca := func(change func(p *profile)) profile {
		p := caProfile("ca")
		change(&p)
		return p
	}
	subject := func(change func(s *x509cert.Subject)) profile {
		return leaf(func(p *profile) { change(&p.Subject) })
	}
	for _, test := range []struct {
		name    string
		key     string
		profile profile
		begins  string
	}{
		{"a server", "P-256", leafProfile("a.example"), ""},
		{"a CA", "P-256", caProfile("ca"), ""},
		{"a server whose name is in the common name alone, as in the tls provider's example", "RSA",
			leaf(func(p *profile) {
				p.Subject, p.Names = x509cert.Subject{CommonName: "example.com", Organization: "ACME Examples, Inc"},
					x509cert.Names{}
				p.AllowedUses = []string{"key_encipherment", "digital_signature", "server_auth"}
			}), ""},
		{"a server of this machine alone", "RSA", leaf(func(p *profile) {
			p.Subject, p.Names = x509cert.Subject{CommonName: "localhost"}, x509cert.Names{}
		}), ""},
		{"a server without a name", "P-256", leaf(func(p *profile) { p.Names = x509cert.Names{} }),
			"dns_names: A certificate for server_auth names its server."},
		{"a server with an address", "P-256",
			leaf(func(p *profile) { p.Names = x509cert.Names{IPs: []string{"192.0.2.1"}} }), ""},
		{"nobody", "P-256", leaf(func(p *profile) {
			p.Subject, p.Names, p.AllowedUses = x509cert.Subject{}, x509cert.Names{}, nil
		}), "subject: A self-signed certificate is its own issuer"},
		{"names without a subject", "P-256", leaf(func(p *profile) { p.Subject = x509cert.Subject{} }),
			"subject: A self-signed certificate is its own issuer, and an issuer needs a subject"},
		{"a CA without a subject", "P-256", ca(func(p *profile) {
			p.Subject, p.Names = x509cert.Subject{}, x509cert.Names{DNS: []string{"a.example"}}
		}), "subject: A CA needs a subject"},
		{"a CA that signs no certificates", "P-256", ca(func(p *profile) { p.AllowedUses = []string{"crl_signing"} }),
			"allowed_uses: A CA needs the use cert_signing"},
		{"cert_signing without a CA", "P-256", leaf(func(p *profile) {
			p.AllowedUses = append(p.AllowedUses, "cert_signing")
		}),
			"allowed_uses[2]: Only a CA has the use cert_signing"},
		{"crl_signing without a CA", "P-256", leaf(func(p *profile) {
			p.AllowedUses = append(p.AllowedUses, "crl_signing")
		}),
			"allowed_uses[2]: Only a CA has the use crl_signing"},
		{"a word that is no use", "P-256", leaf(func(p *profile) { p.AllowedUses = append(p.AllowedUses, "tls") }),
			`allowed_uses[2]: "tls" is no use. It must be one of any_extended,`},
		{"encipher_only alone", "P-256", leaf(func(p *profile) {
			p.AllowedUses = append(p.AllowedUses, "encipher_only")
		}),
			"allowed_uses[2]: encipher_only has a meaning only beside key_agreement"},
		{"encipher_only beside key_agreement", "P-256",
			leaf(func(p *profile) { p.AllowedUses = append(p.AllowedUses, "key_agreement", "encipher_only") }), ""},
		{"data_encipherment of an EC key", "P-256", leaf(func(p *profile) {
			p.AllowedUses = append(p.AllowedUses, "data_encipherment")
		}),
			"allowed_uses[2]: An EC key cannot have the use data_encipherment: it encrypts nothing"},
		{"key_encipherment of an EC key, of which there is advice", "P-256", leaf(func(p *profile) {
			p.AllowedUses = append(p.AllowedUses, "key_encipherment")
		}), ""},
		{"key_encipherment of an RSA key", "RSA", leaf(func(p *profile) {
			p.AllowedUses = append(p.AllowedUses, "key_encipherment")
		}), ""},
		{"key_agreement of an RSA key", "RSA", leaf(func(p *profile) {
			p.AllowedUses = append(p.AllowedUses, "key_agreement")
		}),
			"allowed_uses[2]: An RSA key cannot have the use key_agreement: it agrees on no keys"},
		{"key_agreement of Ed25519", "Ed25519", leaf(func(p *profile) {
			p.AllowedUses = append(p.AllowedUses, "key_agreement")
		}),
			"allowed_uses[2]: An Ed25519 key cannot have the use key_agreement: it only signs"},
		{"client_auth with key_encipherment", "RSA", leaf(func(p *profile) {
			p.AllowedUses = []string{"key_encipherment", "digital_signature", "client_auth"}
		}), ""},
		{"a CA that serves TLS too", "RSA", ca(func(p *profile) {
			p.AllowedUses = append(p.AllowedUses, "digital_signature", "key_encipherment", "server_auth", "client_auth")
		}), ""},

		{"a path length", "P-256", ca(func(p *profile) { p.MaxPathLength = new(0) }), ""},
		{"a path length of -1, which is none", "P-256", ca(func(p *profile) { p.MaxPathLength = new(-1) }), ""},
		{"a path length of -2", "P-256", ca(func(p *profile) { p.MaxPathLength = new(-2) }),
			"max_path_length: The length of a path is 0 or more, or -1 for no bound, and not -2."},
		{"a path length without a CA, which means nothing", "P-256",
			leaf(func(p *profile) { p.MaxPathLength = new(1) }), ""},

		{"name constraints", "P-256", ca(func(p *profile) {
			p.NameConstraints = x509cert.NameConstraints{
				PermittedDNS: []string{"example.com", ".internal"}, ExcludedDNS: []string{"a.example.com"},
				PermittedIPs: []string{"10.0.0.0/8"}, ExcludedIPs: []string{"2001:db8::/32"},
				PermittedEmails: []string{"a@example.com", "example.com"}, ExcludedEmails: []string{".example.com"},
				PermittedURIs: []string{"example.com"}, ExcludedURIs: []string{".internal"},
			}
		}), ""},
		{"name constraints without a CA", "P-256",
			leaf(func(p *profile) { p.NameConstraints.PermittedDNS = []string{"example.com"} }),
			"name_constraints: Only a CA has name constraints"},
		{"a constraint with a wildcard", "P-256",
			ca(func(p *profile) { p.NameConstraints.PermittedDNS = []string{"*.example.com"} }),
			`name_constraints: Among the permitted DNS domains, "*.example.com" does not fit.`},
		{"an empty constraint", "P-256", ca(func(p *profile) { p.NameConstraints.ExcludedDNS = []string{""} }),
			`name_constraints: Among the excluded DNS domains, "" does not fit.`},
		{"a constraint that is no range", "P-256",
			ca(func(p *profile) { p.NameConstraints.PermittedIPs = []string{"10.0.0.1"} }),
			`name_constraints: Among the permitted IP ranges, "10.0.0.1" does not fit. Give a range`},
		{"a range with bits beyond it", "P-256",
			ca(func(p *profile) { p.NameConstraints.ExcludedIPs = []string{"10.0.0.1/8"} }),
			`name_constraints: Among the excluded IP ranges, "10.0.0.1/8" does not fit. The address has bits ` +
				"beyond its range. Give 10.0.0.0/8."},
		{"a range of IPv4 as one of IPv6", "P-256",
			ca(func(p *profile) { p.NameConstraints.ExcludedIPs = []string{"::ffff:10.0.0.0/104"} }),
			`name_constraints: Among the excluded IP ranges, "::ffff:10.0.0.0/104" does not fit. Give the range ` +
				"as one of IPv4."},
		{"a constraint that is no mail address", "P-256",
			ca(func(p *profile) { p.NameConstraints.PermittedEmails = []string{"a b@c.d"} }),
			`name_constraints: Among the permitted mail addresses, "a b@c.d" does not fit.`},
		{"a constraint that is a URL", "P-256",
			ca(func(p *profile) { p.NameConstraints.ExcludedURIs = []string{"https://a.b"} }),
			`name_constraints: Among the excluded URI domains, "https://a.b" does not fit.`},

		{"policies", "P-256", leaf(func(p *profile) { p.Policies = []string{"1.3.6.1.4.1.99999.1", "2.5.29.32.0"} }),
			""},
		{"a policy with a number of 32 bits", "P-256",
			leaf(func(p *profile) { p.Policies = []string{"2.25.2147483648"} }),
			"policies[0]: The identifier 2.25.2147483648 has a number of more than 31 bits"},
		{"a policy that is no identifier", "P-256", leaf(func(p *profile) {
			p.Policies = []string{"2.5.29.32.0", "policy"}
		}),
			`policies[1]: "policy" is no object identifier.`},
		{"a policy twice", "P-256", leaf(func(p *profile) { p.Policies = []string{"2.5.29.32.0", "2.5.29.32.0"} }),
			"policies[1]: The policy 2.5.29.32.0 stands here twice"},

		{"a start before 1950", "P-256", leaf(func(p *profile) {
			p.NotBefore = time.Date(1949, 1, 1, 0, 0, 0, 0, time.UTC)
		}),
			"not_before: A certificate cannot begin before 1950"},
		{"a start after the year 9999", "P-256", leaf(func(p *profile) {
			p.NotBefore, p.NotAfter = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), time.Time{}
		}), "not_before: A certificate cannot begin after the year 9999"},
		{"the first moment", "P-256", leaf(func(p *profile) {
			p.NotBefore = time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC)
		}), ""},
		{"the last moment", "P-256", leaf(func(p *profile) {
			p.NotAfter = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
		}), ""},
		{"an end after the year 9999", "P-256", leaf(func(p *profile) {
			p.NotAfter = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
		}),
			"validity_period_hours: A certificate cannot end after the year 9999"},
		{"an end in 2050, which is written otherwise", "P-256", leaf(func(p *profile) {
			p.NotAfter = time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)
		}), ""},
		{"an end at the start", "P-256", leaf(func(p *profile) { p.NotAfter = p.NotBefore }),
			"validity_period_hours: The certificate would end at "},
		{"an end a second after the start", "P-256",
			leaf(func(p *profile) { p.NotAfter = p.NotBefore.Add(time.Second) }), ""},

		{"a serial number", "P-256", leaf(func(p *profile) { p.Serial = big.NewInt(1) }), ""},
		{"a serial number of 0", "P-256", leaf(func(p *profile) { p.Serial = new(big.Int) }),
			"serial_number: The serial number must be more than 0"},
		{"a negative serial number", "P-256", leaf(func(p *profile) { p.Serial = big.NewInt(-1) }),
			"serial_number: The serial number must be more than 0"},
		{"the largest serial number", "P-256", leaf(func(p *profile) {
			p.Serial = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 159), big.NewInt(1))
		}), ""},
		{"a serial number of 21 bytes with its sign", "P-256",
			leaf(func(p *profile) { p.Serial = new(big.Int).Lsh(big.NewInt(1), 159) }),
			"serial_number: The serial number must be more than 0"},

		{"an authority key identifier", "P-256", leaf(func(p *profile) {
			p.SetAuthorityKeyID, p.SetSubjectKeyID = true, true
		}), ""},
		{"an authority key identifier of a CA", "P-256", ca(func(p *profile) { p.SetAuthorityKeyID = true }), ""},
		{"an authority key identifier without a subject key identifier", "P-256",
			leaf(func(p *profile) { p.SetAuthorityKeyID = true }),
			"set_authority_key_id: A self-signed certificate has its own"},

		{"URLs", "P-256", leaf(func(p *profile) {
			p.CRLDistributionPoints = []string{"http://a.example/a.crl", "ldap:///cn=ca?certificateRevocationList"}
			p.OCSPServers, p.IssuerURLs = []string{"http://a.example"}, []string{"http://a.example/ca.cer"}
		}), ""},
		{"a distribution point that is no URL", "P-256",
			leaf(func(p *profile) { p.CRLDistributionPoints = []string{"http://a.example", "a.crl"} }),
			"crl_distribution_points[1]: It must be an absolute URL"},
		{"an OCSP server of LDAP", "P-256", leaf(func(p *profile) { p.OCSPServers = []string{"ldap://a.example"} }),
			"ocsp_servers[0]: It must be an absolute URL"},
		{"an issuer's URL with a blank", "P-256",
			leaf(func(p *profile) { p.IssuerURLs = []string{"http://a.example/a b"} }),
			"issuing_certificate_urls[0]: It must be an absolute URL"},

		{"PSS", "RSA", leaf(func(p *profile) { p.SignatureAlgorithm = "SHA512-RSAPSS" }), ""},
		{"a word that is no algorithm", "RSA", leaf(func(p *profile) { p.SignatureAlgorithm = "SHA1-RSA" }),
			`signature_algorithm: "SHA1-RSA" is no signature algorithm. It must be one of SHA256-RSA,`},
		{"an algorithm of another kind of key", "P-256", leaf(func(p *profile) { p.SignatureAlgorithm = "SHA256-RSA" }),
			"signature_algorithm: The key of public_key_pem that signs is EC, and cannot sign by SHA256-RSA. Give " +
				"one of ECDSA-SHA256,"},
		{"a longer hash than the curve", "P-256", leaf(func(p *profile) { p.SignatureAlgorithm = "ECDSA-SHA512" }), ""},
		{"a curve that is not supported", "P-224", leafProfile("a.example"), "public_key_pem: The key is on a curve " +
			"that is not supported."},

		{"a country", "P-256", subject(func(s *x509cert.Subject) { s.Country = "DE" }), ""},
		{"a country of three letters", "P-256", subject(func(s *x509cert.Subject) { s.Country = "DEU" }),
			"subject.country: It must be the two letters of a country"},
		{"a country of digits", "P-256", subject(func(s *x509cert.Subject) { s.Country = "49" }),
			"subject.country: It must be the two letters of a country"},
		{"a country of what is not printable", "P-256", subject(func(s *x509cert.Subject) { s.Country = "D_" }),
			"subject.country: It must be the two letters of a country"},
		{"everything in the subject", "P-256", subject(func(s *x509cert.Subject) {
			*s = x509cert.Subject{
				CommonName: strings.Repeat("ü", 64), Organization: strings.Repeat("o", 64), OrganizationalUnit: "unit",
				Locality: "place",
				Province: "land", Country: "DE", PostalCode: "12345", SerialNumber: "A-1", EmailAddress: "a@b.example",
				StreetAddress: []string{"one", "two"}, DomainComponents: []string{"com", "example"},
			}
		}), ""},
		{"a common name of 65 characters", "P-256",
			subject(func(s *x509cert.Subject) { s.CommonName = strings.Repeat("ü", 65) }),
			"subject.common_name: Its length is 65, and X.509 has room for 64"},
		{"an organization of 65 characters", "P-256",
			subject(func(s *x509cert.Subject) { s.Organization = strings.Repeat("o", 65) }),
			"subject.organization: Its length is 65, and"},
		{"a unit of 65 characters", "P-256",
			subject(func(s *x509cert.Subject) { s.OrganizationalUnit = strings.Repeat("o", 65) }),
			"subject.organizational_unit: Its length is 65, and"},
		{"a locality of 129 characters", "P-256", subject(func(s *x509cert.Subject) {
			s.Locality = strings.Repeat("o", 129)
		}),
			"subject.locality: Its length is 129, and"},
		{"a province of 129 characters", "P-256", subject(func(s *x509cert.Subject) {
			s.Province = strings.Repeat("o", 129)
		}),
			"subject.province: Its length is 129, and"},
		{"a postal code of 17 characters", "P-256",
			subject(func(s *x509cert.Subject) { s.PostalCode = strings.Repeat("1", 17) }),
			"subject.postal_code: Its length is 17, and"},
		{"a serial number that is not printable", "P-256",
			subject(func(s *x509cert.Subject) { s.SerialNumber = "1_2" }),
			"subject.serial_number: It may have letters, digits"},
		{"a mail address that is none", "P-256", subject(func(s *x509cert.Subject) { s.EmailAddress = "a" }),
			"subject.email_address: It is no mail address."},
		{"an empty line of a street", "P-256", subject(func(s *x509cert.Subject) {
			s.StreetAddress = []string{"a", ""}
		}),
			"subject.street_address[1]: It is empty."},
		{"a control character", "P-256", subject(func(s *x509cert.Subject) { s.Organization = "a\nb" }),
			"subject.organization: It has a control character"},
		{"bytes that are no text", "P-256", subject(func(s *x509cert.Subject) { s.Organization = "a\xff" }),
			"subject.organization: It has a control character"},
		{"domain components in one", "P-256",
			subject(func(s *x509cert.Subject) { s.DomainComponents = []string{"example.com"} }),
			"subject.domain_components[0]: A domain component is one label of a DNS name."},
	} {
		t.Run(test.name, func(t *testing.T) {
			key := keys()[test.key]
			problems := test.profile.Check(key.Public(), nil)
			want(t, problems, test.begins)
			der, err := test.profile.Create(key.Public(), nil, key)
			wrong := (*x509cert.ProblemError)(nil)
			switch {
			case test.begins == "" && err != nil:
				t.Errorf("it is not made: %v", err)
			case test.begins == "":
				parse(t, der)
			case !errors.As(err, &wrong) || !strings.HasPrefix(told(wrong.Problems), told(problems)):
				t.Errorf("Create says %v", err)
			}
		})
	}
}

func TestCheckOfNames(t *testing.T) {
	for _, test := range []struct{ argument, name, begins string }{
		{"dns_names", "a.example", ""},
		{"dns_names", "localhost", ""},
		{"dns_names", "*.a.example", ""},
		{"dns_names", "my_service.internal", ""},
		{"dns_names", "xn--bcher-kva.example", ""},
		{"dns_names", "", "It is empty."},
		{"dns_names", "*", "A wildcard must be"},
		{"dns_names", "a*.example", "A wildcard must be"},
		{"dns_names", "a.*.example", "A wildcard must be"},
		{"dns_names", "*.*.example", "A wildcard must be"},
		{"dns_names", "*.", "It is empty."},
		{"dns_names", "bücher.example", "It has letters outside of ASCII. Give it as certificates have it: " +
			"xn--bcher-kva.example."},
		{"dns_names", "*.bücher.example", "It has letters outside of ASCII. Give it as certificates have it: " +
			"*.xn--bcher-kva.example."},
		{"dns_names", "a\u2028.example", "It has characters outside of ASCII."},
		{"dns_names", "https://a.example/", "It is a URL."},
		{"dns_names", "a@b.example", "It is a mail address."},
		{"dns_names", "192.0.2.1", "It is an IP address"},
		{"dns_names", "::1", "It is an IP address"},
		{"dns_names", "a.example:443", "A DNS name has no port."},
		{"dns_names", "a.example.", "A DNS name in a certificate has no dot at its end."},
		{"dns_names", "a..example", "It has an empty label"},
		{"dns_names", ".example", "It has an empty label"},
		{"dns_names", "-a.example", "It has a label that begins or ends with a hyphen."},
		{"dns_names", "a b.example", "It has a character that no DNS name has."},
		{"dns_names", strings.Repeat("a", 63) + ".example", ""},
		{"dns_names", strings.Repeat("a", 64) + ".example", "It has a label of more than 63 characters."},
		{"dns_names", strings.Repeat("a.", 126) + "a", ""},
		{"dns_names", strings.Repeat("a.", 126) + "aa", "It has more than 253 characters"},
		{"ip_addresses", "192.0.2.1", ""},
		{"ip_addresses", "2001:db8::1", ""},
		{"ip_addresses", "::ffff:192.0.2.1", ""},
		{"ip_addresses", "192.0.2.0/24", "It is a range."},
		{"ip_addresses", "fe80::1%eth0", "An IP address in a certificate has no zone."},
		{"ip_addresses", "a.example", "It is no IP address."},
		{"ip_addresses", "192.0.2.01", "It is no IP address."},
		{"uris", "https://a.example/b?c#d", ""},
		{"uris", "https://a.example:8443/", ""},
		{"uris", "https://[2001:db8::1]/", ""},
		{"uris", "https://192.0.2.1/", ""},
		{"uris", "spiffe://internal/a", ""},
		{"uris", "spiffe://a.example/ns/b/sa/c", ""},
		{"uris", "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", ""},
		{"uris", "a.example/b", "It is a relative URI"},
		{"uris", "/b", "It is a relative URI"},
		{"uris", "https:///b", "It has no host."},
		{"uris", "https://a..b/", "Its host is no DNS name"},
		{"uris", "https://a.example/ü", "It has blanks, or characters outside of ASCII."},
		{"uris", "https://a.example/a b", "It has blanks, or characters outside of ASCII."},
		{"uris", "https://a.example/%zz", "It is no URI."},
		{"email_addresses", "a@b.example", ""},
		{"email_addresses", "a.b+c@b.example", ""},
		{"email_addresses", strings.Repeat("a", 64) + "@b.example", ""},
		{"email_addresses", strings.Repeat("a", 65) + "@b.example", "What stands before the @ is no name"},
		{"email_addresses", "a", "It is no mail address."},
		{"email_addresses", "A <a@b.example>", "It must be the bare address"},
		{"email_addresses", "a..b@c.example", "What stands before the @ is no name of a mailbox."},
		{"email_addresses", "@b.example", "What stands before the @ is no name of a mailbox."},
		{"email_addresses", "a@-b", "What stands after the @ is no DNS name."},
		{"email_addresses", "a@[192.0.2.1]", "What stands after the @ is no DNS name."},
		{"email_addresses", "ä@b.example", "It has characters outside of ASCII"},
	} {
		t.Run(test.argument+" "+test.name, func(t *testing.T) {
			profile := leafProfile("ok.example")
			index := 0
			switch test.argument {
			case "dns_names":
				profile.Names.DNS, index = append(profile.Names.DNS, test.name), 1
			case "ip_addresses":
				profile.Names.IPs = []string{test.name}
			case "uris":
				profile.Names.URIs = []string{test.name}
			case "email_addresses":
				profile.Names.Emails = []string{test.name}
			}
			begins := ""
			if test.begins != "" {
				begins = fmt.Sprintf("%s[%d]: %s", test.argument, index, test.begins)
			}
			want(t, profile.CheckAlone(), begins)
			want(t, x509cert.Request{Names: profile.Names}.Check(nil), begins)
			key := keys()["P-256"]
			der, err := profile.Create(key.Public(), nil, key)
			if begins != "" {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			openssl(t, map[string]string{"c.pem": x509cert.CertificatePEM(der)}, "x509", "-in", "c.pem", "-noout",
				"-text")
		})
	}
}

// A row for each rule on a certificate of a CA.
func TestCheckOfAnIssuedCertificate(t *testing.T) {
	key := keys()["P-256"]
	issuer := func(change func(p *x509cert.Profile)) *x509.Certificate {
		p := caProfile("ca")
		change(&p)
		return create(t, p, key.Public(), nil, key)
	}
	plain := issuer(func(*x509cert.Profile) {})
	bound := func(n int) *x509.Certificate { return issuer(func(p *x509cert.Profile) { p.MaxPathLength = &n }) }
	leaf := create(t, leafProfile("a.example"), key.Public(), nil, key)
	raw := func(change func(c *x509.Certificate)) *x509.Certificate { // what this package would not make
		c := *plain
		change(&c)
		return &c
	}
	below := func(change func(p *x509cert.Profile)) x509cert.Profile {
		p := caProfile("below")
		change(&p)
		return p
	}
	secp256k1, err := publickey.NewEC(publickey.Secp256k1, secp256k1Point)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name    string
		pub     crypto.PublicKey
		profile x509cert.Profile
		issuer  *x509.Certificate
		begins  string
	}{
		{"a leaf", key.Public(), leafProfile("a.example"), plain, ""},
		{"a leaf of a key that is not known yet", nil, leafProfile("a.example"), plain, ""},
		{"a leaf of a leaf", key.Public(), leafProfile("a.example"), leaf,
			"ca_cert_pem: The certificate is not one of a CA, and cannot sign certificates"},
		{"a leaf of a CA for lists alone", key.Public(), leafProfile("a.example"),
			raw(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }),
			"ca_cert_pem: The CA's certificate does not allow cert_signing"},
		{"a leaf of a CA without key usages", key.Public(), leafProfile("a.example"),
			raw(func(c *x509.Certificate) { c.KeyUsage = 0 }), ""},
		{"a leaf of a CA without a subject", key.Public(), leafProfile("a.example"),
			raw(func(c *x509.Certificate) { c.RawSubject = []byte{0x30, 0} }),
			"ca_cert_pem: The CA's certificate has no subject"},
		{"a leaf of a CA with constraints that Go does not know", key.Public(), leafProfile("a.example"),
			raw(func(c *x509.Certificate) { c.UnhandledCriticalExtensions = []asn1.ObjectIdentifier{{2, 5, 29, 30}} }),
			"ca_cert_pem: The CA's certificate constrains names in a form that is not supported"},
		{"a leaf of a CA on P-224", key.Public(), leafProfile("a.example"),
			raw(func(c *x509.Certificate) { c.PublicKey = keys()["P-224"].Public() }), "ca_cert_pem: The key is on a " +
				"curve"},
		{"a leaf whose key is small", smallRSA(t), leafProfile("a.example"), plain,
			"cert_request_pem: The RSA key has 1024 bits, which is too few"},
		{"a leaf of a CA whose key is small", key.Public(), leafProfile("a.example"),
			raw(func(c *x509.Certificate) { c.PublicKey = smallRSA(t) }), "ca_cert_pem: The RSA key has 1024 bits, " +
				"which is too few"},
		{"a leaf on secp256k1", secp256k1, leafProfile("a.example"), plain,
			"cert_request_pem: The key is on the curve secp256k1, which libraries for X.509 do not know"},
		{"an algorithm of the leaf's key, not the CA's", keys()["RSA"].Public(),
			below(func(p *x509cert.Profile) { p.SignatureAlgorithm = "SHA256-RSA" }), plain,
			"signature_algorithm: The key of ca_cert_pem that signs is EC, and cannot sign by SHA256-RSA."},
		{"an algorithm of the CA's key", keys()["RSA"].Public(),
			below(func(p *x509cert.Profile) { p.SignatureAlgorithm = "ECDSA-SHA384" }), plain, ""},
		{"as long as its CA", key.Public(), below(func(*x509cert.Profile) {}), plain, ""},
		{"longer than its CA", key.Public(),
			below(func(p *x509cert.Profile) { p.NotAfter = p.NotAfter.Add(time.Second) }), plain,
			"validity_period_hours: The certificate would end at "},
		{"before its CA", key.Public(),
			below(func(p *x509cert.Profile) { p.NotBefore = p.NotBefore.Add(-time.Second) }), plain,
			"not_before: The certificate would begin at "},
		{"a CA below a bound of 0", key.Public(), below(func(*x509cert.Profile) {}), bound(0),
			"is_ca_certificate: The CA may not certify another CA: the path length in its certificate is 0"},
		{"a leaf below a bound of 0", key.Public(), leafProfile("a.example"), bound(0), ""},
		{"a CA below a bound of 1", key.Public(), below(func(p *x509cert.Profile) { p.MaxPathLength = new(0) }),
			bound(1), ""},
		{"a CA without a bound below one", key.Public(), below(func(*x509cert.Profile) {}), bound(1), ""},
		{"a bound that is not less than the one above", key.Public(),
			below(func(p *x509cert.Profile) { p.MaxPathLength = new(1) }), bound(1),
			"max_path_length: It must be less than 1"},
		{"an authority key identifier, which is always there", key.Public(), leafProfile("a.example"), plain, ""},
		{"names without a subject", key.Public(), func() x509cert.Profile {
			p := leafProfile("a.example")
			p.Subject = x509cert.Subject{}
			return p
		}(), plain, ""},
		{"nobody", key.Public(), func() x509cert.Profile {
			p := leafProfile()
			p.Subject, p.AllowedUses = x509cert.Subject{}, nil
			return p
		}(), plain, "subject: The certificate would say of nobody whose it is."},
		{"a subject out of a request with a control character", key.Public(), func() x509cert.Profile {
			p := leafProfile("a.example")
			p.Subject, p.RawSubject = x509cert.Subject{},
				[]byte("\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x0c\x02a\n")
			return p
		}(), plain, "cert_request_pem: The attribute 2.5.4.3 of the request's subject is empty"},
		{"a subject out of a request with an empty attribute", key.Public(), func() x509cert.Profile {
			p := leafProfile("a.example")
			p.Subject, p.RawSubject = x509cert.Subject{}, []byte("\x30\x0b\x31\x09\x30\x07\x06\x03\x55\x04\x03\x0c\x00")
			return p
		}(), plain, "cert_request_pem: The attribute 2.5.4.3 of the request's subject is empty"},
		{"a subject out of a request that cannot be read", key.Public(), func() x509cert.Profile {
			p := leafProfile("a.example")
			p.Subject, p.RawSubject = x509cert.Subject{}, []byte("\x30\x00\x00")
			return p
		}(), plain, "cert_request_pem: The subject of the request cannot be read."},
		{"a subject out of a request that says nobody", key.Public(), below(func(p *x509cert.Profile) {
			p.Subject, p.RawSubject = x509cert.Subject{}, []byte{0x30, 0}
		}), plain, "cert_request_pem: A CA needs a subject"},
	} {
		t.Run(test.name, func(t *testing.T) {
			want(t, test.profile.Check(test.pub, test.issuer), test.begins)
			if test.begins == "" && test.pub != nil {
				create(t, test.profile, test.pub, test.issuer, key)
			}
		})
	}
}

func TestCheckOfARequest(t *testing.T) {
	for _, test := range []struct {
		name    string
		key     crypto.PublicKey
		request x509cert.Request
		begins  string
	}{
		{"nothing at all, which its CA may fill in", keys()["P-256"].Public(), x509cert.Request{}, ""},
		{"a CA that leaves its uses open", keys()["P-256"].Public(), x509cert.Request{IsCA: true}, ""},
		{"a CA with its uses", nil, x509cert.Request{IsCA: true, AllowedUses: []string{"cert_signing"}}, ""},
		{"a CA with other uses", nil, x509cert.Request{IsCA: true, AllowedUses: []string{"crl_signing"}},
			"allowed_uses: A CA needs the use cert_signing"},
		{"cert_signing without a CA", nil, x509cert.Request{AllowedUses: []string{"cert_signing"}},
			"allowed_uses[0]: Only a CA has the use cert_signing"},
		{"a small key", smallRSA(t), x509cert.Request{}, "public_key_pem: The RSA key has 1024 bits"},
		{"a use that the key cannot have", keys()["Ed25519"].Public(),
			x509cert.Request{AllowedUses: []string{"key_encipherment"}},
			"allowed_uses[0]: An Ed25519 key cannot have the use key_encipherment"},
		{"an algorithm that the key cannot have", keys()["Ed25519"].Public(),
			x509cert.Request{SignatureAlgorithm: "ECDSA-SHA256"},
			"signature_algorithm: The key of public_key_pem that signs is Ed25519"},
		{"a word that is no algorithm", nil, x509cert.Request{SignatureAlgorithm: "MD5"},
			`signature_algorithm: "MD5" is no`},
		{"a subject that is too long", nil, x509cert.Request{Subject: x509cert.Subject{CommonName: strings.Repeat("a",
			65)}},
			"subject.common_name: Its length is 65, and"},
	} {
		t.Run(test.name, func(t *testing.T) { want(t, test.request.Check(test.key), test.begins) })
	}
}

func TestCheckOfARevocationList(t *testing.T) {
	key := keys()["P-256"]
	ca := create(t, caProfile("ca"), key.Public(), nil, key)
	noLists := caProfile("ca")
	noLists.AllowedUses = []string{"cert_signing"}
	list := func(change func(l *x509cert.List)) x509cert.List {
		l := x509cert.List{
			Number: big.NewInt(1), ThisUpdate: start, NextUpdate: start.Add(time.Hour),
			Revoked: []x509cert.Revocation{{Serial: big.NewInt(2), Time: start, Reason: "superseded"}},
		}
		change(&l)
		return l
	}
	revoked := func(r ...x509cert.Revocation) x509cert.List { return list(func(l *x509cert.List) { l.Revoked = r }) }
	for _, test := range []struct {
		name   string
		list   x509cert.List
		issuer *x509.Certificate
		begins string
	}{
		{"one entry", list(func(*x509cert.List) {}), ca, ""},
		{"no entry", revoked(), ca, ""},
		{"an issuer that is not known yet", list(func(*x509cert.List) {}), nil, ""},
		{"an issuer that signs no lists", list(func(*x509cert.List) {}), create(t, noLists, key.Public(), nil, key),
			"ca_cert_pem: The CA's certificate does not allow crl_signing"},
		{"an issuer that is no CA", list(func(*x509cert.List) {}), create(t, leafProfile("a.example"), key.Public(),
			nil, key),
			"ca_cert_pem: The certificate is not one of a CA, and cannot sign revocation lists"},
		{"an algorithm of another kind of key", list(func(l *x509cert.List) { l.SignatureAlgorithm = "Ed25519" }), ca,
			"signature_algorithm: The key of ca_cert_pem that signs is EC"},
		{"a word that is no algorithm", list(func(l *x509cert.List) { l.SignatureAlgorithm = "x" }), ca,
			`signature_algorithm: "x" is no`},
		{"the number 0", list(func(l *x509cert.List) { l.Number = new(big.Int) }), ca, ""},
		{"a negative number", list(func(l *x509cert.List) { l.Number = big.NewInt(-1) }), ca,
			"crl_number: The number of a revocation list"},
		{"a number of 21 bytes with its sign", list(func(l *x509cert.List) {
			l.Number = new(big.Int).Lsh(big.NewInt(1), 159)
		}), ca, "crl_number: The number of a revocation list"},
		{"the largest number", list(func(l *x509cert.List) {
			l.Number = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 159), big.NewInt(1))
		}), ca, ""},
		{"a number of 21 bytes", list(func(l *x509cert.List) { l.Number = new(big.Int).Lsh(big.NewInt(1), 160) }), ca,
			"crl_number: The number of a revocation list"},
		{"an end at the start", list(func(l *x509cert.List) { l.NextUpdate = l.ThisUpdate }), ca,
			"validity_period_hours: The list would end at"},
		{"an end after the year 9999", list(func(l *x509cert.List) {
			l.NextUpdate = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
		}), ca,
			"validity_period_hours: A revocation list cannot end after the year 9999"},
		{"a revocation in the future", revoked(x509cert.Revocation{Serial: big.NewInt(2),
			Time: start.Add(time.Second)}), ca,
			"revoked[0]: The certificate would be revoked at "},
		{"a revocation before 1950", revoked(x509cert.Revocation{Serial: big.NewInt(2), Time: time.Date(1949, 1, 1, 0,
			0, 0, 0, time.UTC)}), ca,
			"revoked[0]: The time of a revocation cannot be before 1950."},
		{"a serial number of 0", revoked(x509cert.Revocation{Serial: new(big.Int), Time: start}), ca,
			"revoked[0]: The serial number must be more than 0"},
		{"a serial number twice", revoked(x509cert.Revocation{Serial: big.NewInt(31), Time: start},
			x509cert.Revocation{Serial: big.NewInt(31), Time: start}), ca,
			"revoked[1]: The serial number 1f stands here twice, at 0 and 1 (counted from 0)."},
		{"a word that is no reason", revoked(x509cert.Revocation{Serial: big.NewInt(2), Time: start, Reason: "lost"}),
			ca,
			`revoked[0]: "lost" is no reason. It must be one of unspecified, key_compromise,`},
		{"a reason of delta lists", revoked(x509cert.Revocation{Serial: big.NewInt(2), Time: start,
			Reason: "remove_from_crl"}), ca,
			"revoked[0]: The reason remove_from_crl is for delta lists alone"},
	} {
		t.Run(test.name, func(t *testing.T) {
			want(t, test.list.Check(test.issuer), test.begins)
			if test.begins == "" && test.issuer != nil {
				if _, err := test.list.Create(test.issuer, key); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestASmallKeyHasNoRoomForALongHash(t *testing.T) {
	profile := leafProfile("a.example")
	for algorithm, fits := range map[string]bool{"SHA256-RSAPSS": true, "SHA384-RSAPSS": true, "SHA512-RSAPSS": false} {
		profile.SignatureAlgorithm = algorithm
		got := told(profile.Check(smallRSA(t), nil))
		if strings.Contains(got, "signature_algorithm: The RSA key of 1024 bits has no room for the hash and the "+
			"salt") == fits {
			t.Errorf("%s: the problems are %s", algorithm, got)
		}
	}
	profile.SignatureAlgorithm = "SHA512-RSAPSS" // which takes 130 bytes, less a bit of the modulus
	for bits, fits := range map[int]bool{1033: false, 1034: true} {
		key := &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), bits-1, 1), E: 65537}
		if got := told(profile.Check(key, nil)); strings.Contains(got, "has no room") == fits {
			t.Errorf("%d bits: the problems are %s", bits, got)
		}
	}
}

// What is signed all the same, with advice: the row of it, and what is beside it.
func TestAdviceIsAboutKeysOnCurvesThatEncrypt(t *testing.T) {
	ec, rsa := keys()["P-256"].Public(), keys()["RSA"].Public()
	allowed := []string{"digital_signature", "key_encipherment"}
	if told := told(x509cert.Advice(allowed, ec)); !strings.HasPrefix(told, "allowed_uses[1]: The key is on a curve") {
		t.Errorf("of a key on a curve: %q", told)
	}
	for _, other := range [][]x509cert.Problem{
		x509cert.Advice(allowed, rsa), x509cert.Advice(allowed[:1], ec), x509cert.Advice(allowed, nil),
	} {
		if len(other) > 0 {
			t.Errorf("there is advice: %s", told(other))
		}
	}
}
