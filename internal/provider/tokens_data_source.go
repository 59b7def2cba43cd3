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
	attributes["token_present"] = computedBool("Whether there is a token in the slot; null where the slot could not be asked.")
	attributes["initialised"] = computedBool("Whether the token is initialised; null where there is none, or it could not be asked.")
	attributes["error"] = computedString("Why the slot or its token could not be asked; null where it could.")
	resp.Schema = schema.Schema{
		MarkdownDescription: "Every slot of the PKCS#11 module, with the token in it. It needs `library` (or `HSM_LIBRARY`) and nothing else of the provider's configuration, and never logs in.\n\n" +
			"A slot that does not answer has its `error`, and hides no other. What is told of a token is null where there is none.",
		Attributes: map[string]schema.Attribute{
			"slots": schema.ListNestedAttribute{
				MarkdownDescription: "The slots, by slot ID.",
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
