package x509cert

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// report gathers problems.
type report struct{ problems []Problem }

// add says what is wrong with an argument as a whole.
func (r *report) add(argument, format string, values ...any) { r.at(argument, -1, format, values...) }

// at says what is wrong with an element of a list.
func (r *report) at(argument string, index int, format string, values ...any) {
	r.problems = append(r.problems, Problem{argument, index, fmt.Sprintf(format, values...)})
}

// Check says what is wrong with a request for the key. pub may be nil where the key is not known yet.
func (r Request) Check(pub crypto.PublicKey) []Problem {
	var report report
	r.Subject.check(&report)
	r.Names.check(&report)
	checkUses(&report, r.AllowedUses)
	checkAuthority(&report, r.AllowedUses, r.IsCA, len(r.AllowedUses) == 0)
	checkAlgorithm(&report, r.SignatureAlgorithm)
	if pub != nil {
		checkKey(&report, pub, "public_key_pem")
		checkUsesOfKey(&report, r.AllowedUses, pub)
		checkAlgorithmOfKey(&report, r.SignatureAlgorithm, pub, "public_key_pem")
	}
	return report.problems
}

// CheckAlone is that part of Check that looks at what the profile says, not at what it lacks: it needs neither the key
// nor the issuer, and takes a subject, names or dates that are not known yet for none.
func (p Profile) CheckAlone() []Problem {
	var report report
	p.Subject.check(&report)
	p.Names.check(&report)
	checkUses(&report, p.AllowedUses)
	checkAuthority(&report, p.AllowedUses, p.IsCA, false)
	if p.IsCA && p.MaxPathLength != nil && *p.MaxPathLength < -1 {
		report.add("max_path_length", "The length of a path is 0 or more, or -1 for no bound, and not %d. Give such "+
			"a one.",
			*p.MaxPathLength)
	}
	p.NameConstraints.check(&report, p.IsCA)
	checkPolicies(&report, p.Policies)
	checkDates(&report, p.NotBefore, p.NotAfter)
	if p.Serial != nil && !serialFits(p.Serial) {
		report.add("serial_number", "The serial number must be more than 0, and have at most 20 bytes with its sign "+
			"(RFC 5280, 4.1.2.2). Give another one, or leave it out: then it is random.")
	}
	checkURLs(&report, "crl_distribution_points", p.CRLDistributionPoints, "http", "https", "ldap", "ldaps")
	checkURLs(&report, "ocsp_servers", p.OCSPServers, "http", "https")
	checkURLs(&report, "issuing_certificate_urls", p.IssuerURLs, "http", "https", "ldap", "ldaps")
	checkAlgorithm(&report, p.SignatureAlgorithm)
	return report.problems
}

// Check says what is wrong with a certificate for the key pub that the issuer signs. pub may be nil where the key is
// not known yet. issuer is nil for a certificate that signs itself.
func (p Profile) Check(pub crypto.PublicKey, issuer *x509.Certificate) []Problem {
	report := report{p.CheckAlone()}
	p.checkRawSubject(&report)
	p.checkSubjectThere(&report, issuer == nil)
	signing, argument := pub, "public_key_pem"
	if issuer != nil {
		signing, argument = issuer.PublicKey, "ca_cert_pem"
		p.checkIssuer(&report, issuer)
	} else if p.SetAuthorityKeyID && !p.IsCA && !p.SetSubjectKeyID {
		report.add("set_authority_key_id", "A self-signed certificate has its own subject key identifier for an "+
			"authority key identifier. Set set_subject_key_id too.")
	}
	if pub != nil {
		own := "public_key_pem"
		if issuer != nil {
			own = "cert_request_pem"
		}
		checkKey(&report, pub, own)
		checkUsesOfKey(&report, p.AllowedUses, pub)
	}
	if signing != nil {
		checkAlgorithmOfKey(&report, p.SignatureAlgorithm, signing, argument)
	}
	return report.problems
}

