package provider_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// beside runs a test with a bench whose token, hydra, is still to be made, in a process of its own.
func beside(t *testing.T, test func(*hsmtest.Blank, *bench)) {
	t.Helper()
	if os.Getenv(resource.EnvTfAcc) == "" {
		t.Skip("runs Terraform: scripts/acceptance go test ./internal/provider")
	}
	hsmtest.Alone(t, func(t *testing.T, blank *hsmtest.Blank) {
		test(blank, &bench{Token: blank.Token("hydra"), t: t, faults: &hsmtest.Faults{}})
	})
}

// TestTheTokensPINsAreNowhere takes PINs from write-only arguments, from the environment and from a file, and has the
// token refuse one. No file that comes of it has any: no plan, state, log or output.
func TestTheTokensPINsAreNowhere(t *testing.T) {
	t.Parallel()
	beside(t, func(blank *hsmtest.Blank, b *bench) {
		wrong, newPIN := hsmtest.RandomPIN(), hsmtest.RandomPIN()
		s := crashShell(b.t, b).with("HSM_PIN=")
		s.blocks(ephemeralPIN + `
			variable "so_pin" {
			  type      = string
			  ephemeral = true
			  default   = null
			}
			variable "pins" { default = 1 }
			resource "hsm_token" "hydra" {
			  label           = "hydra"
			  so_pin_wo       = var.so_pin
			  pin_wo          = var.pin
			  pin_wo_version  = var.pins
			  deletion_policy = "erase"
			}
		` + ecPair(`label = "web"`, `key_id = "6b31"`, "depends_on = [hsm_token.hydra]"))
		file := filepath.Join(b.t.TempDir(), "pin") // beside the folder that is searched
		s.write(file, blank.SOPIN+"\n")
		byArgument := s.with("TF_VAR_pin="+blank.PIN, "TF_VAR_so_pin="+blank.SOPIN)
		byVariable := s.with("HSM_PIN="+newPIN, "HSM_SO_PIN="+wrong, "TF_VAR_pins=2")
		byFile := s.with("HSM_PIN="+newPIN, "HSM_SO_PIN_FILE="+file, "TF_VAR_pins=2")

		byArgument.terraform(false, "plan", "-out=first.plan")
		byArgument.terraform(false, "show", "-json", "first.plan")
		_, log := byArgument.terraform(false, "apply", "first.plan")
		if n := calls(log, "C_InitToken"); n != 1 || calls(log, "C_InitPIN") != 1 || calls(log, "") < 20 {
			b.t.Errorf("an apply initialised a token %d times, in %d calls", n, calls(log, ""))
		}
		printed, log := byVariable.terraform(true, "apply", "-auto-approve")
		for _, text := range []string{"Unable to Update Token: SO PIN Refused",
			"The user's PIN is as it was, and so is every key."} {
			if !wrapped(text).MatchString(printed) {
				b.t.Errorf("an apply with a wrong SO PIN does not say %q:\n%s", text, printed)
			}
		}
		if n := calls(log, "C_Login"); n != 1 {
			b.t.Errorf("a wrong SO PIN was sent %d times", n)
		}
		byFile.terraform(false, "apply", "-auto-approve")
		byFile.terraform(false, "destroy", "-auto-approve")
		s.innocent(blank.PIN, blank.SOPIN, wrong, newPIN)
	})
}

// withSOPINs is an environment with the security officer's PIN.
func (w *wire) withSOPINs(pin, file string) {
	w.setenv("HSM_SO_PIN", pin)
	w.setenv("HSM_SO_PIN_FILE", file)
}

// pipe makes a named pipe.
func pipe(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "pipe")
	if out, err := exec.Command("mkfifo", "-m", "600", name).CombinedOutput(); err != nil {
		t.Fatalf("mkfifo: %v: %s", err, out)
	}
	return name
}

// TestAnSOPINThatIsSetByAccidentChangesNothing plans and makes a key on a token that is there. With a nonsensical PIN
// of the security officer, and a pipe into which nobody writes, the calls and what is said are the same as with none.
func TestAnSOPINThatIsSetByAccidentChangesNothing(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, blank *hsmtest.Blank) {
		blank.Add(t, "hydra")
		w := newWire(t, blank)
		var want []string
		for _, accident := range []struct{ pin, file string }{{}, {"nonsense\n", pipe(t)}} {
			w.withSOPINs(accident.pin, accident.file)
			start := time.Now()
			key := ecKey(nil)
			var calls []string
			hook := func(_ context.Context, c *cryptoki.Call, next func() error) error {
				calls = append(calls, fmt.Sprint(c.Function, c.User))
				return next()
			}
			said, _ := w.applied([]hsm.Hook{hook}, key)
			if said.failed() || len(said) > 0 || key.attribute("key_id") != "6b31" {
				t.Fatalf("%v", said)
			}
			key.config = nil
			if said, _ := w.applied(nil, key); len(said) > 0 {
				t.Fatalf("%v", said)
			}
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("it took %v", took)
			}
			if want == nil {
				want = calls
			}
			if !slices.Equal(calls, want) || !slices.Contains(calls, fmt.Sprint("C_Login", cryptoki.CKU_USER)) ||
				slices.Contains(calls, fmt.Sprint("C_Login", cryptoki.CKU_SO)) {
				t.Errorf("the calls are\n%v\nand not\n%v", calls, want)
			}
		}
	})
}

