package provider

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// summarised are diagnostics as "Summary @ attribute".
func summarised(diags diag.Diagnostics) (list []string) {
	for _, d := range diags {
		text := d.Summary()
		if at, ok := d.(diag.DiagnosticWithPath); ok && !at.Path().Equal(path.Empty()) {
			text += " @ " + at.Path().String()
		}
		list = append(list, text)
	}
	return list
}

// TestWhereThePINComesFrom: an error that the token refused it says so.
func TestWhereThePINComesFrom(t *testing.T) {
	for want, c := range map[string]struct {
		pin types.String
		env map[string]string
	}{
		"pin":          {types.StringValue("0123"), map[string]string{envPIN: "4567"}},
		"HSM_PIN":      {types.StringNull(), map[string]string{envPIN: "4567"}},
		"HSM_PIN_FILE": {types.StringNull(), map[string]string{envPINFile: "/pin"}},
		"":             {types.StringNull(), nil},
	} {
		got, diags := resolveConfiguration(providerModel{PIN: c.pin}, environment{
			getenv:   func(name string) string { return c.env[name] },
			readFile: func(string) (pinFile, error) { return pinFile{text: []byte("0123\n")}, nil },
		})
		if said := newClient(got).forMessages().PINFrom; said != want || diags.HasError() {
			t.Errorf("it is from %q, not from %q: %v", said, want, diags)
		}
	}
}

// TestAPINWithALineEndingGoesIntoAFile, and not first into the configuration.
func TestAPINWithALineEndingGoesIntoAFile(t *testing.T) {
	for name, env := range map[string]map[string]string{
		"let HSM_PIN_FILE name the file":                        {envPIN: "0123\n"},
		"leave one line ending behind the PIN":                  {envPINFile: "/two endings"},
		"a shell expands ~ at its start, but not within quotes": {envPINFile: "~/pin"},
	} {
		_, diags := resolveConfiguration(providerModel{}, environment{
			getenv: func(name string) string { return env[name] },
			readFile: func(name string) (pinFile, error) {
				if name != "/two endings" {
					return pinFile{}, fs.ErrNotExist
				}
				return pinFile{text: []byte("0123\r\r\n")}, nil
			},
		})
		_, advice, _ := strings.Cut(diags[0].Detail(), "What to do: ")
		if !strings.Contains(advice, name) || strings.HasPrefix(advice, "take") || strings.Contains(advice, "~/pin") {
			t.Errorf("%q: it says %s", name, diags[0].Detail())
		}
	}
}

