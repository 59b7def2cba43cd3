package x509cert

import (
	"bytes"
	"crypto/x509/pkix"
	"strings"
	"unicode"
	"unicode/utf8"
)

// check says which parts of a subject X.509 cannot have (RFC 5280, A.1, and X.520).
func (s Subject) check(r *report) {
	for _, text := range s.texts() {
		if *text.value == "" {
			continue
		}
		checkText(r, text.argument, -1, *text.value, text.most)
		if text.printable && text.argument != "subject.country" && !printable(*text.value) {
			r.add(text.argument, "It may have letters, digits, blanks and '()+,-./:=? only (a PrintableString, "+
				"X.520). Leave other characters out.")
		}
	}
	if c := s.Country; c != "" && (len(c) != 2 || strings.ContainsFunc(c, func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})) {
		r.add("subject.country", "It must be the two letters of a country (ISO 3166), such as DE or US.")
	}
	if s.EmailAddress != "" {
		if why := badEmail(s.EmailAddress); why != "" {
			r.add("subject.email_address", "%s", why)
		}
	}
	for i, line := range s.StreetAddress {
		checkText(r, "subject.street_address", i, line, 128)
	}
	for i, label := range s.DomainComponents {
		if why := badLabel(label); why != "" {
			r.at("subject.domain_components", i, "A domain component is one label of a DNS name. %s", why)
		}
	}
}

// checkText says where a text of a subject is empty, too long or not text.
func checkText(r *report, argument string, index int, text string, most int) {
	if argument == "subject.country" {
		return // which has a rule of its own
	}
	switch characters := utf8.RuneCountInString(text); {
	case text == "":
		r.at(argument, index, "It is empty. Leave it out.")
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		r.at(argument, index, "It has a control character, or bytes that are no text. Leave them out.")
	case characters > most:
		r.at(argument, index, "Its length is %d, and X.509 has room for %d (RFC 5280, A.1). Give a shorter one.",
			characters, most)
	}
}

// printable says that a text can be a PrintableString (X.680, 41.4).
func printable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') &&
			!strings.ContainsRune(" '()+,-./:=?", r)
	})
}

// nobody says that the certificate has no subject.
func (p Profile) nobody() bool {
	if len(p.RawSubject) > 0 {
		return bytes.Equal(p.RawSubject, emptyName)
	}
	return p.Subject.empty()
}

// checkRawSubject says what of a request's subject cannot be certified. The lints look at the rest.
func (p Profile) checkRawSubject(r *report) {
	if len(p.RawSubject) == 0 {
		return
	}
	subject, err := parseName(p.RawSubject)
	if err != nil {
		r.add("cert_request_pem", "The subject of the request cannot be read. Make the request anew.")
		return
	}
	for _, attribute := range subject.Names {
		if text, ok := attribute.Value.(string); !ok || text == "" || !utf8.ValidString(text) ||
			strings.ContainsFunc(text, unicode.IsControl) {
			r.add("cert_request_pem", "The attribute %s of the request's subject is empty, is no text, or has a "+
				"control character. Make the request anew, without it.", attribute.Type)
		}
	}
}

// subjectArgument is where the subject stands.
func (p Profile) subjectArgument() string {
	if len(p.RawSubject) > 0 {
		return "cert_request_pem"
	}
	return "subject"
}

// subjectName is the subject, out of the request or the configuration. It is zero where it cannot be read.
func (p Profile) subjectName() pkix.Name {
	der := p.RawSubject
	if len(der) == 0 {
		var err error
		if der, err = p.Subject.der(); err != nil {
			return pkix.Name{}
		}
	}
	name, err := parseName(der)
	if err != nil {
		return pkix.Name{}
	}
	return name
}
