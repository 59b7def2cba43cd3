package object

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// ChainError says why there is no chain of certificates for a key.
type ChainError struct {
	// Several are the certificates of which nothing shows which one is meant; none where the key has no certificate
	// that is valid.
	Several []*x509.Certificate
	// Issuer: those are of an issuer's key, and not of the key itself.
	Issuer bool
	// Invalid are those of the key that are not valid at the time.
	Invalid []*x509.Certificate
	// Chosen: the configuration names the certificates that may be taken.
	Chosen bool
}

func (e *ChainError) Error() string {
	switch {
	case e.Issuer:
		return "the token has several valid certificates of one issuer, and nothing shows that one is the renewal of " +
			"the others:" + certificateList(e.Several)
	case len(e.Several) > 0 && len(e.Invalid) > 0:
		return "the token has several certificates for the key, and nothing shows that those which are valid now are " +
			"renewals of the others:" + certificateList(slices.Concat(e.Several, e.Invalid))
	case len(e.Several) > 0:
		return "the token has several valid certificates for the key, and nothing shows that one is the renewal of " +
			"the others:" + certificateList(e.Several)
	}
	which := "no certificate for the key"
	if e.Chosen {
		which = "none of the certificates that x5c_leaves names for the key"
	}
	if len(e.Invalid) > 0 {
		return "the token has " + which + " that is valid now, but these:" + certificateList(e.Invalid)
	}
	return "the token has " + which
}

func certificateList(all []*x509.Certificate) string {
	var text strings.Builder
	for _, c := range all {
		fmt.Fprintf(&text, "\n  - %q, by %q, valid from %s to %s, SHA-256 fingerprint %s", c.Subject, c.Issuer,
			c.NotBefore.UTC().Format(time.RFC3339), c.NotAfter.UTC().Format(time.RFC3339), CertificateSHA256(c.Raw))
	}
	return text.String()
}

// maxChain is how many certificates a chain has at most.
const maxChain = 10

// CertificatePool is the certificates of a token that can be read, to build chains of. Anyone may have put them there.
type CertificatePool struct {
	byKey     map[string][]*x509.Certificate // by the fingerprint of their public key
	bySubject map[string][]*x509.Certificate // by the subject in DER
}

// NewCertificatePool leaves out what cannot be read: no chain is made of it.
func NewCertificatePool(all []Certificate) *CertificatePool {
	p := &CertificatePool{byKey: map[string][]*x509.Certificate{}, bySubject: map[string][]*x509.Certificate{}}
	seen := map[string]bool{}
	for _, one := range all {
		c, err := one.Parse()
		if err != nil || seen[string(c.Raw)] {
			continue
		}
		seen[string(c.Raw)] = true
		fingerprint := one.KeyFingerprint()
		p.byKey[fingerprint] = append(p.byKey[fingerprint], c)
		p.bySubject[string(c.RawSubject)] = append(p.bySubject[string(c.RawSubject)], c)
	}
	return p
}

