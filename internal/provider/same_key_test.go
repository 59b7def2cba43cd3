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

// talk speaks to the provider without Terraform, which would not go on from some plans, and does not show others.
type talk struct {
	t        *testing.T
	server   tfprotov6.ProviderServer
	resource string
	object   tftypes.Object
}

func newTalk(b *bench, resourceType string) talk {
	b.t.Helper()
	ctx := context.Background()
	server, err := b.server()
	if err != nil {
		b.t.Fatal(err)
	}
	schemas, err := server.GetProviderSchema(ctx, &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		b.t.Fatal(err)
	}
	s := talk{b.t, server, resourceType, schemas.ResourceSchemas[resourceType].ValueType().(tftypes.Object)}
	provider := schemas.Provider.ValueType().(tftypes.Object)
	settings := map[string]tftypes.Value{}
	for name, of := range provider.AttributeTypes {
		settings[name] = tftypes.NewValue(of, nil)
	}
	for name, text := range map[string]string{"library": b.Library, "token_label": b.Label, "pin": b.PIN} {
		settings[name] = tftypes.NewValue(tftypes.String, text)
	}
	if _, err := server.ConfigureProvider(ctx, &tfprotov6.ConfigureProviderRequest{Config: s.value(provider,
		tftypes.NewValue(provider, settings))}); err != nil {
		b.t.Fatal(err)
	}
	return s
}

func (s talk) value(of tftypes.Type, v tftypes.Value) *tfprotov6.DynamicValue {
	s.t.Helper()
	dynamic, err := tfprotov6.NewDynamicValue(of, v)
	if err != nil {
		s.t.Fatal(err)
	}
	return &dynamic
}

func (s talk) null() *tfprotov6.DynamicValue {
	return s.value(s.object, tftypes.NewValue(s.object, nil))
}

// with is a state with other texts.
func (s talk) with(state *tfprotov6.DynamicValue, texts map[string]string) *tfprotov6.DynamicValue {
	s.t.Helper()
	v, err := state.Unmarshal(s.object)
	fields := map[string]tftypes.Value{}
	if err == nil {
		err = v.As(&fields)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	for name, text := range texts {
		fields[name] = tftypes.NewValue(tftypes.String, text)
	}
	return s.value(s.object, tftypes.NewValue(s.object, fields))
}

// adopt imports and reads a key.
func (s talk) adopt(keyID string) (state *tfprotov6.DynamicValue, private []byte) {
	s.t.Helper()
	imported, err := s.server.ImportResourceState(s.t.Context(), &tfprotov6.ImportResourceStateRequest{
		TypeName: s.resource, ID: keyID,
	})
	if err != nil || len(imported.ImportedResources) == 0 {
		s.t.Fatal(err, imported)
	}
	one := imported.ImportedResources[0]
	read, err := s.server.ReadResource(s.t.Context(), &tfprotov6.ReadResourceRequest{
		TypeName: s.resource, CurrentState: one.State, Private: one.Private, CurrentIdentity: one.Identity,
	})
	if err != nil || read.NewState == nil {
		s.t.Fatal(err, read)
	}
	return read.NewState, read.Private
}

func (s talk) plan(prior, proposed *tfprotov6.DynamicValue, private []byte) *tfprotov6.PlanResourceChangeResponse {
	s.t.Helper()
	planned, err := s.server.PlanResourceChange(s.t.Context(), &tfprotov6.PlanResourceChangeRequest{
		TypeName: s.resource, PriorState: prior, ProposedNewState: proposed, Config: proposed, PriorPrivate: private,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return planned
}

func (s talk) apply(prior, planned *tfprotov6.DynamicValue, private []byte) []*tfprotov6.Diagnostic {
	s.t.Helper()
	applied, err := s.server.ApplyResourceChange(s.t.Context(), &tfprotov6.ApplyResourceChangeRequest{
		TypeName: s.resource, PriorState: prior, PlannedState: planned, Config: planned, PlannedPrivate: private,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return applied.Diagnostics
}

func says(diagnostics []*tfprotov6.Diagnostic, summary string) bool {
	return slices.ContainsFunc(diagnostics, func(d *tfprotov6.Diagnostic) bool { return d.Summary == summary })
}

func TestAnApplyDoesNotDestroyAKeyThatAnotherResourceHas(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.make("web", "6b31")
	s := newTalk(b, "hsm_rsa_keypair")
	adopted := func(policy string) (state *tfprotov6.DynamicValue, private []byte, refused bool) {
		state, private = s.adopt("6b31")
		state = s.with(state, map[string]string{"deletion_policy": policy})
		return state, private, says(s.plan(state, state, private).Diagnostics, "One Key In Two Resources")
	}
	state, private, refused := adopted("delete")
	if refused {
		t.Error("the first of them is refused")
	}
	if _, _, refused := adopted("prevent"); !refused {
		t.Error("the second is not refused")
	}
	if diagnostics := s.apply(state, s.null(), private); !says(diagnostics, "One Key In Two Resources") {
		t.Errorf("the destruction says %v", diagnostics)
	}
	if left := b.halves(); len(left) != 2 {
		t.Errorf("the token holds %v", left)
	}
}
