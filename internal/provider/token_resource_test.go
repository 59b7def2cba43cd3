package provider_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// office is the real Terraform beside a SoftHSM without a token. Each command's provider is a process of its own, so
// that nothing is remembered but what the state and the token have.
type office struct {
	shell
	blank *hsmtest.Blank
}

// builtProvider is the variable that names the folder of the provider's program.
const builtProvider = "HSMTEST_BUILT"

// inOffice runs a test in an office: all that the provider needs is in the environment, but for what selects a token.
func inOffice(t *testing.T, test func(o office)) {
	t.Helper()
	if os.Getenv(resource.EnvTfAcc) == "" {
		t.Skip("runs Terraform: scripts/acceptance go test ./internal/provider")
	}
	// The program without the race detector starts faster. The process that Alone starts finds the one of this process.
	if os.Getenv(builtProvider) == "" {
		bin, err := build()
		if err == nil {
			err = os.Setenv(builtProvider, bin) //nolint:usetesting // t.Setenv refuses parallel tests
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	hsmtest.Alone(t, func(t *testing.T, blank *hsmtest.Blank) {
		s, bin := shell{t: t, dir: t.TempDir(), ran: new(int)}, os.Getenv(builtProvider)
		cli := filepath.Join(t.TempDir(), "cli.tfrc")
		s.write(cli, fmt.Sprintf("provider_installation {\n  dev_overrides {\n    \"terraform-provider-hsm/hsm\" = "+
			"%q\n  }\n  direct {}\n}\n", bin))
		s.env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+cli, "TF_IN_AUTOMATION=1", "HSM_LIBRARY="+blank.Library,
			"HSM_PIN="+blank.PIN, "HSM_SO_PIN="+blank.SOPIN)
		test(office{s, blank})
	})
}

// writes writes the configuration.
func (o office) writes(blocks ...string) {
	o.t.Helper()
	o.write(filepath.Join(o.dir, "main.tf"), "terraform {\n  required_providers {\n    hsm = { source = "+
		"\"terraform-provider-hsm/hsm\" }\n  }\n}\n"+
		strings.Join(blocks, "\n"))
}

// labelled is the office whose environment selects the token by that label.
func (o office) labelled(label string) office { return o.having("HSM_TOKEN_LABEL=" + label) }

func (o office) having(variables ...string) office {
	o.shell = o.with(variables...)
	return o
}

// does runs a command that goes well, and says so with these texts.
func (o office) does(command string, texts ...string) {
	o.t.Helper()
	o.run(true, command, texts)
}

// refuses runs a command that fails, and says why with these texts.
func (o office) refuses(command string, texts ...string) (printed string) {
	o.t.Helper()
	return o.run(false, command, texts)
}

func (o office) run(well bool, command string, texts []string) (printed string) {
	o.t.Helper()
	printed, ok := o.try(strings.Fields(command)...)
	if ok != well {
		o.t.Fatalf("terraform %s: it went well: %t\n%s", command, ok, printed)
	}
	for _, text := range texts {
		if !wrapped(text).MatchString(printed) {
			o.t.Errorf("terraform %s does not say %q:\n%s", command, text, printed)
		}
	}
	return printed
}

// tokenBlock is the block of hsm_token.hydra, of the label hydra where the lines do not say otherwise.
func tokenBlock(lines ...string) string {
	return keyPairBlock("hsm_token", "hydra", map[string]string{"label": `"hydra"`}, lines)
}

// hydraKeys are a key on the token and its public key set.
func hydraKeys(lines ...string) string {
	return ecPair(append(lines, `label = "id"`, `key_id = "6b31"`)...) + `
		locals { uri = hsm_ec_keypair.k.uri }
		data "hsm_jwks" "hydra" {
			uris = [local.uri]
			` + strings.Join(lines, "\n") + `
		}
		output "jwks" { value = data.hsm_jwks.hydra.json }
	`
}

// The two ways of one configuration: a provider block for the token and another one for its keys, or one for both.
var (
	twoBlocks = `
		provider "hsm" {}
		provider "hsm" {
			alias        = "hydra"
			token_serial = hsm_token.hydra.serial
		}
	` + hydraKeys("provider = hsm.hydra")
	oneBlock = hydraKeys("depends_on = [hsm_token.hydra]")
)

func TestABlankSlotBecomesAKeySetInOneApply(t *testing.T) {
	t.Parallel()
	for name, c := range hsmtest.InOrder(map[string]struct{ keys, label, warning string }{
		"one provider block":  {oneBlock, "hydra", "The token that the provider's block selects is made"},
		"two provider blocks": {twoBlocks, "", "The provider's configuration is not known yet (token_serial)"},
	}) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inOffice(t, func(o office) {
				o = o.labelled(c.label)
				o.writes(tokenBlock(`deletion_policy = "erase"`), c.keys)
				o.does("apply -auto-approve", c.warning, `\"kid\":\"k1\"`, "2 added")
				o.does("plan", "No changes.")
				o.does("plan -refresh-only", "No changes.")
				serial := o.serial()
				o.does("destroy -auto-approve", "hsm_ec_keypair.k: Destruction complete", "2 destroyed")
				if o.serial() != "" {
					t.Error("the token still has its user PIN")
				}
				o.does("apply -auto-approve", "2 added")
				if again := o.serial(); again != serial || len(o.blank.Folders(t)) != 1 {
					t.Errorf("the token is %q, not %q that was erased; there are %q", again, serial, o.blank.Folders(t))
				}
			})
		})
	}
}

