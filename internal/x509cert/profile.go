package x509cert

import (
	"fmt"
	"math/big"
	"strings"
	"time"
)

// Problem says what is wrong with a profile, and where.
type Problem struct {
	Argument string // such as "dns_names", "subject.country" or "ca_cert_pem"; "" where no single one is at fault
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

// Subject is a distinguished name in the words of the tls provider. "" and nil are left out. Domain components begin at
// the top, as in com, example for example.com.
type Subject struct {
	CommonName, Organization, OrganizationalUnit, Locality, Province, Country string
	PostalCode, SerialNumber, EmailAddress                                    string
	StreetAddress, DomainComponents                                           []string
}

// Names are the subject's alternative names.
type Names struct{ DNS, IPs, URIs, Emails []string }

// NameConstraints are the names that a CA may certify (RFC 5280, 4.2.1.10). A DNS domain is one with all below it; with
// a dot before it, all below it alone. A domain for mail addresses or URIs is that host alone, to most verifiers.
// Ranges are such as 10.0.0.0/8.
type NameConstraints struct {
	PermittedDNS, ExcludedDNS, PermittedIPs, ExcludedIPs         []string
	PermittedEmails, ExcludedEmails, PermittedURIs, ExcludedURIs []string
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
