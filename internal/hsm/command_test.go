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
