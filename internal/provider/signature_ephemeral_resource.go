package provider

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/jwk"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

var (
	_ ephemeral.EphemeralResourceWithConfigure      = (*signatureEphemeralResource)(nil)
	_ ephemeral.EphemeralResourceWithValidateConfig = (*signatureEphemeralResource)(nil)
)

func newSignatureEphemeralResource() ephemeral.EphemeralResource {
	return &signatureEphemeralResource{}
}

// signatureEphemeralResource is a signature that a key on the token makes.
type signatureEphemeralResource struct{ tokenUser }

type signatureModel struct {
	PublicKeyPEM    types.String `tfsdk:"public_key_pem"`
	MessageBase64   types.String `tfsdk:"message_base64"`
	DigestBase64    types.String `tfsdk:"digest_base64"`
	Algorithm       types.String `tfsdk:"algorithm"`
	Encoding        types.String `tfsdk:"encoding"`
	SignatureBase64 types.String `tfsdk:"signature_base64"`
}

// messageAlgorithm is a row of signatureAlgorithms.
type messageAlgorithm struct {
	name string // as certificates have it
	of   string // the kty, or the parameter set
	opts crypto.SignerOpts
	algs []string // of JOSE, which have the same mechanisms
}

var signatureAlgorithms = []messageAlgorithm{
	{"SHA256-RSA", "RSA", crypto.SHA256, []string{"RS256"}},
	{"SHA384-RSA", "RSA", crypto.SHA384, []string{"RS384"}},
	{"SHA512-RSA", "RSA", crypto.SHA512, []string{"RS512"}},
	{"SHA256-RSAPSS", "RSA", pssWith(crypto.SHA256), []string{"PS256"}},
	{"SHA384-RSAPSS", "RSA", pssWith(crypto.SHA384), []string{"PS384"}},
	{"SHA512-RSAPSS", "RSA", pssWith(crypto.SHA512), []string{"PS512"}},
	{"ECDSA-SHA256", "EC", crypto.SHA256, []string{"ES256", "ES256K"}},
	{"ECDSA-SHA384", "EC", crypto.SHA384, []string{"ES384"}},
	{"ECDSA-SHA512", "EC", crypto.SHA512, []string{"ES512"}},
	{"Ed25519", "OKP", crypto.Hash(0), []string{"EdDSA"}},
	{publickey.MLDSA44, publickey.MLDSA44, crypto.Hash(0), []string{publickey.MLDSA44}},
	{publickey.MLDSA65, publickey.MLDSA65, crypto.Hash(0), []string{publickey.MLDSA65}},
	{publickey.MLDSA87, publickey.MLDSA87, crypto.Hash(0), []string{publickey.MLDSA87}},
}

func pssWith(hash crypto.Hash) crypto.SignerOpts {
	return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
}

// fits says that keys of the kind can sign by it.
func (a messageAlgorithm) fits(pub crypto.PublicKey) bool {
	return a.of == jwk.Kty(pub) || a.of == publickey.ParameterSet(pub)
}

// allowed says that the key's allowed mechanisms have one for it.
func (a messageAlgorithm) allowed(key object.Key) bool { return key.AllowsAlg(a.algs[0]) }

// fittingAlgorithms are those that a key can sign by.
func fittingAlgorithms(pub crypto.PublicKey) (fitting []messageAlgorithm) {
	for _, a := range signatureAlgorithms {
		if a.fits(pub) {
			fitting = append(fitting, a)
		}
	}
	return fitting
}

func namesOf(algorithms []messageAlgorithm) (names []string) {
	for _, a := range algorithms {
		names = append(names, a.name)
	}
	return names
}

// algorithmNamed is the row of a name; the zero value for none.
func algorithmNamed(name string) (named messageAlgorithm) {
	for _, a := range signatureAlgorithms {
		if a.name == name {
			named = a
		}
	}
	return named
}

// defaultAlgorithm is the one by which a key signs where none is asked for: the same as its JWTs', else the first that
// it allows; the zero value where it allows none.
func defaultAlgorithm(key object.Key) messageAlgorithm {
	fitting := fittingAlgorithms(key.PublicKey)
	alg := joseAlgorithm(key)
	for _, a := range fitting {
		if slices.Contains(a.algs, alg) {
			return a
		}
	}
	for _, a := range fitting {
		if a.allowed(key) {
			return a
		}
	}
	return messageAlgorithm{}
}