// TestTheSOPINIsReadWhenItIsNeededAndOnce has a pipe give it, to each process of the provider once.
func TestTheSOPINIsReadWhenItIsNeededAndOnce(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, blank *hsmtest.Blank) {
		w := newWire(t, blank)
		token := hydraToken()
		token.config["pin_wo"], token.config["deletion_policy"] = blank.PIN, "abandon"
		w.block["pin"] = nil

		w.withSOPINs(blank.SOPIN, "/no/such/file")
		if said, _ := w.applied(nil, token); !slices.Equal(said.titles(), []string{"Two PINs In The Environment"}) ||
			!strings.Contains(said.String(), "HSM_SO_PIN and HSM_SO_PIN_FILE are both set") {
			t.Errorf("of two SO PINs it says:\n%s", said)
		}
		token.config["so_pin_wo"] = ""
		if said := w.planned(token); !slices.Equal(said.titles(), []string{"Not A PIN"}) ||
			!strings.Contains(said.String(), "so_pin_wo is an empty string.") || !strings.Contains(said.String(),
			"HSM_SO_PIN or HSM_SO_PIN_FILE") {
			t.Errorf("of an empty SO PIN it says:\n%s", said)
		}
		token.config["so_pin_wo"] = blank.SOPIN // the argument wins, and nothing of the environment is looked at
		if said := w.planned(token); len(said) > 0 {
			t.Errorf("with so_pin_wo it says:\n%s", said)
		}
		delete(token.config, "so_pin_wo")

		name := pipe(t)
		w.withSOPINs("", name)
		written := make(chan error, 2)
		go func() {
			for range cap(written) { // a plan, and an apply that plans once more
				err := os.WriteFile(name, []byte(blank.SOPIN+"\n"), 0o600)
				written <- err
				time.Sleep(50 * time.Millisecond) // for the reader to close it
			}
		}()
		if said, _ := w.applied(nil, token); said.failed() {
			t.Fatal(said)
		}
		for range cap(written) {
			if err := <-written; err != nil {
				t.Error(err)
			}
		}
		start := time.Now() // nobody writes any more
		if said, changed := w.applied(nil, token); changed || len(said) > 0 {
			t.Errorf("an apply that has nothing to do says:\n%s", said)
		}
		token.config = nil
		if said, _ := w.applied(nil, token); said.failed() {
			t.Error(said)
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("what needs no SO PIN waited for it: %v", took)
		}
	})
}

// TestAPINThatIsAWordIsNotToldByWhatIsLeftOut has PINs that are words of the provider's messages: these are the same
// as with other PINs. Of a loader's words, nothing is told where any PIN is in them.
func TestAPINThatIsAWordIsNotToldByWhatIsLeftOut(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, blank *hsmtest.Blank) {
		w := newWire(t, blank)
		said := func(soPIN, pin string) string {
			w.withSOPINs(soPIN, "")
			token := hydraToken()
			token.config["pin_wo"] = pin
			faults := &hsmtest.Faults{}
			faults.Inject(hsmtest.Fault{Function: "C_InitToken", Code: cryptoki.CKR_PIN_INVALID})
			said, _ := w.applied([]hsm.Hook{faults.Hook}, token)
			return said.String()
		}
		if words, digits := said("token", "initialised"), said("75318642", "86427531"); words != digits ||
			!strings.Contains(words, "No token was touched") && !strings.Contains(words, "The token is as it was") {
			t.Errorf("with words as PINs it says:\n%s\nand otherwise:\n%s", words, digits)
		}
		w.block["library"] = filepath.Join(t.TempDir(), "so75318642.so")
		for _, row := range []struct {
			soPIN, pin string
			told       bool
		}{{"75318642", "11112222", false}, {"11112222", "75318642", false}, {"11112222", "33334444", true}} {
			text := said(row.soPIN, row.pin)
			if !strings.Contains(text, "PKCS#11 Module Not Usable") || strings.Contains(text, "75318642") != row.told {
				t.Errorf("with the SO PIN %s and the PIN %s it says:\n%s", row.soPIN, row.pin, text)
			}
		}
	})
}
