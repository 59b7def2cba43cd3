package provider

import (
	"context"
	"maps"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

var _ datasource.DataSourceWithConfigure = (*tokensDataSource)(nil)

func newTokensDataSource() datasource.DataSource { return &tokensDataSource{} }

// tokensDataSource lists every slot and token of the module.
type tokensDataSource struct{ tokenReader }

type tokensModel struct {
	Slots []slotAndTokenModel `tfsdk:"slots"`
}

type slotAndTokenModel struct {
	slotModel
	tokenModel
	TokenPresent types.Bool   `tfsdk:"token_present"`
	Initialised  types.Bool   `tfsdk:"initialised"`
	Error        types.String `tfsdk:"error"`
}

func (d *tokensDataSource) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = "hsm_tokens"
}

func (d *tokensDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	attributes := slotAttributes()
	maps.Copy(attributes, tokenAttributes())
	attributes["token_present"] = computedBool("Whether there is a token in the slot; null if the slot did not answer.")
	attributes["initialised"] = computedBool("Whether the token is initialised; null if there is no token, or it did " +
		"not answer.")
	attributes["error"] = computedString("Why the slot or its token did not answer; null if both did.")
	resp.Schema = schema.Schema{
		MarkdownDescription: "Every slot of the PKCS#11 module, and the token in it. It needs only `library` (or " +
			"`HSM_LIBRARY`) of the provider's configuration, and never logs in.\n\n" +
			"A slot that does not answer has an `error`; the other slots are still listed. The attributes of the token are " +
			"null if the slot is empty.",
		Attributes: map[string]schema.Attribute{
			"slots": schema.ListNestedAttribute{
				MarkdownDescription: "The slots, ordered by slot ID.",
				Computed:            true,
				NestedObject:        schema.NestedAttributeObject{Attributes: attributes},
			},
		},
	}
}

func (d *tokensDataSource) Read(ctx context.Context, _ datasource.ReadRequest, resp *datasource.ReadResponse) {
	d.read(ctx, &resp.Diagnostics, "Read Tokens", func(ctx context.Context, _ *diagnose.Failure) error {
		slots, err := d.client.slots(ctx)
		if err != nil {
			return err
		}
		m := tokensModel{Slots: []slotAndTokenModel{}}
		for _, slot := range slots {
			m.Slots = append(m.Slots, slotAndTokenModelOf(slot))
		}
		resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
		return nil
	})
}

func slotAndTokenModelOf(slot hsm.Slot) slotAndTokenModel {
	m := slotAndTokenModel{slotModel: slotModel{Slot: counted(slot.ID)}}
	if slot.Info != nil {
		m.slotModel = slotModelOf(slot.ID, *slot.Info)
		m.TokenPresent = types.BoolValue(slot.Info.HasToken())
	}
	if slot.Token != nil {
		m.tokenModel = tokenModelOf(*slot.Token)
		m.Initialised = types.BoolValue(slot.Token.Initialised())
	}
	if slot.Err != nil {
		m.Error = types.StringValue(diagnose.Sentence(printable(slot.Err.Error())))
	}
	return m
}
