package x509cert

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// Create makes the certificate, in DER: the signer is the issuer's, or the key's own where issuer is nil. Errors:
// *ProblemError, or the signer's.
func (p Profile) Create(pub crypto.PublicKey, issuer *x509.Certificate, signer crypto.Signer) (der []byte, err error) {
	if p.Serial == nil {
		if p.Serial, err = NewSerial(); err != nil {
			return nil, err
		}
	}
	problems := append(p.Rehearse(pub, issuer), checkSigner(signer, pub, issuer)...)
	if p.NotBefore.IsZero() || p.NotAfter.IsZero() {
		problems = append(problems, Problem{"validity_period_hours", -1, "A certificate needs a start and an end. " +
			"Give both."})
	}
	if len(problems) > 0 {
		return nil, &ProblemError{problems}
	}
	return p.signed(pub, issuer, signer)
}

// signed has the certificate signed, and looks at what comes out.
func (p Profile) signed(pub crypto.PublicKey, issuer *x509.Certificate, signer crypto.Signer) ([]byte, error) {
	template, parent, err := p.templates(pub, issuer)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, signer)
	if err != nil {
		return nil, err
	}
	if err := verifyCertificate(der, template, parent); err != nil {
		return nil, err
	}
	return der, nil
}

// checkSigner says where a signer is of another key than the one that is to sign.
func checkSigner(signer crypto.Signer, pub crypto.PublicKey, issuer *x509.Certificate) []Problem {
	if issuer != nil && !publickey.Equal(issuer.PublicKey, signer.Public()) {
		return []Problem{{"ca_cert_pem", -1, "The certificate's key is not the one that signs. Give the certificate " +
			"of the CA whose key signs."}}
	}
	if issuer == nil && !publickey.Equal(pub, signer.Public()) {
		return []Problem{{"public_key_pem", -1, "The key is not the one that signs. A self-signed certificate is " +
			"signed with its own key."}}
	}
	return nil
}

// templates are what x509.CreateCertificate makes the certificate of, and its issuer. The issuer of a certificate that
// signs itself is its own template.
func (p Profile) templates(pub crypto.PublicKey, issuer *x509.Certificate) (
	template, parent *x509.Certificate, err error,
) {
	subject := p.RawSubject
	if len(subject) == 0 {
		if subject, err = p.Subject.der(); err != nil {
			return nil, nil, err
		}
	}
	signing := pub
	if issuer != nil {
		signing = issuer.PublicKey
	}
	template = &x509.Certificate{
		SerialNumber: p.Serial, RawSubject: subject, PublicKey: pub,
		NotBefore: second(p.NotBefore), NotAfter: second(p.NotAfter),
		SignatureAlgorithm:    algorithmOf(p.SignatureAlgorithm, signing),
		BasicConstraintsValid: true, IsCA: p.IsCA, MaxPathLen: -1,
		CRLDistributionPoints: p.CRLDistributionPoints, OCSPServer: p.OCSPServers, IssuingCertificateURL: p.IssuerURLs,
	}
	template.KeyUsage, template.ExtKeyUsage = usages(p.AllowedUses)
	if p.bounded() {
		template.MaxPathLen, template.MaxPathLenZero = *p.MaxPathLength, *p.MaxPathLength == 0
	}
	for _, policy := range p.Policies {
		oid, err := x509.ParseOID(policy)
		if err != nil {
			return nil, nil, err
		}
		template.Policies = append(template.Policies, oid)
	}
	if err := p.NameConstraints.fill(template); err != nil {
		return nil, nil, err
	}
	if !p.Names.empty() {
		names, err := p.Names.extension(bytes.Equal(subject, emptyName))
		if err != nil {
			return nil, nil, err
		}
		template.ExtraExtensions = append(template.ExtraExtensions, names)
	}
	if p.IsCA || p.SetSubjectKeyID {
		if template.SubjectKeyId, err = subjectKeyID(pub); err != nil {
			return nil, nil, err
		}
	}
	if issuer == nil {
		if p.SetAuthorityKeyID {
			template.AuthorityKeyId = template.SubjectKeyId
		}
		return template, template, nil
	}
	if parent, err = identified(issuer); err != nil {
		return nil, nil, err
	}
	template.AuthorityKeyId = parent.SubjectKeyId
	return template, parent, nil
}

// emptyName is a subject that names nobody, in DER.
var emptyName = []byte{0x30, 0}

// second is a time as X.509 can have it.
func second(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// bounded says whether a certificate bounds the paths below it. As in the tls provider, a bound of -1 is none, and one
// of a certificate that is no CA means nothing.
func (p Profile) bounded() bool { return p.IsCA && p.MaxPathLength != nil && *p.MaxPathLength >= 0 }

// identified is an issuer with its key's identifier, by the usual method where its certificate has none.
func identified(issuer *x509.Certificate) (*x509.Certificate, error) {
	if len(issuer.SubjectKeyId) > 0 {
		return issuer, nil
	}
	id, err := subjectKeyID(issuer.PublicKey)
	if err != nil {
		return nil, err
	}
	with := *issuer
	with.SubjectKeyId = id
	return &with, nil
}

// fill writes the constraints into a template.
func (c NameConstraints) fill(template *x509.Certificate) (err error) {
	template.PermittedDNSDomains, template.ExcludedDNSDomains = c.PermittedDNS, c.ExcludedDNS
	template.PermittedEmailAddresses, template.ExcludedEmailAddresses = c.PermittedEmails, c.ExcludedEmails
	template.PermittedURIDomains, template.ExcludedURIDomains = c.PermittedURIs, c.ExcludedURIs
	template.PermittedDNSDomainsCritical = true // of the whole extension, which must be (RFC 5280, 4.2.1.10)
	if template.PermittedIPRanges, err = ranges(c.PermittedIPs); err != nil {
		return err
	}
	template.ExcludedIPRanges, err = ranges(c.ExcludedIPs)
	return err
}

func ranges(texts []string) ([]*net.IPNet, error) {
	var nets []*net.IPNet
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, err
		}
		address := prefix.Masked().Addr()
		nets = append(nets, &net.IPNet{
			IP: address.AsSlice(), Mask: net.CIDRMask(prefix.Bits(), address.BitLen()),
		})
	}
	return nets, nil
}

