package provider_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// A call into a module that hangs cannot be ended, but nobody waits for it longer than the configuration says.
func TestATokenThatHangsIsGivenUpInTime(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Spoil()
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	var began atomic.Int64 // when the module began to hang
	hang := func(function string) func() {
		return func() {
			b.faults.Clear()
			b.faults.Inject(hsmtest.Fault{Function: function, Nth: 1, Onwards: true, Do: func(context.Context, *cryptoki.Call, func() error) error {
				began.CompareAndSwap(0, time.Now().UnixNano())
				<-release
				return cryptoki.CKR_DEVICE_ERROR
			}})
		}
	}
	// waited checks how long the step before took to give up: from its request on the limit at least, and no more than
	// that from where the module began to hang, but for what else the machine had to do.
	waited := func(function string, limit time.Duration) {
		b.faults.Clear()
		took, hung := b.latest.Sub(b.asked), b.latest.Sub(time.Unix(0, began.Swap(0)))
		if took < limit || hung > limit+5*time.Second {
			t.Errorf("given up after %s, of which %s hung for %s; the limit is %s", took, function, hung, limit)
		}
	}
	config := func(more ...string) string {
		return b.config(pair("k", append(more, `key_id = "6b31"`, `timeouts = { create = "5s", read = "1s", update = "1500ms", delete = "1s" }`)...))
	}
	b.test(
		turn{
			TestStep: resource.TestStep{PreConfig: hang("C_GenerateKeyPair"), Config: config(`label = "web"`)},
			says: []remark{fails("Unable to Create Key Pair: Token Does Not Answer", "C_GenerateKeyPair has not returned after", "the call may still take effect", "timeouts",
				"It is not known whether the token holds the key or part of it", `the key "web" (key_id 6b31)`)},
		},
		turn{TestStep: resource.TestStep{PreConfig: func() { waited("C_GenerateKeyPair", 5*time.Second) }, Config: config(`label = "web"`)}},
		turn{
			TestStep: resource.TestStep{PreConfig: hang("C_GetAttributeValue"), Config: config(`label = "web"`), PlanOnly: true},
			says:     []remark{fails("Unable to Read Key Pair: Token Does Not Answer", "C_GetAttributeValue has not returned after", "terraform plan")},
		},
		turn{
			TestStep: resource.TestStep{
				PreConfig: func() {
					waited("C_GetAttributeValue", time.Second)
					hang("C_SetAttributeValue")()
				},
				Config: config(`label = "shop"`),
			},
			says: []remark{fails("Unable to Update Key Pair: Token Does Not Answer", "C_SetAttributeValue has not returned after",
				"It is not known whether the change was made, in whole or in part")},
		},
		turn{TestStep: resource.TestStep{PreConfig: func() { waited("C_SetAttributeValue", 1500*time.Millisecond) }, Config: config(`label = "shop"`)}},
	)
	b.expect()
}
