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

// tokenReader is what all data sources have in common: the way to the token, a time limit, and diagnostics of
// failures.
type tokenReader struct{ client *client }

func (r *tokenReader) Configure(_ context.Context, req datasource.ConfigureRequest, _ *datasource.ConfigureResponse) {
	if c, ok := req.ProviderData.(*client); ok {
		r.client = c
	}
}

// read calls a function that reads, within the time limit. Its error becomes a diagnostic, with what the function
// has put into the Failure.
func (r *tokenReader) read(ctx context.Context, diags *diag.Diagnostics, doing string, read func(context.Context,
	*diagnose.Failure) error) {
	r.client.run(ctx, diags, doing, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, readTime)
		defer cancel()
		f := diagnose.Failure{Doing: doing, Provider: r.client.forMessages()}
		if f.Err = read(ctx, &f); f.Err != nil {
			diags.Append(f.Diagnostic())
		}
	})
}

// readToken does the same with a function that reads from the open token.
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

// printable makes valid UTF-8, which Terraform wants, of a text that others wrote.
func printable(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

// told is a text that the token gives, null where it is empty. Some tokens pad with zero bytes.
func told(text string) types.String { return given(printable(strings.TrimRight(text, "\x00"))) }

// given is a text, null where it is empty.
func given(text string) types.String {
	if text == "" {
		return types.StringNull()
	}
	return types.StringValue(text)
}

// counted is a number that the token gives, null where the token does not tell it (CK_UNAVAILABLE_INFORMATION is the
// largest number there is), or where it is absurdly large.
func counted(n uint) types.Int64 {
	if n > math.MaxInt64 {
		return types.Int64Null()
	}
	return types.Int64Value(int64(n))
}

// words makes a list of texts; null of nil.
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
