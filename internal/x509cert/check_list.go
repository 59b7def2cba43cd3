package x509cert

import (
	"crypto/x509"
	"slices"
	"strings"
)

// Check says what is wrong with the list as one of the issuer's. issuer may be nil where it is not known yet, and so
// may be the number and the dates.
func (l List) Check(issuer *x509.Certificate) []Problem {
	var report report
	if issuer != nil && checkAuthorityOf(&report, issuer, x509.KeyUsageCRLSign, "crl_signing", "revocation lists") {
		checkAlgorithmOfKey(&report, l.SignatureAlgorithm, issuer.PublicKey, "ca_cert_pem")
	}
	checkAlgorithm(&report, l.SignatureAlgorithm)
	if l.Number != nil && (l.Number.Sign() < 0 || l.Number.BitLen() >= 8*mostSerialBytes) {
		report.add("crl_number", "The number of a revocation list must be 0 or more, and have at most 20 bytes (RFC "+
			"5280, 5.2.3).")
	}
	if !l.ThisUpdate.IsZero() && !l.NextUpdate.IsZero() {
		switch {
		case l.NextUpdate.After(lastMoment):
			report.add("validity_period_hours", "A revocation list cannot end after the year 9999 (RFC 5280, "+
				"5.1.2.5). Give fewer hours.")
		case !second(l.NextUpdate).After(second(l.ThisUpdate)):
			report.add("validity_period_hours", "The list would end at %s, which is not after its start at %s. Give "+
				"at least one hour.", stamp(l.NextUpdate), stamp(l.ThisUpdate))
		}
	}
	l.checkRevoked(&report)
	return report.problems
}

func (l List) checkRevoked(r *report) {
	first := map[string]int{} // where a serial number stands first
	for i, entry := range l.Revoked {
		if entry.Serial == nil {
			continue // not known yet
		}
		if !serialFits(entry.Serial) {
			r.at("revoked", i, "The serial number must be more than 0, and have at most 20 bytes. Give that of a "+
				"certificate, as serial_number has it.")
		}
		key := entry.Serial.String()
		if j, twice := first[key]; twice {
			r.at("revoked", i, "The serial number %s stands here twice, at %d and %d (counted from 0). Leave one out.",
				FormatSerial(entry.Serial), j, i)
		} else {
			first[key] = i
		}
	}
	for i, entry := range l.Revoked {
		switch {
		case entry.Reason == removeFromCRL:
			r.at("revoked", i, "The reason remove_from_crl is for delta lists alone, which are not made here (RFC "+
				"5280, 5.3.1). Leave the entry out instead.")
		case entry.Reason != "" && !slices.Contains(Reasons(), entry.Reason):
			r.at("revoked", i, "%q is no reason. It must be one of %s.", entry.Reason, strings.Join(Reasons(), ", "))
		}
		if entry.Time.IsZero() {
			continue // not known yet
		}
		if entry.Time.Before(firstMoment) {
			r.at("revoked", i, "The time of a revocation cannot be before 1950. Give a later one.")
		}
		if !l.ThisUpdate.IsZero() && second(entry.Time).After(second(l.ThisUpdate)) {
			r.at("revoked", i, "The certificate would be revoked at %s, after the list is made, at %s (RFC 5280, "+
				"5.1.2.6). Give a time that has come.", stamp(entry.Time), stamp(l.ThisUpdate))
		}
	}
}
