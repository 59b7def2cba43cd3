package publickey

import (
	"crypto"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// PEM is the key's SubjectPublicKeyInfo as a PEM block "PUBLIC KEY" (RFC 7468, 13), with a newline at its end.
func PEM(pub crypto.PublicKey) (string, error) {
	der, err := MarshalSPKI(pub)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), nil
}

// ParsePEM gives the key alone of what [ReadPEM] reads.
func ParsePEM(text string) (crypto.PublicKey, error) {
	info, err := ReadPEM(text)
	return info.PublicKey, err
}

// ReadPEM reads a text that is one PEM block: PUBLIC KEY, RSA PUBLIC KEY, or CERTIFICATE for the key in it. Its lines
// may be indented, and a byte order mark and white space may stand around it. It looks at nothing else in a
// certificate. It refuses a private key, and says of other texts that people take for PEM what they are. Errors repeat
// nothing of the text.
func ReadPEM(text string) (Info, error) {
	text = tidy(text)
	if err := refuseUnread(text); err != nil {
		return Info{}, err
	}
	label, _, _ := strings.Cut(strings.TrimPrefix(text, begin), "-----")
	parse := parserOf(label)
	if parse == nil {
		if what, ok := otherBlocks[label]; ok {
			return Info{}, errors.New(what)
		}
		return Info{}, errors.New("the PEM block must be PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE")
	}
	der, err := decodeBlock(text)
	if err != nil {
		return Info{}, err
	}
	info, err := parse(der)
	if err == nil {
		return info, nil
	}
	for _, other := range pemBlocks {
		if _, otherErr := other.parse(der); otherErr == nil {
			return Info{}, fmt.Errorf("the PEM block is named %s, but holds what belongs in a block %s", label,
				other.label)
		}
	}
	return Info{}, err
}

// decodeBlock is what is in the one PEM block of a text.
func decodeBlock(text string) ([]byte, error) {
	block, rest := pem.Decode([]byte(text))
	switch {
	case block == nil:
		return nil, errors.New("the PEM block cannot be read: its base64 is damaged, or its END line is missing " +
			"or another block's")
	case len(rest) > 0:
		return nil, errors.New("the text holds more than the PEM block; leave the rest out")
	}
	return block.Bytes, nil
}

const begin = "-----BEGIN "

// The labels of PEM blocks that hold a public key (RFC 7468, 13 and 5), and what reads each.
var pemBlocks = []struct {
	label string
	parse func(der []byte) (Info, error)
}{
	{"PUBLIC KEY", ReadSPKI},
	{"RSA PUBLIC KEY", func(der []byte) (Info, error) {
		pub, err := parsePKCS1(der)
		return Info{PublicKey: pub}, err
	}},
	{"CERTIFICATE", parseCertificate},
	{"X509 CERTIFICATE", parseCertificate},
}

func parserOf(label string) func([]byte) (Info, error) {
	for _, b := range pemBlocks {
		if b.label == label {
			return b.parse
		}
	}
	return nil
}

// otherBlocks say of PEM blocks that are not read what they are.
var otherBlocks = map[string]string{
	"CERTIFICATE REQUEST":     certificateRequest,
	"NEW CERTIFICATE REQUEST": certificateRequest,
	"TRUSTED CERTIFICATE": "the PEM block is a certificate in a form of openssl's own; `openssl x509 -in FILE` " +
		"writes the usual one",
	"PKCS7":                certificateBundle,
	"CMS":                  certificateBundle,
	"X509 CRL":             "the PEM block is a revocation list, which has no public key",
	"EC PARAMETERS":        "the PEM block is the parameters of keys, and no key",
	"DH PARAMETERS":        "the PEM block is the parameters of keys, and no key",
	"PGP PUBLIC KEY BLOCK": "the PEM block is one of OpenPGP, which is not supported",
}

const (
	certificateRequest = "the PEM block is a certificate request; `openssl req -in FILE -noout -pubkey` writes its key"
	certificateBundle  = "the PEM block is a bundle of certificates; `openssl pkcs7 -in FILE -print_certs` writes them"
)

// tidy takes away what editors and heredocs put around lines.
func tidy(text string) string {
	text = strings.TrimPrefix(strings.TrimSpace(text), "\ufeff")
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.TrimSpace(text))
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return strings.Join(lines, "\n")
}