// serial is the serial number of the token hydra as pkcs11-tool tells it, "" where its user has no PIN.
func (o office) serial() string {
	o.t.Helper()
	out, err := exec.Command("pkcs11-tool", "--module", o.blank.Library, "--list-token-slots").Output()
	if err != nil {
		o.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(out), ": hydra\n")
	flags, rest, _ := strings.Cut(rest, "serial num")
	if !strings.Contains(flags, "PIN initialized") {
		return ""
	}
	return strings.Fields(rest)[1]
}

// A new PIN by the security officer, with keys in use: what the docs tell to do, in each of the two ways.
func TestAVersionSetsAPINAndTouchesNoKey(t *testing.T) {
	t.Parallel()
	variables := `
		variable "pins" { default = 1 }
		variable "pin" {
			default   = null
			ephemeral = true
		}
	`
	token := tokenBlock("pin_wo = var.pin", "pin_wo_version = var.pins")
	const own, third = "47114711", "08150815"
	t.Run("one provider block", func(t *testing.T) {
		t.Parallel()
		inOffice(t, func(o office) {
			o = o.labelled("hydra")
			o.writes(variables, token, oneBlock)
			o.does("apply -auto-approve", "2 added")
			// The provider has the new PIN already, so the plan cannot log in.
			o = o.having("HSM_PIN=" + own)
			o.does("apply -auto-approve -var pins=2", "Keys Not Read", "0 added, 1 changed, 0 destroyed",
				`\"kid\":\"k1\"`)
			o.does("plan -var pins=2", "No changes.")
			// The provider has the old PIN.
			o.does("apply -auto-approve -var pins=3 -var pin="+third, "The Provider Needs The New PIN",
				"0 added, 1 changed, 0 destroyed")
			o.having("HSM_PIN="+third).does("plan -var pins=3", "No changes.")
		})
	})
	t.Run("two provider blocks", func(t *testing.T) {
		t.Parallel()
		inOffice(t, func(o office) {
			o.writes(variables, token, twoBlocks)
			o.does("apply -auto-approve", "2 added")
			o = o.having("HSM_PIN=" + own)
			o.refuses("apply -auto-approve -var pins=2", "PIN Refused", "hsm_ec_keypair.k")
			o.does("apply -auto-approve -var pins=2 -target=hsm_token.hydra", "0 added, 1 changed, 0 destroyed")
			o.does("plan -var pins=2", "No changes.")
			o.does("apply -auto-approve -var pins=3 -var pin="+third, "0 added, 1 changed, 0 destroyed")
			o.having("HSM_PIN="+third).does("plan -var pins=3", "No changes.")
		})
	})
}

