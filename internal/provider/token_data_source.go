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

// tokenDataSource describes the token that the provider's configuration selects.
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

// slotModel is what the data sources say of a slot.
type slotModel struct {
	Slot             types.Int64    `tfsdk:"slot"`
	SlotDescription  types.String   `tfsdk:"slot_description"`
	SlotManufacturer types.String   `tfsdk:"slot_manufacturer"`
	SlotFlags        []types.String `tfsdk:"slot_flags"`
}

func slotAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"slot":              computedNumber("ID of the slot. Some modules renumber their slots."),
		"slot_description":  computedString("The module's description of the slot."),
		"slot_manufacturer": computedString("Manufacturer of the slot."),
		"slot_flags": computedWords("The slot's flags: any of `token_present`, `removable_device` and `hw_slot`. " +
			"Flags without a name are one hexadecimal number."),
	}
}

func slotModelOf(id uint, info hsm.SlotInfo) slotModel {
	return slotModel{Slot: counted(id), SlotDescription: told(info.Description), SlotManufacturer: told(info.Manufacturer), SlotFlags: words(info.Words())}
}

// tokenModel is what the data sources say of a token.
type tokenModel struct {
	Label              types.String   `tfsdk:"label"`
	Serial             types.String   `tfsdk:"serial"`
	Model              types.String   `tfsdk:"model"`
	Manufacturer       types.String   `tfsdk:"manufacturer"`
	FirmwareVersion    types.String   `tfsdk:"firmware_version"`
	HardwareVersion    types.String   `tfsdk:"hardware_version"`
	Flags              []types.String `tfsdk:"flags"`
	PINState           types.String   `tfsdk:"pin_state"`
	OfficerPINState    types.String   `tfsdk:"so_pin_state"`
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
		"label":            computedString("Label of the token; null if it is not initialised."),
		"serial":           computedString("Serial number of the token."),
		"model":            computedString("Model of the token."),
		"manufacturer":     computedString("Manufacturer of the token."),
		"firmware_version": computedString("Version of the firmware, `MAJOR.MINOR`."),
		"hardware_version": computedString("Version of the hardware, `MAJOR.MINOR`."),
		"flags": computedWords("The token's flags, as the PKCS#11 specification names them (`CK_TOKEN_INFO`), without `CKF_` and in lower case: `rng`, `login_required`, `write_protected`, " +
			"`protected_authentication_path`, ... Flags without a name are one hexadecimal number at the end."),
		"pin_state": computedString("State of the user PIN: `ok`; `count_low`: a wrong PIN was tried since the last right " +
			"one; `final_try`: the next wrong PIN locks it; `locked`; `to_be_changed`: it must be changed before anything " +
			"else; `not_set`."),
		"so_pin_state": computedString("State of the security officer's PIN (SO PIN), in the same words; `not_set` " +
			"for a token that is not initialised."),
		"min_pin_length":       computedNumber("Shortest PIN in bytes; null if the token does not say."),
		"max_pin_length":       computedNumber("Longest PIN in bytes; null if the token does not say."),
		"total_public_memory":  computedNumber("Memory for public objects in bytes; null if the token does not say."),
		"free_public_memory":   computedNumber("Free memory for public objects in bytes; null if the token does not say."),
		"total_private_memory": computedNumber("Memory for private objects in bytes; null if the token does not say."),
		"free_private_memory":  computedNumber("Free memory for private objects in bytes; null if the token does not say."),
		"sessions": computedNumber("How many sessions this process, the provider, has open; null if the token " +
			"does not say."),
		"max_sessions": computedNumber("How many sessions a process may open: 0 means no limit; null if the token " +
			"does not say."),
		"rw_sessions": computedNumber("How many of the open sessions can write; null if the token does not say."),
		"max_rw_sessions": computedNumber("How many sessions that can write a process may open: 0 means no limit; " +
			"null if the token does not say."),
	}
}

