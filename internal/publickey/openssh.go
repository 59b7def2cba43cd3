package publickey

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"math/big"
	"strings"

	"golang.org/x/crypto/cryptobyte"
)

// ErrNoOpenSSH is the error for a key that OpenSSH has no name for: one on secp256k1, or one of ML-DSA.
var ErrNoOpenSSH = errors.New("OpenSSH has no keys of this kind")

// OpenSSH is the key as a line of authorized_keys (sshd(8); RFC 4253, 6.6; RFC 5656, 3.1; RFC 8709, 4), without a
// comment and without a newline. It is [ErrNoOpenSSH] for a key on secp256k1 and for one of ML-DSA.
func OpenSSH(pub crypto.PublicKey) (string, error) {
	if _, err := MarshalSPKI(pub); err != nil {
		return "", err
	}
	if key, ok := pub.(*rsa.PublicKey); ok {
		return sshLine("ssh-rsa", mpint(big.NewInt(int64(key.E))), mpint(key.N)), nil
	}
	c := curveOf(pub)
	switch {
	case c == nil: // ML-DSA
	case c.name == Ed25519:
		return sshLine("ssh-ed25519", Point(pub)), nil
	case c.ssh != "":
		return sshLine("ecdsa-sha2-"+c.ssh, []byte(c.ssh), Point(pub)), nil
	}
	return "", ErrNoOpenSSH
}

// OpenSSHFingerprint is the key's fingerprint as ssh-keygen -l prints it: "SHA256:" and the digest of the key's blob, in
// base64 without padding. It is [ErrNoOpenSSH] where [OpenSSH] is.
func OpenSSHFingerprint(pub crypto.PublicKey) (string, error) {
	line, err := OpenSSH(pub)
	if err != nil {
		return "", err
	}
	_, encoded, _ := strings.Cut(line, " ")
	blob, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "", err
	}
	digest := sha256.Sum256(blob)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(digest[:]), nil
}

// mpint is a positive number in the form of RFC 4251, 5: big-endian, and never with the sign bit set.
func mpint(n *big.Int) []byte {
	if n.BitLen()%8 == 0 {
		return append([]byte{0}, n.Bytes()...)
	}
	return n.Bytes()
}

func sshLine(name string, fields ...[]byte) string {
	var b cryptobyte.Builder
	for _, field := range append([][]byte{[]byte(name)}, fields...) {
		b.AddUint32LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(field) })
	}
	return name + " " + base64.StdEncoding.EncodeToString(b.BytesOrPanic())
}
