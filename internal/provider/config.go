package provider

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
)

// The environment variables that fill in what the provider block leaves out. They are Hydra's own, so that one
// environment configures both, but HSM_LIBRARY_PARAMETERS, HSM_TOKEN_SERIAL, HSM_PIN_FILE and
// HSM_USER_TYPE are this provider's.
const (
	envEnabled           = "HSM_ENABLED"
	envLibrary           = "HSM_LIBRARY"
	envLibraryParameters = "HSM_LIBRARY_PARAMETERS"
	envTokenLabel        = "HSM_TOKEN_LABEL"
	envTokenSerial       = "HSM_TOKEN_SERIAL"
	envSlot              = "HSM_SLOT"
	envPIN               = "HSM_PIN"
	envPINFile           = "HSM_PIN_FILE"
	envUserType          = "HSM_USER_TYPE"
	envOfficerPIN        = "HSM_SO_PIN"
	envOfficerPINFile    = "HSM_SO_PIN_FILE"
)

// providerModel is the provider block.
type providerModel struct {
	Library           types.String `tfsdk:"library"`
	LibraryParameters types.String `tfsdk:"library_parameters"`
	TokenLabel        types.String `tfsdk:"token_label"`
	TokenSerial       types.String `tfsdk:"token_serial"`
	Slot              types.String `tfsdk:"slot"`
	PIN               types.String `tfsdk:"pin"`
	UserType          types.String `tfsdk:"user_type"`
	MaxSessions       types.Int64  `tfsdk:"max_sessions"`
}

// environment is what completes the configuration. It is a value, so that tests can be tables.
type environment struct {
	getenv   func(string) string
	readFile func(string) (pinFile, error)
}

// configuration is the provider block, completed from the environment. It may lack a library or a PIN, and have
// values that this plan does not know: operations fail for that only where they need the token.
type configuration struct {
	token    hsm.Config
	disabled bool     // HSM_ENABLED=false
	unknown  []string // attributes of the provider block whose value is not known yet
	selected []string // what selects the token, and where each came from, for messages
	pinFrom  string   // where the PIN came from, for messages: "pin", "HSM_PIN" or "HSM_PIN_FILE"
	user     string   // who logs in, for messages: `user_type = "so"`; "" for the normal user
}

// setting is one value and where it came from.
type setting struct {
	value   string
	given   bool
	unknown bool
	fromEnv bool
	origin  string // "token_label" or "HSM_TOKEN_LABEL"
}

// resolveConfiguration completes the provider block from the environment. The block wins, and an empty variable
// counts as unset. It looks at no module and no token.
func resolveConfiguration(model providerModel, env environment) (configuration, diag.Diagnostics) {
	r := resolver{env: env}
	var c configuration
	c.disabled = r.disabled()

	library := r.setting("library", model.Library, envLibrary)
	parameters := r.setting("library_parameters", model.LibraryParameters, envLibraryParameters)
	label := r.setting("token_label", model.TokenLabel, envTokenLabel)
	serial := r.setting("token_serial", model.TokenSerial, envTokenSerial)
	slot := r.setting("slot", model.Slot, envSlot)
	pin := r.pin(model.PIN, userPIN)
	user := r.setting("user_type", model.UserType, envUserType)

	// Hydra's rule for its own variables. What the configuration gives always counts.
	if label.fromEnv && slot.fromEnv {
		slot = setting{}
	}

	c.token.Library, c.token.LibraryParameters = library.value, parameters.value
	if label.given {
		r.fits(label)
		c.token.Selector.Label = &label.value
		c.selected = append(c.selected, fmt.Sprintf("label %q (from %s)", label.value, label.origin))
	}
	if serial.given {
		c.token.Selector.Serial = &serial.value
		c.selected = append(c.selected, fmt.Sprintf("serial number %q (from %s)", serial.value, serial.origin))
	}
	if slot.given {
		c.token.Selector.Slot = r.slot(slot)
		c.selected = append(c.selected, fmt.Sprintf("slot ID %s (from %s)", slot.value, slot.origin))
	}
	c.token.PIN, c.pinFrom = hsm.NewPIN(pin.value), pin.origin
	if user.given && user.value != "" {
		c.token.User = r.user(user)
		if c.token.User != nil && !c.token.User.Normal() {
			c.user = user.origin + " = " + strconv.Quote(user.value)
		}
	}
	c.token.MaxSessions = int(model.MaxSessions.ValueInt64())

	for _, s := range []setting{library, parameters, label, serial, slot, pin, user} {
		if s.unknown {
			c.unknown = append(c.unknown, s.origin)
		}
	}
	if model.MaxSessions.IsUnknown() {
		c.unknown = append(c.unknown, "max_sessions")
	}
	slices.Sort(c.unknown)
	return c, r.diags
}