func tokenModelOf(i hsm.TokenInfo) tokenModel {
	m := tokenModel{
		Serial: told(i.Serial), Model: told(i.Model), Manufacturer: told(i.Manufacturer),
		FirmwareVersion: version(i.FirmwareVersionMajor, i.FirmwareVersionMinor), HardwareVersion: version(i.HardwareVersionMajor, i.HardwareVersionMinor),
		Flags: words(i.Words()), PINState: types.StringValue(i.PINState()),
		OfficerPINState: types.StringValue(i.OfficerPINState()), MinPINLength: counted(i.MinPINLength),
		MaxPINLength:      counted(i.MaxPINLength),
		TotalPublicMemory: counted(i.TotalPublicMemory), FreePublicMemory: counted(i.FreePublicMemory),
		TotalPrivateMemory: counted(i.TotalPrivateMemory), FreePrivateMemory: counted(i.FreePrivateMemory),
		Sessions: counted(i.Sessions), MaxSessions: counted(i.MaxSessions), RWSessions: counted(i.RWSessions), MaxRWSessions: counted(i.MaxRWSessions),
	}
	if i.Initialised() {
		m.Label = told(i.Label)
	}
	return m
}

func mechanismAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"name": computedString("Name in the PKCS#11 specification, up to version 3.0, such as " +
			"`CKM_RSA_PKCS_KEY_PAIR_GEN`. A vendor's own mechanism has its number in hexadecimal, such as `0x80000001`."),
		"number": computedNumber("Number of the mechanism."),
		"min_key_size": computedNumber("Smallest key, in bits or in bytes as the specification says for the mechanism; " +
			"not all tokens keep to that. Null if the mechanism has no keys, or the token does not say."),
		"max_key_size": computedNumber("Largest key, likewise. It is a hint: some tokens refuse sizes within these bounds."),
		"flags": computedWords("What the mechanism can do, as the specification names it (`CK_MECHANISM_INFO`), without " +
			"`CKF_` and in lower case: `hw`, `encrypt`, `decrypt`, `digest`, `sign`, `verify`, `generate`, " +
			"`generate_key_pair`, `wrap`, `unwrap`, `derive`, ... Empty if the token lists the mechanism and says nothing " +
			"more about it."),
	}
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
		MarkdownDescription: "The mechanisms that the token offers, ordered by number.",
		Computed:            true,
		NestedObject:        schema.NestedAttributeObject{Attributes: mechanismAttributes()},
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "The token that the provider's configuration selects, and what it can do. Reading it needs " +
			"no login: no PIN is needed, and none is sent.\n\n" +
			"The token's free memory and its sessions differ from run to run. Whatever refers to those attributes changes " +
			"with them.",
		Attributes: attributes,
	}
}

func (d *tokenDataSource) Read(ctx context.Context, _ datasource.ReadRequest, resp *datasource.ReadResponse) {
	d.read(ctx, &resp.Diagnostics, "Read Token", func(ctx context.Context, _ *diagnose.Failure) error {
		token, err := d.client.description(ctx)
		if err != nil {
			return err
		}
		m := tokenDataModel{slotModel: slotModelOf(token.TokenInfo.Slot, token.Slot), tokenModel: tokenModelOf(token.TokenInfo), Mechanisms: mechanismModels(token.Mechanisms)}
		resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
		return nil
	})
}

func mechanismModels(mechanisms []hsm.Mechanism) []mechanismModel {
	models := []mechanismModel{}
	for _, mechanism := range mechanisms {
		models = append(models, mechanismModelOf(mechanism))
	}
	return models
}

func mechanismModelOf(mechanism hsm.Mechanism) mechanismModel {
	m := mechanismModel{Name: types.StringValue(mechanism.Type.String()), Number: counted(uint(mechanism.Type)), Flags: words(mechanism.Words())}
	// A mechanism without keys has no bounds. The specification does not say what they are then; most tokens give two
	// zeros.
	if i := mechanism.Info; i != nil && i.MaxKeySize != 0 {
		m.MinKeySize, m.MaxKeySize = counted(i.MinKeySize), counted(i.MaxKeySize)
	}
	return m
}
