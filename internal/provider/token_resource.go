package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

var (
	_ resource.ResourceWithConfigure   = (*tokenResource)(nil)
	_ resource.ResourceWithModifyPlan  = (*tokenResource)(nil)
	_ resource.ResourceWithImportState = (*tokenResource)(nil)
	_ resource.ResourceWithIdentity    = (*tokenResource)(nil)
)

func newTokenResource() resource.Resource { return &tokenResource{} }

// tokenResource makes a token of one that is not initialised, and keeps its PINs.
type tokenResource struct{ client *client }

// policyErase is the deletion_policy that initialises the token once more.
const policyErase = "erase"

// tokenTime is how long each operation may take where the configuration does not say. Initialising a token takes some
// make of smart card minutes.
const tokenTime = 10 * time.Minute

type tokenResourceModel struct {
	Label              types.String   `tfsdk:"label"`
	Slot               types.String   `tfsdk:"slot"`
	OfficerPIN         types.String   `tfsdk:"so_pin_wo"`
	OfficerPINVersion  types.Int64    `tfsdk:"so_pin_wo_version"`
	PIN                types.String   `tfsdk:"pin_wo"`
	PINVersion         types.Int64    `tfsdk:"pin_wo_version"`
	DeletionPolicy     types.String   `tfsdk:"deletion_policy"`
	EraseKeys          types.Bool     `tfsdk:"erase_keys"`
	Timeouts           timeouts.Value `tfsdk:"timeouts"`
	Serial             types.String   `tfsdk:"serial"`
	SlotID             types.Int64    `tfsdk:"slot_id"`
	Model              types.String   `tfsdk:"model"`
	Manufacturer       types.String   `tfsdk:"manufacturer"`
	FirmwareVersion    types.String   `tfsdk:"firmware_version"`
	HardwareVersion    types.String   `tfsdk:"hardware_version"`
	UserPINInitialized types.Bool     `tfsdk:"user_pin_initialized"`
}

// read takes what the token shows.
func (m *tokenResourceModel) read(token hsm.TokenInfo) {
	m.Label, m.Serial = types.StringValue(printable(token.Label)), serialOf(token)
	m.SlotID, m.Model, m.Manufacturer = counted(token.Slot), told(token.Model), told(token.Manufacturer)
	m.FirmwareVersion = version(token.FirmwareVersionMajor, token.FirmwareVersionMinor)
	m.HardwareVersion = version(token.HardwareVersionMajor, token.HardwareVersionMinor)
	m.UserPINInitialized = types.BoolValue(token.PINInitialised())
}

func (m *tokenResourceModel) ref() hsm.TokenRef {
	return hsm.TokenRef{Label: m.Label.ValueString(), Serial: m.Serial.ValueString()}
}

// selectedBy says that a provider block means the token.
func (m *tokenResourceModel) selectedBy(s hsm.Selector) bool {
	return (s.Label == nil || *s.Label == m.Label.ValueString()) &&
		(s.Serial == nil || *s.Serial == m.Serial.ValueString()) &&
		(s.Slot == nil || int64(*s.Slot) == m.SlotID.ValueInt64())
}

// name names the token in messages: `"hydra" (serial number 1f)`.
func (m *tokenResourceModel) name() string {
	if m.Serial.ValueString() == "" {
		return fmt.Sprintf("%q", m.Label.ValueString())
	}
	return fmt.Sprintf("%q (serial number %s)", m.Label.ValueString(), m.Serial.ValueString())
}

func (r *tokenResource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = "hsm_token"
	resp.ResourceBehavior.MutableIdentity = true
}

func (r *tokenResource) Configure(_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	if c, ok := req.ProviderData.(*client); ok {
		r.client = c
	}
}

