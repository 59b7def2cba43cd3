package provider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

// ModifyPlan refuses at plan time what the apply could not do, and tells the keys of this process that the token is to
// come.
func (r *tokenResource) ModifyPlan(
	ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse,
) {
	if r.client == nil {
		return
	}
	var plan, state, config tokenResourceModel
	if !req.Plan.Raw.IsNull() {
		resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
		resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	}
	if !req.State.Raw.IsNull() {
		resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	own := tokenClaim{mark: markOf(ctx, req.Private), token: state}
	r.client.run(ctx, &resp.Diagnostics, "Plan Token", func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, readTime)
		defer cancel()
		switch {
		case req.Plan.Raw.IsNull():
			r.planEnd(ctx, own, &resp.Diagnostics)
		case req.State.Raw.IsNull():
			r.planNew(ctx, own.mark, plan, config, &resp.Diagnostics)
		default:
			r.planUpdate(ctx, req, plan, own, config, resp)
		}
	})
}

// allows looks whether the make of a token knows what the security officer is to do. Where the token cannot be looked
// at, the apply says so.
func (r *tokenResource) allows(
	ctx context.Context, state *tokenResourceModel, deed hsm.Deed, diags *diag.Diagnostics,
) (token hsm.TokenInfo, ok bool) {
	if r.client.needs("library", "library_parameters") != nil {
		return hsm.TokenInfo{}, false
	}
	token, err := hsm.Allows(ctx, r.client.configuration.token, state.ref(), deed)
	_, notHere := errors.AsType[*hsm.NotHereError](err)
	if notHere || errors.Is(err, hsm.ErrNoOfficer) || errors.Is(err, hsm.ErrNoErasure) {
		r.refuse(err, diags)
	}
	return token, err == nil
}

// refuse tells why a plan cannot be.
func (r *tokenResource) refuse(err error, diags *diag.Diagnostics) {
	diags.Append(diagnose.Failure{Err: err, Doing: "Plan Token", Provider: r.client.forMessages()}.Diagnostic())
}

// planNew looks for the token that the apply would take. mark is what a new token has that takes the place of another
// one.
func (r *tokenResource) planNew(
	ctx context.Context, mark string, plan, config tokenResourceModel, diags *diag.Diagnostics,
) {
	label := plan.Label.ValueString()
	if plan.Label.IsUnknown() {
		diags.AddWarning("New Token Not Checked", "The token's label is not known yet, so this plan has not looked "+
			"whether another token has it, and whether there is one to initialise. Only the apply will show.")
		r.client.coming.Store(&coming{})
		return
	}
	old, replaces := r.client.tokens.replacedBy(mark, label)
	if replaces {
		if r.planReplacement(ctx, &old.token, diags); diags.HasError() {
			return
		}
	}
	if err := r.client.tokens.want(mark, label); err != nil {
		r.refuse(err, diags)
		return
	}
	err := r.client.needs("library", "library_parameters")
	if unknown, ok := errors.AsType[*diagnose.UnknownError](err); ok {
		diags.AddWarning("New Token Not Checked", fmt.Sprintf("The provider's configuration is not known yet "+
			"(%s), so this plan has not looked whether there is a token to initialise. Only the apply will show.",
			strings.Join(unknown.Attributes, ", ")))
		return
	}
	if err != nil {
		r.refuse(err, diags)
		return
	}
	setup := r.setup(ctx, config, diags)
	if diags.HasError() {
		return
	}
	site := hsm.Site{AsksUser: true, AsksOfficer: true}
	switch {
	case replaces: // its token is initialised until the apply erases it
		var token hsm.TokenInfo
		token, err = hsm.FindToken(ctx, r.client.configuration.token, old.token.ref())
		site = asks(site, token)
	case !plan.Slot.IsUnknown():
		site, err = hsm.SiteOf(ctx, r.client.configuration.token, setup)
	}
	if err != nil {
		r.refuse(err, diags)
		return
	}
	r.checkPINs(config, setup, site, diags)
	if site.State == hsm.SiteFinished {
		diags.AddAttributeWarning(path.Root("label"), "Token Of That Label Found", fmt.Sprintf(
			"A new token %q is planned, and there is one of that label, in %s. Its user has a PIN, and it shows "+
				"no object to those who have none. An apply that was interrupted right before its end leaves "+
				"such a token.\n\nThe apply takes it, and initialises nothing, if it accepts both PINs and holds "+
				"nothing. Otherwise it is refused. For that it sends the user's PIN and the SO PIN to the token, "+
				"each once.\n\nWhat to do: if this is your token, go on. If it is another one's, choose another label.",
			label, site.Token))
	}
	if !replaces { // until then, the keys of the old one are read and planned on it
		r.client.coming.Store(&coming{label: &label, slot: setup.Slot})
	}
}

