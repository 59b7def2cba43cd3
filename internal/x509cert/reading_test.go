package x509cert

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
)

// What reads products back, for tests alone: nothing that is shipped reads them.

// Revoked are the entries of a list, by their serial numbers. An entry that only a delta list can have has the reason
// remove_from_crl, which is not one of Reasons.
func Revoked(list *x509.RevocationList) []Revocation {
	var revoked []Revocation
	for _, entry := range list.RevokedCertificateEntries {
		revoked = append(revoked, Revocation{entry.SerialNumber, entry.RevocationTime, reasonWord(entry.ReasonCode)})
	}
	slices.SortFunc(revoked, func(a, b Revocation) int { return a.Serial.Cmp(b.Serial) })
	return revoked
}

// reasonWord is the word of a number; "" for unspecified, which a list does not write.
func reasonWord(code int) string {
	for _, r := range reasons[1:] {
		if r.code == code {
			return r.word
		}
	}
	if code == 8 {
		return removeFromCRL
	}
	return ""
}

// ParseList reads a text that is one PEM block X509 CRL. Errors are as those of ParseCertificate. The signature is its
// issuer's to verify: x509.RevocationList.CheckSignatureFrom.
func ParseList(text string) (*x509.RevocationList, error) {
	der, err := listBlock.Read(text)
	if err != nil {
		return nil, err
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, unreadable("revocation list", err)
	}
	return list, nil
}

// RequestUses are the uses that a request asks for, in the words of Uses, and whether it asks for a CA. A use that has
// no word is an error.
func RequestUses(request *x509.CertificateRequest) (allowed []string, isCA bool, err error) {
	var key x509.KeyUsage
	if value := extension(request.Extensions, oidKeyUsage); value != nil {
		var list asn1.BitString
		if rest, err := asn1.Unmarshal(value, &list); err != nil || len(rest) > 0 {
			return nil, false, errors.New("the key usage that the request asks for cannot be read")
		}
		for i := range 9 {
			key |= x509.KeyUsage(list.At(i) << i)
		}
	}
	var extended []x509.ExtKeyUsage
	if value := extension(request.Extensions, oidExtKeyUsage); value != nil {
		var oids []asn1.ObjectIdentifier
		if rest, err := asn1.Unmarshal(value, &oids); err != nil || len(rest) > 0 {
			return nil, false, errors.New("the extended key usage that the request asks for cannot be read")
		}
		for _, oid := range oids {
			i := slices.IndexFunc(extendedUses, func(use extendedUse) bool { return use.oid.Equal(oid) })
			if i < 0 {
				return nil, false, fmt.Errorf("the request asks for the extended key usage %s, which has no word in "+
					"allowed_uses", oid)
			}
			extended = append(extended, extendedUses[i].usage)
		}
	}
	if value := extension(request.Extensions, oidBasicConstraints); value != nil {
		var constraints struct {
			IsCA          bool `asn1:"optional"`
			MaxPathLength int  `asn1:"optional,default:-1"`
		}
		if rest, err := asn1.Unmarshal(value, &constraints); err != nil || len(rest) > 0 {
			return nil, false, errors.New("the basic constraints that the request asks for cannot be read")
		}
		isCA = constraints.IsCA
	}
	return words(key, extended), isCA, nil
}

// words are the words of usages.
func words(key x509.KeyUsage, extended []x509.ExtKeyUsage) []string {
	var words []string
	for _, use := range keyUses {
		if key&use.usage != 0 {
			words = append(words, use.word)
		}
	}
	for _, usage := range extended {
		for _, use := range extendedUses {
			if use.usage == usage {
				words = append(words, use.word)
			}
		}
	}
	return words
}
