package object

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // CKA_CHECK_VALUE is the beginning of it
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// CertificateClass is CKO_CERTIFICATE.
const CertificateClass uint = 1

// CertificateAttributes are those that a Certificate is made of.
var CertificateAttributes = []cryptoki.AttributeType{
	cryptoki.CKA_CLASS, cryptoki.CKA_TOKEN, cryptoki.CKA_ID, cryptoki.CKA_LABEL, cryptoki.CKA_VALUE,
	cryptoki.CKA_MODIFIABLE,
}

// Certificate is a certificate object on the token, with its value. Programs take a certificate for a key's own if both
// have the same CKA_ID: that is a habit and no proof, so that only the public key in it says whose it is.
type Certificate struct {
	Handle cryptoki.Object // of the session that read it
	ID     []byte
	Label  string

	value       []byte // DER
	fingerprint string // of the public key in it; "" where err says why that cannot be read
	err         error
	fixed       bool
}

// DecodeCertificate makes a certificate of the attributes that a token shows. It is false for any other object, and for
// a session object.
func DecodeCertificate(handle cryptoki.Object, a cryptoki.Attributes) (Certificate, bool) {
	class, _, err := a.ULong(cryptoki.CKA_CLASS)
	onToken, told, flagErr := a.Bool(cryptoki.CKA_TOKEN)
	if err != nil || flagErr != nil || class != CertificateClass || told && !onToken {
		return Certificate{}, false
	}
	c := Certificate{
		Handle: handle, ID: a[cryptoki.CKA_ID], Label: string(a[cryptoki.CKA_LABEL]), value: a[cryptoki.CKA_VALUE],
	}
	modifiable, told, err := a.Bool(cryptoki.CKA_MODIFIABLE)
	c.fixed = err == nil && told && !modifiable // of what is not told or makes no sense, a try shows it
	if len(c.value) == 0 {
		c.err = errors.New("the token does not show its value")
		return c, true
	}
	key, err := publickey.ParsePEM(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.value})))
	if err == nil {
		c.fingerprint, err = publickey.Fingerprint(key)
	}
	c.err = err
	return c, true
}

// Foreign is nil where the public key in the certificate is the one with the fingerprint. Else it says why not, or why
// nobody can tell.
func (c Certificate) Foreign(fingerprint string) error {
	switch {
	case c.err != nil:
		return fmt.Errorf("its public key cannot be read: %w", c.err)
	case fingerprint == "" || c.fingerprint != fingerprint:
		return errors.New("its public key is that of another key")
	}
	return nil
}

// Fixed says that the token lets nobody change the certificate: its CKA_MODIFIABLE is false. Anyone can make such a
// certificate, of any public key and with any ID.
func (c Certificate) Fixed() bool { return c.fixed }

// Is says that two readings show the same certificate, under whatever ID.
func (c Certificate) Is(other Certificate) bool {
	return c.Label == other.Label && bytes.Equal(c.value, other.value)
}

// Content tells certificates of different labels or values apart.
func (c Certificate) Content() [sha256.Size]byte {
	return sha256.Sum256(append([]byte(c.Label+"\x00"), c.value...))
}

// Name names the certificate.
func (c Certificate) Name() Name {
	return Name{Class: "certificate", Type: "X.509", ID: c.ID, Label: c.Label}
}

// DER is the certificate's value, nil where the token does not show it.
func (c Certificate) DER() []byte { return c.value }

// SHA256 is the SHA-256 of the value in lower-case hex: the fingerprint that programs show of a certificate. It is ""
// where the token does not show the value.
func (c Certificate) SHA256() string { return CertificateSHA256(c.value) }

