package provider

import (
	"context"
	"math"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

// tokenReader is what all data sources have in common: the way to the token, and reading with a time limit, with
// failures told as diagnostics.
type tokenReader struct{ client *client }

func (r *tokenReader) Configure(_ context.Context, req datasource.ConfigureRequest, _ *datasource.ConfigureResponse) {
	if c, ok := req.ProviderData.(*client); ok {
		r.client = c
	}
}

// read reads within the time limit. An error that it gives back becomes a diagnostic, with what it has put into the
// Failure by then.
func (r *tokenReader) read(ctx context.Context, diags *diag.Diagnostics, doing string, read func(context.Context, *diagnose.Failure) error) {
	r.client.run(ctx, diags, doing, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, readTime)
		defer cancel()
		f := diagnose.Failure{Doing: doing, Provider: r.client.told()}
		if f.Err = read(ctx, &f); f.Err != nil {
			diags.Append(f.Diagnostic())
		}
	})
}

// readToken reads likewise, from the open token.
func (r *tokenReader) readToken(ctx context.Context, diags *diag.Diagnostics, doing string, read func(context.Context, *hsm.Token) error) {
	r.read(ctx, diags, doing, func(ctx context.Context, f *diagnose.Failure) (err error) {
		if f.Token, err = r.client.token(ctx); err != nil {
			return err
		}
		return read(ctx, f.Token)
	})
}

// Computed attributes of data sources.

func computedString(description string) schema.StringAttribute {
	return schema.StringAttribute{MarkdownDescription: description, Computed: true}
}

func computedNumber(description string) schema.Int64Attribute {
	return schema.Int64Attribute{MarkdownDescription: description, Computed: true}
}

func computedBool(description string) schema.BoolAttribute {
	return schema.BoolAttribute{MarkdownDescription: description, Computed: true}
}

func computedWords(description string) schema.ListAttribute {
	return schema.ListAttribute{MarkdownDescription: description, Computed: true, ElementType: types.StringType}
}

// printable makes a text that others wrote fit for Terraform, whose strings are UTF-8.
func printable(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

// told is a text of the token's own, null where it is empty. Some pad with zero bytes.
func told(text string) types.String { return given(printable(strings.TrimRight(text, "\x00"))) }

// given is a text, null where it is empty.
func given(text string) types.String {
	if text == "" {
		return types.StringNull()
	}
	return types.StringValue(text)
}

// counted is a number of the token's own, null where the token does not tell it (CK_UNAVAILABLE_INFORMATION is the
// largest there is), or where it is beyond sense.
func counted(n uint) types.Int64 {
	if n > math.MaxInt64 {
		return types.Int64Null()
	}
	return types.Int64Value(int64(n))
}

// words are null where they are nil.
func words(list []string) []types.String {
	if list == nil {
		return nil
	}
	texts := make([]types.String, len(list))
	for i, word := range list {
		texts[i] = types.StringValue(word)
	}
	return texts
}
