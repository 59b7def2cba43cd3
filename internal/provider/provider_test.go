package provider_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/compare"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// block is a provider block of just these lines.
func block(name string, lines ...string) string {
	text := fmt.Sprintf("provider %q {\n", name)
	for _, line := range lines {
		text += "  " + line + "\n"
	}
	return text + "}\n"
}

// needsToken is what cannot be planned without the token, and finds nothing on it.
var needsToken = jwks("x", "allow_empty = true")

func line(name, value string) string { return fmt.Sprintf("%s = %q", name, value) }

// blankSlot is the slot of SoftHSM's token that is not initialised.
func (b *bench) blankSlot() string {
	b.t.Helper()
	ctx := context.Background()
	m, err := cryptoki.Open(ctx, b.Library)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	slots, err := m.GetSlotList(ctx, true)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, slot := range slots {
		if info, err := m.GetTokenInfo(ctx, slot); err == nil && !info.Has(cryptoki.CKF_TOKEN_INITIALIZED) {
			return fmt.Sprint(slot)
		}
	}
	b.t.Fatal("SoftHSM shows no blank token")
	return ""
}

func TestEveryErrorOfTheProviderBlockSaysWhatToDo(t *testing.T) {
	t.Parallel()
	b, second := newBench(t), newBench(t)
	text := filepath.Join(t.TempDir(), "module.so")
	if err := os.WriteFile(text, []byte("not a module"), 0o600); err != nil {
		t.Fatal(err)
	}
	const doing = "Unable to Read JSON Web Key Set: "
	library, label, pin := b.library(), line("token_label", b.Label), line("pin", b.PIN)
	cases := []struct {
		name  string // a sentence
		lines []string
		says  remark
	}{
		{"no library is given", []string{label, pin}, fails(doing+"No PKCS#11 Module", "argument library", "HSM_LIBRARY", b.Library)},
		{"the library is not there", []string{line("library", "/no/such/module.so"), label, pin},
			fails(doing+"PKCS#11 Module Not Usable", `The PKCS#11 module "/no/such/module.so" cannot be loaded: no such file`,
				b.Library)},
		{"the library is a folder", []string{line("library", os.TempDir()), label, pin}, fails(doing+"PKCS#11 Module Not Usable", "is not a file")},
		{"the library is a text", []string{line("library", text), label, pin}, fails(doing+"PKCS#11 Module Not Usable", text, "file too short")},
		{"the library is no PKCS#11 module", []string{line("library", libm(t)), label, pin}, fails(doing+"PKCS#11 Module Not Usable", "C_GetFunctionList")},
		{"no token has the label", []string{library, line("token_label", "nobody"), pin},
			fails(doing+"Token Not Found", `No token has the label "nobody" (from token_label); the module shows`,
				fmt.Sprintf("label %q", b.Label), fmt.Sprintf("label %q", second.Label),
				"choose one of the tokens above").without(b.PIN)},
		{"a label is longer than any token's", []string{library, line("token_label", strings.Repeat("é", 17)), pin},
			fails("Invalid Length", "It must have at most 32 bytes").pointing("token_label")},
		{"no token has the serial number", []string{library, label, line("token_serial", "0000"), pin}, fails(doing+"Token Not Found", fmt.Sprintf(`label %q (from token_label) and serial number "0000" (from token_serial)`, b.Label))},
		{"nothing selects a token, and there are many", []string{library, pin}, fails(doing+"Several Tokens Match",
			"No label, serial number or slot is given, and ", " tokens are initialised; the module shows:",
			"token_label, token_serial or slot", "providers = { hsm = hsm.ALIAS }").without("pkcs11-tool")},
		{"the token is not initialised", []string{library, line("slot", b.blankSlot()), pin}, fails(doing+"Token Not Initialised", "--init-token", "--init-pin", b.Library)},
		{"no PIN is given", []string{library, label}, fails(doing+"No PIN", "HSM_PIN", "HSM_PIN_FILE")},
		{"the slot is no number", []string{library, line("slot", "0x"), pin}, fails("Invalid Slot ID", `"0x" is not`).pointing("slot")},
		{"the PIN is empty", []string{library, label, line("pin", "")}, fails("Empty Provider Setting", "HSM_PIN").pointing("pin")},
		{"no session may be open", []string{library, label, pin, "max_sessions = 0"}, fails("Invalid Number", "max_sessions is 0. It must be 1 or more.").pointing("max_sessions")},
	}
	var turns []turn
	for i, c := range cases {
		t.Logf("step %d: %s", i+1, c.name)
		turns = append(turns, turn{TestStep: resource.TestStep{Config: block("hsm", c.lines...) + needsToken, PlanOnly: true}, says: []remark{c.says}})
	}
	turns = append(turns, turn{
		TestStep: resource.TestStep{
			Config: block("hsm", library, line("token_label", "nobody"), pin) + pair("k", `label = "web"`) +
				pair("l", `label = "web"`), PlanOnly: true,
		},
		says: []remark{fails("Unable to Plan Key Pair: Token Not Found", `No token has the label "nobody"`, "-refresh=false"),
			fails("Unable to Plan Key Pair: Token Not Found", "This new key meets the same", "the other error")},
	}, turn{
		TestStep: resource.TestStep{
			Config: block("hsm", library, label) + pair("k", `label = "web"`), PlanOnly: true,
		},
		says: []remark{fails("Unable to Plan Key Pair: No PIN", "HSM_PIN_FILE")},
	})
	b.test(turns...)
	if n := b.faults.Count("C_Login"); n != 0 {
		t.Errorf("the token was logged in to %d times", n)
	}
}

