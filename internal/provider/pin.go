package provider

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/terraform-plugin-framework/types"
)

// pin takes the PIN from the attribute, from HSM_PIN, or from the file that HSM_PIN_FILE names. It repeats neither the
// PIN nor the file's name, which may be a PIN that was put into the wrong variable: only of a file that is there it
// names the folders that are at fault. Nor do its diagnostics point at the attribute: Terraform would show the line of
// the configuration.
func (r *resolver) pin(value types.String) setting {
	file := r.env.getenv(envPINFile)
	s := r.setting("pin", value, envPIN)
	switch {
	case s.fromEnv && file != "":
		r.diags.AddError("Two PINs In The Environment",
			"HSM_PIN and HSM_PIN_FILE are both set, and they may differ. A token locks after a few wrong PINs, so this "+
				"provider does not guess which one is right. Unset one of them.")
		return setting{}
	case s.given:
		return r.meant(s, s.origin)
	case s.unknown || file == "":
		return s
	}
	read, err := r.env.readFile(file)
	if err != nil {
		r.diags.AddError("Unable to Read the PIN File", fmt.Sprintf(
			"The file that HSM_PIN_FILE names cannot be used: %v. Its name is not repeated here, because the variable may "+
				"hold the PIN itself by mistake.\n\nWhat to do: set HSM_PIN_FILE to the path of a file, or of a named pipe, "+
				"whose first line is the PIN. Write the whole path: a shell expands ~ at its start, but not within quotes, and "+
				"the provider does not. A PIN itself belongs in HSM_PIN.", err))
		return setting{}
	}
	if len(read.risks) > 0 {
		r.diags.AddWarning("PIN File Not Protected", "The file that HSM_PIN_FILE names is not protected:\n\n  - "+
			strings.Join(read.risks, "\n  - "))
	}
	line, _, _ := strings.Cut(string(read.text), "\n")
	line = strings.TrimSuffix(line, "\r")
	if line == "" {
		r.diags.AddError("Empty PIN File", "The first line of the file that HSM_PIN_FILE names is empty. It must be the PIN.")
		return setting{}
	}
	return r.meant(setting{value: line, given: true, fromEnv: true, origin: envPINFile},
		"The first line of the file that HSM_PIN_FILE names")
}

// meant refuses a PIN that cannot be meant: each wrong one that is sent counts at the token. The subject says where it
// is from.
func (r *resolver) meant(s setting, subject string) setting {
	for _, row := range neverMeant {
		if row.is(s.value) {
			next := row.next
			if s.origin == envPINFile && row.inFile != "" {
				next = row.inFile
			}
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
