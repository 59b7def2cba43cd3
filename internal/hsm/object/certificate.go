package object

import (
	"bytes"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
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
