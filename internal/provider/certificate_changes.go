package provider

import (
	"bytes"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/x509cert"
)

// signedArgument is an argument that goes into what is signed.
type signedArgument struct {
	name string
	// same says that another value means the same, so that nothing is to be signed. What is not known yet does not,
	// unless it is not signed itself.
	same func(is, was fields) bool
}

// changed are the arguments for which something has to be signed anew.
func (k signedKind) changed(is, was, config fields) (paths []path.Path) {
	for _, a := range k.arguments {
		switch {
		case is[a.name].Equal(was[a.name]):
		case !is[a.name].IsKnown() && config[a.name].IsNull(): // left to the provider, and kept
		case a.same(is, was):
		default:
			paths = append(paths, path.Root(a.name))
		}
	}
	return paths
}

// alike are arguments of which the same is signed for values that say the same.
func alike(names ...string) (all []signedArgument) {
	for _, name := range names {
		all = append(all, signedArgument{name, func(is, was fields) bool { return sayTheSame(is[name], was[name]) }})
	}
	return all
}

// alikeOrOfRequest are those in whose place stands what a request has, if they are left out. An empty one leaves that
// out.
func alikeOrOfRequest(names ...string) (all []signedArgument) {
	for _, name := range names {
		all = append(all, signedArgument{name, func(is, was fields) bool {
			return is[name].IsNull() == was[name].IsNull() && sayTheSame(is[name], was[name])
		}})
	}
	return all
}

// sayTheSame compares two values, of which an empty text, list or object says as little as none at all.
func sayTheSame(a, b tftypes.Value) bool {
	if silent(a) || silent(b) {
		return silent(a) && silent(b)
	}
	var partsA, partsB map[string]tftypes.Value
	if !a.IsKnown() || !b.IsKnown() || a.As(&partsA) != nil || b.As(&partsB) != nil {
		return a.Equal(b)
	}
	for name := range partsA {
		if !sayTheSame(partsA[name], partsB[name]) {
			return false
		}
	}
	return true
}

func silent(v tftypes.Value) bool {
	var text string
	var list []tftypes.Value
	var parts map[string]tftypes.Value
	switch {
	case v.IsNull():
		return true
	case !v.IsKnown():
		return false
	case v.As(&text) == nil:
		return text == ""
	case v.As(&list) == nil:
		return len(list) == 0
	case v.As(&parts) == nil:
		for _, part := range parts {
			if !silent(part) {
				return false
			}
		}
		return true
	}
	return false
}

// samePathLength compares bounds, of which -1 is none, and that of what is no CA neither.
func samePathLength(is, was fields) bool {
	const name = "max_path_length"
	bound := func(f fields) int64 {
		if n, given := f.number(name); given && !f["is_ca_certificate"].Equal(isFalse) {
			return n
		}
		return -1
	}
	return is[name].IsKnown() && bound(is) == bound(was)
}

// ofTheCA says that a CA's public key is left out, is that of the CA's certificate, or is not known yet: nothing is
// signed for it, and another key is an error.
func ofTheCA(is, _ fields) bool {
	const name = "ca_public_key_pem"
	if is[name].IsNull() || !is[name].IsKnown() {
		return true
	}
	pub, err := publickey.ParsePEM(is.text(name))
	ca, errCA := x509cert.ParseCertificate(is.text("ca_cert_pem"))
	return err == nil && errCA == nil && publickey.Equal(pub, ca.PublicKey)
}

// sameKeyIn compares the keys in two PEM texts.
func sameKeyIn(name string) func(is, was fields) bool {
	return func(is, was fields) bool {
		a, errA := publickey.ParsePEM(is.text(name))
		b, errB := publickey.ParsePEM(was.text(name))
		return errA == nil && errB == nil && publickey.Equal(a, b)
	}
}

