package provider

import (
	"bytes"
	"math/big"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/x509cert"
)

// signedArgument is an argument that goes into what is signed.
type signedArgument struct {
	name string
	// same says that another value means the same, so that nothing is to be signed; nil: none does. What is not known yet
	// never does.
	same func(is, was fields) bool
}

// changed are the arguments for which something has to be signed anew.
func (k signedKind) changed(is, was, config fields) (paths []path.Path) {
	for _, a := range k.arguments {
		switch {
		case is[a.name].Equal(was[a.name]):
		case !is[a.name].IsKnown() && config[a.name].IsNull(): // left to the provider, and kept
		case a.same != nil && a.same(is, was):
		default:
			paths = append(paths, path.Root(a.name))
		}
	}
	return paths
}

// alike are arguments for which only the same value is the same.
func alike(names ...string) (all []signedArgument) {
	for _, name := range names {
		all = append(all, signedArgument{name: name})
	}
	return all
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

// sameSerial compares numbers, however they are written.
func sameSerial(is, was fields) bool {
	const name = "serial_number"
	a, errA := x509cert.ParseSerial(is.text(name))
	b, errB := x509cert.ParseSerial(was.text(name))
	return errA == nil && errB == nil && a.Cmp(b) == 0
}

// sameDates says that the certificate has just the dates that are asked for.
func sameDates(is, was fields) bool {
	start, end, ok := was.dates()
	hours, known := is.number("validity_period_hours")
	if !ok || !known || !end.Equal(start.Add(time.Duration(hours)*time.Hour)) {
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
