package x509cert

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"sync"

	zcrypto "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3/lint"
	_ "github.com/zmap/zlint/v3/lints/rfc" // registers the lints
)

// Rehearse is Check, and then makes the certificate with a throw-away key in memory and lints it. It lints nothing
// where the key or the dates are not known yet.
func (p Profile) Rehearse(pub crypto.PublicKey, issuer *x509.Certificate) []Problem {
	problems := p.Check(pub, issuer)
	if len(problems) > 0 || pub == nil || p.NotBefore.IsZero() || p.NotAfter.IsZero() {
		return problems
	}
	der, err := p.trial(pub, issuer)
	if err != nil {
		return []Problem{{"", -1, fmt.Sprintf("The certificate cannot be made: %v.", err)}}
	}
	problems = lintCertificate(der)
	for i, problem := range problems {
		if len(p.RawSubject) > 0 && strings.HasPrefix(problem.Argument, "subject") {
			problems[i].Argument = p.subjectArgument()
		}
	}
	return problems
}

// trial is the certificate, signed with a throw-away key. That key is also the one of a certificate that signs itself,
// which would not be one otherwise.
func (p Profile) trial(pub crypto.PublicKey, issuer *x509.Certificate) ([]byte, error) {
	var err error
	if p.Serial == nil {
		if p.Serial, err = NewSerial(); err != nil {
			return nil, err
		}
	}
	signing := pub
	if issuer != nil {
		signing = issuer.PublicKey
	}
	key, err := throwAway(signing)
	if err != nil {
		return nil, err
	}
	if issuer == nil {
		pub = key.Public()
	} else {
		issuer = withKey(issuer, key.Public())
	}
	return p.signed(pub, issuer, key)
}

// withKey is a certificate as if it had another key.
func withKey(certificate *x509.Certificate, pub crypto.PublicKey) *x509.Certificate {
	with := *certificate
	with.PublicKey = pub
	return &with
}

// Rehearse is Check, and then makes the list with a throw-away key in memory and lints it. It lints nothing where the
// issuer, the dates, the number or something of an entry is not known yet.
func (l List) Rehearse(issuer *x509.Certificate) []Problem {
	problems := l.Check(issuer)
	open := func(r Revocation) bool { return r.Serial == nil || r.Time.IsZero() }
	if len(problems) > 0 || issuer == nil || l.Number == nil || l.ThisUpdate.IsZero() || l.NextUpdate.IsZero() ||
		slices.ContainsFunc(l.Revoked, open) {
		return problems
	}
	der, err := l.trial(issuer)
	if err != nil {
		return []Problem{{"", -1, fmt.Sprintf("The revocation list cannot be made: %v.", err)}}
	}
	return lintList(der)
}

func (l List) trial(issuer *x509.Certificate) ([]byte, error) {
	key, err := throwAway(issuer.PublicKey)
	if err != nil {
		return nil, err
	}
	return l.signed(withKey(issuer, key.Public()), key)
}

// lintSources are the standards whose lints apply to a private CA. The others are rules of browsers and of those who
// are in them, and of transparency logs.
var lintSources = []lint.LintSource{lint.RFC3279, lint.RFC5280, lint.RFC5480, lint.RFC5891, lint.RFC8813}

// lintsLeftOut are lints of these standards that a private CA need not pass, and why.
var lintsLeftOut = map[string]string{
	"e_key_usage_and_extended_key_usage_inconsistent": "RFC 5280 says which key usages may go with an extended one, " +
		"not which must; client_auth with key_encipherment is usual",
	"e_ecdsa_allowed_ku": "Check looks at the uses of a key on a curve, and Advice at the one that " +
		"is usual all the same",
	"e_rsa_allowed_ku_no_encipherment_ca": "RFC 3279 says SHOULD NOT; a CA that serves TLS itself is usual in tests",
	"e_subj_email_not_in_san": "the tls provider has subject.email_address, and no alternative name for it; who " +
		"wants both gives both",
	"e_rfc_dnsname_underscore_in_sld":   "names of a private network have underscores, and clients accept them",
	"e_ext_san_uri_host_not_fqdn_or_ip": "SPIFFE's trust domains may be one label, and a host may have a port",
	"e_name_constraint_not_fqdn":        "a private network's domain may be one label",
	"e_ext_authority_key_identifier_no_key_identifier": "it takes a server's self-signed certificate for an issued " +
		"one, which always has the identifier here",
	"e_subject_dn_not_printable_characters": "it takes the zeros in a BMPString for control characters; Check looks " +
		"for these",
}