type resolver struct {
	env   environment
	diags diag.Diagnostics
}

// setting takes the attribute, else the variable. It asks for unknown first: an unknown value reads as "", and to
// take the environment's instead would use a token that nobody meant.
func (r *resolver) setting(attribute string, value types.String, variable string) setting {
	if value.IsUnknown() {
		return setting{unknown: true, origin: attribute}
	}
	if !value.IsNull() {
		if value.ValueString() == "" {
			r.diags.Append(emptyAttribute(path.Root(attribute), variable))
		}
		return setting{value: value.ValueString(), given: true, origin: attribute}
	}
	if v := r.env.getenv(variable); v != "" {
		return setting{value: v, given: true, fromEnv: true, origin: variable}
	}
	return setting{}
}

// emptyAttribute is the error for "", which is hardly ever meant: most often a variable was never set.
func emptyAttribute(p path.Path, variable string) diag.Diagnostic {
	return diag.NewAttributeErrorDiagnostic(p, "Empty Provider Setting",
		fmt.Sprintf("%s is an empty string. Give it a value, or leave it out (null) to take it from the environment variable %s.", p, variable))
}

// fits refuses a label that no token can have. Whoever followed advice to make such a token would get one whose label
// is cut short. Validation has refused an attribute like that already, but for one that was not known then.
func (r *resolver) fits(label setting) {
	if len(label.value) <= hsm.MaxTokenLabel {
		return
	}
	detail := fmt.Sprintf("%s has %d bytes. It must have at most %d, since no token's label is longer.", label.origin,
		len(label.value), hsm.MaxTokenLabel)
	if label.fromEnv {
		r.diags.AddError("Invalid Length", detail)
		return
	}
	r.diags.AddAttributeError(path.Root("token_label"), "Invalid Length", detail)
}

func (r *resolver) slot(s setting) *uint {
	id, err := hsm.ParseSlot(s.value)
	if err == nil {
		return &id
	}
	detail := s.origin + " must be the ID of a slot: a number, decimal or hexadecimal with 0x in front. The data source " +
		"hsm_tokens and pkcs11-tool --list-slots show it."
	if s.fromEnv {
		r.diags.AddError("Invalid Slot ID", detail)
		return nil
	}
	r.diags.AddAttributeError(path.Root("slot"), "Invalid Slot ID", detail)
	return nil
}

func (r *resolver) user(s setting) *hsm.User {
	user, err := hsm.ParseUser(s.value)
	if err == nil {
		return &user
	}
	detail := s.origin + " must be user, so or context, or the number that the token's maker gives a user of its own: decimal, " +
		"or hexadecimal with 0x in front."
	if s.fromEnv {
		r.diags.AddError("Invalid User Type", detail)
		return nil
	}
	r.diags.AddAttributeError(path.Root("user_type"), "Invalid User Type", detail)
	return nil
}

func (r *resolver) disabled() bool {
	v := r.env.getenv(envEnabled)
	if v == "" {
		return false
	}
	enabled, err := strconv.ParseBool(v)
	if err != nil {
		r.diags.AddError("Invalid HSM_ENABLED", "The environment variable HSM_ENABLED is neither true nor false. Set it to one of "+
			"them, or unset it.")
	}
	return err == nil && !enabled
}