func TestLibraryParametersThatCannotBeUsed(t *testing.T) {
	b := newBench(t)
	library, label, pin := line("library", b.Library), line("token_label", b.Label), line("pin", b.PIN)
	const doing = "Unable to Read JSON Web Key Set: "
	plan := func(pre func(), parameters string, says remark) turn {
		provider := block("hsm", library, "library_parameters = "+parameters, label, pin)
		output := "resource \"terraform_data\" \"p\" { input = timestamp() }\n"
		return turn{
			TestStep: resource.TestStep{PreConfig: pre, Config: provider + output + needsToken, PlanOnly: true},
			says:     []remark{says},
		}
	}
	open := func() {
		b.closeProviders()
		module, err := cryptoki.OpenWith(context.Background(), b.Library, b.Parameters)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = module.Close() })
	}
	b.test(
		plan(nil, "terraform_data.p.output", fails(doing+"Provider Configuration Not Known Yet", "library_parameters")),
		plan(nil, `""`, fails("Empty Provider Setting", "HSM_LIBRARY_PARAMETERS").pointing("library_parameters")),
		plan(open, `"another text"`, fails(doing+"Library Parameters Differ", "library_parameters")),
	)
}

// TestAModuleThatWantsParameters runs the provider in processes of its own: a module is initialised once in each.
func TestAModuleThatWantsParameters(t *testing.T) {
	b := newBench(t)
	if b.Parameters == "" {
		t.Skip("only NSS's module wants parameters: scripts/with-token nss")
	}
	s := newShell(t, b, "variable \"parameters\" { default = null }\n"+
		block("hsm", "library_parameters = var.parameters")+needsToken).with("HSM_PIN=" + b.PIN)
	printed, _ := s.with("HSM_LIBRARY_PARAMETERS=").terraform(true, "plan")
	for _, part := range []string{
		"Unable to Read JSON Web Key Set: Library Parameters Refused", "C_Initialize: CKR_ARGUMENTS_BAD (0x7)", "library_parameters",
	} {
		if !wrapped(part).MatchString(printed) {
			t.Errorf("%q is not in\n%s", part, printed)
		}
	}
	s.terraform(false, "plan") // by the environment
	s.with("HSM_LIBRARY_PARAMETERS=configdir='sql:/no/such/folder'", "TF_VAR_parameters="+b.Parameters).terraform(false, "plan")
	s.with("TF_VAR_parameters=configdir='sql:/no/such/folder'").terraform(true, "plan") // the block wins
}

