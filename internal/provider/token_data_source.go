package provider

import (
	"context"
	"fmt"
	"maps"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

var _ datasource.DataSourceWithConfigure = (*tokenDataSource)(nil)

func newTokenDataSource() datasource.DataSource { return &tokenDataSource{} }

// tokenDataSource describes the token that the provider block chooses.
type tokenDataSource struct{ tokenReader }

type tokenDataModel struct {
	slotModel
	tokenModel
	Mechanisms []mechanismModel `tfsdk:"mechanisms"`
}

type mechanismModel struct {
	Name       types.String   `tfsdk:"name"`
	Number     types.Int64    `tfsdk:"number"`
	MinKeySize types.Int64    `tfsdk:"min_key_size"`
	MaxKeySize types.Int64    `tfsdk:"max_key_size"`
	Flags      []types.String `tfsdk:"flags"`
}

// slotModel is what is told of a slot.
type slotModel struct {
	Slot             types.Int64    `tfsdk:"slot"`
	SlotDescription  types.String   `tfsdk:"slot_description"`
	SlotManufacturer types.String   `tfsdk:"slot_manufacturer"`
	SlotFlags        []types.String `tfsdk:"slot_flags"`
}

func slotAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"slot":              computedNumber("ID of the slot. Some modules renumber their slots."),
		"slot_description":  computedString("What the module says of the slot."),
		"slot_manufacturer": computedString("Manufacturer of the slot."),
		"slot_flags":        computedWords("The slot's flags: any of `token_present`, `removable_device` and `hw_slot`, and those that have no name as one hexadecimal number."),
	}
}

func slotModelOf(id uint, info hsm.SlotInfo) slotModel {
	return slotModel{Slot: counted(id), SlotDescription: told(info.Description), SlotManufacturer: told(info.Manufacturer), SlotFlags: words(info.Words())}
}

// tokenModel is what is told of a token.
type tokenModel struct {
	Label              types.String   `tfsdk:"label"`
	Serial             types.String   `tfsdk:"serial"`
	Model              types.String   `tfsdk:"model"`
	Manufacturer       types.String   `tfsdk:"manufacturer"`
	FirmwareVersion    types.String   `tfsdk:"firmware_version"`
	HardwareVersion    types.String   `tfsdk:"hardware_version"`
	Flags              []types.String `tfsdk:"flags"`
	PINState           types.String   `tfsdk:"pin_state"`
	MinPINLength       types.Int64    `tfsdk:"min_pin_length"`
	MaxPINLength       types.Int64    `tfsdk:"max_pin_length"`
	TotalPublicMemory  types.Int64    `tfsdk:"total_public_memory"`
	FreePublicMemory   types.Int64    `tfsdk:"free_public_memory"`
	TotalPrivateMemory types.Int64    `tfsdk:"total_private_memory"`
	FreePrivateMemory  types.Int64    `tfsdk:"free_private_memory"`
	Sessions           types.Int64    `tfsdk:"sessions"`
	MaxSessions        types.Int64    `tfsdk:"max_sessions"`
	RWSessions         types.Int64    `tfsdk:"rw_sessions"`
	MaxRWSessions      types.Int64    `tfsdk:"max_rw_sessions"`
}

func tokenAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"label":            computedString("Label of the token; null where it is not initialised."),
		"serial":           computedString("Serial number of the token."),
		"model":            computedString("Model of the token."),
		"manufacturer":     computedString("Manufacturer of the token."),
		"firmware_version": computedString("Version of the firmware, `MAJOR.MINOR`."),
		"hardware_version": computedString("Version of the hardware, `MAJOR.MINOR`."),
		"flags": computedWords("The token's flags, as the PKCS#11 specification names them (`CK_TOKEN_INFO`), without `CKF_` and in lower case: `rng`, `login_required`, `write_protected`, " +
			"`protected_authentication_path`, ... Those that have no name are one hexadecimal number at the end."),
		"pin_state": computedString("State of the user PIN: `ok`; `count_low`, a wrong one was tried since the last right one; `final_try`, the next wrong one locks it; `locked`; " +
			"`to_be_changed`, nothing but that is allowed; `not_set`."),
		"min_pin_length":       computedNumber("Least length of a PIN in bytes; null where the token does not tell it."),
		"max_pin_length":       computedNumber("Greatest length of a PIN in bytes; null where the token does not tell it."),
		"total_public_memory":  computedNumber("Memory for public objects in bytes; null where the token does not tell it."),
		"free_public_memory":   computedNumber("What is free of it in bytes; null where the token does not tell it."),
		"total_private_memory": computedNumber("Memory for private objects in bytes; null where the token does not tell it."),
		"free_private_memory":  computedNumber("What is free of it in bytes; null where the token does not tell it."),
		"sessions":             computedNumber("How many sessions this process has open, those of this provider; null where the token does not tell it."),
		"max_sessions":         computedNumber("How many sessions a process may open: 0 is no limit, null where the token does not tell it."),
		"rw_sessions":          computedNumber("How many of the sessions can write; null where the token does not tell it."),
		"max_rw_sessions":      computedNumber("How many of the sessions may be such that can write: 0 is no limit, null where the token does not tell it."),
	}
}

