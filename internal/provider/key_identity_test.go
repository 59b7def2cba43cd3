package provider_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfversion"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

var knowsIdentity = []tfversion.TerraformVersionCheck{tfversion.SkipBelow(tfversion.Version1_12_0)}

// serial is the token's serial number.
func (b *bench) serial() (serial string) {
	b.t.Helper()
	ctx := context.Background()
	m, err := cryptoki.OpenWith(ctx, b.Library, b.Parameters)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	slots, err := m.GetSlotList(ctx, true)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, slot := range slots {
		if info, err := m.GetTokenInfo(ctx, slot); err == nil && info.Label == b.Label {
			return info.Serial
		}
	}
	b.t.Fatalf("no token %q", b.Label)
	return ""
}

// replace has the module show another serial number of its tokens, as that of a replica.
func (b *bench) replace(serial string) {
	b.closeProviders()
	b.faults.Clear()
	b.faults.Inject(hsmtest.Fault{Function: "C_GetTokenInfo", Do: func(_ context.Context, c *cryptoki.Call, next func() error) error {
		err := next()
		c.Result.(*cryptoki.TokenInfo).Serial = serial
		return err
	}})
}

// identity is the identity of a key in the state or in a list; "": the token has no serial number.
func identity(serial, id string) map[string]knownvalue.Check {
	if serial == "" {
		return map[string]knownvalue.Check{"token_serial": knownvalue.Null(), "key_id": knownvalue.StringExact(id)}
	}
	return map[string]knownvalue.Check{"token_serial": knownvalue.StringExact(serial), "key_id": knownvalue.StringExact(id)}
}

func TestTheIdentityFollowsTheKey(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.needs = knowsIdentity
	serial := b.serial()
	is := func(serial, id string) []statecheck.StateCheck {
		return []statecheck.StateCheck{statecheck.ExpectIdentity(key, identity(serial, id))}
	}
	config := func(lines ...string) string { return b.config(pair("k", lines...)) }
	unchanged := func(change func(), serial string) turn {
		return turn{TestStep: resource.TestStep{
			PreConfig: change, Config: config(`label = "web"`, `key_id = "6b32"`), ConfigPlanChecks: willBe(plancheck.ResourceActionNoop), ConfigStateChecks: is(serial, "6b32"),
		}}
	}
	moves := warns("Key ID Changes", `"web" (key_id 6B31)`, "6b32").pointing("key_id")
	b.test(
		turn{TestStep: resource.TestStep{Config: config(`label = "web"`, `key_id = "6B31"`), ConfigStateChecks: is(serial, "6b31")}},
		turn{TestStep: resource.TestStep{
			ResourceName: key, ImportState: true, ImportStateKind: resource.ImportBlockWithResourceIdentity,
			Config: config(`label = "web"`, `key_id = "6B31"`, `deletion_policy = "prevent"`),
		}},
		turn{
			TestStep: resource.TestStep{
				PreConfig: func() {
					b.faults.Inject(hsmtest.Fault{Function: "C_SetAttributeValue", Nth: 1, Onwards: true, Code: cryptoki.CKR_DEVICE_ERROR})
				},
				Config: config(`label = "web"`, `key_id = "6b32"`),
			},
			says: []remark{moves, fails("Unable to Update Key Pair")},
		},
		turn{
			TestStep: resource.TestStep{
				PreConfig: b.faults.Clear, Config: config(`label = "web"`, `key_id = "6b32"`),
				ConfigPlanChecks: willBe(plancheck.ResourceActionUpdate), ConfigStateChecks: is(serial, "6b32"),
			},
			says: []remark{moves},
		},
		unchanged(func() { b.replace("replica") }, "replica"),
		unchanged(func() { b.replace("") }, ""),
		unchanged(func() { b.closeProviders(); b.faults.Clear() }, serial),
		turn{
			TestStep: resource.TestStep{
				PreConfig: func() { b.destroy("6b32", "privkey", "pubkey") }, Config: config(`label = "shop"`, `key_id = "6b33"`),
				ConfigPlanChecks: willBe(plancheck.ResourceActionCreate), ConfigStateChecks: is(serial, "6b33"),
			},
			says: []remark{warns("Key Not On The Token", "key_id 6b32")},
		},
	)
	b.expect()
}