func (r *tokenResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	keep := []planmodifier.String{stringplanmodifier.UseStateForUnknown()}
	shown := func(description string) schema.StringAttribute {
		return schema.StringAttribute{MarkdownDescription: description, Computed: true, PlanModifiers: keep}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "A token that Terraform makes of one that is not initialised: its label, the PIN of its " +
			"security officer (SO PIN) and that of its user. A token that is initialised is never initialised again, " +
			"since that destroys every key on it; only `deletion_policy = \"erase\"` does that, when the resource is " +
			"destroyed.\n\nNo PIN gets into a plan or a state: `so_pin_wo` and `pin_wo` are write-only arguments, " +
			"which want Terraform 1.11 or OpenTofu 1.11. Or leave them out, and give the PINs in the environment.\n\n" +
			"Whatever uses the token in the same configuration has to wait for it: the guide [A token from " +
			"nothing](../guides/token-from-nothing.md) shows how, and how PINs change.",
		Attributes: map[string]schema.Attribute{
			"label": schema.StringAttribute{
				MarkdownDescription: "Label of the token, at most 32 bytes. No other token may have it. A token " +
					"cannot be renamed without losing its keys, so a change is an error.",
				Required:   true,
				Validators: []validator.String{newTokenLabel},
			},
			"slot": schema.StringAttribute{
				MarkdownDescription: "ID of the slot with the token that is not initialised yet, decimal or " +
					"hexadecimal (`0x1a`); the data source `hsm_tokens` shows it. Defaults to the only such slot; " +
					"where the module always keeps one free, to the first. It counts only when the " +
					"token is made: some modules then give its slot another ID, which is `slot_id`.",
				Optional:   true,
				Validators: []validator.String{slotID},
			},
			"so_pin_wo": schema.StringAttribute{
				MarkdownDescription: "PIN of the token's security officer. Defaults to the environment variable " +
					"`HSM_SO_PIN`, or to the first line of the file that `HSM_SO_PIN_FILE` names. A PIN that the " +
					"token refuses is sent only once in a run: many tokens lock for good after three wrong ones.",
				Optional: true, Sensitive: true, WriteOnly: true,
			},
			"so_pin_wo_version": schema.Int64Attribute{
				MarkdownDescription: "Version of `so_pin_wo`: another number than in the state gives the security " +
					"officer the PIN that `so_pin_wo` says. The PIN of before is then taken from `HSM_SO_PIN` or " +
					"`HSM_SO_PIN_FILE`. To take the version out sets no PIN.",
				Optional: true,
			},
			"pin_wo": schema.StringAttribute{
				MarkdownDescription: "PIN of the token's user. Defaults to the provider's own, which is the one that " +
					"it logs in with.",
				Optional: true, Sensitive: true, WriteOnly: true,
			},
			"pin_wo_version": schema.Int64Attribute{
				MarkdownDescription: "Version of `pin_wo`: another number than in the state has the security officer " +
					"give the user the PIN that `pin_wo` says, or the provider's own. That needs no PIN of before, " +
					"and touches no key: it also opens a token whose user PIN is lost or locked. " +
					"To take the version out sets no PIN.",
				Optional: true,
			},
			"deletion_policy": schema.StringAttribute{
				MarkdownDescription: "What happens to the token when the resource is destroyed. Defaults to " +
					"`prevent`.\n  - `prevent`: a plan that would destroy it fails.\n  - `abandon`: the resource " +
					"leaves the state, and the token stays as it is.\n  - `erase`: the token is initialised once " +
					"more, which destroys every object on it, and its user PIN. It keeps its label and its SO PIN, " +
					"which is taken from `HSM_SO_PIN` or `HSM_SO_PIN_FILE`. That is refused while anything is on the " +
					"token, unless `erase_keys` is `true`.\n\n  The policy in the state counts: a change of the " +
					"policy takes effect once it is applied.",
				Optional: true, Computed: true, Default: stringdefault.StaticString(policyPrevent),
				Validators: []validator.String{oneOf(policyPrevent, policyAbandon, policyErase)},
			},
			"erase_keys": schema.BoolAttribute{
				MarkdownDescription: "Whether `deletion_policy = \"erase\"` destroys what is still on the token. " +
					"Defaults to `false`. A change takes effect once it is applied.",
				Optional: true, Computed: true, Default: booldefault.StaticBool(false),
			},
			"timeouts": timeoutsOf(ctx, tokenTimes),
			"serial":   shown("Serial number of the token; null if it has none."),
			"slot_id": schema.Int64Attribute{
				MarkdownDescription: "ID of the slot that the token is in.", Computed: true,
			},
			"model":            shown("Model of the token."),
			"manufacturer":     shown("Manufacturer of the token."),
			"firmware_version": shown("Version of the firmware, `MAJOR.MINOR`."),
			"hardware_version": shown("Version of the hardware, `MAJOR.MINOR`."),
			"user_pin_initialized": schema.BoolAttribute{
				MarkdownDescription: "Whether the token's user has a PIN. If not, the next apply sets it.",
				Computed:            true,
			},
		},
	}
}

