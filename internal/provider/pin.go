package provider

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
)

// pinSource is where a PIN comes from: an attribute, a variable with it, or one that names a file with it.
type pinSource struct {
	attribute, variable, fileVariable string
	noun                              string // such as "PIN"
}

var (
	userPIN    = pinSource{"pin", envPIN, envPINFile, "PIN"}
	newUserPIN = pinSource{"pin_wo", envPIN, envPINFile, "PIN"}
	officerPIN = pinSource{"so_pin_wo", envOfficerPIN, envOfficerPINFile, "SO PIN"}
)

// pin takes a PIN from the attribute, from HSM_PIN, or from the file that HSM_PIN_FILE names, or from the like of them.
// It repeats neither the PIN nor the file's name, which may be a PIN that was put into the wrong variable: only of a
// file that is there it names the folders that are at fault. Nor do its diagnostics point at the attribute: Terraform
// would show the line of the configuration.
func (r *resolver) pin(value types.String, from pinSource) setting {
	file := r.env.getenv(from.fileVariable)
	s := r.setting(from.attribute, value, from.variable)
	switch {
	case s.fromEnv && file != "":
		r.diags.AddError("Two PINs In The Environment", fmt.Sprintf(
			"%s and %s are both set, and they may differ. A token locks after a few wrong PINs, so this "+
				"provider does not guess which one is right. Unset one of them.", from.variable, from.fileVariable))
		return setting{}
	case s.given && s.value == "": // which is told already
		return s
	case s.given:
		return r.meant(s, s.origin, from)
	case s.unknown || file == "":
		return s
	}
	read, err := r.env.readFile(file)
	if err != nil {
		r.diags.AddError("Unable to Read the PIN File", fmt.Sprintf(
			"The file that %[1]s names cannot be used: %[2]v. Its name is not repeated here, because the variable "+
				"may hold the PIN itself by mistake.\n\nWhat to do: set %[1]s to the path of a file, or of a named "+
				"pipe, whose first line is the %[3]s. Write the whole path: a shell expands ~ at its start, but not "+
				"within quotes, and the provider does not. A PIN itself belongs in %[4]s.", from.fileVariable, err,
			from.noun, from.variable))
		return setting{}
	}
	if len(read.risks) > 0 {
		r.diags.AddWarning("PIN File Not Protected", fmt.Sprintf("The file that %s names is not protected:\n\n  - %s",
			from.fileVariable, strings.ReplaceAll(strings.Join(read.risks, "\n  - "), envPINFile, from.fileVariable)))
	}
	line, _, _ := strings.Cut(string(read.text), "\n")
	line = strings.TrimSuffix(line, "\r")
	if line == "" {
		r.diags.AddError("Empty PIN File", fmt.Sprintf("The first line of the file that %s names is empty. It must "+
			"be the %s.",
			from.fileVariable, from.noun))
		return setting{}
	}
	return r.meant(setting{value: line, given: true, fromEnv: true, origin: from.fileVariable},
		"The first line of the file that "+from.fileVariable+" names", from)
}

// written takes the PIN of a write-only argument.
func (r *resolver) written(value types.String, from pinSource) setting {
	s := setting{value: value.ValueString(), given: !value.IsUnknown(), unknown: value.IsUnknown(),
		origin: from.attribute}
	if s.unknown {
		return s
	}
	return r.meant(s, s.origin, from)
}

// meant refuses a PIN that cannot be meant: each wrong one that is sent counts at the token. The subject says where it
// is from.
func (r *resolver) meant(s setting, subject string, from pinSource) setting {
	for _, row := range neverMeant {
		if row.is(s.value) {
			next := row.next
			if s.origin == from.fileVariable && row.inFile != "" {
				next = row.inFile
			}
			next = strings.NewReplacer(envPINFile, from.fileVariable, envPIN, from.variable).Replace(next)
			r.diags.AddError("Not A PIN", fmt.Sprintf("%s %s. Nothing was sent to the token, which counts each wrong PIN and "+
				"locks after a few.\n\nWhat to do: %s.", subject, row.what, next))
			return setting{}
		}
	}
	return s
}

