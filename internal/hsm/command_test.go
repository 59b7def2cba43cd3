package hsm

import (
	"os/exec"
	"strings"
	"testing"
	"unicode"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// What anyone may have called a token or a key.
var hostile = map[string]string{
	"a usual label":             "web 1",
	"a quote":                   "it's",
	"a command":                 "a$(touch x)`touch y`;touch z",
	"letters of another script": "Schlüssel ключ",
	"an escape sequence":        "a\x1b[2J\x1b[1;1Hb",
	"a line feed":               "a\ntouch x",
	"a carriage return":         "rm -rf /\rpkcs11-tool",
	"a mark that turns text":    "a\u202ekcul\u202cb",
	"one that isolates it":      "a\u2066b\u2069",
	"a zero-width space":        "a\u200bb",
	"a filler":                  "a\u3164b",
	"a variation selector":      "a\ufe0fb",
	"a byte that is no UTF-8":   "a\xffb",
	"a C1 control":              "a\u009b2Jb",
	"a backslash and a quote":   "a\\'\x07b",
	"octal digits after a bell": "a\x07123",
	"an option":                 "--so-pin=1",
	"a blank of another script": "a\u00a0b",
	"nothing":                   "",
	"a home":                    "~",
}

func TestACommandIsOneThatCanBeSeenAndRuns(t *testing.T) {
	shell, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash here")
	}
	token := &Token{library: "/opt/a module/lib;touch x\x1b[8m.so"}
	for name, label := range hostile {
		token.choice = toolChoice(cryptoki.TokenInfo{Label: label}, nil)
		line := token.Command("--list-objects", "--label", label)
		for _, r := range line {
			if !unicode.IsPrint(r) || unicode.Is(unicode.Cf, r) || r == '\u3164' || r == '\ufe0f' {
				t.Errorf("%s: %U is in %q", name, r, line)
			}
		}
		arguments, ok := strings.CutPrefix(line, "pkcs11-tool ")
		if !ok {
			t.Errorf("%s: the command is %q", name, line)
		}
		out, err := exec.Command(shell, "-c", `printf '%s\0' `+arguments).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
		want := []string{"--module", token.library, "--token-label", label, "--login", "--list-objects", "--label", label}
		if have := string(out); have != strings.Join(want, "\x00")+"\x00" {
			t.Errorf("%s: a shell makes %q of it", name, have)
		}
	}
	if line := Command("pkcs11-tool", "--token-label", "a\x00b"); !strings.HasPrefix(line, "(no command") {
		t.Errorf("a command with a zero byte is offered: %q", line)
	}
	line := Command("pkcs11-tool", "--module", "/m.so", "--id", "6b31")
	if line != "pkcs11-tool --module /m.so --id 6b31" {
		t.Errorf("a command that needs no quotes is %q", line)
	}
}

func TestACommandForWindowsIsOneForItsShells(t *testing.T) {
	const none = "(no command can be given here that every shell of Windows understands: a name in it holds special " +
		"letters)"
	for word, want := range map[string]string{
		`C:\SoftHSM2\lib\softhsm2-x64.dll`: `C:\SoftHSM2\lib\softhsm2-x64.dll`,
		`C:\Program Files\a (x86)\m.dll`:   `"C:\Program Files\a (x86)\m.dll"`,
		"C:/tokens/":                       "C:/tokens/",
		"C:\\a folder\\":                   none, // the backslash would take the quote for a letter
		"C:\\folder\\":                     `C:\folder\`,
		"it's":                             `"it's"`,
		"a,b":                              `"a,b"`, // two words to PowerShell
		"@a":                               `"@a"`,
		"a & b":                            `"a & b"`,
		"Schlüssel ключ":                   `"Schlüssel ключ"`,
		"":                                 `""`,
		"%PATH%":                           none,
		"$env:HSM_PIN":                     none,
		"a`b":                              none,
		`a"b`:                              none,
		"a”b":                              none, // a quote to PowerShell
		"a\nb":                             none,
		"a\x00b":                           none,
		"a\x1b[2Jb":                        none,
		"a\u202eb":                         none,
		"a\xffb":                           none,
	} {
		if want != none {
			want = "pkcs11-tool " + want
		}
		if line := windowsCommand("pkcs11-tool", word); line != want {
			t.Errorf("for %q it is %s", word, line)
		}
	}
}

func TestAPathReadsAsItIs(t *testing.T) {
	for _, c := range []struct{ system, path, want string }{
		{"linux", "/usr/lib/a module.so", `"/usr/lib/a module.so"`},
		{"linux", "/a\\b\x1b[8m", `"/a\\b\x1b[8m"`},
		{"windows", `C:\Program Files\a.dll`, `"C:\Program Files\a.dll"`},
		{"windows", `\\server\share\ü.dll`, `"\\server\share\ü.dll"`},
		{"windows", "C:\\a\x1b[8m", `"C:\a\x1b[8m"`},
	} {
		if got := quotedPathOn(c.system, c.path); got != c.want {
			t.Errorf("on %s %q is %s", c.system, c.path, got)
		}
	}
}
