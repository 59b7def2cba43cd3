package x509cert

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"slices"
)

// Create makes the list, in DER. Errors: *ProblemError, or the signer's.
func (l List) Create(issuer *x509.Certificate, signer crypto.Signer) (der []byte, err error) {
	problems := append(l.Rehearse(issuer), checkSigner(signer, nil, issuer)...)
	if l.ThisUpdate.IsZero() || l.NextUpdate.IsZero() {
		problems = append(problems, Problem{"validity_period_hours", -1, "A revocation list needs a start and an " +
			"end. Give both."})
	}
	if l.Number == nil {
		problems = append(problems, Problem{"crl_number", -1, "A revocation list needs a number. Give one."})
	}
	for i, entry := range l.Revoked {
		if entry.Serial == nil || entry.Time.IsZero() {
			problems = append(problems, Problem{"revoked", i, "A revocation needs a serial number and a time. Give " +
				"both."})
		}
	}
	if len(problems) > 0 {
		return nil, &ProblemError{problems}
	}
	return l.signed(issuer, signer)
}

// signed has the list signed, and looks at what comes out.
func (l List) signed(issuer *x509.Certificate, signer crypto.Signer) ([]byte, error) {
	parent, err := listIssuer(issuer)
	if err != nil {
		return nil, err
	}
	template := l.template(issuer.PublicKey)
	der, err := x509.CreateRevocationList(rand.Reader, template, parent, signer)
	if err != nil {
		return nil, err
	}
	if err := verifyList(der, template, parent); err != nil {
		return nil, err
	}
	return der, nil
}

// template is what x509.CreateRevocationList makes the list of: its entries by their serial numbers, whatever the order
// of the configuration.
func (l List) template(signing crypto.PublicKey) *x509.RevocationList {
	template := &x509.RevocationList{
		Number: l.Number, ThisUpdate: second(l.ThisUpdate), NextUpdate: second(l.NextUpdate),
		SignatureAlgorithm: algorithmOf(l.SignatureAlgorithm, signing),
	}
	for _, r := range l.Revoked {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: r.Serial, RevocationTime: second(r.Time), ReasonCode: reasonCode(r.Reason),
		})
	}
	slices.SortFunc(template.RevokedCertificateEntries, func(a, b x509.RevocationListEntry) int {
		return a.SerialNumber.Cmp(b.SerialNumber)
	})
	return template
}

// listIssuer is an issuer as x509.CreateRevocationList wants it: with an identifier, and with a key usage that says
// what the lack of one means.
func listIssuer(issuer *x509.Certificate) (*x509.Certificate, error) {
	parent, err := identified(issuer)
	if err != nil || parent.KeyUsage != 0 {
		return parent, err
	}
	with := *parent
	with.KeyUsage = x509.KeyUsageCRLSign
	return &with, nil
}

// verifyList parses what was signed, verifies the signature, and says what is not as it was asked for.
func verifyList(der []byte, want *x509.RevocationList, parent *x509.Certificate) error {
	got, err := x509.ParseRevocationList(der)
	if err != nil {
		return fmt.Errorf("x509cert: the revocation list that was made: %w", err)
	}
	if err := got.CheckSignatureFrom(parent); err != nil {
		return fmt.Errorf("x509cert: the signature of the revocation list that was made: %w", err)
	}
	same := func(a, b x509.RevocationListEntry) bool {
		return a.SerialNumber.Cmp(b.SerialNumber) == 0 && a.RevocationTime.Equal(b.RevocationTime) &&
			a.ReasonCode == b.ReasonCode
	}
	return differences("revocation list", []difference{
		{"issuer", bytes.Equal(got.RawIssuer, parent.RawSubject)},
		{"number", got.Number != nil && got.Number.Cmp(want.Number) == 0},
		{"time", got.ThisUpdate.Equal(want.ThisUpdate)},
		{"next update", got.NextUpdate.Equal(want.NextUpdate)},
		{"signature algorithm", got.SignatureAlgorithm == want.SignatureAlgorithm},
		{"authority key identifier", bytes.Equal(got.AuthorityKeyId, parent.SubjectKeyId)},
		{"entries", slices.EqualFunc(got.RevokedCertificateEntries, want.RevokedCertificateEntries, same)},
	})
}
