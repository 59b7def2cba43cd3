package provider

import (
	"maps"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// pairVocabulary is that of key pairs.
var pairVocabulary = vocabulary{
	noun: "key pair", title: "Key Pair", parts: []string{"pubkey", "privkey"}, of: " of both halves", secret: "private key",
	labelNote: " In Hydra it is the name of the key set.", flags: " and its counterpart on the public half",
	fingerprint: "public_key_fingerprint_sha256", mark: "SHA-256 fingerprint", has: "its public key has the", excess: "`decrypt` on an elliptic curve",
}

// keyPairAttributes are those of every key pair.
type keyPairAttributes struct {
	keyAttributes

	MoveCertificates types.Bool `tfsdk:"move_certificates"`

	KID                        types.String `tfsdk:"kid"`
	JWK                        types.String `tfsdk:"jwk"`
	PublicKeyPEM               types.String `tfsdk:"public_key_pem"`
	PublicKeyOpenSSH           types.String `tfsdk:"public_key_openssh"`
	PublicKeyFingerprintSHA256 types.String `tfsdk:"public_key_fingerprint_sha256"`
}

// pairSchema has the attributes that key pairs have beside those of every key, and those of one kind of pair.
func pairSchema(own map[string]schema.Attribute) map[string]schema.Attribute {
	all := map[string]schema.Attribute{
		"move_certificates": schema.BoolAttribute{
			MarkdownDescription: "Whether certificates on the token follow the key pair when its `key_id` changes: those " +
				"(`CKO_CERTIFICATE`) that have the old ID and the pair's own public key get the new one. Others stay. The " +
				"default " +
				"is false: then they keep the old ID, the plan warns of it, and programs that find a key's certificate by its ID " +
				"do not find it. It is not on the token, and imports leave it out.",
			Optional: true,
		},
		"kid": computed("The key's ID as a JWK's `kid`: the bytes of `CKA_ID` as text if they " +
			"are printable UTF-8 (in normal form C), as in Hydra, otherwise `key_id` in lower case."),
		"jwk":            computed("The public key as a JSON Web Key ([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517)), with `kid`, `use` and `alg`."),
		"public_key_pem": computed("The public key in PEM (`PUBLIC KEY`, a SubjectPublicKeyInfo)."),
		"public_key_openssh": computed("The public key as a line of OpenSSH's `authorized_keys`, without a " +
			"comment."),
		"public_key_fingerprint_sha256": computed("SHA-256 of the public key's SubjectPublicKeyInfo, in hexadecimal. By " +
			"it the provider notices when another key has taken the place of this one under the same ID."),
	}
	maps.Copy(all, own)
	return all
}

func (a *keyPairAttributes) fingerprint() string { return a.PublicKeyFingerprintSHA256.ValueString() }

func (a *keyPairAttributes) movesCertificates() bool { return a.MoveCertificates.ValueBool() }

// use is the key's use in a JWK: a key that can sign is for signatures.
func use(u object.Usage) string {
	if u.Has(object.Sign) {
		return "sig"
	}
	return "enc"
}

func (a *keyPairAttributes) take(pair object.Key) error {
	forms, err := formsOf(pair.PublicKey, pair.ID, use(pair.Usage), pair.AllowsAlg)
	if err != nil {
		return err
	}
	a.KID, a.JWK = types.StringValue(forms.kid), types.StringValue(forms.jwk)
	a.PublicKeyPEM, a.PublicKeyOpenSSH = types.StringValue(forms.pem), given(forms.openSSH)
	a.PublicKeyFingerprintSHA256 = types.StringValue(pair.Fingerprint())
	return nil
}

func (a *keyPairAttributes) forget(c consequences) {
	a.keyAttributes.forget(c)
	if c.newID || c.use {
		a.JWK = types.StringUnknown()
	}
	if c.newID {
		a.KID = types.StringUnknown()
	}
}

func (a *keyPairAttributes) excess() []excess { return nil }

// usagesAgree says that the public half has the usages that the private half has, as far as configurations have words
// for them. Tokens give signing with recovery to what other tools make, and an import of that must not leave
// something to do: the next change of the key takes it away.
func usagesAgree(pair object.Key) bool {
	return pair.Usage&^object.SignRecover == pair.PublicUsage&^object.SignRecover
}
