package provider_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

func TestAnImportTakesATokenByItsSerialNumberOrLabel(t *testing.T) {
	t.Parallel()
	atDesk(t, func(d *desk) {
		const doing = "Unable to Import Token: Not One Token"
		m := d.resource()
		m.imports("hydra", nil)
		m.says(fails(doing, "No token that is initialised has that serial number or label").without("module shows"))

		d.blank.Add(t, "hydra")
		d.blank.Add(t, "twice")
		d.blank.Add(t, "twice")
		serials := map[string]string{} // by label, of "twice" one of the two
		d.shows(func(info *cryptoki.TokenInfo) { serials[info.Label] = info.Serial })
		m.imports("nobody", nil)
		m.says(fails(doing, "the module shows:", `label "hydra"`, `label "twice"`))
		d.faults.Clear()

		for name, c := range hsmtest.InOrder(map[string]struct {
			id       string
			identity lines
			label    string // "" where it fails
		}{
			"by its label":               {"hydra", nil, "hydra"},
			"by its serial number":       {serials["hydra"], nil, "hydra"},
			"by the label of two":        {"twice", nil, ""},
			"by the serial number, two":  {serials["twice"], nil, "twice"},
			"by an identity":             {"", lines{"serial": serials["hydra"], "label": "hydra"}, "hydra"},
			"by the identity's label":    {"", lines{"label": "hydra"}, "hydra"},
			"by the identity's serial":   {"", lines{"serial": serials["twice"]}, "twice"},
			"by the identity's label, 2": {"", lines{"label": "twice"}, ""},
			"by the identity of another": {"", lines{"serial": serials["hydra"], "label": "twice"}, ""},
			"by an empty identity":       {"", lines{}, ""},
			"by nothing that a token is": {" hydra", nil, ""},
		}) {
			t.Log(name)
			m := d.resource()
			m.imports(c.id, c.identity)
			if c.label == "" {
				m.says(fails(doing, `label "hydra"`))
				continue
			}
			m.says()
			if m.state["label"] != c.label || m.state["serial"] != serials[c.label] ||
				m.state["deletion_policy"] != "prevent" {
				t.Errorf("the state is %v", m.state)
			}
			m.settled(lines{"label": c.label})
		}

		d.faults.Inject(hsmtest.Fault{Function: "C_GetTokenInfo", Code: cryptoki.CKR_DEVICE_ERROR})
		m.imports("hydra", nil)
		m.says(fails(doing, "CKR_DEVICE_ERROR"))
	})
}

func TestTheFirstApplyAfterAnImportSetsNoPIN(t *testing.T) {
	t.Parallel()
	atDesk(t, func(d *desk) {
		d.blank.Add(t, "hydra")
		m := d.resource()
		m.imports("hydra", nil)
		m.says()
		config := hydra.with(lines{"pin_wo_version": 7, "so_pin_wo_version": 8, "pin_wo": "44556677",
			"so_pin_wo": "55667788"})
		d.faults.Clear()
		if !m.applies(config) || m.state["pin_wo_version"] != int64(7) || m.state["so_pin_wo_version"] != int64(8) {
			t.Fatalf("the state is %v: %v", m.state, m.heard)
		}
		m.says(warns("PINs Are Not Set", `The token "hydra"`, "A later change of a version sets one."))
		if n := d.faults.Count("C_Login"); n != 0 {
			t.Errorf("it has logged in %d times", n)
		}
		m.settled(config)
		if !m.applies(config.with(lines{"pin_wo_version": 9, "so_pin_wo": d.blank.SOPIN})) {
			t.Fatal(m.heard)
		}
		if n := d.faults.Count("C_InitPIN"); n != 1 || d.faults.Count("C_SetPIN") != 0 {
			t.Errorf("C_InitPIN was called %d times, C_SetPIN %d times", n, d.faults.Count("C_SetPIN"))
		}
		token := d.blank.Token("hydra")
		token.PIN = "44556677"
		token.Tool(t, "--list-objects")
	})
}

// Terraform writes the configuration of a token that an import block names. The command that an error prints needs
// none.
func TestTerraformTakesATokenThatIsThere(t *testing.T) {
	t.Parallel()
	inOffice(t, func(o office) {
		o.blank.Add(t, "hydra").Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "web", "--id", "01")
		o.writes(`
			import {
				to = hsm_token.hydra
				id = "hydra"
			}
		`)
		generated := filepath.Join(o.dir, "generated.tf")
		o.does("plan -generate-config-out=generated.tf", "1 to import, 0 to add, 0 to change, 0 to destroy")
		if text, err := os.ReadFile(generated); err != nil || !wrapped(`label = "hydra"`).Match(text) {
			t.Errorf("%v:\n%s", err, text)
		}
		o.does("apply -auto-approve", "1 imported, 0 added, 0 changed, 0 destroyed")
		o.does("plan", "No changes.")

		o.does("state rm hsm_token.hydra")
		if err := os.Remove(generated); err != nil {
			t.Fatal(err)
		}
		o.writes(tokenBlock())
		printed := o.refuses("apply -auto-approve", "Token Label Taken")
		command := regexp.MustCompile(`terraform (import hsm_token\.)NAME( \S+)`).FindStringSubmatch(printed)
		if command == nil {
			t.Fatalf("no command is printed:\n%s", printed)
		}
		o.does(command[1]+"hydra"+command[2], "Import successful!")
		o.does("plan", "No changes.")
	})
}
