// Package jwk writes public keys as JSON Web Keys (RFC 7517), and reads them. It knows neither tokens nor Terraform,
// and the same input gives the same bytes.
//
//	text, err := jwk.Key{PublicKey: pub, KID: "web", Use: "sig", Alg: jwk.DefaultAlg(pub, "sig", nil)}.JSON()
//	key, err := jwk.Parse(text)
//	set, err := jwk.Merge([]string{text, otherSet})
//
// The keys are those of package publickey. Wherever a JWK is read, one with a private or symmetric member is refused;
// none is ever written. No error repeats key material.
package jwk

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"unicode/utf8"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// Key is a public key and what its JWK says of it. An empty KID, Use or Alg is left out; but the alg of an ML-DSA key is
// part of the key (RFC 9964), and is written whatever Alg says.
type Key struct {
	PublicKey crypto.PublicKey
	KID       string // kid: any text (RFC 7517, 4.5)
	Use       string // use: "sig" or "enc" (RFC 7517, 4.2)
	Alg       string // alg: see Algorithms (RFC 7517, 4.4)
}

// The values of kty (RFC 7518, 6.1; RFC 8037, 2; RFC 9964).
const (
	ktyRSA = "RSA"
	ktyEC  = "EC"
	ktyOKP = "OKP"
	ktyAKP = "AKP"
)

// members are the members of a JWK, in the order in which Ory Hydra writes them.
type members struct {
	Use string `json:"use,omitempty"`
	Kty string `json:"kty"`
	KID string `json:"kid,omitempty"`
	Crv string `json:"crv,omitempty"`
	Alg string `json:"alg,omitempty"`
	N   string `json:"n,omitempty"`
	E   string `json:"e,omitempty"`
	X   string `json:"x,omitempty"`
	Y   string `json:"y,omitempty"`
	Pub string `json:"pub,omitempty"`

	X5C     []string `json:"x5c,omitempty"`
	X5TS256 string   `json:"x5t#S256,omitempty"`
}

// Rendered is the text of a JWK, with its members.
type Rendered struct {
	Text    string
	members members
}

// Member is a public member of the JWK by its name, "" where the JWK has no such member.
func (r Rendered) Member(name string) string {
	m := r.members
	return map[string]string{
		"use": m.Use, "kty": m.Kty, "kid": m.KID, "crv": m.Crv, "alg": m.Alg, "n": m.N, "e": m.E, "x": m.X, "y": m.Y, "pub": m.Pub,
		"x5t#S256": m.X5TS256,
	}[name]
}

// Render writes the JWK as compact JSON. Its members are in the order use, kty, kid, crv, alg, then n and e, or x and
// y, or pub. HTML characters are not escaped. Render fails for what is not a public key of package publickey, and for text
// that is not UTF-8, which JSON cannot hold.
func (k Key) Render() (Rendered, error) { return k.RenderWith(nil) }

// RenderWith is Render with x5c and x5t#S256 at the end (RFC 7517, 4.7 and 4.9): a chain of certificates in DER, the
// key's own first, which it does not check. It has neither of no chain.
func (k Key) RenderWith(chain [][]byte) (Rendered, error) {
	m, err := keyMembers(k.PublicKey)
	if err != nil {
		return Rendered{}, err
	}
	if !utf8.ValidString(k.KID) || !utf8.ValidString(k.Use) || !utf8.ValidString(k.Alg) {
		return Rendered{}, errors.New("the kid, use or alg is not UTF-8")
	}
	m.KID, m.Use, m.Alg = k.KID, k.Use, cmp.Or(m.Alg, k.Alg)
	for _, der := range chain {
		m.X5C = append(m.X5C, base64.StdEncoding.EncodeToString(der))
	}
	if len(chain) > 0 {
		sum := sha256.Sum256(chain[0])
		m.X5TS256 = encode(sum[:])
	}
	text, err := marshal(m)
	return Rendered{Text: text, members: m}, err
}

// JSON is the text of [Key.Render].
func (k Key) JSON() (string, error) {
	r, err := k.Render()
	return r.Text, err
}

// MarshalJSON is [Key.JSON] for encoding/json, which may escape more characters when the key is a part of something
// larger.
func (k Key) MarshalJSON() ([]byte, error) {
	text, err := k.JSON()
	return []byte(text), err
}

// Kty is the kty of a key's JWK: "RSA", "EC", "OKP" or "AKP"; "" for what is not a public key of package publickey.
func Kty(pub crypto.PublicKey) string {
	if key, ok := pub.(*rsa.PublicKey); ok && key != nil {
		return ktyRSA
	}
	if publickey.ParameterSet(pub) != "" {
		return ktyAKP
	}
	switch publickey.Curve(pub) {
	case "":
		return ""
	case publickey.Ed25519:
		return ktyOKP
	}
	return ktyEC
}

// keyMembers are the members that make the key: kty, and n and e (RFC 7518, 6.3.1), or crv, x and y at full width
// (RFC 7518, 6.2.1; RFC 8812, 3.1), or crv and x (RFC 8037, 2), or alg and pub (RFC 9964).
func keyMembers(pub crypto.PublicKey) (members, error) {
	if _, err := publickey.MarshalSPKI(pub); err != nil {
		return members{}, err
	}
	m := members{Kty: Kty(pub), Crv: publickey.Curve(pub), Alg: publickey.ParameterSet(pub)}
	if key, ok := pub.(*rsa.PublicKey); ok {
		m.N, m.E = encode(key.N.Bytes()), encode(big.NewInt(int64(key.E)).Bytes())
		return m, nil
	}
	if m.Kty == ktyAKP {
		m.Pub = encode(publickey.MLDSABytes(pub))
		return m, nil
	}
	point := publickey.Point(pub)
	if m.Kty == ktyOKP {
		m.X = encode(point)
		return m, nil
	}
	xy := point[1:] // behind the octet that means uncompressed
	m.X, m.Y = encode(xy[:len(xy)/2]), encode(xy[len(xy)/2:])
	return m, nil
}

func encode(octets []byte) string { return base64.RawURLEncoding.EncodeToString(octets) }

// marshal gives compact JSON, without HTML escapes and without a newline.
func marshal(v any) (string, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return "", fmt.Errorf("the JWK cannot be written: %w", err)
	}
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}
