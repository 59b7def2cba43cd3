package provider_test

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// slotsSeen are the slots as pkcs11-tool lists them, each by the names of its lines.
func (b *bench) slotsSeen() (slots []map[string]string) {
	b.t.Helper()
	for line := range strings.Lines(b.Command(b.t, "pkcs11-tool", "--module", b.ToolLibrary(), "--list-slots")) {
		if id := regexp.MustCompile(`^Slot \d+ \((0x[0-9a-f]+)\): (.*)\n`).FindStringSubmatch(line); id != nil {
			slots = append(slots, map[string]string{"slot": id[1], "description": strings.TrimSpace(id[2])})
			continue
		}
		if name, value, ok := strings.Cut(line, ":"); ok && len(slots) > 0 {
			slots[len(slots)-1][strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	return slots
}

// describedAs checks what the state says of a token against what pkcs11-tool says.
func describedAs(state map[string]any, seen map[string]string) error {
	text := func(v any) string { // null is what the tool shows as nothing
		if v == nil {
			return ""
		}
		return fmt.Sprint(v)
	}
	for name, want := range hsmtest.InOrder(map[string]string{
		"label": seen["token label"], "manufacturer": seen["token manufacturer"], "model": seen["token model"], "serial": seen["serial num"],
		"hardware_version": seen["hardware version"], "firmware_version": seen["firmware version"], "slot_description": seen["description"],
	}) {
		if have := text(state[name]); have != want {
			return fmt.Errorf("%s is %q, and pkcs11-tool says %q", name, have, want)
		}
	}
	if have := fmt.Sprintf("%v/%v", state["min_pin_length"], state["max_pin_length"]); have != seen["pin min/max"] {
		return fmt.Errorf("the length of PINs is %s, and pkcs11-tool says %s", have, seen["pin min/max"])
	}
	flags := state["flags"].([]any)
	for flag, words := range hsmtest.InOrder(map[string]string{
		"login_required": "login required", "rng": "rng", "token_initialized": "token initialized", "user_pin_initialized": "PIN initialized",
		"user_pin_count_low": "user PIN count low", "user_pin_locked": "user PIN locked", "write_protected": "readonly",
	}) {
		if slices.Contains(flags, any(flag)) != strings.Contains(seen["token flags"], words) {
			return fmt.Errorf("the flags are %v, and pkcs11-tool says %q", flags, seen["token flags"])
		}
	}
	return nil
}

// mechanismsSeen are the token's mechanisms as pkcs11-tool lists them, in the provider's words where it has others.
func (b *bench) mechanismsSeen() map[string]string {
	b.t.Helper()
	names := map[string]string{"ECDSA-KEY-PAIR-GEN": "EC-KEY-PAIR-GEN", "mechtype-0x210A": "AES-KEY-WRAP-PAD"}
	words := map[string]string{"EC F_P": "ec_f_p", "EC OID": "ec_oid", "EC uncompressed": "ec_uncompress"}
	seen := map[string]string{}
	for line := range strings.Lines(b.Command(b.t, "pkcs11-tool", "--module", b.ToolLibrary(), "--token-label", b.Label, "--list-mechanisms")) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), ", ")
		if !strings.HasPrefix(line, "  ") {
			continue
		}
		sizes := "<nil>,<nil>"
		if keys := regexp.MustCompile(`^keySize=\{(\d+,\d+)\}, `).FindStringSubmatch(rest); keys != nil {
			sizes, rest = keys[1], strings.TrimPrefix(rest, keys[0])
		}
		does := strings.Split(rest, ", ")
		for i, word := range does {
			if w, other := words[word]; other {
				does[i] = w
			}
		}
		if other, ok := names[name]; ok {
			name = other
		}
		seen[name] = sizes + " " + strings.Join(does, " ")
	}
	return seen
}

