package provider

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

func TestEachTimeoutIsRefusedIfItLeavesNoTime(t *testing.T) {
	attribute := timeoutsOf(context.Background(), keyTimes).(schema.SingleNestedAttribute)
	if len(attribute.Attributes) != 4 {
		t.Errorf("there are %d timeouts", len(attribute.Attributes))
	}
	for name, each := range attribute.Attributes {
		refuses := func(v validator.String) bool {
			var resp validator.StringResponse
			v.ValidateString(context.Background(), validator.StringRequest{ConfigValue: given("-1.5h")}, &resp)
			return resp.Diagnostics.HasError()
		}
		if !slices.ContainsFunc(each.(schema.StringAttribute).Validators, refuses) {
			t.Errorf("%s may be over before it begins", name)
		}
	}
}

// TestATimeoutInAnOlderStateThatLeavesNoTimeIsPassedOver: else no plan could read the key, and nobody could mend it.
func TestATimeoutInAnOlderStateThatLeavesNoTimeIsPassedOver(t *testing.T) {
	r := newRSAKeyPairResource()
	r.client = newClient(configuration{token: hsmtest.New(t).Config()})
	defer func() { _ = r.client.close() }()
	var diags diag.Diagnostics
	over := func(context.Context, time.Duration) (time.Duration, diag.Diagnostics) { return -time.Hour, nil }
	ran := false
	r.within(context.Background(), &diags, diagnose.Read, r.kind.newModel(), over, time.Minute, func(ctx context.Context,
		_ *hsm.Token) error {
		ran = true
		return ctx.Err()
	})
	if !ran || len(diags) > 0 {
		t.Errorf("it says %v", diags)
	}
}