func tokenModelOf(i hsm.TokenInfo) tokenModel {
	m := tokenModel{
		Serial: told(i.Serial), Model: told(i.Model), Manufacturer: told(i.Manufacturer),
		FirmwareVersion: version(i.FirmwareVersionMajor, i.FirmwareVersionMinor), HardwareVersion: version(i.HardwareVersionMajor, i.HardwareVersionMinor),
		Flags: words(i.Words()), PINState: types.StringValue(i.PINState()), MinPINLength: counted(i.MinPINLength), MaxPINLength: counted(i.MaxPINLength),
		TotalPublicMemory: counted(i.TotalPublicMemory), FreePublicMemory: counted(i.FreePublicMemory),
		TotalPrivateMemory: counted(i.TotalPrivateMemory), FreePrivateMemory: counted(i.FreePrivateMemory),
		Sessions: counted(i.Sessions), MaxSessions: counted(i.MaxSessions), RWSessions: counted(i.RWSessions), MaxRWSessions: counted(i.MaxRWSessions),
	}
	if i.Initialised() {
		m.Label = told(i.Label)
	}
	return m
}

func version(major, minor byte) types.String {
	return types.StringValue(fmt.Sprintf("%d.%d", major, minor))
}

func (d *tokenDataSource) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = "hsm_token"
}

func (d *tokenDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	attributes := slotAttributes()
	maps.Copy(attributes, tokenAttributes())
	attributes["mechanisms"] = schema.ListNestedAttribute{
		MarkdownDescription: "The mechanisms that the token offers, by number.",
		Computed:            true,
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"name":   computedString("Name in the PKCS#11 specification, up to version 3.0: `CKM_RSA_PKCS_KEY_PAIR_GEN`. For a vendor's own, the number in hexadecimal: `0x80000001`."),
			"number": computedNumber("Number of the mechanism."),
			"min_key_size": computedNumber("Least size of a key, in bits or in bytes as the mechanism's page of the specification has it; not all tokens keep to that. Null where the mechanism has none, " +
				"or the token does not tell it."),
			"max_key_size": computedNumber("Greatest size of a key, likewise. It is a hint: some tokens refuse what lies within."),
			"flags": computedWords("What the mechanism does, as the specification names it (`CK_MECHANISM_INFO`), without `CKF_` and in lower case: `hw`, `encrypt`, `decrypt`, `digest`, `sign`, `verify`, " +
				"`generate`, `generate_key_pair`, `wrap`, `unwrap`, `derive`, ... Empty where the token lists the mechanism and says no more of it."),
		}},
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "The token that the provider's configuration chooses, and what it can do. It is read without a login: no PIN is needed, and none is tried.\n\n" +
			"What the token counts, its free memory and its sessions, differs from run to run; what refers to those attributes changes with them.",
		Attributes: attributes,
	}
}

func (d *tokenDataSource) Read(ctx context.Context, _ datasource.ReadRequest, resp *datasource.ReadResponse) {
	d.read(ctx, &resp.Diagnostics, "Read Token", func(ctx context.Context, _ *diagnose.Failure) error {
		token, err := d.client.description(ctx)
		if err != nil {
			return err
		}
		m := tokenDataModel{slotModel: slotModelOf(token.TokenInfo.Slot, token.Slot), tokenModel: tokenModelOf(token.TokenInfo), Mechanisms: []mechanismModel{}}
		for _, mechanism := range token.Mechanisms {
			m.Mechanisms = append(m.Mechanisms, mechanismModelOf(mechanism))
		}
		resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
		return nil
	})
}

func mechanismModelOf(mechanism hsm.Mechanism) mechanismModel {
	m := mechanismModel{Name: types.StringValue(mechanism.Type.String()), Number: counted(uint(mechanism.Type)), Flags: words(mechanism.Words())}
	// A mechanism without keys has no bounds: the specification leaves open what stands there, and most have two zeros.
	if i := mechanism.Info; i != nil && i.MaxKeySize != 0 {
		m.MinKeySize, m.MaxKeySize = counted(i.MinKeySize), counted(i.MaxKeySize)
	}
	return m
}
