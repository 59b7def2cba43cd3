package provider

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/pkcs11uri"
)

// importID names the key to import: by its ID, with or without the label and the fingerprint that it should have or the
// serial number of its token, or by a PKCS#11 URI.
type importID struct {
	id     []byte
	label  *string
	serial string // "" for any token
	// fingerprint says which key is meant where several have the ID, in lower-case hex: as in the state, SHA-256 of the
	// public key or a secret key's check value. "" for any.
	fingerprint string
	uri         *pkcs11uri.URI
	text        string // as it was given
}

// parseImportID reads `KEY_ID`, `LABEL/KEY_ID` or a `pkcs11:` URI (RFC 7512). `@<hex fingerprint>` may
// stand after the key ID. A label may hold slashes and neither a key ID nor a fingerprint does, so the last slash divides
// them. An error repeats nothing that may have a PIN in it.
func parseImportID(s string) (importID, error) {
	if scheme, _, ok := strings.Cut(s, ":"); ok && strings.EqualFold(scheme, "pkcs11") || pkcs11uri.HasPIN(s) {
		uri, err := pkcs11uri.Parse(s)
		if err != nil {
			return importID{}, err
		}
		return importID{id: uri.ID, uri: &uri, text: s}, nil
	}
	if pkcs11uri.Meant(s) {
		return importID{}, errors.New("the import ID is nearly a PKCS#11 URI, but a URI starts with \"pkcs11:\", with no " +
			"blank in front and with the colon as it is (the ID is not repeated here, because a PIN may be in it)")
	}
	i := strings.LastIndexByte(s, '/')
	keyID, fingerprint, chosen := strings.Cut(s[i+1:], "@")
	id, err := object.ParseID(keyID)
	switch {
	case err != nil && mayHavePIN(s):
		return importID{}, errors.New("the import ID does not name a key (it is not repeated here, because a PIN may be in it)")
	case err != nil:
		return importID{}, fmt.Errorf("%q does not name a key: %w", s, err)
	}
	if sum, err := hex.DecodeString(fingerprint); chosen && (err != nil || len(sum) == 0) {
		return importID{}, fmt.Errorf("what stands after @ in %q is not a fingerprint in hexadecimal", s)
	}
	asked := importID{id: id, fingerprint: strings.ToLower(fingerprint), text: s}
	if i >= 0 {
		label := s[:i]
		asked.label = &label
	}
	return asked, nil
}

// mayHavePIN says that a text which makes no sense has the look of a URI's parts, or speaks of a PIN.
func mayHavePIN(s string) bool {
	s = strings.ToLower(s)
	return strings.ContainsAny(s, "%=;?") || strings.Contains(s, "pkcs11") || strings.Contains(s, "pin")
}
