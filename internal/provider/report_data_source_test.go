package provider_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// TestAMakeThatNobodyKnowsIsReported has a token of an unknown make refuse a change of a label, and one of a make that is
// known from documents refuse a search.
func TestAMakeThatNobodyKnowsIsReported(t *testing.T) {
	b := newBench(t)
	maker, refused := "Acme", "C_SetAttributeValue"
	unknown := func(_ context.Context, c *cryptoki.Call, next func() error) error {
		if c.Function == refused {
			return &cryptoki.Error{Function: c.Function, Code: 0x80000007}
		}
		err := next()
		switch answer := c.Result.(type) {
		case *cryptoki.Info:
			answer.Manufacturer = maker
		case *cryptoki.TokenInfo:
			answer.Manufacturer, answer.Model = maker, "Vault 3"
		}
		return err
	}
	b.hooks = append(b.hooks, unknown)
	const report = "data \"hsm_report\" \"r\" {\n  depends_on = [hsm_ec_keypair.k]\n}\n"
	told := attributes{"data.hsm_report.r", func(state map[string]any) error {
		text := state["text"].(string)
		for _, part := range []string{`model "Vault 3"`, "Known as: none", "CKM_EC_KEY_PAIR_GEN", "C_GenerateKeyPair ("} {
			if !strings.Contains(text, part) {
				return fmt.Errorf("%q is missing in %s", part, text)
			}
		}
		if strings.Contains(text, b.PIN) || strings.Contains(text, "the-key") || state["make"] != "none" || len(state["calls"].([]any)) == 0 {
			return fmt.Errorf("the report is %v", state)
		}
		return nil
	}}
	user := block("hsm", b.library(), line("token_label", b.Label), line("pin", b.PIN), line("user_type", "0x1"))
	b.test(
		turn{
			TestStep: resource.TestStep{Config: block("hsm", b.library(), line("user_type", "operator")) + ecPair(line("label", "another"))},
			says:     []remark{fails("Invalid User Type").pointing("user_type")},
		},
		turn{TestStep: resource.TestStep{
			Config: user + ecPair(line("label", "the-key")) + report, ConfigStateChecks: []statecheck.StateCheck{told},
		}},
		turn{
			TestStep: resource.TestStep{
				PreConfig: func() { maker, refused = "nCipher Corp. Ltd", "C_FindObjectsInit" },
				Config:    user + ecPair(line("label", "the-key")),
			},
			says: []remark{fails("Unable to Read Key Pair", "The call that failed: C_FindObjectsInit", "knows Entrust nShield from "+
				"documents", "report this text with the text of the data source hsm_report")},
		},
		turn{
			TestStep: resource.TestStep{
				PreConfig: func() { maker, refused = "Acme", "C_SetAttributeValue" },
				Config:    user + ecPair(line("label", "another")),
			},
			says: []remark{fails("Unable to Update Key Pair", "The call that failed: C_SetAttributeValue (CKA_LABEL (7 bytes))",
				"report this text with the text of the data source hsm_report")},
		},
	)
}