var base64Text = parsed{
	is: "base64 with padding, on one line", title: "Invalid Base64",
	parse: func(s string) error { _, err := parseBase64(s); return err },
	hint:  " It must be the base64 of RFC 4648, 4, such as base64encode(\"text\") or filebase64(\"FILE\").",
}

// parseBase64 reads the base64 that Terraform writes. Its error repeats nothing of the text.
func parseBase64(s string) ([]byte, error) {
	octets, err := base64.StdEncoding.Strict().DecodeString(s)
	switch {
	case err == nil && !strings.ContainsAny(s, "\r\n"): // which the decoder ignores
		return octets, nil
	case strings.ContainsAny(s, "\r\n"):
		return nil, errors.New("the text has line breaks")
	case strings.ContainsAny(s, "-_"):
		return nil, errors.New("the text is base64url, or no base64 at all")
	case len(s)%4 != 0:
		return nil, errors.New("the text is no base64, or lacks the = at its end")
	}
	return nil, errors.New("the text is no base64")
}

func (*signatureEphemeralResource) Metadata(_ context.Context, _ ephemeral.MetadataRequest,
	resp *ephemeral.MetadataResponse,
) {
	resp.TypeName = "hsm_signature"
}

func (*signatureEphemeralResource) Schema(
	_ context.Context, _ ephemeral.SchemaRequest, resp *ephemeral.SchemaResponse,
) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "A signature that a key on the token makes. It is stored nowhere: not in the state, not " +
			"in a plan. It is made anew in each plan and in each apply, and all but those of `SHA256-RSA` and its " +
			"like, and of `Ed25519`, differ each time.\n\n" +
			"Every signature is verified with the public key before it is given out. When it is made, and what that " +
			"means for a key or a token of the same configuration, is the same as with [`hsm_jwt`](jwt.md).",
		Attributes: map[string]schema.Attribute{
			"public_key_pem": signingKey(),
			"message_base64": schema.StringAttribute{
				MarkdownDescription: "What is signed, in base64, such as `base64encode(\"text\")`. It is hashed as " +
					"`algorithm` says.",
				Optional: true,
				Validators: []validator.String{base64Text, exactlyOne("message_base64 and digest_base64",
					"Give the message, or its digest where you have no more than that.",
					"message_base64", "digest_base64")},
			},
			"digest_base64": schema.StringAttribute{
				MarkdownDescription: "The digest of what is signed, in base64, such as `filebase64sha256(\"FILE\")`. " +
					"It must be that of the hash that `algorithm` names. Ed25519 and ML-DSA sign no digests.",
				Optional: true, Validators: []validator.String{base64Text},
			},
			"algorithm": schema.StringAttribute{
				MarkdownDescription: "How it is signed, in the words of certificates: `SHA256-RSA`, `SHA384-RSA`, " +
					"`SHA512-RSA` (RSASSA-PKCS1-v1_5), `SHA256-RSAPSS`, `SHA384-RSAPSS`, `SHA512-RSAPSS` (salt as " +
					"long as the digest), `ECDSA-SHA256`, `ECDSA-SHA384`, `ECDSA-SHA512`, `Ed25519`, `ML-DSA-44`, " +
					"`ML-DSA-65` or `ML-DSA-87`. Defaults to `SHA256-RSA` for RSA (the first that the key's " +
					"`CKA_ALLOWED_MECHANISMS` allow), ECDSA with the hash of the curve's size, `Ed25519`, and the " +
					"parameter set for ML-DSA.",
				Optional: true, Computed: true, Validators: []validator.String{oneOf(namesOf(signatureAlgorithms)...)},
			},
			"encoding": schema.StringAttribute{
				MarkdownDescription: "How an ECDSA signature is written: `asn1` (the default), as X.509, TLS and " +
					"openssl have it; `raw`, r and s one after the other, each as wide as the curve, as JOSE and " +
					"PKCS#11 have it. Other signatures have only one form, and take no encoding.",
				Optional: true, Validators: []validator.String{oneOf("asn1", "raw")},
			},
			"signature_base64": schema.StringAttribute{
				MarkdownDescription: "The signature, in base64.",
				Computed:            true, Sensitive: true,
			},
		},
	}
}