var tokenTimes = times{
	create: tokenTime, read: readTime, update: tokenTime, delete: tokenTime,
	creating: "initialising the token", reading: "reading the token", updating: "setting PINs",
	deleting: "erasing the token",
}

type tokenIdentity struct {
	Serial types.String `tfsdk:"serial"`
	Label  types.String `tfsdk:"label"`
}

func (r *tokenResource) IdentitySchema(
	_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse,
) {
	resp.IdentitySchema = identityschema.Schema{Attributes: map[string]identityschema.Attribute{
		"serial": identityschema.StringAttribute{
			Description: "Serial number of the token; null if it has none.", OptionalForImport: true,
		},
		"label": identityschema.StringAttribute{
			Description: "Label of the token. An import needs it only where the serial number does not tell one " +
				"token.",
			OptionalForImport: true,
		},
	}}
}

func (r *tokenResource) identify(
	ctx context.Context, identity *tfsdk.ResourceIdentity, m *tokenResourceModel,
) diag.Diagnostics {
	return identity.Set(ctx, tokenIdentity{Serial: m.Serial, Label: m.Label})
}

// within runs an operation with a time limit. Its error becomes a diagnostic.
func (r *tokenResource) within(
	ctx context.Context, diags *diag.Diagnostics, doing string, limit time.Duration, ds diag.Diagnostics,
	operation func(context.Context) error,
) {
	if diags.Append(ds...); diags.HasError() {
		return
	}
	if limit <= 0 {
		limit = tokenTime
	}
	r.client.run(ctx, diags, doing, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		err := r.client.needs("library", "library_parameters")
		if err == nil {
			err = operation(ctx)
		}
		if err != nil {
			diags.Append(diagnose.Failure{Err: err, Doing: doing, Provider: r.client.forMessages()}.Diagnostic())
		}
	})
}

func (r *tokenResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var m, config tokenResourceModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if resp.Diagnostics.HasError() {
		return
	}
	limit, ds := m.Timeouts.Create(ctx, tokenTime)
	r.within(ctx, &resp.Diagnostics, "Create Token", limit, ds, func(ctx context.Context) error {
		setup := r.setup(ctx, config, &resp.Diagnostics)
		if resp.Diagnostics.HasError() {
			return nil
		}
		if err := r.client.tokens.make(setup.Label); err != nil {
			return err
		}
		token, err := hsm.Initialize(ctx, r.client.configuration.token, setup)
		if err != nil {
			return err
		}
		r.client.renew() // who looked for the token before finds it now
		m.read(token)
		resp.Diagnostics.Append(mark(ctx, resp.Private)...)
		resp.Diagnostics.Append(r.identify(ctx, resp.Identity, &m)...)
		resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
		return nil
	})
}

func (r *tokenResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m tokenResourceModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	limit, ds := m.Timeouts.Read(ctx, readTime)
	r.within(ctx, &resp.Diagnostics, "Read Token", limit, ds, func(ctx context.Context) error {
		r.client.tokens.met(tokenClaim{mark: markOf(ctx, req.Private), token: m})
		token, err := hsm.FindToken(ctx, r.client.configuration.token, m.ref())
		if _, missing := errors.AsType[*hsm.TokenError](err); missing {
			return &diagnose.TokenLostError{Name: m.name(), Err: err}
		}
		if err != nil {
			return err
		}
		if !token.Initialised() {
			return r.blank(ctx, &m, token, resp)
		}
		m.read(token)
		resp.Diagnostics.Append(r.identify(ctx, resp.Identity, &m)...)
		resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
		return nil
	})
}

