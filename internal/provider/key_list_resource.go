package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/list"
	listschema "github.com/hashicorp/terraform-plugin-framework/list/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

// Every resource of keys lists the keys of its type that the token holds, so that they can be adopted.
var _ list.ListResourceWithConfigure = (*keyResource)(nil)

type keyListModel struct {
	LabelPrefix types.String `tfsdk:"label_prefix"`
}

func (r *keyResource) ListResourceConfigSchema(_ context.Context, _ list.ListResourceSchemaRequest, resp *list.ListResourceSchemaResponse) {
	resp.Schema = listschema.Schema{
		MarkdownDescription: fmt.Sprintf("Lists the %ss on the token that `%s` can manage, ordered by ID, "+
			"whether a state knows them or not. It does not list halves of key "+
			"pairs, and changes nothing on the token. Terraform lists 100 unless the block's `limit` says otherwise.\n\nIf a "+
			"key has no label or no usage, add one to the generated configuration. "+
			"That configuration leaves out usages that keys of the type cannot have, such as %s; the next apply removes them "+
			"from the key.", r.kind.noun, r.kind.typeName(), r.kind.excess),
		Attributes: map[string]listschema.Attribute{
			"label_prefix": listschema.StringAttribute{
				MarkdownDescription: fmt.Sprintf("Lists only %ss whose label starts with this. Leave it out to list all.",
					r.kind.noun),
				Optional: true,
			},
		},
	}
}

// List gives the keys that are whole, and warns of what is not: one broken object must not keep others from being
// adopted.
func (r *keyResource) List(ctx context.Context, req list.ListRequest, stream *list.ListResultsStream) {
	stream.Results = listing(ctx, req, r.listed, r.result)
}

// listing gives what was read from the token, up to the limit, behind what there is to say of it.
func listing[T any](
	ctx context.Context, req list.ListRequest,
	listed func(ctx context.Context, prefix string, diags *diag.Diagnostics) (*hsm.Token, []T),
	result func(context.Context, list.ListRequest, hsm.TokenInfo, T) list.ListResult,
) func(push func(list.ListResult) bool) {
	return func(push func(list.ListResult) bool) {
		var m keyListModel
		diags := req.Config.Get(ctx, &m)
		var all []T
		var token *hsm.Token
		if !diags.HasError() {
			token, all = listed(ctx, m.LabelPrefix.ValueString(), &diags)
		}
		if len(diags) > 0 && !push(list.ListResult{Diagnostics: diags}) || diags.HasError() {
			return
		}
		for i, one := range all {
			if req.Limit > 0 && int64(i) == req.Limit || !push(result(ctx, req, token.Info(), one)) {
				return
			}
		}
	}
}

// listed reads the keys of the resource's type from the token.
func (r *keyResource) listed(ctx context.Context, prefix string, diags *diag.Diagnostics) (token *hsm.Token, keys []object.Key) {
	r.client.run(ctx, diags, r.kind.doing(diagnose.List), func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, readTime)
		defer cancel()
		var all []object.Key
		var broken []object.Broken
		var err error
		if token, err = r.client.token(ctx); err == nil {
			var inventory *object.Inventory
			if inventory, err = token.Inventory(ctx); err == nil {
				all, broken = inventory.Keys()
			}
		}
		if err != nil {
			diags.Append(r.failure(diagnose.List, r.kind.newModel(), token, err))
			return
		}
		odd := map[string]bool{}
		var lines []string
		for _, b := range broken {
			if errors.Is(b.Err, object.ErrHalfPair) {
				continue
			}
			odd[string(b.Objects[0].ID)] = true
			lines = append(lines, "  - "+b.Err.Error())
		}
		if len(lines) > 0 {
			diags.AddWarning("Left Out Of The List: "+r.kind.typeName(), fmt.Sprintf(
				"These objects on the token make no sense. Nothing with their key IDs is listed, even if part of it is a whole "+
					"key:\n\n%s\n\nAll else is listed.\n\nWhat to do: look at these objects with another tool:\n\n  %s",
				strings.Join(lines, "\n"), token.Command("--list-objects")))
		}
		var nameless []string
		for _, key := range all {
			switch {
			case key.Type != r.kind.keyType || !strings.HasPrefix(key.Label, prefix):
			case len(key.ID) == 0:
				nameless = append(nameless, fmt.Sprintf("  - %q", key.Label))
			case !odd[string(key.ID)]:
				keys = append(keys, key)
			}
		}
		r.warnOfListed(keys, diags)
		if len(nameless) > 0 {
			diags.AddWarning("Keys Without An ID Are Not Listed: "+r.kind.typeName(), fmt.Sprintf(
				"The token holds %ss that have no ID (CKA_ID). The resources know their keys by that, so they cannot manage "+
					"these:\n\n%s\n\nWhat to do: to manage one of them, %s", r.kind.noun, strings.Join(nameless, "\n"),
				diagnose.HowToGiveAnID(token.Command, r.kind.forMessages().Parts, "LABEL")))
		}
	})
	return token, keys
}