// neverMeant has a row for each kind of text that is no PIN. The first that matches is told.
var neverMeant = []struct {
	is                 func(string) bool
	what, next, inFile string // inFile is what to do instead where the PIN is a PIN file's; "" for the same
}{
	{
		is: func(pin string) bool { return pin == "" }, what: "is an empty string",
		next: "give it a value, or leave it out (null): then the PIN is taken from HSM_PIN or HSM_PIN_FILE",
	},
	{is: startsWith("\xff\xfe", "\xfe\xff"), what: "is UTF-16 text", next: saveAsUTF8},
	{is: startsWith("\ufeff"), what: "starts with a byte order mark (BOM), which some editors write", next: saveAsUTF8},
	{is: contains("\x00"), what: "holds a zero byte, as UTF-16 text does", next: saveAsUTF8},
	{
		is:   func(pin string) bool { return !utf8.ValidString(pin) },
		what: "is no UTF-8, in which a PIN is sent (PKCS#11, CK_UTF8CHAR): it may be Latin-1 text, or no text at all",
		next: saveAsUTF8,
	},
	{
		is:   func(pin string) bool { return strings.HasSuffix(pin, "\n") || strings.HasSuffix(pin, "\r") },
		what: "ends in a line ending",
		next: "let HSM_PIN_FILE name the file that the PIN is in. A line ending in it does not count, and the PIN is in no " +
			"configuration. Or take it off: HSM_PIN=\"$(cat FILE)\" in a shell, or chomp(...) in the configuration",
		inFile: "leave one line ending behind the PIN, or none",
	},
	{is: contains("\n\r"), what: "has more than one line", next: "give the PIN alone"},
	{
		is: func(pin string) bool {
			first, _ := utf8.DecodeRuneInString(pin)
			last, _ := utf8.DecodeLastRuneInString(pin)
			return blank(first) || blank(last)
		},
		what: "begins or ends with a blank or an invisible character",
		next: "take it off. If the PIN on the token really has it, change that PIN: the provider does not send such a PIN",
	},
}

const saveAsUTF8 = "save it as plain text (ASCII, or UTF-8 without a byte order mark)"

func startsWith(prefixes ...string) func(string) bool {
	return func(pin string) bool {
		for _, prefix := range prefixes {
			if strings.HasPrefix(pin, prefix) {
				return true
			}
		}
		return false
	}
}

func contains(characters string) func(string) bool {
	return func(pin string) bool { return strings.ContainsAny(pin, characters) }
}

// blank says that a character cannot be seen. Cf are invisible ones, such as a zero-width space.
func blank(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) }

// officerPINs are what the environment says of the security officer's PIN. It is read at the first need, once: of a
// pipe, nothing comes a second time. What manages no token never reads it.
type officerPINs struct {
	mu    sync.Mutex
	read  bool
	value setting
	diags diag.Diagnostics
}

// givenPINs are the PINs, beside the provider's own, that operations of this process were given.
type givenPINs struct {
	mu   sync.Mutex
	pins []hsm.PIN
}

func (g *givenPINs) add(pin hsm.PIN) hsm.PIN {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !pin.IsZero() && !slices.ContainsFunc(g.pins, pin.Equal) {
		g.pins = append(g.pins, pin)
	}
	return pin
}

// in says that a text has one of them in it.
func (g *givenPINs) in(text string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.ContainsFunc(g.pins, func(pin hsm.PIN) bool { return pin.In(text) })
}

// foundPIN is a PIN with where it is from.
type foundPIN struct {
	pin  hsm.PIN
	from string
}

// officerPIN is the security officer's PIN: that of the attribute, or else of the environment. It has none where the
// attribute is not known yet.
func (c *client) officerPIN(ctx context.Context, attribute types.String) (foundPIN, diag.Diagnostics) {
	if !attribute.IsNull() {
		var r resolver
		s := r.written(attribute, officerPIN)
		return foundPIN{c.given.add(hsm.NewPIN(s.value)), s.origin}, r.diags
	}
	c.officer.mu.Lock()
	defer c.officer.mu.Unlock()
	if !c.officer.read {
		r := resolver{env: environment{
			getenv: os.Getenv, readFile: func(name string) (pinFile, error) { return readPINFile(ctx, name) },
		}}
		c.officer.value, c.officer.diags, c.officer.read = r.pin(attribute, officerPIN), r.diags, ctx.Err() == nil
	}
	// Of several resources, one warns.
	told := slices.DeleteFunc(slices.Clone(c.officer.diags), func(d diag.Diagnostic) bool {
		return d.Severity() == diag.SeverityWarning && !c.view.first(d.Detail())
	})
	return foundPIN{c.given.add(hsm.NewPIN(c.officer.value.value)), c.officer.value.origin}, told
}

// userPIN is the PIN of the attribute pin_wo, or else the provider's own.
func (c *client) userPIN(attribute types.String) (hsm.PIN, diag.Diagnostics) {
	if attribute.IsNull() {
		if !c.normalUser() {
			return hsm.PIN{}, nil // the provider's own PIN is another one's
		}
		return c.configuration.token.PIN, nil
	}
	var r resolver
	s := r.written(attribute, newUserPIN)
	return c.given.add(hsm.NewPIN(s.value)), r.diags
}
