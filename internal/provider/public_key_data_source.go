package provider

import (
	"context"
	"crypto/rsa"
	"errors"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/pkcs11uri"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

var _ datasource.DataSourceWithConfigure = (*publicKeyDataSource)(nil)

func newPublicKeyDataSource() datasource.DataSource { return &publicKeyDataSource{} }

// publicKeyDataSource shows one public key on the token, in all the forms that others want.
type publicKeyDataSource struct{ tokenReader }

type publicKeyModel struct {
	URI                         types.String   `tfsdk:"uri"`
	KeyID                       types.String   `tfsdk:"key_id"`
	Label                       types.String   `tfsdk:"label"`
	KID                         types.String   `tfsdk:"kid"`
	Type                        types.String   `tfsdk:"type"`
	Bits                        types.Int64    `tfsdk:"bits"`
	Curve                       types.String   `tfsdk:"curve"`
	ParameterSet                types.String   `tfsdk:"parameter_set"`
	HasPrivateKey               types.Bool     `tfsdk:"has_private_key"`
	Usage                       []types.String `tfsdk:"usage"`
	PublicUsage                 []types.String `tfsdk:"public_usage"`
	JWK                         types.String   `tfsdk:"jwk"`
	PublicKeyPEM                types.String   `tfsdk:"public_key_pem"`
	PublicKeyOpenSSH            types.String   `tfsdk:"public_key_openssh"`
	PublicKeyFingerprintSHA256  types.String   `tfsdk:"public_key_fingerprint_sha256"`
	PublicKeyFingerprintOpenSSH types.String   `tfsdk:"public_key_fingerprint_openssh"`
	Private                     types.Bool     `tfsdk:"private"`
	Sensitive                   types.Bool     `tfsdk:"sensitive"`
	Local                       types.Bool     `tfsdk:"local"`
	AlwaysSensitive             types.Bool     `tfsdk:"always_sensitive"`
	NeverExtractable            types.Bool     `tfsdk:"never_extractable"`
	Unprotected                 types.Bool     `tfsdk:"allow_unprotected"`
}

func (d *publicKeyDataSource) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = "hsm_public_key"
}

func (d *publicKeyDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	name := func(description string, valid ...validator.String) schema.StringAttribute {
		return schema.StringAttribute{MarkdownDescription: description, Optional: true, Computed: true, Validators: valid}
	}
	claim := func(description string) schema.BoolAttribute {
		return computedBool(description + " This is only what the token claims; null if it claims nothing.")
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "One public key on the token. Name it by exactly one of `uri`, `key_id` and `label`; only " +
			"one key may match.\n\n" +
			"The data source also finds a public key without a private half, such as one that was imported to verify with; " +
			"`has_private_key` is then false. A private half alone is an error: its public half is lost.\n\n" +
			"On many tokens anyone who can open a session, without a PIN, can make key pairs and exchange public halves. So " +
			"it is an error if the private half is not protected by the PIN (see `allow_unprotected`), and if it is not " +
			"proven that the public half belongs to the private one. If the private half does not show its public key " +
			"(many tokens do not show it on curves), the private half signs or derives something to prove it, once in a " +
			"run.\n\n" +
			"Terraform reads a data source whose arguments are known while it plans, which is before new keys exist. So name " +
			"a key of the same configuration by its `uri`, or add `depends_on`.",
		Attributes: map[string]schema.Attribute{
			"uri": name("PKCS#11 URI ([RFC 7512](https://www.rfc-editor.org/rfc/rfc7512)) of the key, such as the attribute "+
				"`uri` of a key pair's resource. A key without an ID is named by its label: "+
				"`pkcs11:object=LABEL;type=private`.",
				exactlyOne("uri, key_id and label", "Give the one by which you know the key, and leave the others out.", "uri", "key_id",
					"label"), pkcs11URI),
			"key_id": name("ID (`CKA_ID`) of the key in hexadecimal, in upper or lower case. Null if the key has "+
				"none.", keyID),
			"label": name("Label of the key: that of the private half, if there is one.",
				someText()),
			"kid": computedString("Key ID in a JWK: the ID's bytes as text if they are printable UTF-8, " +
				"otherwise in hexadecimal; null if the key has no ID."),
			"type":          computedString("Type of the key: `RSA`, `EC` or `ML-DSA`."),
			"bits":          computedNumber("Size of an RSA modulus in bits; null for other keys."),
			"curve":         computedString("Curve, by its JOSE name; null for other keys."),
			"parameter_set": computedString("Parameter set of an ML-DSA key, such as `ML-DSA-65`; null for other keys."),
			"has_private_key": computedBool("Whether the private half is on the token too: one that is proven to belong to " +
				"this public key."),
			"allow_unprotected": allowUnprotected(),
			"usage": computedWords("What the private half may do, in the words of the resources, in alphabetical " +
				"order; null if there is none."),
			"public_usage": computedWords("What the public half may do, according to its own flags: any of `derive`, " +
				"`encrypt`, `verify` and `wrap`."),
			"jwk": computedString("The public key as a JSON Web Key ([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517)), " +
				"with `use` and `alg` as in the resources. Without a private half, `use` follows from the " +
				"public half's flags; if none of them is set, `use` and `alg` are left out."),
			"public_key_pem": computedString("The public key as PEM (`PUBLIC KEY`)."),
			"public_key_openssh": computedString("The public key as a line of OpenSSH's `authorized_keys`, " +
				"without a comment; null if OpenSSH does not know this kind of key."),
			"public_key_fingerprint_sha256": computedString("SHA-256 of the DER SubjectPublicKeyInfo, in hexadecimal."),
			"public_key_fingerprint_openssh": computedString("Fingerprint as `ssh-keygen -l` prints it: `SHA256:` and " +
				"base64; null if OpenSSH does not know this kind of key."),
			"private": claim("Whether the token shows and uses the private half, or a public key that stands alone, only after a " +
				"login."),
			"sensitive":         claim("Whether the token keeps the value of the private half to itself."),
			"local":             claim("Whether the key was made on this token."),
			"always_sensitive":  claim("Whether the private half has always been sensitive."),
			"never_extractable": claim("Whether the private half has never been extractable."),
		},
	}
}