// blank decides what happens to the state of a token that somebody has made one that is not initialised.
func (r *tokenResource) blank(
	ctx context.Context, m *tokenResourceModel, token hsm.TokenInfo, resp *resource.ReadResponse,
) error {
	policy := m.DeletionPolicy.ValueString()
	if policy == policyPrevent {
		return &diagnose.TokenErasedError{Name: m.name(), Token: token}
	}
	resp.Diagnostics.AddWarning("Token No Longer Initialised", fmt.Sprintf(
		"The token %s is not initialised any more: somebody has erased it. Its deletion_policy is %q, so it leaves "+
			"the state, and Terraform plans to initialise it anew.\n\nWhat to do: if this is the wrong module or "+
			"slot, do not apply, and correct the provider's configuration. Keys that were on the token are lost.",
		m.name(), policy))
	resp.Diagnostics.Append(r.identify(ctx, resp.Identity, m)...)
	resp.State.RemoveResource(ctx)
	return nil
}

func (r *tokenResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var m, state, config tokenResourceModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if resp.Diagnostics.HasError() {
		return
	}
	work := changesOf(m, state, recordsOnly(ctx, req.Private))
	limit, ds := m.Timeouts.Update(ctx, tokenTime)
	resp.Diagnostics.Append(r.identify(ctx, resp.Identity, &state)...)
	r.within(ctx, &resp.Diagnostics, "Update Token", limit, ds, func(ctx context.Context) error {
		err := r.work(ctx, work, config, m, &state, &resp.Diagnostics)
		if err != nil || resp.Diagnostics.HasError() {
			// What is done is done: the next apply is not to do it again.
			resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
			return err
		}
		if work.user {
			m.UserPINInitialized = types.BoolValue(true)
		}
		resp.Diagnostics.Append(recorded(ctx, resp.Private)...)
		resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
		return nil
	})
}

// pinWork is what an update does at the token.
type pinWork struct{ officer, user bool }

// changesOf says what PINs an update sets. The first apply after an import only records their versions.
func changesOf(plan, state tokenResourceModel, recording bool) pinWork {
	set := func(plan, state types.Int64) bool { return !recording && !plan.IsNull() && !plan.Equal(state) }
	return pinWork{
		officer: set(plan.OfficerPINVersion, state.OfficerPINVersion),
		user:    set(plan.PINVersion, state.PINVersion) || !state.UserPINInitialized.ValueBool(),
	}
}

// work sets PINs. The state gets the versions of those that are set, so that it is true where the next one fails.
func (r *tokenResource) work(
	ctx context.Context, work pinWork, config, plan tokenResourceModel, state *tokenResourceModel,
	diags *diag.Diagnostics,
) error {
	token, setup := r.client.configuration.token, hsm.Setup{}
	if work.officer || work.user {
		if setup = r.setup(ctx, config, diags); diags.HasError() {
			return nil
		}
	}
	if work.officer {
		present, ds := r.client.officerPIN(ctx, types.StringNull())
		if diags.Append(ds...); diags.HasError() {
			return nil
		}
		if err := hsm.SetOfficerPIN(ctx, token, state.ref(), present.pin, setup.OfficerPIN); err != nil {
			return err
		}
		state.OfficerPINVersion = plan.OfficerPINVersion
	}
	if work.user {
		if err := hsm.SetUserPIN(ctx, token, state.ref(), setup.OfficerPIN, setup.PIN); err != nil {
			return err
		}
		state.PINVersion, state.UserPINInitialized = plan.PINVersion, types.BoolValue(true)
		r.client.renew()
	}
	return nil
}

func (r *tokenResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m tokenResourceModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	switch m.DeletionPolicy.ValueString() {
	case policyAbandon:
		return
	case policyErase:
	default: // a tainted resource: no plan has asked us
		resp.Diagnostics.Append(tokenPrevented(&m, "Terraform is about to destroy"))
		return
	}
	limit, ds := m.Timeouts.Delete(ctx, tokenTime)
	r.within(ctx, &resp.Diagnostics, "Erase Token", limit, ds, func(ctx context.Context) error {
		officer, ds := r.client.officerPIN(ctx, types.StringNull())
		if resp.Diagnostics.Append(ds...); resp.Diagnostics.HasError() {
			return nil
		}
		if err := r.client.tokens.destroying(m.Label.ValueString()); err != nil {
			return err
		}
		err := hsm.Erase(ctx, r.client.configuration.token, m.ref(), officer.pin, m.EraseKeys.ValueBool())
		r.client.renew()
		if errors.Is(err, hsm.ErrTokenNotInitialized) {
			return nil // somebody has erased it
		}
		return err
	})
}

