package provider

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/jwk"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

var (
	_ ephemeral.EphemeralResourceWithConfigure      = (*jwtEphemeralResource)(nil)
	_ ephemeral.EphemeralResourceWithValidateConfig = (*jwtEphemeralResource)(nil)
)

func newJWTEphemeralResource() ephemeral.EphemeralResource { return &jwtEphemeralResource{} }

// jwtEphemeralResource is a JSON Web Token that a key on the token signs.
type jwtEphemeralResource struct{ tokenUser }

type jwtModel struct {
	PublicKeyPEM types.String `tfsdk:"public_key_pem"`
	Claims       types.String `tfsdk:"claims"`
	Algorithm    types.String `tfsdk:"algorithm"`
	Header       types.String `tfsdk:"header"`
	KID          types.String `tfsdk:"kid"`
	ExpiresIn    types.String `tfsdk:"expires_in"`
	Type         types.String `tfsdk:"type"`
	Token        types.String `tfsdk:"token"`
}

// clockSkew is how far before the present a JWT begins, as certificates do: clocks differ, and readers refuse what
// begins later.
const clockSkew = time.Minute

var lifetime = parsed{
	is: "a length of time of more than a minute, such as 10m", title: "Invalid Length Of Time", named: true,
	parse: func(s string) error {
		length, err := parsePeriod(s)
		switch {
		case err != nil:
			return err
		case length%time.Second != 0:
			return fmt.Errorf("is %q, and the times of a JWT are whole seconds here", s)
		case length <= clockSkew:
			return fmt.Errorf("is %q, and a JWT begins a minute before it is signed, so it would end at once", s)
		}
		return nil
	},
	hint: " It must be more than 1m, in whole seconds.",
}

func (*jwtEphemeralResource) Metadata(
	_ context.Context, _ ephemeral.MetadataRequest, resp *ephemeral.MetadataResponse,
) {
	resp.TypeName = "hsm_jwt"
}

func (*jwtEphemeralResource) Schema(_ context.Context, _ ephemeral.SchemaRequest, resp *ephemeral.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "A JSON Web Token (JWT, [RFC 7519](https://www.rfc-editor.org/rfc/rfc7519)) that a key " +
			"of the HSM signs. It is stored nowhere: not in the state, not in a plan. It is signed anew in each plan " +
			"and in each apply.\n\n" +
			"Every JWT is verified with the public key before it is given out. Readers verify it with the set of " +
			"[`hsm_jwks`](../data-sources/jwks.md), which names the key and its `alg` in the same way by default.\n\n" +
			"An ephemeral resource whose arguments are known is opened while Terraform plans. If the plan makes the " +
			"key, it is opened in the apply alone. If the plan makes the token or sets its PIN (`hsm_token`), write " +
			"`depends_on`: then what it gives is not known in the plan.",
		Attributes: map[string]schema.Attribute{
			"public_key_pem": signingKey(),
			"claims": schema.StringAttribute{
				MarkdownDescription: "The claims: a JSON object as text, such as `jsonencode({ sub = \"somebody\" " +
					"})`. They stand in the JWT as they are given; numbers keep all their digits. `iss`, `sub`, " +
					"`jti`, `aud`, `exp`, `nbf` and `iat` must have the form of RFC 7519, dates in seconds and not " +
					"in milliseconds, and no object may name a member twice.",
				Required: true, Validators: []validator.String{jwtClaims},
			},
			"algorithm": schema.StringAttribute{
				MarkdownDescription: "`alg` of the JWT. Defaults to what `hsm_jwks` says of the key: `RS256` for RSA " +
					"(the first of `RS256`, `RS384`, `RS512`, `PS256`, `PS384` and `PS512` that the key's " +
					"`CKA_ALLOWED_MECHANISMS` allow), `ES256`, `ES384`, `ES512` and `ES256K` for the curves `P-256`, " +
					"`P-384`, `P-521` and `secp256k1`, `EdDSA` for `Ed25519` (its other name, `Ed25519` of RFC 9864, " +
					"can be chosen), and the parameter set for ML-DSA.",
				Optional: true, Computed: true, Validators: []validator.String{oneOf(jwk.SignatureAlgorithms()...)},
			},
			"header": schema.StringAttribute{
				MarkdownDescription: "Further members of the header: a JSON object as text, such as `jsonencode({ " +
					"\"x5t#S256\" = ... })`. `alg`, `kid` and `typ` have arguments of their own; `jwk`, `crit`, " +
					"`b64`, `enc` and `zip` are refused.",
				Optional: true, Validators: []validator.String{jwtHeader},
			},
			"kid": schema.StringAttribute{
				MarkdownDescription: "`kid` of the JWT. Defaults to that of `hsm_jwks`: the bytes of the key's ID as " +
					"text if they are printable UTF-8, otherwise in hexadecimal. If the set has another " +
					"`kid_format`, give the same here, such as " +
					"`provider::hsm::jwk_thumbprint(hsm_ec_keypair.NAME.jwk)`. `\"\"` leaves it out, as does a key " +
					"without an ID; null in that case.",
				Optional: true, Computed: true,
			},
			"expires_in": schema.StringAttribute{
				MarkdownDescription: "How long the JWT is valid, such as `10m`, `1h` or `1d12h`: more than a minute, " +
					"in whole seconds. It sets the claims `iat` and `nbf` to a minute ago, so that a reader whose " +
					"clock is slow takes it, and `exp` to `iat` and this time: `exp` less `iat` is just what is " +
					"given here. `claims` must not have these three then. Without it, they are as `claims` has them, " +
					"and a JWT without `exp` is valid for ever.",
				Optional: true, Validators: []validator.String{lifetime},
			},
			"type": schema.StringAttribute{
				MarkdownDescription: "`typ` of the JWT. Defaults to `JWT`; `\"\"` leaves it out.",
				Optional:            true,
			},
			"token": schema.StringAttribute{
				MarkdownDescription: "The signed JWT, in compact form: three parts in base64url, with dots between " +
					"them.",
				Computed: true, Sensitive: true,
			},
		},
	}
}