// warnOfListed warns of keys that are listed. One warning names all that it is about: Terraform would fold several.
func (r *keyResource) warnOfListed(keys []object.Key, diags *diag.Diagnostics) {
	same := map[string]int{}
	for _, key := range keys {
		same[string(key.ID)]++
	}
	var twins, open []string
	for _, key := range keys {
		line := "  - " + nameOf(key.Label, key.ID)
		if key.Fingerprint() != "" {
			line += fmt.Sprintf(", %s %s", r.kind.mark, key.Fingerprint())
		}
		if same[string(key.ID)] > 1 {
			twins = append(twins, line)
		}
		if key.Unprotected() {
			open = append(open, line)
		}
	}
	if len(twins) > 0 {
		diags.AddWarning("Several Keys With One ID: "+r.kind.typeName(), fmt.Sprintf(
			"These %ss share a key ID with another one:\n\n%s\n\nAn import by identity cannot tell which of them you mean, and "+
				"is refused.\n\nWhat to do: import them by the ID and the fingerprint (KEY_ID@FINGERPRINT), or give one of them "+
				"another CKA_ID.", r.kind.noun, strings.Join(twins, "\n")))
	}
	if len(open) > 0 {
		diags.AddWarning("Key Not Protected By The PIN: "+r.kind.typeName(), fmt.Sprintf(
			"The PIN does not protect these %ss (CKA_PRIVATE=false): anyone who can open a session on the token may have made "+
				"them, and can use them:\n\n%s\n\nWhat to do: find out who made one before you adopt it.",
			r.kind.noun, strings.Join(open, "\n")))
	}
}

// result is a key as an import brings it into the state.
func (r *keyResource) result(ctx context.Context, req list.ListRequest, token hsm.TokenInfo, key object.Key) list.ListResult {
	result := req.NewListResult(ctx)
	result.DisplayName = fmt.Sprintf("%s (%s)", printable(key.Label), object.FormatID(key.ID))
	identify(ctx, result.Identity, &result.Diagnostics, token, key.ID)
	if !req.IncludeResource {
		return result
	}
	m := r.kind.newModel()
	// As ImportState leaves it. This also makes the rest of the model null, of the right types.
	result.Diagnostics.Append(result.Resource.SetAttribute(ctx, path.Root("deletion_policy"), policyPrevent)...)
	result.Diagnostics.Append(result.Resource.Get(ctx, m)...)
	if result.Diagnostics.HasError() {
		return result
	}
	if err := r.kind.read(m, key, token); err != nil {
		result.Diagnostics.Append(r.failure(diagnose.List, m, nil, err))
		return result
	}
	result.Diagnostics.Append(result.Resource.Set(ctx, m)...)
	return result
}
