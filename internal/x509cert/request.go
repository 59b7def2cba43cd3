package x509cert

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// Create makes the request, which the signer signs, in DER. Errors: *ProblemError, or the signer's.
func (r Request) Create(signer crypto.Signer) (der []byte, err error) {
	if problems := r.Check(signer.Public()); len(problems) > 0 {
		return nil, &ProblemError{problems}
	}
	template, err := r.template(signer.Public())
	if err != nil {
		return nil, err
	}
	der, err = x509.CreateCertificateRequest(rand.Reader, template, signer)
	if err != nil {
		return nil, err
	}
	if err := verifyRequest(der, template, signer.Public()); err != nil {
		return nil, err
	}
	return der, nil
}

func (r Request) template(pub crypto.PublicKey) (*x509.CertificateRequest, error) {
	subject, err := r.Subject.der()
	if err != nil {
		return nil, err
	}
	template := &x509.CertificateRequest{
		RawSubject: subject, SignatureAlgorithm: algorithmOf(r.SignatureAlgorithm, pub),
	}
	if !r.Names.empty() {
		names, err := r.Names.extension(r.Subject.empty())
		if err != nil {
			return nil, err
		}
		template.ExtraExtensions = append(template.ExtraExtensions, names)
	}
	uses, err := useExtensions(r.AllowedUses, r.IsCA)
	if err != nil {
		return nil, err
	}
	template.ExtraExtensions = append(template.ExtraExtensions, uses...)
	return template, nil
}

// useExtensions are the extensions that a request asks for its uses with.
func useExtensions(allowed []string, isCA bool) ([]pkix.Extension, error) {
	var extensions []pkix.Extension
	add := func(id asn1.ObjectIdentifier, critical bool, content any) error {
		value, err := asn1.Marshal(content)
		extensions = append(extensions, pkix.Extension{Id: id, Critical: critical, Value: value})
		return err
	}
	key, extended := usages(allowed)
	var err error
	if key != 0 {
		err = add(oidKeyUsage, true, keyUsageBits(key))
	}
	if len(extended) > 0 {
		oids := make([]asn1.ObjectIdentifier, len(extended))
		for i, usage := range extended {
			oids[i] = extendedOID(usage)
		}
		err = errors.Join(err, add(oidExtKeyUsage, false, oids))
	}
	if isCA {
		err = errors.Join(err, add(oidBasicConstraints, true, struct{ IsCA bool }{true}))
	}
	return extensions, err
}

// keyUsageBits is a key usage as a named bit list: the first is the highest bit, and zeros at the end are left out
// (X.690, 11.2.2).
func keyUsageBits(key x509.KeyUsage) asn1.BitString {
	octets := []byte{bits.Reverse8(byte(key)), bits.Reverse8(byte(key >> 8))}
	return asn1.BitString{Bytes: octets[:(bits.Len16(uint16(key))+7)/8], BitLength: bits.Len16(uint16(key))}
}

// RequestNames are the subject of a request, in DER, and its alternative names, for a certificate of it. A name in a
// form that no profile can have is an error: a certificate that leaves it out is not what was asked for.
func RequestNames(request *x509.CertificateRequest) (subject []byte, names Names, err error) {
	if value := extension(request.Extensions, oidSubjectAltName); value != nil {
		if names, err = readNames(value); err != nil {
			return nil, Names{}, err
		}
	}
	return request.RawSubject, names, nil
}

// extension is the value of an extension, nil where there is none.
func extension(extensions []pkix.Extension, id asn1.ObjectIdentifier) []byte {
	for _, e := range extensions {
		if e.Id.Equal(id) {
			return e.Value
		}
	}
	return nil
}

// verifyRequest says what of a request is not what was asked for.
func verifyRequest(der []byte, template *x509.CertificateRequest, pub crypto.PublicKey) error {
	request, err := parseRequest(der)
	if err != nil {
		return fmt.Errorf("x509cert: the request that was made: %w", err)
	}
	return differences("request", []difference{
		{"subject", bytes.Equal(request.RawSubject, template.RawSubject)},
		{"key", publickey.Equal(request.PublicKey, pub)},
		{"signature algorithm", request.SignatureAlgorithm == template.SignatureAlgorithm},
		{"requested extensions", slices.EqualFunc(request.Extensions, template.ExtraExtensions, sameExtension)},
	})
}
