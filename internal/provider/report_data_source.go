package provider

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

var _ datasource.DataSourceWithConfigure = (*reportDataSource)(nil)

func newReportDataSource() datasource.DataSource { return &reportDataSource{} }

// reportDataSource is what to send to have a make of HSM supported.
type reportDataSource struct{ tokenReader }

type reportModel struct {
	Text        types.String     `tfsdk:"text"`
	Module      *moduleModel     `tfsdk:"module"`
	Token       *tokenModel      `tfsdk:"token"`
	Make        types.String     `tfsdk:"make"`
	Differences []types.String   `tfsdk:"differences"`
	Mechanisms  []mechanismModel `tfsdk:"mechanisms"`
	Calls       []callModel      `tfsdk:"calls"`
}

type moduleModel struct {
	Manufacturer types.String `tfsdk:"manufacturer"`
	Description  types.String `tfsdk:"description"`
	Version      types.String `tfsdk:"version"`
}

type callModel struct {
	Function     types.String `tfsdk:"function"`
	Asked        types.String `tfsdk:"asked"`
	Answer       types.String `tfsdk:"answer"`
	Milliseconds types.Int64  `tfsdk:"milliseconds"`
}

func (d *reportDataSource) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = "hsm_report"
}

func (d *reportDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "What to send to the project to have a make of HSM supported, or mended: what the module and the " +
			"token say of themselves, what the provider knows of the make, and the last calls of this run. It opens no session of " +
			"its own and needs no PIN.\n\nNo PIN, key ID, label of a key or key material is in it, but their lengths. The label and " +
			"the serial number of the token are: take them out of `text` if they are nobody's business.\n\n" +
			"The calls are those of the process that reads this data source, before it does: `depends_on` with the address of a key " +
			"has them be that key's. Each run is another process, so that the calls of one that failed are in no report: its error " +
			"has the one that failed. An output with the calls changes in every run.",
		Attributes: map[string]schema.Attribute{
			"text": computedString("All of it as text, for a report."),
			"module": schema.SingleNestedAttribute{
				MarkdownDescription: "The PKCS#11 module (`C_GetInfo`).", Computed: true,
				Attributes: map[string]schema.Attribute{
					"manufacturer": computedString("Manufacturer of the module."),
					"description":  computedString("Description of the module."),
					"version":      computedString("Version of the module, `MAJOR.MINOR`."),
				},
			},
			"token": schema.SingleNestedAttribute{
				MarkdownDescription: "The token (`C_GetTokenInfo`).", Computed: true, Attributes: tokenAttributes(),
			},
			"make": computedString("The make, as the provider knows it; `none` where it knows nothing of it, and treats it as the " +
				"specification says."),
			"differences": computedWords("What the provider knows that this make does differently."),
			"mechanisms": schema.ListNestedAttribute{
				MarkdownDescription: "The token's mechanisms, as in the data source `hsm_token`.", Computed: true,
				NestedObject: schema.NestedAttributeObject{Attributes: mechanismAttributes()},
			},
			"calls": schema.ListNestedAttribute{
				MarkdownDescription: "The last 200 calls into the module, the oldest first.", Computed: true,
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"function": computedString("The PKCS#11 function."),
					"asked": computedString("The mechanism, and the attributes: flags and numbers with their values, of others the " +
						"length. Null where there are none."),
					"answer":       computedString("`CKR_OK`, or the code."),
					"milliseconds": computedNumber("How long the call took."),
				}},
			},
		},
	}
}

func (d *reportDataSource) Read(ctx context.Context, _ datasource.ReadRequest, resp *datasource.ReadResponse) {
	d.read(ctx, &resp.Diagnostics, "Read Report", func(ctx context.Context, _ *diagnose.Failure) error {
		if err := d.client.needs("library"); err != nil {
			return err
		}
		calls := d.client.configuration.token.Record.Calls() // before its own
		about, err := d.client.description(ctx)
		if err != nil {
			return err
		}
		resp.Diagnostics.Append(resp.State.Set(ctx, reportOf(about, calls))...)
		return nil
	})
}

func reportOf(about hsm.Description, calls []hsm.Asked) reportModel {
	token := tokenModelOf(about.TokenInfo)
	m := reportModel{
		Module: &moduleModel{
			Manufacturer: told(about.Module.Manufacturer), Description: told(about.Module.Description),
			Version: version(about.Module.Version.Major, about.Module.Version.Minor),
		},
		Token: &token, Make: types.StringValue("none"), Differences: words(about.Differs), Mechanisms: mechanismModels(about.Mechanisms),
		Calls: []callModel{},
	}
	if about.Make != "" {
		m.Make = types.StringValue(about.Make)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "Module: %s, %s, version %s\n", about.Module.Manufacturer, about.Module.Description, m.Module.Version.ValueString())
	fmt.Fprintf(&text, "Token: %s\n  firmware %s, hardware %s, flags %s\n", about.TokenInfo, token.FirmwareVersion.ValueString(),
		token.HardwareVersion.ValueString(), strings.Join(about.Words(), " "))
	fmt.Fprintf(&text, "Known as: %s\n", m.Make.ValueString())
	for _, seen := range about.Differs {
		fmt.Fprintf(&text, "  - %s\n", seen)
	}
	text.WriteString("Mechanisms:\n")
	for _, mechanism := range about.Mechanisms {
		fmt.Fprintf(&text, "  %s", mechanism.Type)
		if mechanism.Info != nil {
			fmt.Fprintf(&text, " %d-%d %s", mechanism.Info.MinKeySize, mechanism.Info.MaxKeySize, strings.Join(mechanism.Words(), " "))
		}
		text.WriteByte('\n')
	}
	text.WriteString("Calls:\n")
	for _, call := range calls {
		fmt.Fprintf(&text, "  %s\n", call)
		m.Calls = append(m.Calls, callModel{
			Function: types.StringValue(call.Function), Asked: given(call.Asked), Answer: types.StringValue(call.Answer),
			Milliseconds: types.Int64Value(call.Milliseconds),
		})
	}
	m.Text = types.StringValue(strings.ToValidUTF8(text.String(), "\uFFFD"))
	return m
}
