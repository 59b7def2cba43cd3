package provider

import (
	"context"
	"encoding/base64"
	"encoding/hex"

	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

var _ ephemeral.EphemeralResourceWithConfigure = (*randomEphemeralResource)(nil)

func newRandomEphemeralResource() ephemeral.EphemeralResource { return &randomEphemeralResource{} }

// randomEphemeralResource is random bytes of the token's generator.
type randomEphemeralResource struct{ tokenUser }

type randomModel struct {
	Bytes  types.Int64  `tfsdk:"bytes"`
	Base64 types.String `tfsdk:"base64"`
	Hex    types.String `tfsdk:"hex"`
}

func (*randomEphemeralResource) Metadata(
	_ context.Context, _ ephemeral.MetadataRequest, resp *ephemeral.MetadataResponse,
) {
	resp.TypeName = "hsm_random"
}

func (*randomEphemeralResource) Schema(_ context.Context, _ ephemeral.SchemaRequest, resp *ephemeral.SchemaResponse) {
	secret := func(description string) schema.StringAttribute {
		return schema.StringAttribute{MarkdownDescription: description, Computed: true, Sensitive: true}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "Random bytes of the token's own generator (`C_GenerateRandom`), for passwords and keys " +
			"of others. They are stored nowhere: not in the state, not in a plan. They are other bytes in each plan " +
			"and in each apply: hand them to a write-only argument, which has a version beside it that says when it " +
			"is to change.\n\n" +
			"The bytes are as good as the token's generator. This provider does not judge them.\n\n" +
			"Terraform opens it while it plans. If the plan makes the token (`hsm_token`), write `depends_on`: then " +
			"what it gives is not known in the plan.",
		Attributes: map[string]schema.Attribute{
			"bytes": schema.Int64Attribute{
				MarkdownDescription: "How many bytes, 1 to 4096.",
				Required:            true, Validators: []validator.Int64{between(1, hsm.MaxRandom)},
			},
			"base64": secret("The bytes in base64."),
			"hex":    secret("The bytes in hexadecimal, in lower case."),
		},
	}
}

// Open asks the token's generator.
func (e *randomEphemeralResource) Open(ctx context.Context, req ephemeral.OpenRequest, resp *ephemeral.OpenResponse) {
	var m randomModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	later := randomModel{m.Bytes, types.StringUnknown(), types.StringUnknown()}
	e.use(ctx, opening{resp, "Generate Random Bytes", later}, func(ctx context.Context, token *hsm.Token,
		_ *diagnose.Failure,
	) error {
		octets, err := token.Random(ctx, int(m.Bytes.ValueInt64()))
		if err != nil {
			return err
		}
		m.Base64 = types.StringValue(base64.StdEncoding.EncodeToString(octets))
		m.Hex = types.StringValue(hex.EncodeToString(octets))
		resp.Diagnostics.Append(resp.Result.Set(ctx, m)...)
		return nil
	})
}