// refuseUnread is an error for a text that is not one PEM block, or is a private key.
func refuseUnread(text string) error {
	switch {
	case strings.Contains(text, "OPENSSH PRIVATE KEY"):
		return errors.New("the text holds a private key; only its public half belongs here. " + convertSSH)
	case strings.Contains(text, "PRIVATE KEY") && strings.Contains(text, "ENCRYPTED"):
		return errors.New("the text holds an encrypted private key; only its public half belongs here, which " +
			"`openssl pkey -in FILE -pubout` writes")
	case isPrivate(text):
		return errors.New("the text holds a private key; only its public half belongs here, which `openssl pkey -in " +
			"FILE -pubout` writes")
	}
	return refuseShape(text, "give the one whose key is meant, of a chain usually the first", guess)
}

func isPrivate(text string) bool {
	return strings.Contains(text, "PRIVATE KEY") || strings.HasPrefix(text, "PuTTY-User-Key-File")
}

// refuseShape is an error for a text that is not one PEM block.
func refuseShape(text, several string, guess func(text string) string) error {
	switch blocks := strings.Count(text, begin); {
	case blocks > 1:
		return errors.New("the text holds more than one PEM block; " + several)
	case blocks == 0:
		return errors.New(guess(text))
	case !strings.HasPrefix(text, begin):
		return errors.New("the text holds more than the PEM block; leave the rest out")
	case strings.Contains(text, `\n`):
		return errors.New(`the text has \n written out where its lines should end; give it real line ends`)
	case !strings.Contains(text, "\n"):
		return errors.New("the PEM block is on one line; its BEGIN and END need lines of their own")
	}
	return nil
}

const convertSSH = "`ssh-keygen -e -m PKCS8 -f FILE` writes an RSA or EC key of OpenSSH's as a PUBLIC KEY"

// fileName is what looks like the name of a file with a key or a certificate.
var fileName = regexp.MustCompile(`(?i)^([^\n]*\.(pem|pub|key|crt|cer|cert|der)|(~|\.{0,2})/[^\n]*)$`)

// guess says what a text without a PEM block is.
func guess(text string) string {
	const none = "the text holds no PEM block"
	if strings.HasPrefix(text, "{") {
		return none + "; it looks like JSON, such as a JWK"
	}
	for _, start := range []string{"ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-", "---- BEGIN SSH2 "} {
		if strings.HasPrefix(text, start) {
			return none + ", but a public key as SSH writes it. " + convertSSH
		}
	}
	der, err := base64.StdEncoding.DecodeString(text) // which passes over line breaks
	if err == nil && len(der) > 1 && der[0] == byte(cbasn1.SEQUENCE) {
		return none + "; it looks like DER in base64, which needs the lines -----BEGIN PUBLIC KEY----- and " +
			"-----END PUBLIC KEY----- around it, or those of a CERTIFICATE"
	}
	if fileName.MatchString(text) {
		return none + "; if it is the name of a file, give the file's text, as in file(\"key.pem\")"
	}
	if looksLikeDER(text) {
		return none + "; it looks like DER, of which `openssl pkey -pubin -inform DER -in FILE` or `openssl x509 -in " +
			"FILE` makes PEM"
	}
	return none
}

// looksLikeDER says that a text is rather bytes that begin with 0x30, a SEQUENCE.
func looksLikeDER(text string) bool {
	binary := func(r rune) bool { return r < '\t' || r == '\ufffd' }
	return strings.HasPrefix(text, "0") && strings.ContainsFunc(text, binary)
}

// parseCertificate reads the SubjectPublicKeyInfo of a certificate (RFC 5280, 4.1), and of what stands before it only
// where it ends: a certificate with another part that crypto/x509 refuses still has a key.
func parseCertificate(der []byte) (Info, error) {
	in := cryptobyte.String(der)
	var certificate, tbs, key cryptobyte.String
	if !in.ReadASN1(&certificate, cbasn1.SEQUENCE) || !in.Empty() || !certificate.ReadASN1(&tbs, cbasn1.SEQUENCE) ||
		!tbs.SkipOptionalASN1(cbasn1.Tag(0).ContextSpecific().Constructed()) || !tbs.SkipASN1(cbasn1.INTEGER) {
		return Info{}, errCertificate
	}
	for range 4 { // the signature's algorithm, the issuer, the validity, the subject
		if !tbs.SkipASN1(cbasn1.SEQUENCE) {
			return Info{}, errCertificate
		}
	}
	if !tbs.ReadASN1Element(&key, cbasn1.SEQUENCE) {
		return Info{}, errCertificate
	}
	return ReadSPKI(key)
}

var errCertificate = errors.New("the certificate cannot be read: it has no key where X.509 puts it, or is not DER")
