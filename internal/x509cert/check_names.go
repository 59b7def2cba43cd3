package x509cert

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/idna"
)

// check says which names are not what they should be.
func (n Names) check(r *report) {
	for _, list := range []struct {
		argument string
		names    []string
		bad      func(name string) string
	}{
		{"dns_names", n.DNS, badDNS},
		{"ip_addresses", n.IPs, badIP},
		{"uris", n.URIs, badURI},
		{"email_addresses", n.Emails, badEmail},
	} {
		for i, name := range list.names {
			if why := list.bad(name); why != "" {
				r.at(list.argument, i, "%s", why)
			}
		}
	}
}

// badDNS says why a text is no DNS name of a certificate, which may begin with a wildcard (RFC 9525, 6.3); "" where it
// is one.
func badDNS(name string) string {
	rest, wildcard := strings.CutPrefix(name, "*.")
	switch {
	case strings.Contains(rest, "*"):
		return "A wildcard must be the whole first label of a DNS name, as in *.example.com."
	case wildcard && !ascii(rest):
		return notASCII("*.", rest)
	}
	return badDomain(rest)
}

// badDomain says why a text is no DNS name (RFC 1034, 3.5). Underscores are not of it, but names of private networks
// have them, and clients accept them.
func badDomain(name string) string {
	switch {
	case name == "":
		return "It is empty. Give a DNS name, such as www.example.com."
	case strings.Contains(name, "://"):
		return "It is a URL. Give the DNS name in it alone, such as www.example.com, or put it among uris."
	case strings.Contains(name, "@"):
		return "It is a mail address. Put it among email_addresses."
	case isIP(strings.Trim(name, "[]")):
		return "It is an IP address, which clients do not look for here. Put it among ip_addresses."
	case strings.Contains(name, ":"):
		return "A DNS name has no port. Leave the colon and what follows out."
	case !ascii(name):
		return notASCII("", name)
	case strings.HasSuffix(name, "."):
		return "A DNS name in a certificate has no dot at its end. Leave it out."
	case len(name) > 253:
		return "It has more than 253 characters, and is no DNS name."
	}
	for label := range strings.SplitSeq(name, ".") {
		if why := badLabel(label); why != "" {
			return why
		}
	}
	return ""
}

// badLabel says why a text is no label of a DNS name.
func badLabel(label string) string {
	switch {
	case label == "":
		return "It has an empty label: dots stand at the beginning, or beside each other."
	case len(label) > 63:
		return "It has a label of more than 63 characters."
	case strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-"):
		return "It has a label that begins or ends with a hyphen."
	case strings.ContainsFunc(label, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}):
		return "It has a character that no DNS name has. Letters, digits, hyphens and underscores may stand between " +
			"the dots."
	}
	return ""
}

// notASCII says how an international name is written, after a wildcard or not.
func notASCII(before, name string) string {
	if written, err := idna.Lookup.ToASCII(name); err == nil && badDomain(written) == "" {
		return "It has letters outside of ASCII. Give it as certificates have it: " + before + written + "."
	}
	return "It has characters outside of ASCII. Give it in the form of IDNA, with labels that begin with xn--."
}

func badIP(text string) string {
	ip, err := netip.ParseAddr(text)
	switch {
	case err == nil && ip.Zone() != "":
		return "An IP address in a certificate has no zone. Leave the % and what follows out."
	case err == nil:
		return ""
	case strings.Contains(text, "/"):
		return "It is a range. A certificate is for single addresses; give each."
	}
	return "It is no IP address. Give one such as 192.0.2.1 or 2001:db8::1; a DNS name belongs among dns_names."
}

// badURI says why a text is no URI of a certificate: it must be absolute, with a host where it has an authority (RFC
// 5280, 4.2.1.6).
func badURI(text string) string {
	const give = " Give one such as https://example.com/ or spiffe://example.com/service."
	if !ascii(text) || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' }) {
		return "It has blanks, or characters outside of ASCII. Give the URI with these as %XX."
	}
	uri, err := url.Parse(text)
	switch {
	case err != nil:
		return "It is no URI." + give
	case !uri.IsAbs():
		return "It is a relative URI, without a scheme." + give
	case uri.Opaque != "":
		return "" // such as urn:uuid:
	case uri.Host == "":
		return "It has no host." + give
	case isIP(uri.Hostname()):
		return ""
	}
	if why := badDomain(uri.Hostname()); why != "" {
		return "Its host is no DNS name or IP address." + give
	}
	return ""
}

// badEmail says why a text is no mail address of a certificate, a Mailbox of RFC 5321, 4.1.2 whose local part needs no
// quotes.
func badEmail(text string) string {
	const give = " Give one such as someone@example.com."
	at := strings.LastIndex(text, "@")
	switch {
	case !ascii(text):
		return "It has characters outside of ASCII, which a mail address in a certificate cannot have." + give
	case at < 0:
		return "It is no mail address." + give
	case strings.ContainsAny(text, "<>() \t"):
		return "It must be the bare address, without a name, brackets or blanks." + give
	case at == 0 || at > 64 || slices.Contains(strings.Split(text[:at], "."), "") ||
		strings.ContainsFunc(text[:at], notAtom):
		return "What stands before the @ is no name of a mailbox." + give
	case badDomain(text[at+1:]) != "":
		return "What stands after the @ is no DNS name." + give
	}
	return ""
}

// notAtom is true of what a dot-atom cannot have (RFC 5322, 3.2.3).
func notAtom(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') &&
		!strings.ContainsRune("!#$%&'*+-/=?^_`{|}~.", r)
}

// checkURLs says which texts are no URLs with one of the schemes.
func checkURLs(r *report, argument string, texts []string, schemes ...string) {
	for i, text := range texts {
		address, err := url.Parse(text)
		if err != nil || !ascii(text) || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' }) ||
			!slices.Contains(schemes, address.Scheme) || address.Opaque != "" ||
			address.Host == "" && !strings.HasPrefix(address.Scheme, "ldap") {
			r.at(argument, i, "It must be an absolute URL in ASCII with one of the schemes %s, such as "+
				"http://ca.example.com/ca.crl.", strings.Join(schemes, ", "))
		}
	}
}

// looksLikeHost says that a common name is a DNS name with a dot, a wildcard, or an IP address.
func looksLikeHost(name string) bool {
	return isIP(name) || name == "localhost" || strings.Contains(name, ".") && badDNS(name) == ""
}

func isIP(text string) bool {
	_, err := netip.ParseAddr(text)
	return err == nil
}

func ascii(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r > 0x7e || r < ' ' })
}
