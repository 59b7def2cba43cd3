package x509cert

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// The PEM blocks of RFC 7468, 5 to 7.
var (
	certificateBlock = publickey.Block{
		Labels:  []string{"CERTIFICATE", "X509 CERTIFICATE"},
		Several: "give the one certificate that is meant, of a chain usually the first",
		Convert: "openssl x509 -in FILE",
	}
	requestBlock = publickey.Block{
		Labels:  []string{"CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"},
		Several: "give the one request that is meant",
		Convert: "openssl req -in FILE",
	}
	listBlock = publickey.Block{
		Labels:  []string{"X509 CRL"},
		Several: "give the one revocation list that is meant",
		Convert: "openssl crl -in FILE",
	}
)

// CertificatePEM is a certificate in DER as a PEM block (RFC 7468, 5).
func CertificatePEM(der []byte) string { return encode(certificateBlock, der) }

// RequestPEM is a request in DER as a PEM block (RFC 7468, 7).
func RequestPEM(der []byte) string { return encode(requestBlock, der) }

// ListPEM is a revocation list in DER as a PEM block (RFC 7468, 6).
func ListPEM(der []byte) string { return encode(listBlock, der) }

func encode(block publickey.Block, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: block.Labels[0], Bytes: der}))
}

// ParseCertificate reads a text that is one PEM block CERTIFICATE. Errors are full sentences without a stop at their
// end, and repeat nothing of the text.
func ParseCertificate(text string) (*x509.Certificate, error) {
	der, err := certificateBlock.Read(text)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		if refusal := refusedKey(publickey.ReadPEM(text)); refusal != "" {
			return nil, errors.New(refusal)
		}
		return nil, unreadable("certificate", err)
	}
	if _, refusal := kindOf(certificate.PublicKey); refusal != "" {
		return nil, errors.New(withoutStop(refusal))
	}
	return certificate, nil
}

// ParseRequest reads a text that is one PEM block CERTIFICATE REQUEST, and verifies its signature. Errors are as those
// of ParseCertificate.
func ParseRequest(text string) (*x509.CertificateRequest, error) {
	der, err := requestBlock.Read(text)
	if err != nil {
		return nil, err
	}
	return parseRequest(der)
}

func parseRequest(der []byte) (*x509.CertificateRequest, error) {
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		if refusal := refusedKey(requestKey(der)); refusal != "" {
			return nil, errors.New(refusal)
		}
		return nil, unreadable("certificate request", err)
	}
	if _, refusal := kindOf(request.PublicKey); refusal != "" {
		if known := refusedKey(publickey.ReadSPKI(request.RawSubjectPublicKeyInfo)); known != "" {
			return nil, errors.New(known)
		}
		return nil, errors.New(withoutStop(refusal))
	}
	if err := request.CheckSignature(); err != nil {
		if insecure := x509.InsecureAlgorithmError(0); errors.As(err, &insecure) {
			return nil, errors.New("the request's signature is not secure; make the request anew, with SHA-256 at " +
				"least")
		}
		return nil, errors.New("the request's signature is not that of the key in it: the request was changed after " +
			"it was signed, or signed with another key; make it anew")
	}
	return request, nil
}

// unreadable says why a parser of crypto/x509 refuses something, where it says so in words alone.
func unreadable(what string, err error) error {
	reason := strings.TrimPrefix(err.Error(), "x509: ")
	if syntax := (asn1.SyntaxError{}); errors.As(err, &syntax) || strings.ContainsAny(reason, `"%`) ||
		errors.As(err, new(asn1.StructuralError)) {
		return fmt.Errorf("the PEM block holds no %s, or a damaged one", what)
	}
	return fmt.Errorf("the PEM block holds no %s that can be read: %s", what, reason)
}

// refusedKey is why no certificate can be of a key that crypto/x509 does not read, "" where it is another reason.
func refusedKey(info publickey.Info, err error) string {
	if err != nil {
		return ""
	}
	if info.PSS != nil {
		return "the key is restricted to RSASSA-PSS (id-RSASSA-PSS), which libraries for X.509 do not all know; use " +
			"a key of the usual kind, rsaEncryption, which signs by RSASSA-PSS too"
	}
	_, refusal := kindOf(info.PublicKey)
	return withoutStop(refusal)
}

// requestKey reads the key of a request (RFC 2986, 4.1) whatever stands around it.
func requestKey(der []byte) (publickey.Info, error) {
	var request struct {
		TBS struct {
			Version      int
			Subject, Key asn1.RawValue
			Attributes   asn1.RawValue `asn1:"optional"`
		}
		Algorithm, Signature asn1.RawValue
	}
	if _, err := asn1.Unmarshal(der, &request); err != nil {
		return publickey.Info{}, err
	}
	return publickey.ReadSPKI(request.TBS.Key.FullBytes)
}

// withoutStop makes a problem's text one of an error: it begins small and has no stop at its end.
func withoutStop(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToLower(text[:1]) + strings.TrimSuffix(text[1:], ".")
}