// ValidateConfig looks at what depends on more than one argument, as far as they are known.
func (*signatureEphemeralResource) ValidateConfig(ctx context.Context, req ephemeral.ValidateConfigRequest,
	resp *ephemeral.ValidateConfigResponse,
) {
	var m signatureModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	pub := knownKey(m.PublicKeyPEM)
	if resp.Diagnostics.HasError() || m.Algorithm.IsUnknown() {
		return
	}
	algorithm := algorithmNamed(m.Algorithm.ValueString())
	if pub != nil && algorithm.name != "" && !algorithm.fits(pub) {
		resp.Diagnostics.Append(unfitAlgorithm(fmt.Errorf("the algorithm %s does not fit the key; these do: %s",
			algorithm.name, strings.Join(namesOf(fittingAlgorithms(pub)), ", "))))
		return
	}
	if pub != nil && !m.Encoding.IsNull() && jwk.Kty(pub) != "EC" {
		resp.Diagnostics.AddAttributeError(path.Root("encoding"), "Encoding Does Not Fit", "Only signatures of ECDSA "+
			"have more than one form, and the key signs by another algorithm.\n\nWhat to do: leave encoding out.")
	}
	switch fitting := fittingAlgorithms(pub); {
	case algorithm.name != "":
		resp.Diagnostics.Append(m.unfitDigest(algorithm)...)
	case len(fitting) == 1: // the default of others depends on what the key allows
		resp.Diagnostics.Append(m.unfitDigest(fitting[0])...)
	}
}

// unfitDigest is an error where what is given as a digest is none of the algorithm's.
func (m signatureModel) unfitDigest(a messageAlgorithm) (diags diag.Diagnostics) {
	digest, err := parseBase64(m.DigestBase64.ValueString())
	if m.DigestBase64.IsNull() || m.DigestBase64.IsUnknown() || err != nil {
		return nil
	}
	const title = "Digest Does Not Fit"
	hash := a.opts.HashFunc()
	switch {
	case hash == 0:
		diags.AddAttributeError(path.Root("digest_base64"), title, fmt.Sprintf(
			"%s signs whole messages, and no digests.\n\n"+
				"What to do: give the message in message_base64.", a.name))
	case len(digest) != hash.Size():
		diags.AddAttributeError(path.Root("digest_base64"), title, fmt.Sprintf(
			"%s signs digests of %s, which have %d bytes. This one has %d bytes.\n\nWhat to do: give a digest of "+
				"that hash, or choose the algorithm of the digest's.", a.name,
			hash, hash.Size(), len(digest)))
	}
	return diags
}

// Open signs.
func (e *signatureEphemeralResource) Open(
	ctx context.Context, req ephemeral.OpenRequest, resp *ephemeral.OpenResponse,
) {
	var m signatureModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	pub := knownKey(m.PublicKeyPEM)
	if resp.Diagnostics.HasError() || pub == nil { // validated
		return
	}
	later := m
	later.SignatureBase64 = types.StringUnknown()
	if m.Algorithm.IsNull() {
		later.Algorithm = types.StringUnknown()
	}
	e.useSigner(ctx, opening{resp, "Sign", later}, pub, func(signer *hsm.Signer) error {
		key, algorithm := signer.Key(), algorithmNamed(m.Algorithm.ValueString())
		if m.Algorithm.IsNull() {
			algorithm = defaultAlgorithm(key)
		}
		if algorithm.name == "" || !algorithm.allowed(key) {
			resp.Diagnostics.Append(forbiddenAlgorithm(key, algorithm.name))
			return nil
		}
		resp.Diagnostics.Append(m.unfitDigest(algorithm)...)
		if resp.Diagnostics.HasError() {
			return nil
		}
		signature, err := m.sign(signer, algorithm)
		if err != nil {
			return err
		}
		m.Algorithm = types.StringValue(algorithm.name)
		m.SignatureBase64 = types.StringValue(base64.StdEncoding.EncodeToString(signature))
		resp.Diagnostics.Append(resp.Result.Set(ctx, m)...)
		return nil
	})
}

// sign gives the signature in the encoding that is asked for. The signer has verified it.
func (m signatureModel) sign(signer crypto.Signer, a messageAlgorithm) (signature []byte, err error) {
	if m.DigestBase64.IsNull() {
		message, _ := parseBase64(m.MessageBase64.ValueString()) // validated
		signature, err = crypto.SignMessage(signer, rand.Reader, message, a.opts)
	} else {
		digest, _ := parseBase64(m.DigestBase64.ValueString()) // validated
		signature, err = signer.Sign(rand.Reader, digest, a.opts)
	}
	if err != nil || m.Encoding.ValueString() != "raw" {
		return signature, err
	}
	side, ok := publickey.SignatureRaw(signer.Public(), signature)
	if !ok {
		return nil, errors.New("the signature is not one of ECDSA in DER")
	}
	return side, nil
}
