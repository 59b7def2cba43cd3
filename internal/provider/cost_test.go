package provider_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// stock makes pairs of the IDs 0000, 0001 ... on P-256, which are made faster than those of RSA.
func (b *bench) stock(pairs int) {
	b.t.Helper()
	params, _ := publickey.ECParams(publickey.P256)
	err := b.Session(func(ctx context.Context, s *cryptoki.Session) error {
		for i := range pairs {
			both := []cryptoki.Attribute{
				cryptoki.Bool(cryptoki.CKA_TOKEN, true), cryptoki.Bytes(cryptoki.CKA_LABEL, fmt.Append(nil, "key ", i)),
				cryptoki.Bytes(cryptoki.CKA_ID, binary.BigEndian.AppendUint16(nil, uint16(i))),
			}
			public := append([]cryptoki.Attribute{
				cryptoki.Bytes(cryptoki.CKA_EC_PARAMS, params), cryptoki.Bool(cryptoki.CKA_VERIFY, true),
			}, both...)
			private := append([]cryptoki.Attribute{
				cryptoki.Bool(cryptoki.CKA_PRIVATE, true), cryptoki.Bool(cryptoki.CKA_SENSITIVE, true),
				cryptoki.Bool(cryptoki.CKA_EXTRACTABLE, false),
				cryptoki.Bool(cryptoki.CKA_SIGN, true), cryptoki.Bool(cryptoki.CKA_DERIVE, false),
			}, both...)
			mechanism := cryptoki.Mechanism{Type: cryptoki.CKM_EC_KEY_PAIR_GEN}
			if _, err := s.GenerateKeyPair(ctx, mechanism, public, private); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// It runs alone: how the provider reads depends on what it measures.
func TestAPlanOfAHundredUnchangedPairsIsCheap(t *testing.T) {
	b := newBench(t)
	const pairs, most = 100, 2.6
	b.stock(pairs)
	config := b.config(
		ecPair("count = 100", `label = "key ${count.index}"`, `key_id = format("%04x", count.index)`,
			`deletion_policy = "abandon"`),
		`import {
			for_each = { for i in range(100) : i => i }
			to = hsm_ec_keypair.k[each.value]
			id = format("%04x", each.value)
		}`)
	var start time.Time
	var measured bool
	b.test(
		turn{TestStep: resource.TestStep{Config: config}, says: []remark{warns("Usage The Key Cannot Have").maybe()}}, // as the token's default is
		turn{TestStep: resource.TestStep{
			PreConfig: func() {
				b.closeProviders() // so that the plan has to log in
				b.faults.Clear()
				start = time.Now()
			},
			Config: config, PlanOnly: true, // one plan that reads the token, and one that does not
			ConfigPlanChecks: resource.ConfigPlanChecks{PostApplyPostRefresh: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan(), during{func() {
				measured = true
				each := map[string]int{}
				for _, function := range b.faults.Calls() {
					each[function]++
				}
				// Choosing the token costs a call for each that the module shows, and those of the other tests are no part of this.
				calls := b.faults.Count("") - (hsmtest.Tokens - 1)
				t.Logf("a plan of %d unchanged pairs made %d calls, %.2f a pair, in %s (and its first half, which reads nothing): %v",
					pairs, calls, float64(calls)/pairs, time.Since(start).Round(time.Millisecond), each)
				if float64(calls) > most*pairs {
					t.Errorf("that is more than %.1f a pair", most)
				}
				if each["C_GetAttributeValue"] < 2*pairs {
					t.Errorf("%d pairs were read in %d calls: not all were", pairs, each["C_GetAttributeValue"])
				}
				if each["C_Login"] != 1 {
					t.Errorf("the token was logged in to %d times", each["C_Login"])
				}
			}}}},
		}},
	)
	if !measured {
		t.Error("nothing was measured")
	}
}