func libm(t *testing.T) string {
	t.Helper()
	for _, pattern := range []string{"/lib/*/libm.so.6", "/lib64/libm.so.6", "/usr/lib/libm.so.6"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return found[0]
		}
	}
	t.Skip("no libm.so.6")
	return ""
}

// All of the environment, in the tests that set it: they run alone.
func TestTheEnvironmentConfiguresTheProvider(t *testing.T) {
	b := newBench(t)
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	set := func(variables ...string) func() {
		return func() {
			b.closeProviders()
			for _, name := range []string{
				"HSM_LIBRARY", "HSM_LIBRARY_PARAMETERS", "HSM_TOKEN_LABEL", "HSM_TOKEN_SERIAL", "HSM_SLOT",
				"HSM_PIN", "HSM_PIN_FILE", "HSM_ENABLED",
			} {
				t.Setenv(name, "")
			}
			for i := 0; i < len(variables); i += 2 {
				t.Setenv(variables[i], variables[i+1])
			}
		}
	}
	plan := func(pre func(), provider string, says ...remark) turn {
		return turn{TestStep: resource.TestStep{PreConfig: pre, Config: provider + needsToken, PlanOnly: true}, says: says}
	}
	empty := block("hsm")
	full := []string{"HSM_LIBRARY", b.Library, "HSM_LIBRARY_PARAMETERS", b.Parameters, "HSM_TOKEN_LABEL", b.Label}
	with := func(more ...string) func() { return set(append(append([]string{}, full...), more...)...) }
	b.test(
		plan(with("HSM_PIN", b.PIN), empty),
		plan(with("HSM_PIN", b.PIN, "HSM_ENABLED", "true"), empty),
		plan(with("HSM_PIN", b.PIN, "HSM_SLOT", "999"), empty), // the label wins, as in Hydra
		plan(with("HSM_PIN_FILE", file("pin", b.PIN+"\nand a second line\n")), empty),
		plan(with("HSM_PIN_FILE", file("dos", b.PIN+"\r\n")), empty),
		plan(set("HSM_LIBRARY", "/no/such/module.so", "HSM_TOKEN_LABEL", "nobody", "HSM_PIN", "0000"), b.provider()), // the configuration wins
		plan(with("HSM_PIN", b.PIN, "HSM_PIN_FILE", file("pin", b.PIN)), b.provider()),                               // and so there are not two PINs

		plan(with("HSM_PIN", b.PIN, "HSM_PIN_FILE", file("pin", b.PIN)), empty, fails("Two PINs In The Environment", "HSM_PIN and HSM_PIN_FILE are both set").without(b.PIN)),
		plan(with("HSM_PIN_FILE", filepath.Join(dir, "missing")), empty, fails("Unable to Read the PIN File", "no such file", "HSM_PIN_FILE").without("missing")),
		plan(with("HSM_PIN_FILE", file("blank", "\n"+b.PIN)), empty, fails("Empty PIN File", "HSM_PIN_FILE").without(b.PIN)),
		plan(with("HSM_PIN", b.PIN, "HSM_ENABLED", "perhaps"), empty, fails("Invalid HSM_ENABLED", "neither true nor false").without("perhaps")),
		plan(with("HSM_PIN", b.PIN, "HSM_ENABLED", "false"), b.provider(),
			fails("Unable to Read JSON Web Key Set: HSM Switched Off", "HSM_ENABLED is false in the environment", "unset HSM_ENABLED")),
		plan(set("HSM_LIBRARY", b.Library, "HSM_SLOT", "zero", "HSM_PIN", b.PIN), empty, fails("Invalid Slot ID", "HSM_SLOT")),
		plan(with("HSM_SLOT", "999", "HSM_PIN", b.PIN), block("hsm", line("token_label", b.Label), line("slot", "998")),
			fails("Unable to Read JSON Web Key Set: Token Not Found", "slot ID 998 (from slot)")),

		turn{
			TestStep: resource.TestStep{
				PreConfig: with("HSM_PIN", b.PIN, "HSM_ENABLED", "0"), PlanOnly: true,
				Config: empty + pair("k", `label = "web"`),
			},
			says: []remark{fails("Unable to Plan Key Pair: HSM Switched Off", "HSM_ENABLED is false")},
		},
	)
	b.expect()
}

