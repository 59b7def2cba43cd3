package x509cert

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

// The forms of a GeneralName (RFC 5280, 4.2.1.6).
const (
	formEmail = 1
	formDNS   = 2
	formURI   = 6
	formIP    = 7
)

// otherForms are the forms of a name that a profile cannot have.
var otherForms = map[cbasn1.Tag]string{0: "otherName", 3: "x400Address", 4: "directoryName", 5: "ediPartyName",
	8: "registeredID"}

func (n Names) empty() bool { return len(n.DNS)+len(n.IPs)+len(n.URIs)+len(n.Emails) == 0 }

// extension is the subject alternative name, each name as it is written: net/url would write some URIs otherwise. It is
// critical where there is no subject (RFC 5280, 4.2.1.6).
func (n Names) extension(critical bool) (pkix.Extension, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		add := func(form cbasn1.Tag, octets []byte) {
			b.AddASN1(form.ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(octets) })
		}
		for _, name := range n.DNS {
			add(formDNS, []byte(name))
		}
		for _, name := range n.Emails {
			add(formEmail, []byte(name))
		}
		for _, name := range n.IPs {
			ip, err := netip.ParseAddr(name)
			if err != nil {
				b.SetError(err)
				return
			}
			add(formIP, ip.Unmap().AsSlice())
		}
		for _, name := range n.URIs {
			add(formURI, []byte(name))
		}
	})
	value, err := b.Bytes()
	return pkix.Extension{Id: oidSubjectAltName, Critical: critical, Value: value}, err
}

// readNames reads a subject alternative name. What Names cannot hold is an error.
func readNames(value []byte) (Names, error) {
	var names Names
	in := cryptobyte.String(value)
	var list cryptobyte.String
	if !in.ReadASN1(&list, cbasn1.SEQUENCE) || !in.Empty() {
		return Names{}, errNames
	}
	for !list.Empty() {
		var octets cryptobyte.String
		var tag cbasn1.Tag
		if !list.ReadAnyASN1(&octets, &tag) {
			return Names{}, errNames
		}
		form := tag &^ cbasn1.Tag(0).ContextSpecific().Constructed()
		if other, ok := otherForms[form]; ok {
			return Names{}, fmt.Errorf("a name has the form %s; only DNS names, IP addresses, URIs and mail "+
				"addresses can be certified", other)
		}
		switch text := string(octets); tag {
		case cbasn1.Tag(formEmail).ContextSpecific():
			names.Emails = append(names.Emails, text)
		case cbasn1.Tag(formDNS).ContextSpecific():
			names.DNS = append(names.DNS, text)
		case cbasn1.Tag(formURI).ContextSpecific():
			names.URIs = append(names.URIs, text)
		case cbasn1.Tag(formIP).ContextSpecific():
			ip, ok := netip.AddrFromSlice(octets)
			if !ok {
				return Names{}, errNames
			}
			names.IPs = append(names.IPs, ip.String())
		default:
			return Names{}, errNames
		}
	}
	return names, nil
}

var errNames = errors.New("the subject alternative name cannot be read")