var (
	jwtClaims = parsed{
		is: "a JSON object", title: "Invalid Claims", parse: func(s string) error { return jwk.CheckClaims(s, false) },
		hint: correctIt,
	}
	jwtHeader = parsed{is: "a JSON object", title: "Invalid Header", parse: jwk.CheckHeader, hint: correctIt}
)

const correctIt = " Correct the JSON."

// ValidateConfig looks at what depends on more than one argument, as far as they are known.
func (*jwtEphemeralResource) ValidateConfig(ctx context.Context, req ephemeral.ValidateConfigRequest,
	resp *ephemeral.ValidateConfigResponse,
) {
	var m jwtModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	alg := m.Algorithm.ValueString()
	// Of what is no algorithm it is told already.
	if pub := knownKey(m.PublicKeyPEM); pub != nil && slices.Contains(jwk.SignatureAlgorithms(), alg) {
		if err := jwk.ValidAlg(pub, jwk.Sig, alg); err != nil {
			resp.Diagnostics.Append(unfitAlgorithm(err))
		}
	}
	claims := m.Claims.ValueString()
	if m.Claims.IsUnknown() || m.ExpiresIn.IsNull() || jwk.CheckClaims(claims, false) != nil { // which is told already
		return
	}
	if err := jwk.CheckClaims(claims, true); err != nil {
		resp.Diagnostics.AddAttributeError(path.Root("claims"), "Invalid Claims", fmt.Sprintf(
			"%s\n\nWhat to do: leave the claims iat, nbf and exp out, or leave expires_in "+
				"out.", diagnose.Sentence(err.Error())))
	}
}

// Open signs the token.
func (e *jwtEphemeralResource) Open(ctx context.Context, req ephemeral.OpenRequest, resp *ephemeral.OpenResponse) {
	var m jwtModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	pub := knownKey(m.PublicKeyPEM)
	if resp.Diagnostics.HasError() || pub == nil { // validated
		return
	}
	later := m
	later.Token = types.StringUnknown()
	if m.Algorithm.IsNull() {
		later.Algorithm = types.StringUnknown()
	}
	if m.KID.IsNull() {
		later.KID = types.StringUnknown()
	}
	e.useSigner(ctx, opening{resp, "Sign JWT", later}, pub, func(signer *hsm.Signer) error {
		key := signer.Key()
		if m.Algorithm.IsNull() {
			m.Algorithm = types.StringValue(joseAlgorithm(key))
		}
		if alg := m.Algorithm.ValueString(); alg == "" || !key.AllowsAlg(alg) {
			resp.Diagnostics.Append(forbiddenAlgorithm(key, alg))
			return nil
		}
		if m.KID.IsNull() {
			m.KID = given(jwk.KID(key.ID))
		}
		token := jwk.JWT{
			Alg: m.Algorithm.ValueString(), Type: "JWT", KID: m.KID.ValueString(), Header: m.Header.ValueString(),
			Claims: m.Claims.ValueString(),
		}
		if !m.Type.IsNull() {
			token.Type = m.Type.ValueString()
		}
		if !m.ExpiresIn.IsNull() {
			length, _ := parsePeriod(m.ExpiresIn.ValueString()) // validated
			token.From = e.client.now().Add(-clockSkew).Truncate(time.Second)
			token.Until = token.From.Add(length)
		}
		text, err := token.Sign(signer)
		if err != nil {
			return err
		}
		m.Token = types.StringValue(text)
		resp.Diagnostics.Append(resp.Result.Set(ctx, m)...)
		return nil
	})
}
