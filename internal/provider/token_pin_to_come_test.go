package provider_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// TestKeysWaitForAPINThatIsToCome gives a token's user the PIN that the provider has already. What is planned before
// does not log in; what is applied before fails, and says why. With another PIN in pin_wo, keys are read as ever.
func TestKeysWaitForAPINThatIsToCome(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, blank *hsmtest.Blank) {
		w := newWire(t, blank)
		w.withSOPINs(blank.SOPIN, "")
		token, key := hydraToken(), ecKey(nil)
		if said, _ := w.applied(nil, token, key); said.failed() {
			t.Fatal(said)
		}
		token.config["pin_wo"], token.config["pin_wo_version"] = hsmtest.RandomPIN(), 2
		w.start()
		if _, said := w.plan(token); !slices.Equal(said.titles(), []string{"The Provider Needs The New PIN"}) {
			t.Errorf("of a PIN in pin_wo it says:\n%s", said)
		}
		if said := w.refresh(key); len(said) > 0 {
			t.Errorf("of a key it says:\n%s", said)
		}

		delete(token.config, "pin_wo")
		w.block["pin"] = hsmtest.RandomPIN()
		var logins atomic.Int64
		w.start(func(_ context.Context, c *cryptoki.Call, next func() error) error {
			if c.Function == "C_Login" && c.User == cryptoki.CKU_USER {
				logins.Add(1)
			}
			return next()
		})
		if _, said := w.plan(token); len(said) > 0 {
			t.Errorf("of the provider's own PIN it says:\n%s", said)
		}
		another := ecKey(nil)
		another.config["key_id"], another.config["label"] = "6b32", "another"
		said := w.refresh(key)
		_, ds := w.plan(another)
		if titles := append(said.titles(), ds.titles()...); !slices.Equal(titles,
			[]string{`Keys Not Read: "web" (key_id 6b31)`, notChecked}) {
			t.Errorf("of the keys it says:\n%s%s", said, ds)
		}
		said, _ = w.apply(another)
		if titles := said.titles(); !slices.Contains(titles, "Unable to Create Key Pair: PIN Still To Be Set") ||
			logins.Load() > 0 {
			t.Errorf("after %d logins, of a key that does not wait it says:\n%s", logins.Load(), said)
		}
		if said, _ := w.apply(token); len(said) > 0 {
			t.Errorf("of the token it says:\n%s", said)
		}
		if said, _ := w.apply(another); said.failed() {
			t.Errorf("of the key it says:\n%s", said)
		}
		w.stop()
	})
}

// TestTheModuleIsGivenBack makes a token and erases it, with keys read between: in the end, nobody has the module open.
func TestTheModuleIsGivenBack(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, blank *hsmtest.Blank) {
		w := newWire(t, blank)
		w.withSOPINs(blank.SOPIN, "")
		token, key := hydraToken(), ecKey(nil)
		var open atomic.Int64
		hook := func(_ context.Context, c *cryptoki.Call, next func() error) error {
			err := next()
			switch {
			case c.Function == "C_Initialize" && err == nil:
				open.Add(1)
			case c.Function == "C_Finalize" && err == nil:
				open.Add(-1)
			}
			return err
		}
		if said, _ := w.applied([]hsm.Hook{hook}, token, key); said.failed() {
			t.Fatal(said)
		}
		token.config["pin_wo_version"] = 2
		w.start(hook)
		said := w.refresh(key)
		for _, r := range []*wired{token, key} {
			ds, _ := w.apply(r)
			said = append(said, ds...)
		}
		said = append(said, w.refresh(key)...)
		if w.stop(); said.failed() || open.Load() != 0 {
			t.Errorf("it is open %d times; it says:\n%s", open.Load(), said)
		}
	})
}

// ends applies a plan without asking for one, as Terraform does with the end of a tainted or deposed resource.
func (m *managed) ends() {
	m.t.Helper()
	m.heard = nil
	resp, err := m.server.ApplyResourceChange(m.t.Context(), &tfprotov6.ApplyResourceChangeRequest{
		TypeName: "hsm_token", PriorState: m.value(m.object, m.state), PlannedState: m.value(m.object, nil),
		Config: m.value(m.object, nil), PlannedPrivate: m.private,
	})
	m.hear(resp.Diagnostics, err)
}

// TestTheEndOfOneResourceOfTwo has two resources of one token: both may not stay, and none is destroyed against its
// policy.
func TestTheEndOfOneResourceOfTwo(t *testing.T) {
	t.Parallel()
	another := fails("Unable to Plan Token: Token Has Another Resource", `has the token "hydra"`)
	atDesk(t, func(d *desk) {
		d.blank.Add(t, "hydra")
		a, b := d.resource(), d.resource()
		a.imports("hydra", nil)
		b.imports("hydra", nil)
		d.command()
		a.plan(hydra)
		b.plan(hydra)
		a.says()
		b.says(another)

		b.ends() // its policy is still "prevent"
		b.says(fails("Token Is Protected From Destruction",
			"Terraform is about to destroy").pointing("deletion_policy"))
		if !b.applies(hydra.with(lines{"deletion_policy": "abandon"})) {
			t.Fatal(b.heard)
		}
		d.command()
		a.heard, b.heard = nil, nil
		b.plan(nil)
		a.plan(hydra)
		a.says()
		b.says()
	})
}

// TestAPINOfATokenThatIsNotTheProviders warns of no other PIN: the provider does not log in to that token.
func TestAPINOfATokenThatIsNotTheProviders(t *testing.T) {
	t.Parallel()
	atDesk(t, func(d *desk) {
		needs := warns("The Provider Needs The New PIN", "HSM_PIN")
		m, config := d.resource(), hydra.with(lines{"pin_wo": "44556677"})
		for label, says := range map[string][]remark{"hydra": {needs}, "shop": nil, "": {needs}} {
			d.env("HSM_TOKEN_LABEL", label)
			m.plans(config)
			m.says(says...)
		}
		d.env("HSM_TOKEN_LABEL", "hydra")
		m.plans(hydra.with(lines{"pin_wo": d.blank.PIN}))
		m.says()
	})
}