// Neither data source logs in: the PIN is not known when they are read first, and is wrong.
func TestTokensAreDescribedWithoutAPIN(t *testing.T) {
	t.Parallel()
	b, second := newBench(t), newBench(t)
	config := block("hsm", b.library(), line("token_label", b.Label), "pin = terraform_data.pin.output") +
		block("other", b.library()) +
		`resource "terraform_data" "pin" { input = "00000000" }
		data "hsm_token" "t" {}
		data "hsm_tokens" "all" {}
		data "hsm_tokens" "of_the_library" { provider = other }
		`
	seen := b.slotsSeen()
	mine := seen[slices.IndexFunc(seen, func(s map[string]string) bool { return s["token label"] == b.Label })]
	all := attributes{"data.hsm_tokens.of_the_library", func(state map[string]any) error {
		slots := map[string]map[string]any{}
		for _, s := range state["slots"].([]any) {
			slot := s.(map[string]any)
			slots[fmt.Sprintf("0x%x", asInt(slot["slot"]))] = slot
		}
		if len(slots) != len(seen) {
			return fmt.Errorf("%d slots, and pkcs11-tool shows %d", len(slots), len(seen))
		}
		for _, s := range seen {
			slot := slots[s["slot"]]
			if slot == nil || slot["token_present"] != true || slot["error"] != nil {
				return fmt.Errorf("the slot %s is %v", s["slot"], slot)
			}
			if s["token state"] == "uninitialized" {
				if slot["initialised"] != false || slot["label"] != nil || slot["pin_state"] != "not_set" || slot["so_pin_state"] != "not_set" {
					return fmt.Errorf("the blank token is %v", slot)
				}
				continue
			}
			if err := describedAs(slot, s); err != nil {
				return err
			}
			if slot["initialised"] != true || slot["pin_state"] != "ok" || slot["so_pin_state"] != "ok" {
				return fmt.Errorf("the token is %v", slot)
			}
		}
		return nil
	}}
	one := attributes{"data.hsm_token.t", func(state map[string]any) error {
		if err := describedAs(state, mine); err != nil {
			return err
		}
		if fmt.Sprintf("0x%x", asInt(state["slot"])) != mine["slot"] || state["pin_state"] != "ok" || state["so_pin_state"] != "ok" || state["free_private_memory"] != nil || asInt(state["max_sessions"]) != 0 {
			return fmt.Errorf("the token is %v", state)
		}
		have := map[string]string{}
		for _, row := range state["mechanisms"].([]any) {
			m := row.(map[string]any)
			name := strings.ReplaceAll(strings.TrimPrefix(m["name"].(string), "CKM_"), "_", "-")
			have[name] = fmt.Sprintf("%v,%v %s", m["min_key_size"], m["max_key_size"], strings.Trim(fmt.Sprint(m["flags"]), "[]"))
			if m["name"] == "CKM_RSA_PKCS_KEY_PAIR_GEN" && asInt(m["number"]) != 0 || m["name"] == "CKM_AES_GCM" && asInt(m["number"]) != 0x1087 {
				return fmt.Errorf("the number is wrong: %v", m)
			}
		}
		if want := b.mechanismsSeen(); !maps.Equal(have, want) {
			return fmt.Errorf("the mechanisms are\n%v\nand pkcs11-tool says\n%v", have, want)
		}
		return nil
	}}
	// The slot of this token stops answering, and that of the other one is empty.
	broken := attributes{"data.hsm_tokens.of_the_library", func(state map[string]any) error {
		var failed, empty int
		for _, s := range state["slots"].([]any) {
			slot := s.(map[string]any)
			switch {
			case slot["slot_description"] == mine["description"]:
				failed++
				if slot["error"] != "C_GetTokenInfo: CKR_DEVICE_ERROR (0x30)." || slot["label"] != nil || slot["flags"] != nil || slot["token_present"] != true || slot["initialised"] != nil {
					return fmt.Errorf("the slot that fails is %v", slot)
				}
			case slot["token_present"] == false:
				empty++
				if slot["error"] != nil || slot["label"] != nil || slot["initialised"] != nil {
					return fmt.Errorf("the slot without a token is %v", slot)
				}
			case slot["error"] != nil:
				return fmt.Errorf("the slot %v", slot)
			}
		}
		if failed != 1 || empty != 1 {
			return fmt.Errorf("%d slots fail, %d are empty", failed, empty)
		}
		return nil
	}}
	b.testWith(b.factories("other"),
		turn{TestStep: resource.TestStep{Config: config, ConfigStateChecks: []statecheck.StateCheck{one, all}}},
		turn{TestStep: resource.TestStep{
			PreConfig: func() {
				b.faults.Inject(hsmtest.Fault{Function: "C_GetTokenInfo", Do: func(_ context.Context, call *cryptoki.Call, next func() error) error {
					err := next()
					if call.Result.(*cryptoki.TokenInfo).Label == b.Label {
						return &cryptoki.Error{Function: call.Function, Code: cryptoki.CKR_DEVICE_ERROR}
					}
					return err
				}})
				b.faults.Inject(hsmtest.Fault{Function: "C_GetSlotInfo", Do: func(_ context.Context, call *cryptoki.Call, next func() error) error {
					err := next()
					info := call.Result.(*cryptoki.SlotInfo)
					for _, s := range seen {
						if s["token label"] == second.Label && s["description"] == info.Description {
							info.Flags &^= cryptoki.CKF_TOKEN_PRESENT
						}
					}
					return err
				}})
			},
			Config:            block("other", b.library()) + `data "hsm_tokens" "of_the_library" { provider = other }`,
			ConfigStateChecks: []statecheck.StateCheck{broken},
		}},
		turn{
			TestStep: resource.TestStep{
				PreConfig: func() {
					b.faults.Clear()
					b.faults.Inject(hsmtest.Fault{Function: "C_GetMechanismList", Code: cryptoki.CKR_FUNCTION_FAILED})
				},
				Config: block("hsm", b.library(), line("token_label", b.Label)) + `data "hsm_token" "t" {}`, PlanOnly: true,
			},
			says: []remark{fails("Unable to Read Token", "C_GetMechanismList: CKR_FUNCTION_FAILED (0x6)")},
		},
	)
	for _, function := range []string{"C_Login", "C_OpenSession"} {
		if n := b.faults.Count(function); n != 0 {
			t.Errorf("%s was called %d times", function, n)
		}
	}
}
