package provider_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
)

// TestOneKeyInTwoResourcesIsRefused imports a key twice, and then tries to destroy the one that may go.
func TestOneKeyInTwoResourcesIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	mine := pair("k", `label = "web"`, `key_id = "6b31"`)
	other := pair("other", `label = "web"`, `key_id = "6B31"`, `deletion_policy = "prevent"`)
	adopted := turn{TestStep: resource.TestStep{
		Config: b.config(mine, other), ResourceName: "hsm_rsa_keypair.other", ImportState: true, ImportStateId: "6b31",
		ImportStatePersist: true,
	}}
	both := fails("One Key In Two Resources",
		`hsm_rsa_keypair, label "web", key_id 6b31, deletion_policy "delete"`,
		`hsm_rsa_keypair, label "web", key_id 6b31, deletion_policy "prevent"`,
		"(this one)", "terraform state list", "terraform state rm ADDRESS").pointing("key_id")
	b.test(
		create(b, mine),
		refused(b, both, mine, other, "import {\n  to = hsm_rsa_keypair.other\n  id = \"6b31\"\n}\n"),
		adopted,
		refused(b, both, other), // the end of the one that may go
		turn{TestStep: resource.TestStep{
			Config: b.config(pair("other", `label = "web"`, `key_id = "6b31"`),
				"removed {\n  from = "+key+"\n  lifecycle { destroy = false }\n}"),
			ConfigStateChecks: []statecheck.StateCheck{b.holding(signing("web", "6b31")...)},
		}},
	)
}

// TestReindexingIsRefused takes the first of three counted keys away, and then does it as the error says.
func TestReindexingIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	counted := func(ids string) string {
		return pair("k", "count = length("+ids+")", `label = "web"`, "key_id = "+ids+"[count.index]")
	}
	stays := func(name, keyID string, from int) string {
		return pair(name, `label = "web"`, fmt.Sprintf("key_id = %q", keyID)) +
			fmt.Sprintf("moved {\n  from = %s[%d]\n  to = hsm_rsa_keypair.%s\n}\n", key, from, name)
	}
	// Terraform may plan a resource before it has told the provider of the one that has the ID.
	unseen := warns("Key ID Already On The Token").pointing("key_id").maybe()
	const says = "Key ID Of Another Resource"
	var before []string
	b.test(
		turn{TestStep: resource.TestStep{Config: b.config(counted(`["6b31", "6b32", "6b33"]`))}},
		turn{
			TestStep: resource.TestStep{Config: b.config(counted(`["6b32", "6b33"]`)), PlanOnly: true, PreConfig: func() {
				before = []string{b.fingerprintOf("6b32"), b.fingerprintOf("6b33")}
			}},
			says: []remark{
				fails(says, "for_each", "moved {", `to   = hsm_rsa_keypair.NAME["6b3`,
					"label \"web\", key_id 6b3").pointing("key_id"),
				warns("Key ID Changes").pointing("key_id").maybe(), unseen,
			},
		},
		// another name and no moved block
		turn{
			TestStep: resource.TestStep{Config: b.config(pair("n", `label = "web"`, `key_id = "6b31"`)), PlanOnly: true},
			says:     []remark{fails(says, "a new key for a resource hsm_rsa_keypair").pointing("key_id"), unseen},
		},
		turn{TestStep: resource.TestStep{
			Config: b.config(stays("two", "6b32", 1), stays("three", "6b33", 2)),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectResourceAction(key+"[0]", plancheck.ResourceActionDestroy),
				plancheck.ExpectResourceAction("hsm_rsa_keypair.two", plancheck.ResourceActionNoop),
			}},
			ConfigStateChecks: []statecheck.StateCheck{
				b.holding(append(signing("web", "6b32"), signing("web", "6b33")...)...),
				holds(func() error {
					if now := []string{b.fingerprintOf("6b32"), b.fingerprintOf("6b33")}; now[0] != before[0] || now[1] != before[1] {
						return fmt.Errorf("the keys were %v, and are %v", before, now)
					}
					return nil
				}),
			},
		}},
	)
}

