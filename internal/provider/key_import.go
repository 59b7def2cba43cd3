package provider

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/pkcs11uri"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

func (r *keyResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	asked, err := r.asked(ctx, req)
	if err != nil {
		resp.Diagnostics.AddError("Invalid Import ID",
			fmt.Sprintf("%s\n\nImport a %s by its key_id, by LABEL/KEY_ID, or by its PKCS#11 URI. Where several have the "+
				"key_id, put "+
				"@ and the fingerprint after it: KEY_ID@FINGERPRINT.\n\n%s",
				diagnose.Sentence(err.Error()), r.kind.noun, diagnose.HowToImport(r.kind.typeName(), "6b65792d31")))
		return
	}
	m := r.kind.newModel()
	a := m.common()
	a.KeyID = types.StringNull()
	if asked.id != nil {
		a.KeyID = types.StringValue(object.FormatID(asked.id))
	}
	r.client.run(ctx, &resp.Diagnostics, r.kind.doing(diagnose.Import), func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, readTime)
		defer cancel()
		token, err := r.client.token(ctx)
		var key object.Key
		if err == nil {
			key, err = r.adoptable(ctx, token, asked)
		}
		if err == nil { // the state finds the key by its fingerprint, which the token may not show by itself
			key, err = token.Fingerprinted(ctx, key)
		}
		var proven bool
		if err == nil {
			proven, err = token.Prove(ctx, key)
		}
		if err != nil {
			resp.Diagnostics.Append(r.failure(diagnose.Import, m, token, err))
			return
		}
		if !proven {
			resp.Diagnostics.AddWarning("Halves Not Proven To Be One Pair", fmt.Sprintf(
				"The private half of the key %s shows nothing of its key. Nor does the token offer an operation "+
					"that its usage (%s) allows and that would show whether the public half belongs to it. "+
					"The provider takes the two halves for one pair, because they have the same ID.\n\n"+
					"What to do: use the key for its purpose, and check that the result fits the public key in "+
					"the state.", nameOf(key.Label, key.ID), key.Usage))
		}
		resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("key_id"), object.FormatID(key.ID))...)
		resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("deletion_policy"), policyPrevent)...)
		resp.Diagnostics.Append(mark(ctx, resp.Private)...)
		identify(ctx, resp.Identity, &resp.Diagnostics, token.Info(), key.ID)
		// Other tools may have made two keys with this ID. The fingerprint keeps the one that the import has found.
		if fingerprint := key.Fingerprint(); fingerprint != "" {
			resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root(r.kind.fingerprint), fingerprint)...)
		}
	})
}

// asked reads what to import from the ID, or from the identity where there is no ID.
func (r *keyResource) asked(ctx context.Context, req resource.ImportStateRequest) (importID, error) {
	if req.ID == "" && !req.Identity.Raw.IsFullyNull() {
		return importIdentity(ctx, req.Identity)
	}
	return parseImportID(req.ID)
}

// adoptable is the key that an import asks for. Where there is none of the type, the error says what is there instead.
func (r *keyResource) adoptable(ctx context.Context, token *hsm.Token, asked importID) (object.Key, error) {
	key, err := r.find(ctx, token, asked)
	if misses(err) {
		err = r.instead(ctx, token, asked, err)
	}
	return key, err
}

// find looks up what an import asks for.
func (r *keyResource) find(ctx context.Context, token *hsm.Token, asked importID) (object.Key, error) {
	if asked.serial != "" && asked.serial != printable(token.Info().Serial) {
		return object.Key{}, &diagnose.SerialError{Asked: asked.serial, Token: token.Info()}
	}
	if asked.uri == nil {
		key, err := token.Key(ctx, object.Ref{Type: r.kind.keyType, ID: asked.id, Fingerprint: asked.fingerprint})
		if err == nil && asked.fingerprint != "" && asked.fingerprint != key.Fingerprint() {
			return object.Key{}, &diagnose.FingerprintError{Asked: asked.fingerprint, Found: key.Fingerprint()}
		}
		if errors.Is(err, object.ErrAmbiguous) && asked.label != nil && asked.fingerprint == "" {
			return r.find(ctx, token, importID{id: asked.id, uri: &pkcs11uri.URI{Object: asked.label, ID: asked.id}, text: asked.text})
		}
		if err == nil && asked.label != nil && *asked.label != key.Label {
			err = &diagnose.LabelError{Asked: *asked.label, Found: key.Label}
		}
		return key, err
	}
	keys, err := r.candidates(ctx, token, *asked.uri)
	if err != nil {
		return object.Key{}, err
	}
	var found []object.Key
	for _, key := range keys {
		if key.Type == r.kind.keyType && asked.uri.Matches(token.Info(), key.PublicKey == nil, key.Label, key.ID) {
			found = append(found, key)
		}
	}
	if len(found) != 1 {
		return object.Key{}, &diagnose.SelectionError{URI: asked.text, Noun: r.kind.noun, Found: found}
	}
	if len(found[0].ID) == 0 {
		return object.Key{}, &diagnose.NoIDError{Kind: r.kind.forMessages(), Noun: r.kind.noun, Label: found[0].Label}
	}
	return found[0], nil
}

// candidates are the keys that a URI may name. A URI with an ID is looked up by that, so that no other object on
// the token can disturb it.
func (r *keyResource) candidates(ctx context.Context, token *hsm.Token, uri pkcs11uri.URI) ([]object.Key, error) {
	if !uri.MatchesToken(token.Info()) {
		return nil, nil
	}
	if uri.ID == nil {
		inventory, err := token.Inventory(ctx)
		if err != nil {
			return nil, err
		}
		keys, broken := inventory.Keys()
		for _, b := range broken {
			if !errors.Is(b.Err, object.ErrHalfPair) && slices.ContainsFunc(b.Names(), func(o object.Object) bool {
				return uri.Matches(token.Info(), o.IsSecretKey(), o.Label, o.ID)
			}) {
				return nil, b.Err
			}
		}
		return keys, nil
	}
	key, err := token.Key(ctx, object.Ref{Type: r.kind.keyType, ID: uri.ID})
	ambiguous, several := errors.AsType[*object.AmbiguousError](err)
	switch {
	case err == nil:
		return []object.Key{key}, nil
	case errors.Is(err, object.ErrNotFound):
		return nil, nil
	case !several || ambiguous.Halves:
		return nil, err
	}
	part, partErr := token.Part(ctx, uri.ID) // the label may tell which
	if partErr != nil {
		return nil, partErr
	}
	keys, broken := part.Keys()
	if slices.ContainsFunc(broken, func(b object.Broken) bool { return !errors.Is(b.Err, object.ErrHalfPair) }) {
		return nil, err // another object with this ID makes no sense
	}
	return keys, nil
}
