package provider_test

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// The plan is made on one machine and applied on another one, which has the same state.
func TestTheGuideCI(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	planner := newReader(t, "ci/pipeline").with("HSM_LIBRARY="+b.Library, "HSM_TOKEN_LABEL="+b.Label, "TF_VAR_pin="+b.PIN)
	planner.says(planner.with("TF_VAR_pin=").does(false, "./plan.sh"), "pin is an empty string")
	planner.says(planner.does(true, "./plan.sh"), "1 to add", "keys.tfplan waits for an approval.")
	planner.does(true, "./check.sh")
	forgetProvider := func(s shell) {
		if err := os.RemoveAll(filepath.Join(s.dir, ".terraform")); err != nil {
			t.Fatal(err)
		}
	}
	forgetProvider(planner)
	planner.innocent(b.PIN)

	applier := planner
	applier.dir = t.TempDir()
	if err := os.CopyFS(applier.dir, os.DirFS(planner.dir)); err != nil {
		t.Fatal(err)
	}
	applier.says(applier.does(false, "sh", "-c", "unset TF_VAR_pin; ./apply.sh"), "No value for required variable")
	b.expect()
	applier.says(applier.does(true, "./apply.sh"), "1 added")
	if made := b.halves(); len(made) != 2 {
		t.Errorf("the token holds %v", made)
	}
	applier.says(applier.does(true, "./plan.sh"), "Nothing to apply.")
	for _, class := range []uint{cryptoki.CKO_PRIVATE_KEY, cryptoki.CKO_PUBLIC_KEY} {
		b.alter(class, "6a77742d31", cryptoki.Bytes(cryptoki.CKA_LABEL, []byte("by somebody")))
	}
	applier.says(applier.does(false, "./drift.sh"), `"by somebody" -> "jwt"`)
	applier.does(true, "terraform", "apply", "-auto-approve")
	for _, half := range []string{"privkey", "pubkey"} {
		b.Tool(t, "--delete-object", "--type", half, "--label", "jwt")
	}
	b.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign", "--label", "jwt", "--id", "6a77742d31")
	applier.says(applier.does(false, "./drift.sh"), "Another Key Behind The Same ID", "~ fingerprint")
	forgetProvider(applier)
	applier.innocent(b.PIN)
}

// What the guide's check says of a plan that holds the PIN 12.4, of a plan that does not, and where it cannot know.
func TestTheCheckOfTheGuideCI(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pin, plan string
		well      bool
		says      string
	}{
		"a plan that holds the PIN":         {"12.4", "\x00-12.4-\x00", false, "keys.tfplan holds the PIN."},
		"a plan without it":                 {"12.4", "\x0012345\x00", true, ""},
		"a PIN that looks like an option":   {"-v12", "12", true, ""},
		"a secret that is not set":          {"", "12.4", false, "TF_VAR_pin: is not set"},
		"a plan that cannot be looked into": {"12.4", "", false, "keys.tfplan"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := shell{t: t, dir: t.TempDir(), ran: new(int)}.with(append(os.Environ(), "TF_VAR_pin="+c.pin)...)
			s.copy("ci/pipeline", "")
			if c.plan != "" {
				var b bytes.Buffer
				w := zip.NewWriter(&b)
				file, err := w.Create("tfplan")
				if err == nil {
					_, err = file.Write([]byte(c.plan))
				}
				if err == nil {
					err = w.Close()
				}
				if err != nil {
					t.Fatal(err)
				}
				s.write(filepath.Join(s.dir, "keys.tfplan"), b.String())
			}
			if printed := s.does(c.well, "./check.sh"); !strings.Contains(printed, c.says) {
				t.Errorf("it says %q", printed)
			}
		})
	}
}