func TestNoReplacementLosesAToken(t *testing.T) {
	t.Parallel()
	inOffice(t, func(o office) {
		o = o.labelled("hydra")
		first := func(policy string, more ...string) {
			o.writes(append([]string{tokenBlock(`deletion_policy = "` + policy + `"`)}, more...)...)
			o.does("apply -auto-approve")
		}
		first("prevent", oneBlock)
		serial := o.serial()
		o.refuses("plan -replace=hsm_token.hydra", "Token Is Protected From Destruction", "Terraform would replace",
			"run no terraform destroy")
		o.does("taint hsm_token.hydra")
		o.refuses("plan", "Token Is Protected From Destruction", "run terraform untaint")
		o.does("untaint hsm_token.hydra")
		first("abandon", oneBlock)
		o.refuses("plan -replace=hsm_token.hydra", "Token Cannot Be Replaced", `deletion_policy = "erase"`)

		first("erase", oneBlock)
		o.refuses("apply -auto-approve -replace=hsm_token.hydra", "Token Not Empty", `"id"`, "The token is as it was.")
		o.does("plan", "No changes.")
		o.does("apply -auto-approve -replace=hsm_token.hydra -replace=hsm_ec_keypair.k",
			"2 added, 0 changed, 2 destroyed", `\"kid\":\"k1\"`)
		o.does("plan", "No changes.")

		first(`erase"
			erase_keys = "true`, oneBlock)
		o.refuses("plan -replace=hsm_token.hydra", "Token Cannot Be Replaced", "set erase_keys = false")

		// The new token would be the old one, and the end of the old one would erase it.
		const deposed = "Token Has Another Resource"
		o.writes(tokenBlock(`deletion_policy = "erase"`, "lifecycle {\ncreate_before_destroy = true\n}"))
		o.does("apply -auto-approve")
		o.refuses("apply -auto-approve -replace=hsm_token.hydra", deposed)
		o.refuses("apply -auto-approve", deposed, "run terraform state rm with the resource's address, and import "+
			"the token")
		o.does("state rm hsm_token.hydra")
		o.does("import hsm_token.hydra " + serial)
		o.does("apply -auto-approve", "0 added, 1 changed, 0 destroyed")

		// A new name.
		o.writes(strings.ReplaceAll(tokenBlock(`deletion_policy = "erase"`), `"hydra" {`, `"other" {`))
		o.refuses("apply -auto-approve", "Token Has Another Resource", "a moved block")
		o.writes(strings.ReplaceAll(tokenBlock(`deletion_policy = "erase"`), `"hydra" {`, `"other" {`),
			"moved {\nfrom = hsm_token.hydra\nto = hsm_token.other\n}")
		o.does("apply -auto-approve", "hsm_token.other", "0 added, 0 changed, 0 destroyed")
		if o.serial() != serial {
			t.Errorf("the token is %q, and was %q", o.serial(), serial)
		}
	})
}

// hydra is a configuration of the token hydra, which is erased in the end.
var hydra = lines{"label": "hydra", "deletion_policy": "erase"}

