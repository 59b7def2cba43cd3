package x509cert

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// Problem says what is wrong with a profile, and where.
type Problem struct {
	Argument string // such as "dns_names", "subject.country" or "ca_cert_pem"
	Index    int    // of an element of a list; -1: the argument as a whole
	Says     string // full sentences: what is wrong, and what to do
}

// ProblemError is the error of a Create whose profile has problems.
type ProblemError struct{ Problems []Problem }

func (e *ProblemError) Error() string {
	texts := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		texts[i] = fmt.Sprintf("%s: %s", p.Argument, p.Says)
	}
	return strings.Join(texts, "\n")
}

// Subject is a distinguished name in the words of the tls provider. "" and nil are left out.
type Subject struct {
	CommonName, Organization, OrganizationalUnit, Locality, Province, Country, PostalCode, SerialNumber, EmailAddress string
	StreetAddress, DomainComponents                                                                                   []string
}

// Names are the subject's alternative names.
type Names struct{ DNS, IPs, URIs, Emails []string }

// NameConstraints are the names that a CA may certify (RFC 5280, 4.2.1.10). Domains begin with a dot for subdomains
// alone; ranges are such as 10.0.0.0/8.
type NameConstraints struct {
	PermittedDNS, ExcludedDNS, PermittedIPs, ExcludedIPs, PermittedEmails, ExcludedEmails, PermittedURIs, ExcludedURIs []string
}

// Request is what a certificate request says.
type Request struct {
	Subject            Subject
	Names              Names
	AllowedUses        []string // see Uses
	IsCA               bool
	SignatureAlgorithm string // see SignatureAlgorithms; "": the default of the key
}

// Profile is what a certificate says.
type Profile struct {
	Subject                                        Subject
	Names                                          Names
	AllowedUses                                    []string // see Uses
	IsCA                                           bool
	MaxPathLength                                  *int // nil: no bound
	NameConstraints                                NameConstraints
	Policies                                       []string // object identifiers
	NotBefore, NotAfter                            time.Time
	Serial                                         *big.Int // nil: 20 random bytes, positive
	SetSubjectKeyID, SetAuthorityKeyID             bool
	CRLDistributionPoints, OCSPServers, IssuerURLs []string
	SignatureAlgorithm                             string // see SignatureAlgorithms; "": the default of the key
	// RawSubject is the subject in DER, of a request that is certified with its subject as it stands. Subject is then
	// the zero value.
	RawSubject []byte
}

// Revocation is a certificate that is not to be trusted any more.
type Revocation struct {
	Serial *big.Int
	Time   time.Time
	Reason string // see Reasons; "": none is given
}

// List is what a revocation list says.
type List struct {
	Number                 *big.Int
	ThisUpdate, NextUpdate time.Time
	Revoked                []Revocation
	SignatureAlgorithm     string // see SignatureAlgorithms; "": the default of the key
}

var errNotBuilt = errors.New("not built yet")

// Check says what is wrong with a request for the key. pub may be nil where the key is not known yet.
func (r Request) Check(pub crypto.PublicKey) []Problem { return nil }

// Create makes the request, which the signer signs, in DER. Errors: *ProblemError, or the signer's.
func (r Request) Create(signer crypto.Signer) (der []byte, err error) { return nil, errNotBuilt }

// Check says what is wrong with a certificate for the key pub that the issuer signs. pub may be nil where the key is not
// known yet. issuer is nil for a certificate that signs itself.
func (p Profile) Check(pub crypto.PublicKey, issuer *x509.Certificate) []Problem { return nil }

// CheckAlone is that part of Check that needs neither the key nor the issuer.
func (p Profile) CheckAlone() []Problem { return nil }

// Create makes the certificate, in DER: the signer is the issuer's, or the key's own where issuer is nil. Errors:
// *ProblemError, or the signer's.
func (p Profile) Create(pub crypto.PublicKey, issuer *x509.Certificate, signer crypto.Signer) (der []byte, err error) {
	return nil, errNotBuilt
}

// Check says what is wrong with the list as one of the issuer's.
func (l List) Check(issuer *x509.Certificate) []Problem { return nil }

// Create makes the list, in DER. Errors: *ProblemError, or the signer's.
func (l List) Create(issuer *x509.Certificate, signer crypto.Signer) (der []byte, err error) {
	return nil, errNotBuilt
}

// Uses are the words for allowed uses, sorted: key usages and extended key usages (RFC 5280, 4.2.1.3 and 4.2.1.12).
func Uses() []string { return nil }

// SignatureAlgorithms are the words for how something is signed, such as SHA256-RSA, SHA384-RSAPSS, ECDSA-SHA256 and
// Ed25519.
func SignatureAlgorithms() []string { return nil }

// Reasons are the words for why a certificate is revoked (RFC 5280, 5.3.1), such as key_compromise.
func Reasons() []string { return nil }

// FormatSerial is a serial number in lower-case hex, two digits a byte.
func FormatSerial(serial *big.Int) string { return "" }

// ParseSerial reads what FormatSerial writes, in either case, with colons or without.
func ParseSerial(text string) (*big.Int, error) { return nil, errNotBuilt }

// CertificatePEM, RequestPEM and ListPEM are DER as PEM blocks (RFC 7468).
func CertificatePEM(der []byte) string { return "" }

// RequestPEM is a request in DER as a PEM block.
func RequestPEM(der []byte) string { return "" }

// ListPEM is a revocation list in DER as a PEM block.
func ListPEM(der []byte) string { return "" }

// ParseCertificate reads a text that is one PEM block CERTIFICATE. Errors are full sentences without a stop at their
// end, and repeat nothing of the text.
func ParseCertificate(text string) (*x509.Certificate, error) { return nil, errNotBuilt }

// ParseRequest reads a text that is one PEM block CERTIFICATE REQUEST, and verifies its signature.
func ParseRequest(text string) (*x509.CertificateRequest, error) { return nil, errNotBuilt }

// ParseList reads a text that is one PEM block X509 CRL.
func ParseList(text string) (*x509.RevocationList, error) { return nil, errNotBuilt }