// sameRequest compares what two requests ask for. A signature of ECDSA is another one each time.
func sameRequest(is, was fields) bool {
	const name = "cert_request_pem"
	a, errA := x509cert.ParseRequest(is.text(name))
	b, errB := x509cert.ParseRequest(was.text(name))
	return errA == nil && errB == nil && bytes.Equal(a.RawTBSCertificateRequest, b.RawTBSCertificateRequest)
}

// sameCA compares what a signature has of a CA. A CA whose certificate was renewed is the same CA.
func sameCA(is, was fields) bool { return sameCAIn(is.text("ca_cert_pem"), was.text("ca_cert_pem")) }

func sameCAIn(is, was string) bool {
	a, errA := x509cert.ParseCertificate(is)
	b, errB := x509cert.ParseCertificate(was)
	return errA == nil && errB == nil && publickey.Equal(a.PublicKey, b.PublicKey) &&
		bytes.Equal(a.RawSubject, b.RawSubject) && bytes.Equal(a.SubjectKeyId, b.SubjectKeyId)
}

const serialArgument = "serial_number"

// sameSerial compares numbers, however they are written.
func sameSerial(is, was fields) bool {
	a, errA := x509cert.ParseSerial(is.text(serialArgument))
	b, errB := x509cert.ParseSerial(was.text(serialArgument))
	return errA == nil && errB == nil && a.Cmp(b) == 0
}

// givenTwice warns of a serial number in the configuration that the certificate has which is to be replaced, unless
// another CA gives it now.
func (k signedKind) givenTwice(is, was, config fields, changed []path.Path) (diags diag.Diagnostics) {
	issuer := "subject" // of what signs itself
	if _, issued := is["ca_cert_pem"]; issued {
		issuer = "ca_cert_pem"
	}
	other := is[issuer].IsKnown() && slices.ContainsFunc(changed, path.Root(issuer).Equal)
	if config[serialArgument].IsNull() || !sameSerial(is, was) || other {
		return nil
	}
	diags.AddAttributeWarning(path.Root(serialArgument), "Serial Number Given Twice", fmt.Sprintf(
		"The new certificate has the serial number %s of the one that it replaces. A CA gives each number once (RFC "+
			"5280, 4.1.2.2): programs that know one of the two may refuse the other, and a revocation is that of "+
			"both.\n\nWhat to do: give another serial_number, or leave it out, so that each certificate has a random "+
			"one.", is.text(serialArgument)))
	return diags
}

// sameDates says that the certificate has just the dates that are asked for.
func sameDates(is, was fields) bool {
	start, end, ok := was.dates()
	lasts, known := is.number("validity_period_hours")
	if !ok || !known || !end.Equal(start.Add(hours(lasts))) {
		return false
	}
	if is["not_before"].IsNull() {
		return true
	}
	asked, err := time.Parse(time.RFC3339, is.text("not_before"))
	return err == nil && asked.Truncate(time.Second).Equal(start)
}

// text is a text, "" where it is null or unknown.
func (f fields) text(name string) string { return textOf(f, name) }

// number is a number, unless it is null or unknown.
func (f fields) number(name string) (n int64, known bool) {
	var number *big.Float
	if v := f[name]; !v.IsKnown() || v.As(&number) != nil || number == nil {
		return 0, false
	}
	n, _ = number.Int64()
	return n, true
}

// dates are those of what was signed.
func (f fields) dates() (start, end time.Time, ok bool) {
	start, errStart := time.Parse(time.RFC3339, f.text(validityStart))
	end, errEnd := time.Parse(time.RFC3339, f.text(validityEnd))
	return start, end, errStart == nil && errEnd == nil
}

var isFalse = tftypes.NewValue(tftypes.Bool, false)

// elementsOf are those of a list that is known. A list that is null has none.
func elementsOf(v tftypes.Value) (elements []tftypes.Value, known bool) {
	if v.IsNull() {
		return nil, true
	}
	return elements, v.IsKnown() && v.As(&elements) == nil
}