func TestResolveConfiguration(t *testing.T) {
	value, unknown, null := types.StringValue, types.StringUnknown(), types.StringNull()
	nothing := providerModel{
		Library: null, LibraryParameters: null, TokenLabel: null, TokenSerial: null, Slot: null, PIN: null,
		MaxSessions: types.Int64Null(),
	}
	with := func(change func(*providerModel)) providerModel {
		m := nothing
		change(&m)
		return m
	}
	everything := map[string]string{
		envLibrary: "/env.so", envLibraryParameters: "dir='env'", envTokenLabel: "env label", envTokenSerial: "env serial",
		envSlot: "0x1F", envPIN: "1111",
	}
	files := map[string]string{
		"/pin": "0123\nrest", "/dos": "0123\r\n", "/bare": "0123", "/blank": "\n0123", "/spaced": "01 23\n",
		"/bom": "\ufeff0123\n", "/utf16": "\xff\xfe0\x001\x002\x003\x00\n\x00",
		"/bare utf16":       "0\x001\x002\x003\x00\r\x00\n\x00",
		"/blank at the end": "0123 \n", "/two endings": "0123\r\r\n", "/invisible": "\u200b0123",
		"/open": "0123\n", "/latin-1": "0123\xe9\n",
	}

	long := strings.Repeat("x", 33)
	cases := []struct {
		name     string // a sentence
		model    providerModel
		env      map[string]string
		library  string
		params   string
		selected []string
		slot     string
		pin      string
		sessions int
		unknown  []string
		disabled bool
		errors   []string
	}{
		{name: "nothing is given, and nothing fails yet", model: nothing},
		{
			name: "the environment alone: its label wins over its slot, as in Hydra", model: nothing, env: everything,
			library: "/env.so", params: "dir='env'", selected: []string{`label "env label" (from HSM_TOKEN_LABEL)`, `serial number "env serial" (from HSM_TOKEN_SERIAL)`}, pin: "1111",
		},
		{
			name: "the environment's slot counts where it has no label", model: nothing, env: map[string]string{envSlot: "0x1F"},
			selected: []string{"slot ID 0x1F (from HSM_SLOT)"}, slot: "31",
		},
		{
			name:  "the configuration wins over the environment in each setting",
			model: providerModel{Library: value("/block.so"), LibraryParameters: value("dir='block'"), TokenLabel: value("block label"), TokenSerial: value("block serial"), Slot: value("7"), PIN: value("2222"), MaxSessions: types.Int64Value(3)},
			env:   everything, library: "/block.so", params: "dir='block'",
			selected: []string{`label "block label" (from token_label)`, `serial number "block serial" (from token_serial)`, "slot ID 7 (from slot)"}, slot: "7", pin: "2222", sessions: 3,
		},
		{
			name: "the configuration's slot and the environment's label must both match", model: with(func(m *providerModel) { m.Slot = value("7") }),
			env: map[string]string{envTokenLabel: "env label", envSlot: "8"}, selected: []string{`label "env label" (from HSM_TOKEN_LABEL)`, "slot ID 7 (from slot)"}, slot: "7",
		},
		{
			name: "the configuration's label and the environment's slot must both match", model: with(func(m *providerModel) { m.TokenLabel = value("block label") }),
			env: map[string]string{envSlot: "8"}, selected: []string{`label "block label" (from token_label)`, "slot ID 8 (from HSM_SLOT)"}, slot: "8",
		},
		{
			name:  "an unknown value is not taken from the environment",
			model: providerModel{Library: unknown, LibraryParameters: unknown, TokenLabel: unknown, TokenSerial: unknown, Slot: unknown, PIN: unknown, MaxSessions: types.Int64Unknown()},
			env:   everything, unknown: []string{"library", "library_parameters", "max_sessions", "pin", "slot", "token_label", "token_serial"},
		},
		{
			name: "an empty string is an error, and no wish for the environment's", model: providerModel{Library: value(""), LibraryParameters: value(""), TokenLabel: value(""), TokenSerial: value(""), Slot: null, PIN: value(""), MaxSessions: types.Int64Null()},
			env: everything, selected: []string{`label "" (from token_label)`, `serial number "" (from token_serial)`, "slot ID 0x1F (from HSM_SLOT)"}, slot: "31",
			errors: []string{"Empty Provider Setting @ library", "Empty Provider Setting @ library_parameters", "Empty Provider Setting @ token_label", "Empty Provider Setting @ token_serial", "Empty Provider Setting @ pin"},
		},
		{name: "a slot that is no number is the attribute's fault", model: with(func(m *providerModel) { m.Slot = value("first") }), selected: []string{"slot ID first (from slot)"}, errors: []string{"Invalid Slot ID @ slot"}},
		{name: "a slot that is no number may be the environment's fault", model: nothing, env: map[string]string{envSlot: "-1"}, selected: []string{"slot ID -1 (from HSM_SLOT)"}, errors: []string{"Invalid Slot ID"}},

		{
			name: "a label that no token can have is the attribute's fault", errors: []string{"Invalid Length @ token_label"},
			model:    with(func(m *providerModel) { m.TokenLabel = value(long) }),
			selected: []string{`label "` + long + `" (from token_label)`},
		},
		{
			name: "a label that no token can have may be the environment's fault", model: nothing,
			env: map[string]string{envTokenLabel: long}, selected: []string{`label "` + long + `" (from HSM_TOKEN_LABEL)`},
			errors: []string{"Invalid Length"},
		},
		{
			name: "a label may be as long as a token's", model: nothing, env: map[string]string{envTokenLabel: long[1:]},
			selected: []string{`label "` + long[1:] + `" (from HSM_TOKEN_LABEL)`},
		},
		{name: "a PIN keeps its leading zero", model: nothing, env: map[string]string{envPIN: "0012"}, pin: "0012"},
		{name: "the first line of the PIN file is the PIN", model: nothing, env: map[string]string{envPINFile: "/pin"}, pin: "0123"},
		{name: "a PIN file may have carriage returns", model: nothing, env: map[string]string{envPINFile: "/dos"}, pin: "0123"},
		{name: "a PIN file may lack the last newline", model: nothing, env: map[string]string{envPINFile: "/bare"}, pin: "0123"},
		{
			name: "a space within a PIN belongs to it", model: nothing,
			env: map[string]string{envPINFile: "/spaced"}, pin: "01 23",
		},
		{
			name: "a PIN file with a byte order mark is no PIN", model: nothing,
			env: map[string]string{envPINFile: "/bom"}, errors: []string{"Not A PIN"},
		},
		{
			name: "a PIN file in UTF-16 is no PIN", model: nothing,
			env: map[string]string{envPINFile: "/utf16"}, errors: []string{"Not A PIN"},
		},
		{
			name: "a PIN file in UTF-16 without a mark is no PIN", model: nothing,
			env: map[string]string{envPINFile: "/bare utf16"}, errors: []string{"Not A PIN"},
		},
		{
			name: "a PIN file in Latin-1 is no PIN", model: nothing,
			env: map[string]string{envPINFile: "/latin-1"}, errors: []string{"Not A PIN"},
		},
		{
			name: "a variable whose bytes are no UTF-8 is no PIN", model: nothing,
			env: map[string]string{envPIN: "0123\xff"}, errors: []string{"Not A PIN"},
		},
		{
			name: "a PIN may have letters that are not ASCII", model: nothing, env: map[string]string{envPIN: "é0123"},
			pin: "é0123",
		},
		{
			name: "a PIN file with a blank after the PIN is no PIN", model: nothing,
			env: map[string]string{envPINFile: "/blank at the end"}, errors: []string{"Not A PIN"},
		},
		{
			name: "one line ending is taken off, not two", model: nothing,
			env: map[string]string{envPINFile: "/two endings"}, errors: []string{"Not A PIN"},
		},
		{
			name: "a PIN file with an invisible character is no PIN", model: nothing,
			env: map[string]string{envPINFile: "/invisible"}, errors: []string{"Not A PIN"},
		},
		{
			name: "a PIN file that others may write is read, with a warning", model: nothing,
			env: map[string]string{envPINFile: "/open"}, pin: "0123", errors: []string{"PIN File Not Protected"},
		},
		{
			name: "a variable that ends in a line feed is no PIN", model: nothing,
			env: map[string]string{envPIN: "0123\n"}, errors: []string{"Not A PIN"},
		},
		{
			name: "a variable that ends in a carriage return is no PIN", model: nothing,
			env: map[string]string{envPIN: "0123\r\n"}, errors: []string{"Not A PIN"},
		},
		{
			name: "a variable of two lines is no PIN", model: nothing,
			env: map[string]string{envPIN: "0123\n4567"}, errors: []string{"Not A PIN"},
		},
		{
			name: "a variable with a blank in front is no PIN", model: nothing,
			env: map[string]string{envPIN: " 0123"}, errors: []string{"Not A PIN"},
		},
		{
			name:   "the configuration's PIN must be one too, and Terraform is not led to its line",
			model:  with(func(m *providerModel) { m.PIN = value("0123\n") }),
			errors: []string{"Not A PIN"},
		},
		{
			name: "a PIN in the place of its file is not repeated", model: nothing,
			env: map[string]string{envPINFile: "0123"}, errors: []string{"Unable to Read the PIN File"},
		},
		{
			name: "a PIN in the place of a slot is not repeated", model: nothing,
			env: map[string]string{envSlot: "0123x"}, selected: []string{"slot ID 0123x (from HSM_SLOT)"},
			errors: []string{"Invalid Slot ID"},
		},
		{
			name: "a PIN in the place of HSM_ENABLED is not repeated", model: nothing,
			env: map[string]string{envEnabled: "0123"}, errors: []string{"Invalid HSM_ENABLED"},
		},
		{name: "an empty first line is an error", model: nothing, env: map[string]string{envPINFile: "/blank"}, errors: []string{"Empty PIN File"}},
		{name: "a missing PIN file is an error", model: nothing, env: map[string]string{envPINFile: "/missing"}, errors: []string{"Unable to Read the PIN File"}},
		{name: "two PINs in the environment are an error, even where they are the same", model: nothing, env: map[string]string{envPIN: "0123", envPINFile: "/pin"}, errors: []string{"Two PINs In The Environment"}},
		{name: "the configuration's PIN wins over both", model: with(func(m *providerModel) { m.PIN = value("2222") }), env: map[string]string{envPIN: "0123", envPINFile: "/missing"}, pin: "2222"},
		{name: "an unknown PIN reads no file", model: with(func(m *providerModel) { m.PIN = unknown }), env: map[string]string{envPINFile: "/missing"}, unknown: []string{"pin"}},

		{name: "HSM_ENABLED=false switches off", model: nothing, env: map[string]string{envEnabled: "false"}, disabled: true},
		{name: "HSM_ENABLED=0 switches off", model: nothing, env: map[string]string{envEnabled: "0"}, disabled: true},
		{name: "HSM_ENABLED=true changes nothing", model: nothing, env: map[string]string{envEnabled: "true"}},
		{name: "HSM_ENABLED=off is an error", model: nothing, env: map[string]string{envEnabled: "off"}, errors: []string{"Invalid HSM_ENABLED"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, diags := resolveConfiguration(c.model, environment{
				getenv: func(name string) string { return c.env[name] },
				readFile: func(name string) (pinFile, error) {
					text, ok := files[name]
					if !ok {
						return pinFile{}, fs.ErrNotExist
					}
					if name == "/open" {
						return pinFile{text: []byte(text), risks: []string{"its mode is 0666"}}, nil
					}
					return pinFile{text: []byte(text)}, nil
				},
			})
			slot := ""
			if got.token.Selector.Slot != nil {
				slot = fmt.Sprint(*got.token.Selector.Slot)
			}
			type outcome struct {
				Library, Parameters, Slot string
				Sessions                  int
				Disabled, NoPIN           bool
			}
			want := outcome{c.library, c.params, c.slot, c.sessions, c.disabled, c.pin == ""}
			have := outcome{
				got.token.Library, got.token.LibraryParameters, slot, got.token.MaxSessions, got.disabled, got.token.PIN.IsZero(),
			}
			if have != want {
				t.Errorf("is %+v, not %+v", have, want)
			}
			pin := got.token.PIN
			if c.pin != "" && (!pin.In(c.pin) || pin.In(c.pin[1:]) || pin.In(c.pin[:len(c.pin)-1])) {
				t.Errorf("the PIN is not %q", c.pin)
			}
			if !slices.Equal(got.selected, c.selected) || !slices.Equal(got.unknown, c.unknown) {
				t.Errorf("selects by %q, not %q; unknown are %q, not %q", got.selected, c.selected, got.unknown, c.unknown)
			}
			if have := summarised(diags); !slices.Equal(have, c.errors) {
				t.Errorf("says %q, not %q", have, c.errors)
			}
			for _, d := range diags {
				if strings.Contains(d.Detail(), "0123") {
					t.Errorf("the PIN is in %q", d.Detail())
				}
			}
		})
	}
}