// Chain is a certificate of the key with the fingerprint, then its issuers as far as the pool has them, each of which
// has signed the one before it. All are valid at the time.
//
// The key's certificate is the one that begins last among renewals: certificates whose signatures the same issuer's key
// verifies, which is in the pool, or the key's own. Where there are others, be they over, it is a *ChainError: anyone
// may have put one there. leaves, if it is not nil, says by fingerprints which certificates may be taken. Of several
// certificates of an issuer, one that signs itself is taken, which nobody else can make. Else the same goes for them as
// for the key's own: leaves decides, if it names one.
func (p *CertificatePool) Chain(fingerprint string, leaves []string, at time.Time) ([]*x509.Certificate, error) {
	var valid, invalid []*x509.Certificate
	for _, c := range p.byKey[fingerprint] {
		switch {
		case fingerprint == "" || leaves != nil && !slices.Contains(leaves, CertificateSHA256(c.Raw)):
		case validAt(c, at):
			valid = append(valid, c)
		default:
			invalid = append(invalid, c)
		}
	}
	if len(valid) == 0 {
		sortChain(invalid)
		return nil, &ChainError{Invalid: invalid, Chosen: leaves != nil}
	}
	sortChain(valid)
	if !p.renewals(valid, at) {
		return nil, &ChainError{Several: valid, Chosen: leaves != nil}
	}
	// One that is over says whose the key's certificates are. A stranger's that is the only one left does not replace
	// it.
	if leaves == nil && !p.renewals(append(valid[:1:1], invalid...), at) {
		sortChain(invalid)
		return nil, &ChainError{Several: valid, Invalid: invalid}
	}
	chain := []*x509.Certificate{valid[0]}
	for len(chain) < maxChain {
		last := chain[len(chain)-1]
		issuers := slices.DeleteFunc(p.issuers(last, at), func(c *x509.Certificate) bool {
			return slices.ContainsFunc(chain, func(have *x509.Certificate) bool { return have.Equal(c) })
		})
		if selfSigned(last) || len(issuers) == 0 {
			break
		}
		issuers = named(issuers, leaves)
		if !selfSigned(issuers[0]) && !p.renewals(issuers, at) {
			return nil, &ChainError{Several: issuers, Issuer: true}
		}
		chain = append(chain, issuers[0])
	}
	return chain, nil
}

// named are those of the certificates whose fingerprints are given, or all where none is.
func named(all []*x509.Certificate, fingerprints []string) []*x509.Certificate {
	some := slices.DeleteFunc(slices.Clone(all), func(c *x509.Certificate) bool {
		return !slices.Contains(fingerprints, CertificateSHA256(c.Raw))
	})
	if len(some) == 0 {
		return all
	}
	return some
}

// renewals says that the first of the certificates is a renewal of all others.
func (p *CertificatePool) renewals(all []*x509.Certificate, at time.Time) bool {
	return !slices.ContainsFunc(all[1:], func(other *x509.Certificate) bool { return !p.renewal(all[0], other, at) })
}

func validAt(c *x509.Certificate, at time.Time) bool {
	return !at.Before(c.NotBefore) && !at.After(c.NotAfter)
}

// sortChain puts first what begins last.
func sortChain(all []*x509.Certificate) {
	slices.SortFunc(all, func(a, b *x509.Certificate) int {
		return cmp.Or(b.NotBefore.Compare(a.NotBefore), b.NotAfter.Compare(a.NotAfter), bytes.Compare(a.Raw, b.Raw))
	})
}

// selfSigned says that a certificate's own key has signed it, as that of a root has.
func selfSigned(c *x509.Certificate) bool {
	return bytes.Equal(c.RawSubject, c.RawIssuer) &&
		c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

// issuers are the certificates in the pool that have signed one, those that sign themselves first.
func (p *CertificatePool) issuers(c *x509.Certificate, at time.Time) (found []*x509.Certificate) {
	for _, issuer := range p.bySubject[string(c.RawIssuer)] {
		if validAt(issuer, at) && c.CheckSignatureFrom(issuer) == nil {
			found = append(found, issuer)
		}
	}
	sortChain(found)
	slices.SortStableFunc(found, func(a, b *x509.Certificate) int { return rank(a) - rank(b) })
	return found
}

func rank(c *x509.Certificate) int {
	if selfSigned(c) {
		return 0
	}
	return 1
}

// renewal says that the two certificates of one key have the same subject, and are signed by the same key: one whose
// certificate the pool has, or their own.
func (p *CertificatePool) renewal(a, b *x509.Certificate, at time.Time) bool {
	if !bytes.Equal(a.RawSubject, b.RawSubject) || !bytes.Equal(a.RawIssuer, b.RawIssuer) {
		return false
	}
	if selfSigned(a) && selfSigned(b) {
		return true
	}
	return slices.ContainsFunc(p.issuers(a, at), func(of *x509.Certificate) bool {
		return slices.ContainsFunc(p.issuers(b, at), func(other *x509.Certificate) bool {
			return publickey.Equal(of.PublicKey, other.PublicKey)
		})
	})
}