// ImportState takes a token by its serial number or label.
func (r *tokenResource) ImportState(
	ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse,
) {
	var asked tokenIdentity
	if req.ID == "" && req.Identity != nil && !req.Identity.Raw.IsNull() {
		if resp.Diagnostics.Append(req.Identity.Get(ctx, &asked)...); resp.Diagnostics.HasError() {
			return
		}
	}
	r.within(ctx, &resp.Diagnostics, "Import Token", readTime, nil, func(ctx context.Context) error {
		slots, err := r.client.slots(ctx)
		if err != nil {
			return err
		}
		var found, all []hsm.TokenInfo
		var skipped []string
		for _, slot := range slots {
			if slot.Err != nil {
				skipped = append(skipped, fmt.Sprintf("slot %d (0x%x): %v", slot.ID, slot.ID, slot.Err))
			}
			if slot.Token == nil || !slot.Token.Initialised() {
				continue
			}
			all = append(all, *slot.Token)
			serial, label := slot.Token.Serial, slot.Token.Label
			byID := req.ID != "" && (req.ID == serial || req.ID == label)
			names := !asked.Serial.IsNull() || !asked.Label.IsNull()
			byIdentity := req.ID == "" && names && (asked.Serial.IsNull() || asked.Serial.ValueString() == serial) &&
				(asked.Label.IsNull() || asked.Label.ValueString() == label)
			if byID || byIdentity {
				found = append(found, *slot.Token)
			}
		}
		if len(found) != 1 {
			return &diagnose.TokenImportError{Found: len(found), Tokens: all, Skipped: skipped}
		}
		m := tokenResourceModel{
			DeletionPolicy: types.StringValue(policyPrevent), EraseKeys: types.BoolValue(false), Timeouts: noTimeouts(),
		}
		m.read(found[0])
		resp.Diagnostics.Append(mark(ctx, resp.Private)...)
		resp.Diagnostics.Append(record(ctx, resp.Private)...)
		resp.Diagnostics.Append(r.identify(ctx, resp.Identity, &m)...)
		resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
		return nil
	})
}

// noTimeouts is what an import knows of the timeouts.
func noTimeouts() timeouts.Value {
	return timeouts.Value{Object: types.ObjectNull(map[string]attr.Type{
		"create": types.StringType, "read": types.StringType, "update": types.StringType, "delete": types.StringType,
	})}
}

// recordedAtImport is the key in private state that an import sets, and the next apply takes away.
const recordedAtImport = "imported"

func record(ctx context.Context, private privateState) diag.Diagnostics {
	return private.SetKey(ctx, recordedAtImport, []byte("true"))
}

func recorded(ctx context.Context, private privateState) diag.Diagnostics {
	return private.SetKey(ctx, recordedAtImport, []byte("false"))
}

func recordsOnly(ctx context.Context, private interface {
	GetKey(context.Context, string) ([]byte, diag.Diagnostics)
},
) bool {
	value, _ := private.GetKey(ctx, recordedAtImport)
	return string(value) == "true"
}

// tokenPrevented is the error for a destruction that deletion_policy forbids.
func tokenPrevented(m *tokenResourceModel, happening string) diag.Diagnostic {
	policy := path.Root("deletion_policy")
	return diag.NewAttributeErrorDiagnostic(policy, "Token Is Protected From Destruction", fmt.Sprintf(
		"%s the token %s, whose deletion_policy is \"prevent\".\n\nOn the token: nothing has been changed.\n\nWhat "+
			"to do:\n%s",
		happening, m.name(), strings.Join([]string{
			"  - To keep the token: leave its resource block where it is, and run no terraform destroy, and no " +
				"-replace of it. If the resource is tainted, run terraform untaint with its address. If it has a new " +
				"name or index, tell Terraform the old address with a moved block.",
			"  - To take it out of the state and leave it as it is: set deletion_policy = \"abandon\" and run " +
				"terraform apply, then destroy the resource. Or use terraform state rm.",
			"  - To erase it: destroy the keys on it, set deletion_policy = \"erase\" and run terraform apply, then " +
				"destroy the resource.",
		}, "\n")))
}