func TestADeletionPolicyDecidesWhatBecomesOfAToken(t *testing.T) {
	t.Parallel()
	atDesk(t, func(d *desk) {
		m, token := d.resource(), d.blank.Token("hydra")
		policy := func(policy string, more lines) lines {
			return hydra.with(lines{"deletion_policy": policy}).with(more)
		}
		becomes := func(config lines) {
			d.t.Helper()
			if !m.applies(config) {
				t.Fatal(m.heard)
			}
		}
		stays := func() {
			d.t.Helper()
			if m.state == nil || len(token.Tool(t, "--list-objects")) == 0 {
				t.Fatalf("the state is %v", m.state)
			}
		}
		becomes(lines{"label": "hydra"})
		token.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "web", "--id", "01")

		m.applies(nil)
		m.says(fails("Token Is Protected From Destruction", `the token "hydra" (serial number `+
			``+m.state["serial"].(string)+")",
			`set deletion_policy = "abandon"`, "terraform state rm").pointing("deletion_policy"))
		stays()

		// Abandoned, it is taken again by an import alone.
		becomes(policy("abandon", nil))
		becomes(nil)
		m.says()
		m.applies(hydra)
		m.says(fails("Unable to Plan Token: Token Label Taken", `A token has the label "hydra"`,
			"terraform import hsm_token.NAME "))
		m.imports("hydra", nil)
		m.says()

		becomes(policy("erase", nil))
		m.applies(nil)
		m.says(fails("Unable to Erase Token: Token Not Empty", `"web" (ID 01)`, "On the token: The token is as it was.",
			"erase_keys = true"))
		stays()
		token.Tool(t, "--delete-object", "--type", "pubkey", "--id", "01") // what is left is private
		m.applies(nil)
		m.says(fails("Unable to Erase Token: Token Not Empty", `"web" (ID 01)`))
		d.faults.Inject(hsmtest.Fault{Function: "C_FindObjectsInit", Code: cryptoki.CKR_FUNCTION_FAILED})
		m.applies(nil)
		m.says(fails("Unable to Erase Token: Token Not Empty", `What the token "hydra" holds cannot be seen`,
			"give the provider the PIN"))
		d.faults.Clear()
		d.env("HSM_SO_PIN", "")
		m.applies(nil)
		m.says(fails("No SO PIN", "so_pin_wo does not count", "HSM_SO_PIN_FILE names"))
		d.env("HSM_SO_PIN", token.SOPIN)
		stays()

		// The policy of the state counts.
		becomes(policy("erase", lines{"erase_keys": true}))
		erased := warns("Keys Will Be Erased", `the token "hydra"`)
		if differ := m.plans(policy("prevent", nil)); len(differ) != 2 {
			t.Errorf("the plan changes %v", differ)
		}
		d.env("HSM_SO_PIN", "00000000")
		m.applies(nil)
		m.says(erased, fails("Unable to Erase Token: SO PIN Refused", "On the token: The token is as it was."))
		stays()
		d.env("HSM_SO_PIN", token.SOPIN)
		becomes(nil)
		m.says(erased)
		if m.state != nil || len(d.blank.Folders(t)) != 1 {
			t.Errorf("the state is %v, the tokens are %q", m.state, d.blank.Folders(t))
		}
		becomes(hydra) // goes on with it
		m.says()
		if left := token.Tool(t, "--list-objects"); left != "" {
			t.Errorf("the token holds:\n%s", left)
		}
		becomes(nil)
	})
}

