package provider

import (
	"context"
	"crypto"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/jwk"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// tokenUser is what all ephemeral resources have in common: the way to the token, a time limit, and diagnostics of
// failures. Nothing of them is kept, so there is nothing to renew or to close.
type tokenUser struct{ client *client }

func (u *tokenUser) Configure(_ context.Context, req ephemeral.ConfigureRequest, _ *ephemeral.ConfigureResponse) {
	if c, ok := req.ProviderData.(*client); ok {
		u.client = c
	}
}

// opening is one opening of an ephemeral resource.
type opening struct {
	resp  *ephemeral.OpenResponse
	doing string
	// later is the result where this plan makes the token, sets its PIN, or does not know the provider's configuration
	// yet: its computed values are not known. Terraform opens an ephemeral resource in the plan as soon as its
	// arguments are known, whatever else it waits for, and once more in the apply.
	later any
}

// use calls a function that uses the open token, within the time limit. Its error becomes a diagnostic, with what the
// function has put into the Failure.
func (u *tokenUser) use(
	ctx context.Context, o opening, use func(context.Context, *hsm.Token, *diagnose.Failure) error,
) {
	diags := &o.resp.Diagnostics
	u.client.run(ctx, diags, o.doing, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, readTime)
		defer cancel()
		f := diagnose.Failure{Doing: o.doing, Provider: u.client.forMessages()}
		if f.Token, f.Err = u.client.token(ctx); f.Err == nil {
			f.Err = use(ctx, f.Token, &f)
		}
		if _, unknown := errors.AsType[*diagnose.UnknownError](f.Err); unknown || toCome(f.Err) {
			diags.Append(o.resp.Result.Set(ctx, o.later)...)
			return
		}
		switch {
		case f.Err != nil && ofSigner(f.Err):
			diags.Append(diag.WithPath(path.Root("public_key_pem"), f.Diagnostic()))
		case f.Err != nil:
			diags.Append(f.Diagnostic())
		}
	})
}

// ofSigner says that a failure is about the key that is to sign, and not about the token.
func ofSigner(err error) bool {
	_, none := errors.AsType[*hsm.NoSignerError](err)
	_, cannot := errors.AsType[*hsm.CannotSignError](err)
	_, unprotected := errors.AsType[*hsm.UnprotectedSignerError](err)
	return none || cannot || unprotected
}

// useSigner does the same with a function that signs.
func (u *tokenUser) useSigner(ctx context.Context, o opening, pub crypto.PublicKey, sign func(*hsm.Signer) error) {
	u.use(ctx, o, func(ctx context.Context, token *hsm.Token, f *diagnose.Failure) error {
		signer, err := token.Signer(ctx, pub)
		if err != nil {
			return err
		}
		f.Label, f.KeyID = signer.Key().Label, object.FormatID(signer.Key().ID)
		return sign(signer)
	})
}

// signingKey is the argument public_key_pem.
func signingKey() schema.StringAttribute {
	return schema.StringAttribute{
		MarkdownDescription: "Public key of the pair that signs, as PEM: the attribute `public_key_pem` of a key " +
			"pair's resource, or a `CERTIFICATE` of the key. The pair is found by its key material, whatever its " +
			"label and ID are. It must be protected by the PIN (`CKA_PRIVATE`).",
		Required: true, Validators: []validator.String{keyAsPEM},
	}
}

var keyAsPEM = parsed{
	is: "a public key as PEM", title: "Invalid Public Key",
	parse: func(s string) error { _, err := publickey.ParsePEM(s); return err },
	hint:  " Give the attribute public_key_pem of a key pair, for example.",
}

// knownKey is the key in an argument, nil where it is not known yet, or is none.
func knownKey(pem types.String) crypto.PublicKey {
	if pem.IsNull() || pem.IsUnknown() {
		return nil
	}
	pub, err := publickey.ParsePEM(pem.ValueString())
	if err != nil {
		return nil
	}
	return pub
}

// unfitAlgorithm is a diagnostic of an algorithm that does not fit the key.
func unfitAlgorithm(err error) diag.Diagnostic {
	return diag.NewAttributeErrorDiagnostic(path.Root("algorithm"), "Algorithm Does Not Fit", fmt.Sprintf(
		"%s\n\nWhat to do: choose an algorithm that fits the key, or leave algorithm out to get "+
			"one.", diagnose.Sentence(err.Error())))
}

// forbiddenAlgorithm is a diagnostic of an algorithm that the key's allowed mechanisms forbid; "" for any that fits.
func forbiddenAlgorithm(key object.Key, algorithm string) diag.Diagnostic {
	if algorithm == "" {
		return diag.NewAttributeErrorDiagnostic(path.Root("public_key_pem"), "No Algorithm Allowed", fmt.Sprintf(
			"The token lets the key %s sign by no algorithm that is known here: its CKA_ALLOWED_MECHANISMS are "+
				"%s.\n\nWhat to do: choose another key.", nameOf(key.Label, key.ID), object.List(key.Mechanisms)))
	}
	return diag.NewAttributeErrorDiagnostic(path.Root("algorithm"), "Algorithm Not Allowed", fmt.Sprintf(
		"The token does not let the key %s be used for %s: its CKA_ALLOWED_MECHANISMS have no mechanism for that.\n\n"+
			"What to do: choose an algorithm that the key allows, or leave algorithm out to get "+
			"one.", nameOf(key.Label, key.ID), algorithm))
}

// joseAlgorithm is the alg that a key signs by where none is asked for, as hsm_jwks has it.
func joseAlgorithm(key object.Key) string {
	return jwk.DefaultAlg(key.PublicKey, jwk.Sig, key.AllowsAlg)
}
