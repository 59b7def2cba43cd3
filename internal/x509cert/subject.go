package x509cert

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"slices"
)

var (
	oidEmailAddress    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}       // RFC 2985, 5.2.1
	oidDomainComponent = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25} // RFC 4519, 2.4
)

// empty says that the subject names nobody.
func (s Subject) empty() bool {
	for _, text := range s.texts() {
		if *text.value != "" {
			return false
		}
	}
	return len(s.StreetAddress) == 0 && len(s.DomainComponents) == 0
}

// der is the subject as a Name (RFC 5280, 4.1.2.4). Domain components come first, in the order of the list, which is
// that of RFC 2247 read from the right: com, example. The others follow as the tls provider has them.
func (s Subject) der() ([]byte, error) {
	var rdns pkix.RDNSequence
	for _, component := range s.DomainComponents {
		rdns = append(rdns, pkix.RelativeDistinguishedNameSET{ia5(oidDomainComponent, component)})
	}
	one := func(text string) []string {
		if text == "" {
			return nil
		}
		return []string{text}
	}
	name := pkix.Name{
		Country: one(s.Country), Organization: one(s.Organization), OrganizationalUnit: one(s.OrganizationalUnit),
		Locality: one(s.Locality), Province: one(s.Province), StreetAddress: slices.Clone(s.StreetAddress),
		PostalCode: one(s.PostalCode), CommonName: s.CommonName, SerialNumber: s.SerialNumber,
	}
	if s.EmailAddress != "" {
		name.ExtraNames = []pkix.AttributeTypeAndValue{ia5(oidEmailAddress, s.EmailAddress)}
	}
	return asn1.Marshal(append(rdns, name.ToRDNSequence()...))
}

// ia5 is an attribute whose value is an IA5String.
func ia5(oid asn1.ObjectIdentifier, text string) pkix.AttributeTypeAndValue {
	return pkix.AttributeTypeAndValue{
		Type: oid, Value: asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte(text)},
	}
}

// subjectText is an attribute of a subject that is one text.
type subjectText struct {
	argument  string
	value     *string
	most      int  // characters (RFC 5280, A.1)
	printable bool // a PrintableString alone
}

func (s *Subject) texts() []subjectText {
	return []subjectText{
		{"subject.common_name", &s.CommonName, 64, false},
		{"subject.organization", &s.Organization, 64, false},
		{"subject.organizational_unit", &s.OrganizationalUnit, 64, false},
		{"subject.locality", &s.Locality, 128, false},
		{"subject.province", &s.Province, 128, false},
		{"subject.country", &s.Country, 2, true},
		{"subject.postal_code", &s.PostalCode, 16, false},
		{"subject.serial_number", &s.SerialNumber, 64, true},
		{"subject.email_address", &s.EmailAddress, 255, false},
	}
}

// parseName reads a Name in DER.
func parseName(der []byte) (pkix.Name, error) {
	var rdns pkix.RDNSequence
	var name pkix.Name
	if rest, err := asn1.Unmarshal(der, &rdns); err != nil || len(rest) > 0 {
		return name, errName
	}
	name.FillFromRDNSequence(&rdns)
	return name, nil
}

var errName = errors.New("the subject cannot be read")
