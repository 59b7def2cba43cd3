package x509cert

import (
	"crypto/x509"
	"encoding/asn1"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

var oidNameConstraints = asn1.ObjectIdentifier{2, 5, 29, 30}

func (c NameConstraints) empty() bool {
	return len(c.PermittedDNS)+len(c.ExcludedDNS)+len(c.PermittedIPs)+len(c.ExcludedIPs)+len(c.PermittedEmails)+
		len(c.ExcludedEmails)+len(c.PermittedURIs)+len(c.ExcludedURIs) == 0
}

// check says which constraints are not what RFC 5280, 4.2.1.10 has.
func (c NameConstraints) check(r *report, isCA bool) {
	if !isCA && !c.empty() {
		r.add("name_constraints", "Only a CA has name constraints (RFC 5280, 4.2.1.10). Set is_ca_certificate to "+
			"true, or leave name_constraints out.")
	}
	for _, list := range []struct {
		name  string
		texts []string
		bad   func(text string) string
	}{
		{"permitted DNS domains", c.PermittedDNS, badDomainConstraint},
		{"excluded DNS domains", c.ExcludedDNS, badDomainConstraint},
		{"permitted IP ranges", c.PermittedIPs, badRange},
		{"excluded IP ranges", c.ExcludedIPs, badRange},
		{"permitted mail addresses", c.PermittedEmails, badEmailConstraint},
		{"excluded mail addresses", c.ExcludedEmails, badEmailConstraint},
		{"permitted URI domains", c.PermittedURIs, badDomainConstraint},
		{"excluded URI domains", c.ExcludedURIs, badDomainConstraint},
	} {
		for _, text := range list.texts {
			if why := list.bad(text); why != "" {
				r.add("name_constraints", "Among the %s, %q does not fit. %s", list.name, text, why)
			}
		}
	}
}

func badDomainConstraint(text string) string {
	if strings.Contains(text, "*") {
		return "A constraint has no wildcard: example.com is a domain with all below it, .example.com all below it " +
			"alone."
	}
	return badDomain(strings.TrimPrefix(text, "."))
}

func badEmailConstraint(text string) string {
	if strings.Contains(text, "@") {
		return badEmail(text)
	}
	return badDomainConstraint(text)
}

func badRange(text string) string {
	prefix, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return "Give a range of addresses such as 10.0.0.0/8 or 2001:db8::/32."
	case prefix.Addr().Is4In6():
		return "Give the range as one of IPv4."
	case prefix.Masked() != prefix:
		return "The address has bits beyond its range. Give " + prefix.Masked().String() + "."
	}
	return ""
}

// constrained says that a certificate has name constraints.
func constrained(c *x509.Certificate) bool {
	return len(c.PermittedDNSDomains)+len(c.ExcludedDNSDomains)+len(c.PermittedIPRanges)+len(c.ExcludedIPRanges)+
		len(c.PermittedEmailAddresses)+len(c.ExcludedEmailAddresses)+len(c.PermittedURIDomains)+
		len(c.ExcludedURIDomains) > 0
}

// checkConstraints says which names the issuer may not certify (RFC 5280, 4.2.1.10). Verifiers differ in what a host
// without a dot before it means in a constraint on mail addresses and URIs: the host alone, as the standard has it, or
// all below it too. A name must pass in both ways: by the narrow one where it is permitted, by the wide one where it is
// excluded.
func (p Profile) checkConstraints(r *report, issuer *x509.Certificate) {
	if !constrained(issuer) {
		return
	}
	refuse := func(argument string, index int, name, kind string) {
		r.at(argument, index, "The CA may not certify the %s %s: its name constraints forbid it (RFC 5280, "+
			"4.2.1.10), and nobody would accept the certificate. Leave the name out, or have it certified by another "+
			"CA.", kind, name)
	}
	for i, name := range p.Names.DNS {
		if badDNS(name) == "" && !allowsDNS(issuer, name) {
			refuse("dns_names", i, name, "DNS name")
		}
	}
	for i, name := range p.Names.IPs {
		if ip := net.ParseIP(name); ip != nil && !allowsIP(issuer, ip) {
			refuse("ip_addresses", i, name, "IP address")
		}
	}
	for i, name := range p.Names.Emails {
		if badEmail(name) == "" && !allowsEmail(issuer, name) {
			refuse("email_addresses", i, name, "mail address")
		}
	}
	for i, name := range p.Names.URIs {
		if badURI(name) != "" {
			continue
		}
		uri, _ := url.Parse(name)
		if host := uri.Hostname(); host == "" || isIP(host) {
			r.at("uris", i, "The CA has name constraints, and the URI %s has no DNS name that they could be held "+
				"against: verifiers refuse it. Leave it out, or have it certified by another CA.", name)
		} else if !allowsHost(issuer.PermittedURIDomains, issuer.ExcludedURIDomains, host) {
			refuse("uris", i, name, "URI")
		}
	}
	p.checkSubjectConstraints(issuer, refuse)
}