// planReplacement looks at a token in whose place a new one of its label is planned.
func (r *tokenResource) planReplacement(ctx context.Context, old *tokenResourceModel, diags *diag.Diagnostics) {
	switch old.DeletionPolicy.ValueString() {
	case policyErase:
		if old.EraseKeys.ValueBool() { // of what a plan of -replace warns, Terraform shows nothing
			diags.AddAttributeError(path.Root("erase_keys"), "Token Cannot Be Replaced", fmt.Sprintf(
				"Terraform would erase the token %s and make it anew. Keys that depend on it stay in the state, "+
					"whatever their deletion_policy. With erase_keys = true they would be gone.\n\nOn the token: "+
					"nothing has been changed.\n\nWhat to do: set erase_keys = false and run terraform apply. Then "+
					"replace the token together with its keys: terraform apply with a -replace for each. If the "+
					"resource is tainted, and should not be, run terraform untaint with its address.", old.name()))
			return
		}
		r.planErasure(ctx, old, diags)
	case policyAbandon:
		diags.AddAttributeError(path.Root("deletion_policy"), "Token Cannot Be Replaced", fmt.Sprintf(
			"Terraform would plan a new token in the place of the token %s. With deletion_policy = \"abandon\" that "+
				"one stays as it is and keeps its label, which no other token may have.\n\nOn the token: nothing has "+
				"been changed.\n\nWhat to do:\n%s",
			old.name(), strings.Join([]string{
				"  - To keep the token: run no -replace of it. If the resource is tainted, run terraform untaint " +
					"with its address. If it has a new name or index, tell Terraform the old address with a moved " +
					"block.",
				"  - To erase it and make it anew: destroy the keys on it, set deletion_policy = \"erase\" and run " +
					"terraform apply, then replace the resource.",
			}, "\n")))
	default:
		diags.Append(tokenPrevented(old, "Terraform would replace"))
	}
}

// asks is a site at a token that is initialised: one with a keypad takes no PIN from a program.
func asks(site hsm.Site, token hsm.TokenInfo) hsm.Site {
	site.Token = token
	if keypad(token) {
		site.AsksUser, site.AsksOfficer = false, false
	}
	return site
}

func keypad(token hsm.TokenInfo) bool {
	return slices.Contains(token.Words(), "protected_authentication_path")
}

// setup is what the configuration asks for. Only an apply has all of it.
func (r *tokenResource) setup(ctx context.Context, config tokenResourceModel, diags *diag.Diagnostics) hsm.Setup {
	setup := hsm.Setup{Label: config.Label.ValueString()}
	if text := config.Slot.ValueString(); text != "" {
		if slot, err := hsm.ParseSlot(text); err == nil {
			setup.Slot = &slot
		}
	}
	officer, ds := r.client.officerPIN(ctx, config.OfficerPIN)
	diags.Append(ds...)
	setup.OfficerPIN = officer.pin
	user, ds := r.client.userPIN(config.PIN)
	diags.Append(ds...)
	setup.PIN = user
	return setup
}

// checkPINs compares the PINs with each other and with what the token takes.
func (r *tokenResource) checkPINs(config tokenResourceModel, setup hsm.Setup, site hsm.Site, diags *diag.Diagnostics) {
	unknown := config.PIN.IsUnknown() || config.PIN.IsNull() && slices.Contains(r.client.unknown, "pin")
	pins := []givenPIN{
		{"user PIN", "pin_wo", setup.PIN, unknown, site.AsksUser},
		{"SO PIN", "so_pin_wo", setup.OfficerPIN, config.OfficerPIN.IsUnknown(), site.AsksOfficer},
	}
	for _, p := range pins {
		p.check(r, site.Token, diags)
	}
	if !setup.PIN.IsZero() && setup.PIN.Equal(setup.OfficerPIN) {
		diags.AddWarning("User PIN Is The SO PIN", "The token's user and its security officer would have the same "+
			"PIN. Whoever uses keys could then set PINs, and erase the token.\n\nWhat to do: choose two PINs.")
	}
	if site.AsksUser {
		r.warnOfOwnPIN(config, setup, diags)
	}
}