func (d *publicKeyDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var m publicKeyModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	const doing = "Read Public Key"
	d.readToken(ctx, &resp.Diagnostics, doing, func(ctx context.Context, token *hsm.Token) error {
		argument, want := m.names()
		key, err := token.PublicKey(ctx, want)
		if err == nil && key.Pair != nil {
			err = protected([]object.Key{*key.Pair}, m.Unprotected)
		}
		if errors.Is(err, object.ErrNoMatch) {
			f := diagnose.Failure{Doing: doing, Err: err, Token: token, Provider: d.client.forMessages()}
			if e, ok := errors.AsType[*object.MatchError](err); ok && len(e.Found) == 0 {
				f.Advice = pkcs11uri.HexHint(m.URI.ValueString())
			}
			resp.Diagnostics.Append(diag.WithPath(path.Root(argument), f.Diagnostic()))
			return nil
		}
		if err != nil {
			return err
		}
		if key.Pair != nil && !m.URI.IsNull() {
			key.Label = d.client.view.asPlanned(*key.Pair).Label
		}
		if err := m.take(key, token.Info()); err != nil {
			return err
		}
		resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
		return nil
	})
}

// names gives the one argument that is given, and what it names.
func (m *publicKeyModel) names() (argument string, want pkcs11uri.URI) {
	switch {
	case !m.URI.IsNull():
		uri, _ := pkcs11uri.Parse(m.URI.ValueString()) // validated
		return "uri", uri
	case !m.KeyID.IsNull():
		id, _ := object.ParseID(m.KeyID.ValueString()) // validated
		return "key_id", pkcs11uri.URI{ID: id}
	}
	label := m.Label.ValueString()
	return "label", pkcs11uri.URI{Object: &label}
}

// take makes the model say what the token holds. The argument that is given stays as it was given.
func (m *publicKeyModel) take(key object.PublicKey, token hsm.TokenInfo) error {
	role := ""
	if key.HasPrivate || key.Usage != 0 {
		role = use(key.Usage)
	}
	forms, err := formsOf(key.PublicKey, key.ID, role, key.AllowsAlg)
	if err != nil {
		return err
	}
	half := pkcs11uri.Public
	if key.HasPrivate {
		half = pkcs11uri.Private
	}
	if m.KeyID.IsNull() {
		m.KeyID = given(object.FormatID(key.ID))
	}
	if m.URI.IsNull() {
		m.URI = given(pkcs11uri.Format(token, half, key.Label, key.ID))
	}
	if m.Label.IsNull() {
		m.Label = types.StringValue(printable(key.Label))
	}
	m.KID, m.Type, m.Curve = given(forms.kid), types.StringValue(string(key.Type)), given(publickey.Curve(key.PublicKey))
	m.ParameterSet = given(publickey.ParameterSet(key.PublicKey))
	if rsaKey, ok := key.PublicKey.(*rsa.PublicKey); ok {
		m.Bits = types.Int64Value(int64(rsaKey.N.BitLen()))
	}
	m.HasPrivateKey = types.BoolValue(key.HasPrivate)
	if key.HasPrivate {
		m.Usage = words(key.Usage.Words())
	}
	m.PublicUsage = words(key.PublicUses)
	m.JWK, m.PublicKeyPEM, m.PublicKeyOpenSSH = types.StringValue(forms.jwk), types.StringValue(forms.pem), given(forms.openSSH)
	m.PublicKeyFingerprintSHA256, m.PublicKeyFingerprintOpenSSH = types.StringValue(key.Fingerprint()), given(forms.sshDigest)
	m.Private, m.Sensitive = types.BoolPointerValue(key.Protected), types.BoolPointerValue(key.Sensitive)
	m.Local, m.AlwaysSensitive, m.NeverExtractable = types.BoolPointerValue(key.Local), types.BoolPointerValue(key.AlwaysSensitive), types.BoolPointerValue(key.NeverExtractable)
	return nil
}