// TestAnApplyDoesNotDestroyAKeyThatAnotherResourceHas speaks to the provider without Terraform, which would not go on
// from such a plan.
func TestAnApplyDoesNotDestroyAKeyThatAnotherResourceHas(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.make("web", "6b31")
	ctx := context.Background()
	server, err := b.server()
	if err != nil {
		t.Fatal(err)
	}
	schemas, err := server.GetProviderSchema(ctx, &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	const resourceType = "hsm_rsa_keypair"
	object := schemas.ResourceSchemas[resourceType].ValueType()
	value := func(of tftypes.Type, v tftypes.Value) *tfprotov6.DynamicValue {
		dynamic, err := tfprotov6.NewDynamicValue(of, v)
		if err != nil {
			t.Fatal(err)
		}
		return &dynamic
	}
	provider := schemas.Provider.ValueType().(tftypes.Object)
	settings := map[string]tftypes.Value{}
	for name, of := range provider.AttributeTypes {
		settings[name] = tftypes.NewValue(of, nil)
	}
	for name, text := range map[string]string{"library": b.Library, "token_label": b.Label, "pin": b.PIN} {
		settings[name] = tftypes.NewValue(tftypes.String, text)
	}
	if _, err := server.ConfigureProvider(ctx, &tfprotov6.ConfigureProviderRequest{Config: value(provider,
		tftypes.NewValue(provider, settings))}); err != nil {
		t.Fatal(err)
	}
	// adopted is a resource that has the key, as an import leaves it, once it is planned.
	adopted := func(policy string) (state *tfprotov6.DynamicValue, private []byte, says []*tfprotov6.Diagnostic) {
		imported, err := server.ImportResourceState(ctx, &tfprotov6.ImportResourceStateRequest{TypeName: resourceType,
			ID: "6b31"})
		if err != nil || len(imported.ImportedResources) == 0 {
			t.Fatal(err, imported)
		}
		one := imported.ImportedResources[0]
		v, err := one.State.Unmarshal(object)
		if err != nil {
			t.Fatal(err)
		}
		fields := map[string]tftypes.Value{}
		if err := v.As(&fields); err != nil {
			t.Fatal(err)
		}
		fields["deletion_policy"] = tftypes.NewValue(tftypes.String, policy)
		state = value(object, tftypes.NewValue(object, fields))
		planned, err := server.PlanResourceChange(ctx, &tfprotov6.PlanResourceChangeRequest{
			TypeName: resourceType, PriorState: state, ProposedNewState: state, Config: state, PriorPrivate: one.Private,
		})
		if err != nil {
			t.Fatal(err)
		}
		return state, one.Private, planned.Diagnostics
	}
	refused := func(diagnostics []*tfprotov6.Diagnostic) bool {
		return slices.ContainsFunc(diagnostics,
			func(d *tfprotov6.Diagnostic) bool { return d.Summary == "One Key In Two Resources" })
	}
	state, private, says := adopted("delete")
	if refused(says) {
		t.Error("the first of them is refused")
	}
	if _, _, says := adopted("prevent"); !refused(says) {
		t.Errorf("a plan of the second says %v", says)
	}
	applied, err := server.ApplyResourceChange(ctx, &tfprotov6.ApplyResourceChangeRequest{
		TypeName: resourceType, PriorState: state, PlannedState: value(object, tftypes.NewValue(object, nil)),
		Config: value(object, tftypes.NewValue(object, nil)), PlannedPrivate: private,
	})
	if err != nil || !refused(applied.Diagnostics) {
		t.Errorf("the destruction says %v, %v", applied.Diagnostics, err)
	}
	if left := b.halves(); len(left) != 2 {
		t.Errorf("the token holds %v", left)
	}
}