// warnOfOwnPIN tells that the provider's own PIN is another one than the token is to have.
func (r *tokenResource) warnOfOwnPIN(config tokenResourceModel, setup hsm.Setup, diags *diag.Diagnostics) {
	own := r.client.configuration.token.PIN
	selector := r.client.configuration.token.Selector
	mine := selector.Label == nil || *selector.Label == setup.Label
	if !mine || !r.client.normalUser() || own.IsZero() || config.PIN.IsNull() || config.PIN.IsUnknown() || own.Equal(setup.PIN) {
		return
	}
	diags.AddWarning("The Provider Needs The New PIN", fmt.Sprintf(
		"The token's user is to have the PIN of pin_wo, and the provider's own PIN (from %s) is another one. In "+
			"this run, what uses this provider block goes on with the new PIN. Another block, and the next run, would "+
			"send the token a PIN that is wrong by then.\n\nWhat to do: once this is applied, give the provider the new "+
			"PIN. If another block uses the token, apply this with -target and the address of the hsm_token alone.",
		r.client.pinFrom))
}

// givenPIN is a PIN that a token is to have.
type givenPIN struct {
	noun, attribute string
	pin             hsm.PIN
	unknown         bool // until the apply
	asked           bool // whether the token is told it
}

func (p givenPIN) check(r *tokenResource, token hsm.TokenInfo, diags *diag.Diagnostics) {
	switch {
	case !p.asked || p.unknown:
		return
	case p.pin.IsZero():
		err := hsm.ErrNoPIN
		if p.attribute == "so_pin_wo" {
			err = hsm.ErrNoOfficerPIN
		}
		diags.Append(diagnose.Failure{Err: err, Doing: "Plan Token", Provider: r.client.forMessages()}.Diagnostic())
		return
	}
	// No path to the attribute: Terraform would show its line.
	shortest, longest := int(token.MinPINLength), int(token.MaxPINLength)
	if n := p.pin.Len(); shortest > 0 && n < shortest || longest > 0 && n > longest {
		diags.AddError("PIN Of A Wrong Length", fmt.Sprintf("The %s does not have the length that the token takes: "+
			"%d to %d bytes.\n\nWhat to do: choose another one.", p.noun, shortest, longest))
	}
	if slices.ContainsFunc(wellKnownPINs, func(known string) bool { return p.pin.Equal(hsm.NewPIN(known)) }) {
		diags.AddWarning("Well-Known PIN", fmt.Sprintf("The %s is one that many tokens come with, or that examples "+
			"use. Whoever finds the token tries it first.\n\nWhat to do: for anything but a trial, choose a random "+
			"one.", p.noun))
	}
}

// wellKnownPINs are those that makes of token come with, or that documentation uses.
var wellKnownPINs = []string{
	"0000", "000000", "00000000", "1111", "1234", "12345", "123456", "1234567", "12345678", "123456789", "1234567890",
	"87654321", "648219", "3537363231383830", "010203040506070801020304050607080102030405060708", "password",
	"changeit", "changeme", "secret", "userpin", "sopin", "so-pin", "fedcba", "foobar", "test",
}