// checkSubjectConstraints holds against the constraints what names in the subject clients may take for one: the common
// name of a server without DNS names, and mail addresses.
func (p Profile) checkSubjectConstraints(issuer *x509.Certificate, refuse func(string, int, string, string)) {
	subject := p.subjectName()
	common, emails := "subject.common_name", "subject.email_address"
	if len(p.RawSubject) > 0 {
		common, emails = "cert_request_pem", "cert_request_pem"
	}
	if name := subject.CommonName; !p.IsCA && len(p.Names.DNS) == 0 && !isIP(name) && looksLikeHost(name) &&
		!allowsDNS(issuer, name) {
		refuse(common, -1, name, "common name")
	}
	for _, attribute := range subject.Names {
		name, ok := attribute.Value.(string)
		if ok && attribute.Type.Equal(oidEmailAddress) && !allowsEmail(issuer, name) {
			refuse(emails, -1, name, "mail address of the subject")
		}
	}
}

func allowsDNS(issuer *x509.Certificate, name string) bool {
	touches := func(domain, name string) bool { return below(domain, name) || covers(name, domain) }
	return within(issuer.PermittedDNSDomains, name, below) && !anyOf(issuer.ExcludedDNSDomains, name, touches)
}

func allowsIP(issuer *x509.Certificate, ip net.IP) bool {
	contains := func(nets []*net.IPNet) bool {
		return slices.ContainsFunc(nets, func(n *net.IPNet) bool { return n.Contains(ip) })
	}
	return (len(issuer.PermittedIPRanges) == 0 || contains(issuer.PermittedIPRanges)) &&
		!contains(issuer.ExcludedIPRanges)
}

func allowsEmail(issuer *x509.Certificate, address string) bool {
	at := strings.LastIndex(address, "@")
	if at < 0 {
		return len(issuer.PermittedEmailAddresses)+len(issuer.ExcludedEmailAddresses) == 0
	}
	host := address[at+1:]
	match := func(of func(domain, host string) bool) func(constraint, address string) bool {
		return func(constraint, address string) bool {
			if i := strings.LastIndex(constraint, "@"); i >= 0 {
				return constraint[:i] == address[:at] && strings.EqualFold(constraint[i+1:], host)
			}
			return of(constraint, host)
		}
	}
	return within(issuer.PermittedEmailAddresses, address, match(exactly)) &&
		!anyOf(issuer.ExcludedEmailAddresses, address, match(below))
}

func allowsHost(permitted, excluded []string, host string) bool {
	return within(permitted, host, exactly) && !anyOf(excluded, host, below)
}

// within says that a name is in one of the permitted parts, or that none is said.
func within(permitted []string, name string, match func(constraint, name string) bool) bool {
	return len(permitted) == 0 || anyOf(permitted, name, match)
}

func anyOf(constraints []string, name string, match func(constraint, name string) bool) bool {
	return slices.ContainsFunc(constraints, func(constraint string) bool { return match(constraint, name) })
}

// below says that a name is a domain or below it; with a dot before the domain, that it is below it.
func below(domain, name string) bool {
	domain, name = strings.ToLower(domain), strings.ToLower(name)
	if domain == "" || domain == name {
		return true
	}
	return strings.HasSuffix(name, "."+strings.TrimPrefix(domain, "."))
}

// exactly says that a host is the one of a constraint; with a dot before it, that it is below it.
func exactly(domain, host string) bool {
	if domain == "" || strings.HasPrefix(domain, ".") {
		return below(domain, host)
	}
	return strings.EqualFold(domain, host)
}

// covers says that a wildcard stands for a domain too, among others.
func covers(wildcard, domain string) bool {
	rest, ok := strings.CutPrefix(strings.ToLower(wildcard), "*.")
	_, parent, found := strings.Cut(strings.ToLower(domain), ".")
	return ok && found && parent == rest
}
