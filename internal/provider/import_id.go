package provider

import (
	"errors"
	"fmt"
	"strings"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/pkcs11uri"
)

// importID names the key to import: by its ID, with or without the label that it should have or the serial number
// of its token, or by a PKCS#11 URI.
type importID struct {
	id     []byte
	label  *string
	serial string // "" for any token
	uri    *pkcs11uri.URI
	text   string // as it was given
}

// parseImportID reads `<hex key id>`, `<label>/<hex key id>` or a `pkcs11:` URI (RFC 7512). A label may hold slashes
// and a key ID does not, so the last slash divides them. An error repeats nothing that may have a PIN in it.
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
	id, err := object.ParseID(s[i+1:])
	switch {
	case err != nil && mayHavePIN(s):
		return importID{}, errors.New("the import ID is not a <hex key id>, a <label>/<hex key id> or a pkcs11: URI (it is " +
			"not repeated here, because a PIN may be in it)")
	case err != nil:
		return importID{}, fmt.Errorf("%q is not a <hex key id>, a <label>/<hex key id> or a pkcs11: URI: %w", s, err)
	}
	if i < 0 {
		return importID{id: id, text: s}, nil
	}
	label := s[:i]
	return importID{id: id, label: &label, text: s}, nil
}

// mayHavePIN says that a text which makes no sense has the look of a URI's parts, or speaks of a PIN.
func mayHavePIN(s string) bool {
	s = strings.ToLower(s)
	return strings.ContainsAny(s, "%=;?") || strings.Contains(s, "pkcs11") || strings.Contains(s, "pin")
}
