package x509cert

import (
	"crypto/x509"
	"encoding/asn1"
	"slices"
)

var (
	oidKeyUsage         = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidExtKeyUsage      = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidBasicConstraints = asn1.ObjectIdentifier{2, 5, 29, 19}
)

// keyUses are the words for key usages (RFC 5280, 4.2.1.3), and which kinds of key can have them (RFC 3279, 2.3.1;
// RFC 5480, 3 and RFC 8813, 3; RFC 8410, 5).
var keyUses = []struct {
	word  string
	usage x509.KeyUsage
	kinds []kind
}{
	{"digital_signature", x509.KeyUsageDigitalSignature, []kind{kindRSA, kindEC, kindEd25519}},
	{"content_commitment", x509.KeyUsageContentCommitment, []kind{kindRSA, kindEC, kindEd25519}},
	{"key_encipherment", x509.KeyUsageKeyEncipherment, []kind{kindRSA, kindEC}}, // of EC see Advice
	{"data_encipherment", x509.KeyUsageDataEncipherment, []kind{kindRSA}},
	{"key_agreement", x509.KeyUsageKeyAgreement, []kind{kindEC}},
	{"cert_signing", x509.KeyUsageCertSign, []kind{kindRSA, kindEC, kindEd25519}},
	{"crl_signing", x509.KeyUsageCRLSign, []kind{kindRSA, kindEC, kindEd25519}},
	{"encipher_only", x509.KeyUsageEncipherOnly, []kind{kindEC}},
	{"decipher_only", x509.KeyUsageDecipherOnly, []kind{kindEC}},
}

// extendedUses are the words for extended key usages (RFC 5280, 4.2.1.12).
var extendedUses = []extendedUse{
	{"any_extended", x509.ExtKeyUsageAny, asn1.ObjectIdentifier{2, 5, 29, 37, 0}},
	{"server_auth", x509.ExtKeyUsageServerAuth, purpose(1)},
	{"client_auth", x509.ExtKeyUsageClientAuth, purpose(2)},
	{"code_signing", x509.ExtKeyUsageCodeSigning, purpose(3)},
	{"email_protection", x509.ExtKeyUsageEmailProtection, purpose(4)},
	{"ipsec_end_system", x509.ExtKeyUsageIPSECEndSystem, purpose(5)},
	{"ipsec_tunnel", x509.ExtKeyUsageIPSECTunnel, purpose(6)},
	{"ipsec_user", x509.ExtKeyUsageIPSECUser, purpose(7)},
	{"timestamping", x509.ExtKeyUsageTimeStamping, purpose(8)},
	{"ocsp_signing", x509.ExtKeyUsageOCSPSigning, purpose(9)},
	{"microsoft_server_gated_crypto", x509.ExtKeyUsageMicrosoftServerGatedCrypto, microsoft(10, 3, 3)},
	{"netscape_server_gated_crypto", x509.ExtKeyUsageNetscapeServerGatedCrypto, netscape(4, 1)},
	{"microsoft_commercial_code_signing", x509.ExtKeyUsageMicrosoftCommercialCodeSigning, microsoft(2, 1, 22)},
	{"microsoft_kernel_code_signing", x509.ExtKeyUsageMicrosoftKernelCodeSigning, microsoft(61, 1, 1)},
}

type extendedUse struct {
	word  string
	usage x509.ExtKeyUsage
	oid   asn1.ObjectIdentifier
}

// purpose is an identifier of RFC 5280's own (id-kp).
func purpose(n int) asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, n} }

func microsoft(numbers ...int) asn1.ObjectIdentifier {
	return append(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311}, numbers...)
}

func netscape(numbers ...int) asn1.ObjectIdentifier {
	return append(asn1.ObjectIdentifier{2, 16, 840, 1, 113730}, numbers...)
}

func extendedOID(usage x509.ExtKeyUsage) asn1.ObjectIdentifier {
	for _, use := range extendedUses {
		if use.usage == usage {
			return use.oid
		}
	}
	return nil
}

// Uses are the words for allowed uses, sorted: key usages and extended key usages (RFC 5280, 4.2.1.3 and 4.2.1.12).
func Uses() []string {
	var words []string
	for _, use := range keyUses {
		words = append(words, use.word)
	}
	for _, use := range extendedUses {
		words = append(words, use.word)
	}
	slices.Sort(words)
	return words
}

// usages are the words as X.509 has them. Extended key usages keep the order of the words; a word twice counts once.
func usages(words []string) (x509.KeyUsage, []x509.ExtKeyUsage) {
	var key x509.KeyUsage
	var extended []x509.ExtKeyUsage
	for _, word := range words {
		for _, use := range keyUses {
			if use.word == word {
				key |= use.usage
			}
		}
		for _, use := range extendedUses {
			if use.word == word && !slices.Contains(extended, use.usage) {
				extended = append(extended, use.usage)
			}
		}
	}
	return key, extended
}