// lintArguments are the arguments that decide what a lint looks at: the first row whose text is in the lint's name.
var lintArguments = []struct{ text, argument string }{
	{"_ext_san_dns", "dns_names"},
	{"_dnsname_", "dns_names"},
	{"_international_dns_name", "dns_names"},
	{"_ext_san_uri", "uris"},
	{"_ext_san_rfc822", "email_addresses"},
	{"_subject_common_name", "subject.common_name"},
	{"_subject_dn_country", "subject.country"},
	{"_subject_dn_serial_number", "subject.serial_number"},
	{"_subject_email", "subject.email_address"},
	{"_subject_locality", "subject.locality"},
	{"_subject_organization_name", "subject.organization"},
	{"_subject_organizational_unit", "subject.organizational_unit"},
	{"_subject_postal_code", "subject.postal_code"},
	{"_subject_state", "subject.province"},
	{"_subject_street", "subject.street_address"},
	{"_ca_subject_field_empty", "subject"},
	{"_subject_empty", "subject"},
	{"_subject_dn", "subject"},
	{"_subject_printable", "subject"},
	{"_issuer_", "ca_cert_pem"},
	{"_key_usage", "allowed_uses"},
	{"_allowed_ku", "allowed_uses"},
	{"_path_len", "max_path_length"},
	{"_name_constraint", "name_constraints"},
	{"_cert_policy", "policies"},
	{"_distribution_point", "crl_distribution_points"},
	{"_serial_number", "serial_number"},
	{"_time", "validity_period_hours"},
	{"_crl_", "revoked"},
}

type lintSet struct {
	certificate []*lint.CertificateLint
	list        []*lint.RevocationListLint
}

// lints are the lints that apply. Those whose names do not begin with e_ only warn.
var lints = sync.OnceValue(func() lintSet {
	applies := func(meta lint.LintMetadata) bool {
		_, out := lintsLeftOut[meta.Name]
		return slices.Contains(lintSources, meta.Source) && strings.HasPrefix(meta.Name, "e_") && !out
	}
	var set lintSet
	for _, l := range lint.GlobalRegistry().CertificateLints().Lints() {
		if applies(l.LintMetadata) {
			set.certificate = append(set.certificate, l)
		}
	}
	for _, l := range lint.GlobalRegistry().RevocationListLints().Lints() {
		if applies(l.LintMetadata) {
			set.list = append(set.list, l)
		}
	}
	slices.SortFunc(set.certificate, func(a, b *lint.CertificateLint) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(set.list, func(a, b *lint.RevocationListLint) int { return strings.Compare(a.Name, b.Name) })
	return set
})

// lintCertificate says what lints find wrong with a certificate.
func lintCertificate(der []byte) []Problem {
	certificate, err := zcrypto.ParseCertificate(der)
	if err != nil {
		return []Problem{{"", -1, fmt.Sprintf("The certificate cannot be linted: %v.", err)}}
	}
	var problems []Problem
	for _, l := range lints().certificate {
		result := l.Execute(certificate, noConfiguration)
		problems = append(problems, lintProblem("certificate", l.LintMetadata, result)...)
	}
	return problems
}

// lintList says what lints find wrong with a revocation list.
func lintList(der []byte) []Problem {
	list, err := zcrypto.ParseRevocationList(der)
	if err != nil {
		return []Problem{{"", -1, fmt.Sprintf("The revocation list cannot be linted: %v.", err)}}
	}
	var problems []Problem
	for _, l := range lints().list {
		problems = append(problems, lintProblem("revocation list", l.LintMetadata, l.Execute(list, noConfiguration))...)
	}
	return problems
}

var noConfiguration = lint.NewEmptyConfig()

func lintProblem(product string, meta lint.LintMetadata, result *lint.LintResult) []Problem {
	if result == nil || result.Status != lint.Error && result.Status != lint.Fatal {
		return nil
	}
	argument := ""
	for _, row := range lintArguments {
		if strings.Contains(meta.Name, row.text) {
			argument = row.argument
			break
		}
	}
	details := ""
	if result.Details != "" {
		details = " " + strings.TrimSuffix(result.Details, ".") + "."
	}
	return []Problem{{argument, -1, fmt.Sprintf("The %s would break a rule of %s: %s.%s Change what the rule is "+
		"about (lint %s).", product, strings.TrimSuffix(meta.Citation, "."), strings.TrimSuffix(meta.Description, "."),
		details, meta.Name)}}
}
