package provider_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// stateKeeper fails the test where an apply that fails leaves another state than the one before it.
type stateKeeper struct{ listener }

func (k stateKeeper) ApplyResourceChange(ctx context.Context, req *tfprotov6.ApplyResourceChangeRequest) (
	*tfprotov6.ApplyResourceChangeResponse, error,
) {
	resp, err := k.listener.ApplyResourceChange(ctx, req)
	failed := false
	for _, d := range resp.Diagnostics {
		failed = failed || d.Severity == tfprotov6.DiagnosticSeverityError
	}
	if failed && !bytes.Equal(resp.NewState.MsgPack, req.PriorState.MsgPack) {
		k.bench.t.Errorf("an apply that failed has changed the state from\n%q\nto\n%q", req.PriorState.MsgPack,
			resp.NewState.MsgPack)
	}
	return resp, err
}

// TestAModuleThatFailsLosesAndDoublesNothing has calls fail as a key is made, changed and destroyed. Before the real
// call, the apply fails; after it, the apply finds what the call has done. Each apply begins with what the one before
// it has left. Between them, a token that does not offer new keys fails the plan of one, and of one in another's place.
func TestAModuleThatFailsLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t, "P-256")
	b := newBench(t)
	web, shop := ecPair(`label = "web"`, `key_id = "6b31"`), ecPair(`label = "shop"`, `key_id = "6b31"`)
	const none, made, changed, destroyed = `resource "terraform_data" "none" {}`,
		"C_GenerateKeyPair", "C_SetAttributeValue", "C_DestroyObject"
	before := func(function string, nth int) hsmtest.Fault {
		return hsmtest.Fault{Function: function, Nth: nth, Onwards: true, Code: cryptoki.CKR_DEVICE_ERROR}
	}
	after := func(function string) hsmtest.Fault {
		return hsmtest.Fault{Function: function, Code: cryptoki.CKR_DEVICE_ERROR, After: true}
	}
	failed := func(doing, key, holds string) []remark {
		return []remark{fails("Unable to "+doing+" Key Pair", "CKR_DEVICE_ERROR", `the key "`+key+`" (key_id 6b31)`,
			holds)}
	}
	lie := func(_ context.Context, c *cryptoki.Call, next func() error) error {
		err := next()
		if reading, ok := c.Result.(*cryptoki.Reading); ok {
			reading.Attributes[cryptoki.CKA_NEVER_EXTRACTABLE] = []byte{0}
		}
		return err
	}
	const unoffered = "Unable to Plan Key Pair: Not Offered By The Token"
	rows := []struct {
		fault  hsmtest.Fault
		block  string
		action plancheck.ResourceActionType // "": the plan fails
		holds  []half                       // in the end
		says   []remark
	}{
		{
			before(made, 1), web, plancheck.ResourceActionCreate, nil,
			failed("Create", "web", "The token holds no key with this ID."),
		},
		{after(made), web, plancheck.ResourceActionCreate, signing("web", "6b31"), nil},
		{
			hsmtest.Fault{Function: "C_GetMechanismInfo", Code: cryptoki.CKR_MECHANISM_INVALID},
			ecPair(`label = "web"`, `key_id = "6b31"`, "extractable = true") + pair("new", `label = "new"`), "",
			signing("web", "6b31"), []remark{fails(unoffered, "RSA"), fails(unoffered, "EC"), underOldID},
		},
		{
			before(changed, 1), shop, plancheck.ResourceActionUpdate, signing("web", "6b31"),
			failed("Update", "web", "The token holds the key as it was before."),
		},
		{
			before(changed, 2), shop, plancheck.ResourceActionUpdate,
			[]half{private("shop", "6b31", "sign"), public("web", "6b31", "verify")},
			failed("Update", "web", "The token holds the whole key, but only some of the changes were made."),
		},
		{
			after(changed), shop, plancheck.ResourceActionUpdate, signing("shop", "6b31"),
			[]remark{warns("The Two Halves Of A Key Pair Differ")},
		},
		{
			before(destroyed, 1), none, plancheck.ResourceActionDestroy, signing("shop", "6b31"),
			failed("Delete", "shop", "The token holds the whole key."),
		},
		{after(destroyed), none, plancheck.ResourceActionDestroy, nil, nil},
	}
	var turns []turn
	for i, c := range rows {
		step := resource.TestStep{Config: b.config(c.block), PlanOnly: c.action == "", PreConfig: func() {
			if i > 0 {
				b.expect(rows[i-1].holds...)
			}
			b.faults.Clear()
			b.faults.Inject(c.fault)
		}}
		if c.action != "" {
			// What the plan knows stays as planned, whatever the token says in the apply: else Terraform refuses its
			// result.
			step.ConfigPlanChecks = resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectResourceAction("hsm_ec_keypair.k", c.action), during{func() {
					if c.action == plancheck.ResourceActionUpdate {
						b.faults.Inject(hsmtest.Fault{Function: "C_GetAttributeValue", Do: lie})
					}
				}},
			}}
		}
		turns = append(turns, turn{step, c.says})
	}
	b.testWith(map[string]func() (tfprotov6.ProviderServer, error){"hsm": func() (tfprotov6.ProviderServer, error) {
		server, err := b.server()
		return stateKeeper{server.(listener)}, err
	}}, turns...)
	b.expect()
}
