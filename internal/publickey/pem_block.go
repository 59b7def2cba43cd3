package publickey

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Block is a kind of PEM block that holds no bare key, such as a certificate.
type Block struct {
	Labels  []string // the first is the one of RFC 7468
	Several string   // what to give of several blocks, such as "give the first of a chain"
	Convert string   // the command that makes PEM of DER
}

// Read gives what is in a text that is one such block. It takes what [ReadPEM] takes around its lines, and says of
// other texts what they are. Errors repeat nothing of the text.
func (b Block) Read(text string) (der []byte, err error) {
	text = tidy(text)
	if isPrivate(text) {
		return nil, fmt.Errorf("the text holds a private key, which does not belong here; give the PEM block %s",
			b.Labels[0])
	}
	if err := refuseShape(text, b.Several, b.guess); err != nil {
		return nil, err
	}
	label, _, _ := strings.Cut(strings.TrimPrefix(text, begin), "-----")
	if !slices.Contains(b.Labels, label) {
		if what, ok := blockNames[label]; ok {
			return nil, fmt.Errorf("the PEM block is %s; it must be %s", what, b.Labels[0])
		}
		return nil, fmt.Errorf("the PEM block must be %s", b.Labels[0])
	}
	return decodeBlock(text)
}

// blockNames say what blocks are.
var blockNames = map[string]string{
	"PUBLIC KEY":              "a public key",
	"RSA PUBLIC KEY":          "a public key",
	"CERTIFICATE":             "a certificate",
	"X509 CERTIFICATE":        "a certificate",
	"TRUSTED CERTIFICATE":     "a certificate in a form of openssl's own",
	"CERTIFICATE REQUEST":     "a certificate request",
	"NEW CERTIFICATE REQUEST": "a certificate request",
	"PKCS7":                   "a bundle of certificates",
	"CMS":                     "a bundle of certificates",
	"X509 CRL":                "a revocation list",
	"EC PARAMETERS":           "the parameters of keys",
	"DH PARAMETERS":           "the parameters of keys",
	"PGP PUBLIC KEY BLOCK":    "one of OpenPGP",
}

// guess says what a text without a PEM block is.
func (b Block) guess(text string) string {
	const none = "the text holds no PEM block"
	der, err := base64.StdEncoding.DecodeString(text)
	switch {
	case strings.HasPrefix(text, "{"):
		return none + "; it looks like JSON"
	case err == nil && len(der) > 1 && der[0] == byte(cbasn1.SEQUENCE):
		return fmt.Sprintf("%s; it looks like DER in base64, which needs the lines -----BEGIN %s----- and -----END "+
			"%s----- around it", none, b.Labels[0], b.Labels[0])
	case fileName.MatchString(text):
		return none + "; if it is the name of a file, give the file's text, as in file(\"ca.pem\")"
	case looksLikeDER(text):
		return none + "; it looks like DER, of which `" + b.Convert + "` makes PEM"
	}
	return none
}
