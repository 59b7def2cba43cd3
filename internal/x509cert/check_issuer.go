package x509cert

import (
	"bytes"
	"crypto/x509"
	"slices"
)

// checkIssuer says what the issuer may not certify.
func (p Profile) checkIssuer(r *report, issuer *x509.Certificate) {
	if !checkAuthorityOf(r, issuer, x509.KeyUsageCertSign, "cert_signing", "certificates") {
		return
	}
	if !p.NotAfter.IsZero() && second(p.NotAfter).After(issuer.NotAfter) {
		r.add("validity_period_hours", "The certificate would end at %s, after its CA's certificate, which ends at "+
			"%s. Give fewer hours, or renew the CA first.", stamp(p.NotAfter), stamp(issuer.NotAfter))
	}
	if !p.NotBefore.IsZero() && second(p.NotBefore).Before(issuer.NotBefore) {
		r.add("not_before", "The certificate would begin at %s, before its CA's certificate, which begins at %s. "+
			"Give a later time.", stamp(p.NotBefore), stamp(issuer.NotBefore))
	}
	p.checkPathLength(r, issuer)
	p.checkConstraints(r, issuer)
}

// checkPathLength says where the issuer's bound leaves no room (RFC 5280, 4.2.1.9).
func (p Profile) checkPathLength(r *report, issuer *x509.Certificate) {
	most := issuer.MaxPathLen
	if !p.IsCA || most < 0 || most == 0 && !issuer.MaxPathLenZero {
		return
	}
	if most == 0 {
		r.add("is_ca_certificate", "The CA may not certify another CA: the path length in its certificate is 0 (RFC "+
			"5280, 4.2.1.9). Set is_ca_certificate to false, or have this CA certified by one that may.")
		return
	}
	if p.bounded() && *p.MaxPathLength >= most {
		r.add("max_path_length", "It must be less than %d, the path length in the certificate of the CA above (RFC "+
			"5280, 4.2.1.9). Give %d or less.", most, most-1)
	}
}

// checkAuthorityOf says why a certificate is not one of a CA that signs this. It is false where nothing else need be
// said.
func checkAuthorityOf(r *report, issuer *x509.Certificate, usage x509.KeyUsage, word, things string) bool {
	before := len(r.problems)
	_, refusal := kindOf(issuer.PublicKey)
	switch {
	case refusal != "":
		r.add("ca_cert_pem", "%s", refusal)
	case !issuer.BasicConstraintsValid || !issuer.IsCA:
		r.add("ca_cert_pem", "The certificate is not one of a CA, and cannot sign %s (RFC 5280, 4.2.1.9). Give one "+
			"that was made with is_ca_certificate.", things)
	case issuer.KeyUsage != 0 && issuer.KeyUsage&usage == 0:
		r.add("ca_cert_pem", "The CA's certificate does not allow %s, and nobody accepts %s that it signs (RFC 5280, "+
			"4.2.1.3). Give one that was made with %s among its allowed_uses.", word, things, word)
	case bytes.Equal(issuer.RawSubject, emptyName):
		r.add("ca_cert_pem", "The CA's certificate has no subject that could be named as the issuer (RFC 5280, "+
			"4.1.2.4). Give one that has.")
	case slices.ContainsFunc(issuer.UnhandledCriticalExtensions, oidNameConstraints.Equal):
		r.add("ca_cert_pem", "The CA's certificate constrains names in a form that is not supported, such as "+
			"directory names. What it may certify cannot be checked. Give one with constraints on DNS names, IP "+
			"addresses, mail addresses and URIs alone.")
	default:
		checkKey(r, issuer.PublicKey, "ca_cert_pem")
	}
	return len(r.problems) == before
}