// checkSubjectThere says what a certificate lacks to say whose it is.
func (p Profile) checkSubjectThere(r *report, signsItself bool) {
	subject := p.subjectName()
	nobody := p.nobody()
	switch {
	case nobody && p.IsCA:
		r.add(p.subjectArgument(), "A CA needs a subject, which certificates name as their issuer (RFC 5280, "+
			"4.1.2.6). Set subject.common_name at least.")
	case nobody && signsItself:
		r.add(p.subjectArgument(), "A self-signed certificate is its own issuer, and an issuer needs a subject (RFC "+
			"5280, 4.1.2.4). Set subject.common_name at least.")
	case nobody && p.Names.empty():
		r.add(p.subjectArgument(), "The certificate would say of nobody whose it is. Set subject.common_name, or one "+
			"of dns_names, ip_addresses, uris and email_addresses.")
	case slices.Contains(p.AllowedUses, "server_auth") && !p.IsCA && len(p.Names.DNS)+len(p.Names.IPs) == 0 &&
		!looksLikeHost(subject.CommonName):
		// Clients look for a server's name in the alternative names alone today. The tls provider's own example has
		// it in the common name, and must go on working.
		r.add("dns_names", "A certificate for server_auth names its server. Set dns_names or ip_addresses.")
	}
}

// checkUses says which words are no uses, and which need another one.
func checkUses(r *report, allowed []string) {
	for i, word := range allowed {
		switch {
		case !slices.Contains(Uses(), word):
			r.at("allowed_uses", i, "%q is no use. It must be one of %s.", word, strings.Join(Uses(), ", "))
		case (word == "encipher_only" || word == "decipher_only") && !slices.Contains(allowed, "key_agreement"):
			r.at("allowed_uses", i, "%s has a meaning only beside key_agreement (RFC 5280, 4.2.1.3). Add "+
				"key_agreement, or leave %s out.", word, word)
		}
	}
}

// checkAuthority says where the uses and the flag of a CA contradict each other. A request may leave the uses of a CA
// to the one who certifies it.
func checkAuthority(r *report, allowed []string, isCA, open bool) {
	for i, word := range allowed {
		if (word == "cert_signing" || word == "crl_signing") && !isCA {
			r.at("allowed_uses", i, "Only a CA has the use %s (RFC 5280, 4.2.1.3 and 4.2.1.9). Set is_ca_certificate "+
				"to true, or leave %s out.", word, word)
		}
	}
	if isCA && !open && !slices.Contains(allowed, "cert_signing") {
		r.add("allowed_uses", "A CA needs the use cert_signing: without it, nobody accepts the certificates that it "+
			"signs (RFC 5280, 4.2.1.3). Add cert_signing, or set is_ca_certificate to false.")
	}
}

// checkDates says where dates are not in order, or not what X.509 can write. A zero date is not known yet.
func checkDates(r *report, notBefore, notAfter time.Time) {
	if !notBefore.IsZero() && notBefore.Before(firstMoment) {
		r.add("not_before", "A certificate cannot begin before 1950 (RFC 5280, 4.1.2.5). Give a later time.")
	}
	if !notBefore.IsZero() && notBefore.After(lastMoment) {
		r.add("not_before", "A certificate cannot begin after the year 9999 (RFC 5280, 4.1.2.5). Give an earlier time.")
	}
	if notAfter.IsZero() {
		return
	}
	if notAfter.After(lastMoment) {
		r.add("validity_period_hours", "A certificate cannot end after the year 9999 (RFC 5280, 4.1.2.5). Give fewer "+
			"hours.")
	}
	if !notBefore.IsZero() && !second(notAfter).After(second(notBefore)) {
		r.add("validity_period_hours", "The certificate would end at %s, which is not after its start at %s. Give at "+
			"least one hour.", stamp(notAfter), stamp(notBefore))
	}
}

// firstMoment is the first that a UTCTime can be.
var firstMoment = time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC)

func stamp(t time.Time) string { return second(t).Format(time.RFC3339) }