// CertificateSHA256 is the SHA-256 of a certificate in DER, in lower-case hex; "" of none.
func CertificateSHA256(der []byte) string {
	if len(der) == 0 {
		return ""
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// KeyFingerprint is that of the public key in the certificate, "" where it cannot be read.
func (c Certificate) KeyFingerprint() string { return c.fingerprint }

// Parse reads the certificate's value.
func (c Certificate) Parse() (*x509.Certificate, error) {
	if len(c.value) == 0 {
		return nil, c.err
	}
	return x509.ParseCertificate(c.value)
}

// Object is what an inventory keeps of the certificate.
func (c Certificate) Object() Object {
	return Object{Handle: c.Handle, Class: CertificateClass, ID: c.ID, Label: c.Label}
}

// Shows says that the certificate is the one that an inventory has.
func (c Certificate) Shows(o Object) bool { return bytes.Equal(c.ID, o.ID) && c.Label == o.Label }

// SortCertificates orders certificates by ID, then label, then fingerprint.
func SortCertificates(all []Certificate) {
	slices.SortFunc(all, func(a, b Certificate) int {
		return cmp.Or(bytes.Compare(a.ID, b.ID), cmp.Compare(a.Label, b.Label), bytes.Compare(a.value, b.value))
	})
}

// CertificateRef says which certificate is meant: the one with the ID and the fingerprint. Who it is does not depend on
// the label, which only tells copies of one ID apart.
type CertificateRef struct {
	ID     []byte
	SHA256 string // lower-case hex
	Label  string
	// Key is the pair that the certificate is for, without an ID: a certificate may move to another ID with its key.
	// The zero value where that is not known.
	Key Ref
}

// NewCertificateRef is the ref of a certificate in DER.
func NewCertificateRef(id []byte, label string, der []byte) CertificateRef {
	ref := CertificateRef{ID: id, Label: label, SHA256: CertificateSHA256(der)}
	if parsed, err := x509.ParseCertificate(der); err == nil {
		ref.Key, _ = RefOfPublicKey(parsed.PublicKey) // the zero value of a key that is no pair's
	}
	return ref
}

// RefOfPublicKey is the ref of the pair that has a public key, under any ID. It fails where no pair of this provider's
// can have it.
func RefOfPublicKey(pub crypto.PublicKey) (Ref, error) {
	fingerprint, err := publickey.Fingerprint(pub)
	if err != nil {
		return Ref{}, err
	}
	ref := Ref{Type: EC, Fingerprint: fingerprint}
	if _, is := pub.(*rsa.PublicKey); is {
		ref.Type = RSA
	} else if publickey.ParameterSet(pub) != "" {
		ref.Type = MLDSA
	}
	return ref, nil
}

// Choose picks what is meant out of the certificates of the ID: copies that have one label, usually one. Those of the
// ref's label come first; all copies have one value, so that it does not matter which is taken.
func (r CertificateRef) Choose(found []Certificate) []Certificate {
	copies := slices.DeleteFunc(slices.Clone(found), func(c Certificate) bool {
		return c.SHA256() != r.SHA256 || r.SHA256 == "" || !bytes.Equal(c.ID, r.ID)
	})
	if len(copies) == 0 {
		return nil
	}
	SortCertificates(copies)
	label := copies[0].Label
	if slices.ContainsFunc(copies, func(c Certificate) bool { return c.Label == r.Label }) {
		label = r.Label
	}
	return slices.DeleteFunc(copies, func(c Certificate) bool { return c.Label != label })
}

// CertificateTemplate says what certificate to write.
type CertificateTemplate struct {
	ID    []byte
	Label string
	DER   []byte
}

// CertificateForms is how many templates [CertificateTemplate.Attributes] has for one certificate.
const CertificateForms = 3

// Attributes gives the template of a form: 0 has all that programs look for, 1 what PKCS#11 v2.40 (4.6.3) has in a
// certificate, 2 only what no token can do without. A token that refuses one form may take the next. CKA_TRUSTED is in
// none: the security officer alone decides on that.
func (t CertificateTemplate) Attributes(form int, d quirk.Differences) (all []cryptoki.Attribute, err error) {
	defer func() {
		all = slices.DeleteFunc(all, func(a cryptoki.Attribute) bool {
			return slices.Contains(d.CertificateOmits, a.Type)
		})
	}()
	parsed, err := x509.ParseCertificate(t.DER)
	if err != nil {
		return nil, err
	}
	serial, err := asn1.Marshal(parsed.SerialNumber)
	if err != nil {
		return nil, err
	}
	const x509Type = 0 // CKC_X_509
	all = []cryptoki.Attribute{
		cryptoki.ULong(cryptoki.CKA_CLASS, CertificateClass),
		cryptoki.ULong(cryptoki.CKA_CERTIFICATE_TYPE, x509Type),
		cryptoki.Bool(cryptoki.CKA_TOKEN, true),
		cryptoki.Bytes(cryptoki.CKA_LABEL, []byte(t.Label)),
		cryptoki.Bytes(cryptoki.CKA_ID, t.ID),
		cryptoki.Bytes(cryptoki.CKA_SUBJECT, parsed.RawSubject),
		cryptoki.Bytes(cryptoki.CKA_VALUE, t.DER),
	}
	if form > 1 {
		return all, nil
	}
	all = append(all,
		cryptoki.Bool(cryptoki.CKA_PRIVATE, false),
		cryptoki.Bytes(cryptoki.CKA_ISSUER, parsed.RawIssuer),
		cryptoki.Bytes(cryptoki.CKA_SERIAL_NUMBER, serial),
	)
	if form > 0 {
		return all, nil
	}
	const date = "20060102"  // CK_DATE
	check := sha1.Sum(t.DER) //nolint:gosec // see PKCS#11 v2.40, 4.6.2
	return append(all,
		cryptoki.Bool(cryptoki.CKA_MODIFIABLE, true),
		cryptoki.Bytes(cryptoki.CKA_START_DATE, []byte(parsed.NotBefore.UTC().Format(date))),
		cryptoki.Bytes(cryptoki.CKA_END_DATE, []byte(parsed.NotAfter.UTC().Format(date))),
		cryptoki.Bytes(cryptoki.CKA_CHECK_VALUE, check[:3]),
	), nil
}

// Made says that a certificate on the token is the one that was to be written.
func (t CertificateTemplate) Made(c Certificate) bool {
	return bytes.Equal(c.ID, t.ID) && c.Label == t.Label && bytes.Equal(c.value, t.DER)
}

// Differs says in what a certificate on the token differs from the one that was to be written. What the token does not
// keep besides is no difference.
func (t CertificateTemplate) Differs(c Certificate) (problems []string) {
	note := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if !bytes.Equal(c.value, t.DER) {
		note("CKA_VALUE of the certificate is another one")
	}
	if !bytes.Equal(c.ID, t.ID) {
		note("CKA_ID of the certificate is %s, not %s", FormatID(c.ID), FormatID(t.ID))
	}
	if c.Label != t.Label {
		note("CKA_LABEL of the certificate is %q, not %q", c.Label, t.Label)
	}
	return problems
}

// Lacks gives the attributes that differ in a certificate from those that it is to have.
func (t CertificateTemplate) Lacks(c Certificate) (missing []cryptoki.Attribute) {
	if c.Label != t.Label {
		missing = append(missing, cryptoki.Bytes(cryptoki.CKA_LABEL, []byte(t.Label)))
	}
	if !bytes.Equal(c.ID, t.ID) {
		missing = append(missing, cryptoki.Bytes(cryptoki.CKA_ID, t.ID))
	}
	return missing
}