func TestTwoTokensInOneConfiguration(t *testing.T) {
	t.Parallel()
	b, second := newBench(t), newBench(t)
	config := b.provider() +
		block("other", second.library(), line("token_label", second.Label), line("pin", second.PIN)) +
		pair("k", `label = "web"`, `key_id = "6b31"`) + pair("l", `label = "web"`, `key_id = "6b31"`, "provider = other") +
		jwks("k", "uris = [hsm_rsa_keypair.k.uri]") + jwks("l", "uris = [hsm_rsa_keypair.l.uri]", "provider = other")
	b.testWith(b.factories("other"), turn{TestStep: resource.TestStep{
		Config: config,
		ConfigStateChecks: []statecheck.StateCheck{
			b.publicKeyIs(key, "6b31"), second.publicKeyIs("hsm_rsa_keypair.l", "6b31"),
			b.holding(signing("web", "6b31")...), second.holding(signing("web", "6b31")...),
			statecheck.CompareValuePairs(key, tfjsonpath.New(fingerprint), "hsm_rsa_keypair.l", tfjsonpath.New(fingerprint), compare.ValuesDiffer()),
			keySet("k", "web 6b31 k1 RSA sig RS256"), keySet("l", "web 6b31 k1 RSA sig RS256"),
		},
	}})
	b.expect()
	second.expect()
	if n := b.faults.Count("C_Login"); n != 2 {
		t.Errorf("two tokens took %d logins", n)
	}
}

func TestTwoProvidersOfOneTokenShareALogin(t *testing.T) {
	t.Parallel()
	hsmtest.Needs(t, hsmtest.OwnToken)
	b := newBench(t)
	config := b.provider() + block("other", b.library(), line("token_label", b.Label), line("pin", b.PIN), "max_sessions = 2") +
		pair("k", `label = "web"`, `key_id = "6b31"`) + pair("l", `label = "web"`, `key_id = "6b32"`, "provider = other")
	b.testWith(b.factories("other"), turn{TestStep: resource.TestStep{
		Config: config, ConfigStateChecks: []statecheck.StateCheck{b.holding(append(signing("web", "6b31"), signing("web", "6b32")...)...)},
	}})
	b.expect()
	if n := b.faults.Count("C_Login"); n != 1 {
		t.Errorf("one token took %d logins", n)
	}
}

func TestAPINThatIsNotKnownYetFailsOnlyWhatNeedsTheToken(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	config := block("hsm", b.library(), line("token_label", b.Label), "pin = terraform_data.pin.output") +
		fmt.Sprintf("resource \"terraform_data\" \"pin\" { input = %q }\n", b.PIN)
	b.test(
		turn{
			TestStep: resource.TestStep{Config: config + needsToken, PlanOnly: true},
			says:     []remark{fails("Unable to Read JSON Web Key Set: Provider Configuration Not Known Yet", "not known yet: pin")},
		},
		turn{TestStep: resource.TestStep{
			Config: config + pair("k", `label = "web"`, `key_id = "6b31"`) + jwks("x", "uris = [hsm_rsa_keypair.k.uri]"),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectResourceAction(key, plancheck.ResourceActionCreate), during{func() {
					if calls := b.faults.Calls(); len(calls) > 0 {
						t.Errorf("the plan called %v", calls)
					}
				}},
			}},
			ConfigStateChecks: []statecheck.StateCheck{b.publicKeyIs(key, "6b31"), keySet("x", "web 6b31 k1 RSA sig RS256")},
		}, says: []remark{warns("New Keys Not Checked Against The Token", "not known yet (pin)")}},
	)
}