// verifyCertificate parses what was signed, verifies the signature, and says what is not as it was asked for.
func verifyCertificate(der []byte, want, parent *x509.Certificate) error {
	got, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("x509cert: the certificate that was made: %w", err)
	}
	signing := x509.Certificate{PublicKey: parent.PublicKey}
	if err := signing.CheckSignature(got.SignatureAlgorithm, got.RawTBSCertificate, got.Signature); err != nil {
		return fmt.Errorf("x509cert: the signature of the certificate that was made: %w", err)
	}
	return differences("certificate", []difference{
		{"serial number", got.SerialNumber.Cmp(want.SerialNumber) == 0},
		{"issuer", bytes.Equal(got.RawIssuer, parent.RawSubject)},
		{"subject", bytes.Equal(got.RawSubject, want.RawSubject)},
		{"key", publickey.Equal(got.PublicKey, want.PublicKey)},
		{"signature algorithm", got.SignatureAlgorithm == want.SignatureAlgorithm},
		{"start", got.NotBefore.Equal(want.NotBefore)},
		{"end", got.NotAfter.Equal(want.NotAfter)},
		{"names", sameNames(got, want)},
		{"key usage", got.KeyUsage == want.KeyUsage},
		{"extended key usage", slices.Equal(got.ExtKeyUsage, want.ExtKeyUsage) && len(got.UnknownExtKeyUsage) == 0},
		{"basic constraints", got.BasicConstraintsValid && got.IsCA == want.IsCA && got.MaxPathLen == want.MaxPathLen &&
			got.MaxPathLenZero == want.MaxPathLenZero},
		{"subject key identifier", bytes.Equal(got.SubjectKeyId, want.SubjectKeyId)},
		{"authority key identifier", bytes.Equal(got.AuthorityKeyId, want.AuthorityKeyId)},
		{"policies", slices.EqualFunc(got.Policies, want.Policies, x509.OID.Equal)},
		{"name constraints", sameConstraints(got, want)},
		{"crl distribution points", slices.Equal(got.CRLDistributionPoints, want.CRLDistributionPoints)},
		{"ocsp servers", slices.Equal(got.OCSPServer, want.OCSPServer)},
		{"issuing certificate urls", slices.Equal(got.IssuingCertificateURL, want.IssuingCertificateURL)},
		{"critical extensions", slices.Equal(criticals(got), criticalsWanted(want))},
	})
}

func sameNames(got, want *x509.Certificate) bool {
	return bytes.Equal(extension(got.Extensions, oidSubjectAltName), extension(want.ExtraExtensions, oidSubjectAltName))
}

func sameConstraints(a, b *x509.Certificate) bool {
	same := func(a, b *net.IPNet) bool { return a.String() == b.String() }
	return slices.Equal(a.PermittedDNSDomains, b.PermittedDNSDomains) &&
		slices.Equal(a.ExcludedDNSDomains, b.ExcludedDNSDomains) &&
		slices.Equal(a.PermittedEmailAddresses, b.PermittedEmailAddresses) &&
		slices.Equal(a.ExcludedEmailAddresses, b.ExcludedEmailAddresses) &&
		slices.Equal(a.PermittedURIDomains, b.PermittedURIDomains) &&
		slices.Equal(a.ExcludedURIDomains, b.ExcludedURIDomains) &&
		slices.EqualFunc(a.PermittedIPRanges, b.PermittedIPRanges, same) &&
		slices.EqualFunc(a.ExcludedIPRanges, b.ExcludedIPRanges, same)
}

// criticals are the critical extensions of a certificate.
func criticals(certificate *x509.Certificate) []string {
	var ids []string
	for _, e := range certificate.Extensions {
		if e.Critical {
			ids = append(ids, e.Id.String())
		}
	}
	slices.Sort(ids)
	return ids
}

// criticalsWanted are those that RFC 5280 wants to be critical, of what a template has.
func criticalsWanted(template *x509.Certificate) []string {
	ids := []string{oidBasicConstraints.String()}
	if template.KeyUsage != 0 {
		ids = append(ids, oidKeyUsage.String())
	}
	if constrained(template) {
		ids = append(ids, oidNameConstraints.String())
	}
	if bytes.Equal(template.RawSubject, emptyName) {
		ids = append(ids, oidSubjectAltName.String())
	}
	slices.Sort(ids)
	return ids
}

// lastMoment is the last that X.509 can write, which is said of certificates without an end (RFC 5280, 4.1.2.5).
var lastMoment = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