func (r *tokenResource) planUpdate(
	ctx context.Context, req resource.ModifyPlanRequest, plan tokenResourceModel, own tokenClaim,
	config tokenResourceModel, resp *resource.ModifyPlanResponse,
) {
	diags, state := &resp.Diagnostics, own.token
	if err := r.client.tokens.hold(own); err != nil {
		r.refuse(err, diags)
		return
	}
	if !plan.Label.IsUnknown() && !plan.Label.Equal(state.Label) {
		diags.AddAttributeError(path.Root("label"), "Token Cannot Be Renamed", fmt.Sprintf(
			"The token %s cannot get the label %q: a token has its label from its initialisation, which destroys "+
				"every key.\n\nOn the token: nothing has been changed.\n\nWhat to do: write label = %q, as the token "+
				"has it. For a token of another label, add another resource.",
			state.name(), plan.Label.ValueString(), state.Label.ValueString()))
		return
	}
	recording := recordsOnly(ctx, req.Private)
	work := changesOf(plan, state, recording)
	versions := !plan.PINVersion.Equal(state.PINVersion) || !plan.OfficerPINVersion.Equal(state.OfficerPINVersion)
	if recording && versions {
		diags.AddWarning("PINs Are Not Set", fmt.Sprintf("The token %s was imported, and no version of a PIN was "+
			"applied since. This apply writes the versions into the state and sets no PIN. A later change of a version "+
			"sets one.\n\nWhat to do: if a PIN is to change now, apply this with the PINs that the token has, then "+
			"change the version.", state.name()))
	}
	diags.Append(resp.Plan.SetAttribute(ctx, path.Root("slot_id"), state.SlotID)...)
	if !work.officer && !work.user { // nothing at the token changes
		diags.Append(resp.Plan.SetAttribute(ctx, path.Root("user_pin_initialized"), state.UserPINInitialized)...)
		return
	}
	diags.Append(resp.Plan.SetAttribute(ctx, path.Root("user_pin_initialized"), types.BoolValue(true))...)
	if !state.UserPINInitialized.ValueBool() {
		diags.AddWarning("Token Has No User PIN", fmt.Sprintf("The user of the token %s has no PIN: none was ever "+
			"set, or somebody has erased the token, and with it every key. This apply sets the PIN.\n\nWhat to do: "+
			"if keys should be on the token, find out what happened to them first.", state.name()))
	}
	setup := r.setup(ctx, config, diags)
	if diags.HasError() {
		return
	}
	site := hsm.Site{AsksUser: work.user, AsksOfficer: true}
	deed := hsm.NewUserPIN
	if work.officer {
		deed = hsm.NewOfficerPIN
	}
	if token, ok := r.allows(ctx, &state, deed, diags); ok {
		site = asks(site, token)
	}
	if diags.HasError() {
		return
	}
	r.checkPINs(config, setup, site, diags)
	if work.officer {
		present, ds := r.client.officerPIN(ctx, types.StringNull())
		diags.Append(ds...)
		switch {
		case diags.HasError():
		case !site.AsksOfficer:
		case config.OfficerPIN.IsNull():
			diags.AddAttributeError(path.Root("so_pin_wo_version"), "No New SO PIN", "so_pin_wo_version says that "+
				"the security officer is to get another PIN, and there is no so_pin_wo.\n\nWhat to do: write the new "+
				"PIN into so_pin_wo, and give the present one in HSM_SO_PIN or HSM_SO_PIN_FILE.")
		case present.pin.IsZero():
			diags.AddAttributeError(path.Root("so_pin_wo_version"), "No Present SO PIN", "so_pin_wo_version says "+
				"that the security officer is to get the PIN of so_pin_wo. For that the token wants the PIN that it "+
				"has.\n\nWhat to do: give the present PIN of the security officer in HSM_SO_PIN, or in a file that "+
				"HSM_SO_PIN_FILE names.")
		}
	}
	// Until the apply, nobody can log in with the PIN that the provider has.
	provided := r.client.configuration.token
	early := setup.PIN.Equal(provided.PIN) || !state.UserPINInitialized.ValueBool()
	if work.user && early && r.client.normalUser() && state.selectedBy(provided.Selector) {
		r.client.pinToCome.Store(true)
	}
}

func (r *tokenResource) planEnd(ctx context.Context, own tokenClaim, diags *diag.Diagnostics) {
	policy := own.token.DeletionPolicy.ValueString()
	own.leaves = policy == policyAbandon
	if err := r.client.tokens.hold(own); err != nil {
		r.refuse(err, diags)
		return
	}
	switch policy {
	case policyAbandon:
	case policyErase:
		r.planErasure(ctx, &own.token, diags)
	default:
		diags.Append(tokenPrevented(&own.token, "Terraform would destroy"))
	}
}

// planErasure makes sure that an apply can erase a token, as far as a plan can: keys on it may be destroyed before.
func (r *tokenResource) planErasure(ctx context.Context, state *tokenResourceModel, diags *diag.Diagnostics) {
	officer, ds := r.client.officerPIN(ctx, types.StringNull())
	diags.Append(ds...)
	token, _ := r.allows(ctx, state, hsm.Erasure, diags)
	if officer.pin.IsZero() && !diags.HasError() && !keypad(token) {
		diags.AddError("No SO PIN", fmt.Sprintf("Terraform would erase the token %s, and for that the token wants "+
			"the PIN of its security officer. A resource that is destroyed has no configuration, so so_pin_wo does "+
			"not count.\n\nOn the token: nothing has been changed.\n\nWhat to do: give the PIN in HSM_SO_PIN, or in "+
			"a file that HSM_SO_PIN_FILE names.", state.name()))
	}
	if state.EraseKeys.ValueBool() {
		diags.AddWarning("Keys Will Be Erased", fmt.Sprintf("Terraform would erase the token %s with whatever is on "+
			"it then, since its erase_keys is true. No key comes back.\n\nWhat to do: if keys may be on it that are "+
			"still wanted, set erase_keys = false and run terraform apply first.", state.name()))
	}
}