func TestAFailureBetweenTwoPINsLeavesTheVersionsTrue(t *testing.T) {
	t.Parallel()
	atDesk(t, func(d *desk) {
		d.env("HSM_TOKEN_LABEL", "another") // so that nothing is said of the provider's own PIN
		m := d.resource()
		config := func(pins, officerPINs int, more lines) lines {
			return hydra.with(lines{"pin_wo_version": pins, "so_pin_wo_version": officerPINs}).with(more)
		}
		becomes := func(pins, officerPINs int64, policy string) {
			d.t.Helper()
			if m.state["pin_wo_version"] != pins || m.state["so_pin_wo_version"] != officerPINs ||
				m.state["deletion_policy"] != policy {
				t.Errorf("the state is %v", m.state)
			}
		}
		m.applies(config(1, 1, nil))
		m.says()
		becomes(1, 1, "erase")
		key := []string{"--keypairgen", "--key-type", "EC:prime256v1", "--label", "web", "--id", "01"}
		d.blank.Token("hydra").Tool(t, key...)

		m.applies(config(1, 2, nil))
		m.says(fails("No New SO PIN", "write the new PIN into so_pin_wo").pointing("so_pin_wo_version"))
		const so, pin = "55667788", "44556677"
		d.env("HSM_SO_PIN", "")
		m.applies(config(1, 2, lines{"so_pin_wo": so}))
		m.says(fails("No Present SO PIN", "give the present PIN").pointing("so_pin_wo_version"))
		d.env("HSM_SO_PIN", d.blank.SOPIN)

		m.applies(config(2, 1, lines{"pin_wo": "xyz"}))
		m.says(fails("PIN Of A Wrong Length", "The user PIN does not", "4 to 255 bytes"))

		both := lines{"so_pin_wo": so, "pin_wo": pin, "deletion_policy": "abandon"}
		d.faults.Inject(hsmtest.Fault{Function: "C_InitPIN", Code: cryptoki.CKR_DEVICE_ERROR})
		m.applies(config(2, 2, both))
		m.says(fails("Unable to Update Token", "C_InitPIN", "CKR_DEVICE_ERROR", "On the token: The user's PIN is ",
			"Every key is as it was"))
		becomes(1, 2, "erase")
		d.faults.Clear()
		if !m.applies(config(2, 2, both)) {
			t.Fatal(m.heard)
		}
		becomes(2, 2, "abandon")
		if n := d.faults.Count("C_SetPIN"); n != 0 {
			t.Errorf("the SO PIN was set again: %d", n)
		}
		token := d.blank.Token("hydra")
		token.PIN, token.SOPIN = pin, so
		if left := token.Tool(t, "--list-objects"); !strings.Contains(left, "web") {
			t.Errorf("the token holds:\n%s", left)
		}

		// What sets nothing: a version that goes, and the same one again.
		d.faults.Clear()
		m.settled(config(2, 2, both))
		if !m.applies(lines{"label": "hydra", "deletion_policy": "erase"}) || m.state["pin_wo_version"] != nil {
			t.Error(m.heard, m.state)
		}
		m.settled(hydra)
		if n := d.faults.Count("C_Login"); n != 0 {
			t.Errorf("it has logged in %d times", n)
		}
		// A version that only the apply knows may be the same.
		d.env("HSM_SO_PIN", so)
		if !m.applies(config(3, 3, both)) {
			t.Fatal(m.heard)
		}
		if differ := m.plans(config(3, 3, both).with(lines{"pin_wo_version": unknown})); len(differ) != 1 {
			t.Errorf("the plan changes %v", differ)
		}
		m.says()
	})
}

func TestATokenWhoseMakingStoppedIsGoneOnWith(t *testing.T) {
	t.Parallel()
	atDesk(t, func(d *desk) {
		m := d.resource()
		for _, c := range []struct{ stopped, stands string }{
			{"C_InitToken", "The token is as it was."}, {"C_InitPIN", "The token is initialised and has its label"},
		} {
			d.faults.Clear()
			d.faults.Inject(hsmtest.Fault{Function: c.stopped, Code: cryptoki.CKR_DEVICE_ERROR})
			m.applies(hydra)
			m.says(fails("Unable to Create Token", c.stopped, "On the token: "+c.stands))
			if m.state != nil { // it would be tainted, and then erased
				t.Errorf("the state is %v", m.state)
			}
		}
		d.faults.Clear()
		if !m.applies(hydra) || len(d.blank.Folders(t)) != 1 {
			t.Error(m.heard, d.blank.Folders(t))
		}
		m.settled(hydra)
	})
}

// With create_before_destroy, the new token is the old one.
func TestAnApplyDoesNotEraseTheTokenThatItHasTaken(t *testing.T) {
	t.Parallel()
	atDesk(t, func(d *desk) {
		old, fresh := d.resource(), d.resource()
		old.applies(hydra)
		old.says()
		d.command()
		if !fresh.goesOn(hydra) || fresh.state["serial"] != old.state["serial"] {
			t.Fatal(fresh.heard, fresh.state)
		}
		resp, err := d.server.ApplyResourceChange(t.Context(), &tfprotov6.ApplyResourceChangeRequest{
			TypeName: "hsm_token", PriorState: d.value(d.object, old.state), PlannedState: d.value(d.object, nil),
			Config: d.value(d.object, nil), PlannedPrivate: old.private,
		})
		old.hear(resp.Diagnostics, err)
		old.says(fails("Unable to Erase Token: Token Has Another Resource", "deposed object"))
		fresh.settled(hydra)
	})
}