func checkPolicies(r *report, policies []string) {
	for i, policy := range policies {
		if oid, err := x509.ParseOID(policy); err != nil || oid.String() != policy {
			r.at("policies", i, "%q is no object identifier. Give numbers with dots between them, such as "+
				"1.3.6.1.4.1.99999.1.", policy)
		} else if slices.ContainsFunc(strings.Split(policy, "."), longNumber) {
			r.at("policies", i, "The identifier %s has a number of more than 31 bits, which many programs cannot "+
				"read. Give one with smaller numbers.", policy)
		}
		if slices.Index(policies, policy) < i {
			r.at("policies", i, "The policy %s stands here twice, which RFC 5280, 4.2.1.4 forbids. Leave one out.",
				policy)
		}
	}
}

func longNumber(number string) bool {
	_, err := strconv.ParseInt(number, 10, 32)
	return err != nil
}

// checkKey says why no certificate can be of a key.
func checkKey(r *report, pub crypto.PublicKey, argument string) {
	k, refusal := kindOf(pub)
	switch {
	case refusal != "":
		r.add(argument, "%s", refusal)
	case k == kindRSA && bitsOf(pub) < leastRSA:
		r.add(argument, "The RSA key has %d bits, which is too few: such keys can be broken, and clients refuse "+
			"them. Use one of %d bits or more.", bitsOf(pub), leastRSA)
	}
}

const leastRSA = 2048

// checkUsesOfKey says which uses a key cannot have.
func checkUsesOfKey(r *report, allowed []string, pub crypto.PublicKey) {
	k, refusal := kindOf(pub)
	if refusal != "" {
		return
	}
	for i, word := range allowed {
		for _, use := range keyUses {
			if use.word == word && !slices.Contains(use.kinds, k) {
				r.at("allowed_uses", i, "An %s key cannot have the use %s: %s. Leave %s out.", k, word, unfit[k], word)
			}
		}
	}
}

// Advice says what is not as it should be, and is signed all the same: the use key_encipherment of a key on a curve,
// which RFC 8813, 3 forbids, and which the tls provider's own examples have. Clients ignore it.
func Advice(allowed []string, pub crypto.PublicKey) []Problem {
	i := slices.Index(allowed, "key_encipherment")
	if k, _ := kindOf(pub); i < 0 || k != kindEC {
		return nil
	}
	return []Problem{{"allowed_uses", i, "The key is on a curve, and encrypts no other key, so that key_encipherment " +
		"means nothing; RFC 8813, 3 forbids it. TLS needs digital_signature alone. Leave key_encipherment out."}}
}

// unfit says of a kind of key what it does not do.
var unfit = map[kind]string{
	kindRSA:     "it agrees on no keys (RFC 3279, 2.3.1)",
	kindEC:      "it encrypts nothing; TLS needs digital_signature alone (RFC 8813, 3)",
	kindEd25519: "it only signs (RFC 8410, 5)",
}

// checkAlgorithm says which word is no algorithm.
func checkAlgorithm(r *report, word string) {
	if word != "" && !slices.Contains(SignatureAlgorithms(), word) {
		r.add("signature_algorithm", "%q is no signature algorithm. It must be one of %s.", word,
			strings.Join(SignatureAlgorithms(), ", "))
	}
}

// checkAlgorithmOfKey says where the key that signs cannot sign so. The key stands in an argument of its own.
func checkAlgorithmOfKey(r *report, word string, pub crypto.PublicKey, argument string) {
	k, refusal := kindOf(pub)
	if refusal != "" {
		return // said of the argument of the key
	}
	if word == "" {
		word = DefaultSignatureAlgorithm(pub)
	}
	for _, a := range algorithms {
		if a.word != word {
			continue
		}
		if a.kind != k {
			r.add("signature_algorithm", "The key of %s that signs is %s, and cannot sign by %s. Give one of %s, or "+
				"leave signature_algorithm out.", argument, k, word, strings.Join(algorithmsOf(k), ", "))
			return
		}
		if room := (bitsOf(pub) - 1 + 7) / 8; a.pss && room < 2*a.hash.Size()+2 {
			r.add("signature_algorithm", "The RSA key of %d bits has no room for the hash and the salt of %s, %d "+
				"bytes each (RFC 8017, 9.1.1). Give an algorithm with a shorter hash.", bitsOf(pub), word,
				a.hash.Size())
		}
	}
}