func TestImportByIdentity(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.needs = knowsIdentity
	b.Tool(t, "--keypairgen", "--key-type", "rsa:2048", "--usage-sign", "--label", "web", "--id", "6b31")
	b.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "curve", "--id", "6b34")
	serial := b.serial()
	step := func(identity string) resource.TestStep {
		return resource.TestStep{Config: b.config(
			pair("k", `label = "web"`, `usage = ["decrypt", "sign", "unwrap"]`), fmt.Sprintf("import {\n  to = %s\n  identity = { %s }\n}\n", key, identity))}
	}
	refused := func(identity string, says remark) turn { return turn{TestStep: step(identity), says: []remark{says}} }
	adopted := step(`key_id = "6B31"`)
	adopted.ConfigStateChecks = []statecheck.StateCheck{statecheck.ExpectIdentity(key, identity(serial, "6b31")), b.publicKeyIs(key, "6b31")}
	planned := step(`key_id = "6b31", token_serial = "` + serial + `"`)
	planned.PlanOnly, planned.ExpectNonEmptyPlan = true, true
	b.test(
		refused(`key_id = "6b31", token_serial = "elsewhere"`, fails("Unable to Import Key Pair: Another Token", `token_serial "elsewhere"`, fmt.Sprintf("serial number %q", serial))),
		refused(`key_id = "6b39"`, fails("Unable to Import Key Pair: Not On The Token", "Key ID 6b39")),
		refused(`key_id = "6b34"`, fails("Unable to Import Key Pair: Key Of Another Type", "terraform import hsm_ec_keypair.NAME 6b34")),
		refused(`key_id = "web"`, fails("Invalid Import ID", `key_id "web" is not a key ID in hexadecimal`)),
		turn{TestStep: planned},
		turn{TestStep: adopted},
	)
}

// A state from before there were identities, or of a Terraform that knows none, as one that is shared by several.
func TestAStateWithoutIdentities(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := newShell(t, b, "").with("HSM_PIN="+b.PIN, "TF_LOG=")
	configure := func(lines ...string) { s.configure(append(lines, `key_id = "6B31"`)...) }
	configure(`label = "web"`)
	s.run("apply", "-auto-approve")
	if have := s.identity(t); have == nil {
		t.Skip("this Terraform knows no identities")
	}
	s.forget(t)

	configure(`label = "web"`, `deletion_policy = "prevent"`)
	s.run("apply", "-auto-approve", "-refresh=false") // the token has no part in it
	if have := fmt.Sprint(s.identity(t)); have != "map[key_id:6b31 token_serial:<nil>]" {
		t.Errorf("the identity is %s", have)
	}
	s.forget(t)
	configure(`label = "web"`, `deletion_policy = "delete"`)
	s.run("apply", "-auto-approve")
	if have := s.identity(t); have["key_id"] != "6b31" || have["token_serial"] != b.serial() {
		t.Errorf("the identity is %v", have)
	}
	s.forget(t)
	b.destroy("6b31", "privkey", "pubkey")
	s.run("apply", "-auto-approve")
	if have := s.identity(t); have["key_id"] != "6b31" {
		t.Errorf("the identity is %v", have)
	}
	b.expect(signing("web", "6b31")...)
}

// run runs Terraform, which must go well.
func (s shell) run(args ...string) (printed string) {
	s.t.Helper()
	printed, ok := s.try(args...)
	if !ok {
		s.t.Fatalf("terraform %v: %s", args, printed)
	}
	return printed
}

// state is the one instance in the state.
func (s shell) state(t *testing.T) (whole, instance map[string]any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "terraform.tfstate"))
	if err == nil {
		err = json.Unmarshal(text, &whole)
	}
	if err != nil {
		t.Fatal(err)
	}
	return whole, whole["resources"].([]any)[0].(map[string]any)["instances"].([]any)[0].(map[string]any)
}

func (s shell) identity(t *testing.T) map[string]any {
	t.Helper()
	_, instance := s.state(t)
	have, _ := instance["identity"].(map[string]any)
	return have
}

// forget takes the identity out of the state.
func (s shell) forget(t *testing.T) {
	t.Helper()
	whole, instance := s.state(t)
	delete(instance, "identity")
	delete(instance, "identity_schema_version")
	text, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	s.write(filepath.Join(s.dir, "terraform.tfstate"), string(text))
}
