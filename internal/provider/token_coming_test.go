package provider_test

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// readData reads a data source.
func (w *wire) readData(typeName string, config words) diagnostics {
	w.t.Helper()
	resp, err := w.server.ReadDataSource(w.t.Context(), &tfprotov6.ReadDataSourceRequest{
		TypeName: typeName, Config: w.dynamic(w.object(w.schemas.DataSourceSchemas[typeName], config)),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.Diagnostics
}

const (
	notChecked = "New Keys Not Checked Against The Token"
	notFound   = "Unable to Plan Key Pair: Token Not Found"
	orWait     = "The resource hsm_token does both: whatever uses the token then needs depends_on with its address."
)

// TestOnlyTheTokenThatAPlanMakesIsToCome plans keys beside a token, in an empty SoftHSM.
func TestOnlyTheTokenThatAPlanMakesIsToCome(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, blank *hsmtest.Blank) {
		w := newWire(t, blank)
		w.withSOPINs(blank.SOPIN, "")
		slot := fmt.Sprint(w.blankSlot())
		for name, row := range hsmtest.InOrder(map[string]struct {
			block, token words // what differs; nil: no token is planned
			first        bool  // the key comes first
			also         bool  // another token is planned before the key
			titles       []string
			says, never  string
		}{
			"the token, then the key":        {token: words{}, titles: []string{notChecked}, never: "depends_on"},
			"two tokens, then the key":       {token: words{}, also: true, titles: []string{notChecked}},
			"the key, then the token":        {token: words{}, first: true, titles: []string{notFound}, says: orWait},
			"no token":                       {titles: []string{notFound}, says: orWait},
			"a token of another label":       {token: words{"label": "shop"}, titles: []string{notFound}, says: "This plan makes the token \"shop\""},
			"a label that is not known yet":  {token: words{"label": tftypes.UnknownValue}, titles: []string{"New Token Not Checked", notChecked}},
			"a serial number":                {block: words{"token_label": nil, "token_serial": "1f"}, token: words{}, titles: []string{notFound}},
			"a serial number and the label":  {block: words{"token_serial": "1f"}, token: words{}, titles: []string{notFound}},
			"the slot of both":               {block: words{"token_label": nil, "slot": slot}, token: words{"slot": slot}, titles: []string{notChecked}},
			"the slot and the label of both": {block: words{"slot": slot}, token: words{"slot": slot}, titles: []string{notChecked}},
			"the slot, and a token of no slot in particular": {
				block: words{"token_label": nil, "slot": slot}, token: words{}, titles: []string{"Unable to Plan Key Pair: Token Not Initialised"}, says: orWait,
			},
			"another slot": {block: words{"token_label": nil, "slot": "77"}, token: words{"slot": slot}, titles: []string{notFound}},
			"nothing that selects a token": {
				block: words{"token_label": nil}, token: words{}, titles: []string{notFound}, says: orWait,
			},
			"a token that cannot be made": {
				token: words{"slot": "77"}, titles: []string{"Unable to Plan Token: No Token To Initialise", notFound}, says: orWait,
			},
			"a wrong library": {
				block: words{"library": "/no/such.so"}, token: words{}, never: orWait,
				titles: []string{"Unable to Plan Token: PKCS#11 Module Not Usable", "Unable to Plan Key Pair: PKCS#11 Module Not Usable"},
			},
		}) {
			w.block = words{"library": blank.Library, "token_label": "hydra", "pin": blank.PIN}
			maps.Copy(w.block, row.block)
			said := w.start()
			plan := func(r *wired) {
				_, ds := w.plan(r)
				said = append(said, ds...)
			}
			if row.first {
				plan(ecKey(nil))
			}
			if row.token != nil {
				token := hydraToken()
				maps.Copy(token.config, row.token)
				plan(token)
			}
			if row.also {
				another := hydraToken()
				another.config["label"] = "another"
				plan(another)
			}
			if !row.first {
				plan(ecKey(nil))
			}
			if !slices.Equal(said.titles(), row.titles) || !strings.Contains(said.String(), row.says) ||
				row.never != "" && strings.Contains(said.String(), row.never) {
				t.Errorf("%s: it says %q, with\n%s", name, said.titles(), said)
			}
		}
		if folders := blank.Folders(t); len(folders) > 0 {
			t.Errorf("plans have made %v", folders)
		}
	})
}

// blankSlot is the slot of the token that is not initialised.
func (w *wire) blankSlot() uint {
	w.t.Helper()
	slots, err := hsm.Slots(w.t.Context(), w.blank.Config())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, slot := range slots {
		if slot.Token != nil && !slot.Token.Initialised() {
			return slot.ID
		}
	}
	w.t.Fatal("no token is blank")
	return 0
}

// TestWhatReadsATokenThatIsToComeWaitsForIt has data sources, keys of the state and a new key that does not wait for the token
// meet one that is still to be made. None hides that, and all goes well once it is made.
func TestWhatReadsATokenThatIsToComeWaitsForIt(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, blank *hsmtest.Blank) {
		w := newWire(t, blank)
		w.withSOPINs(blank.SOPIN, "")
		sources := map[string]words{
			"hsm_jwks": {"labels": []string{"web"}}, "hsm_keys": {}, "hsm_public_key": {"label": "web"}, "hsm_token": {},
		}
		token, key := hydraToken(), ecKey(nil)
		w.start()
		for name, config := range hsmtest.InOrder(sources) {
			if said := w.readData(name, config); !said.failed() || !strings.HasSuffix(said[0].Summary, ": Token Not Found") || !strings.Contains(said[0].Detail, orWait) {
				t.Errorf("before the token's plan, %s says:\n%s", name, said)
			}
		}
		if _, said := w.plan(token); len(said) > 0 {
			t.Fatal(said)
		}
		for name, config := range hsmtest.InOrder(sources) {
			if said := w.readData(name, config); !said.failed() || !strings.HasSuffix(said[0].Summary, ": Token Still To Be Made") ||
				!strings.Contains(said[0].Detail, "What to do: write depends_on with the address of the hsm_token into what fails here") {
				t.Errorf("after the token's plan, %s says:\n%s", name, said)
			}
		}
		if said := w.readData("hsm_tokens", nil); len(said) > 0 {
			t.Errorf("hsm_tokens says:\n%s", said)
		}
		for range 3 {
			if _, said := w.plan(ecKey(token)); len(said) > 1 {
				t.Errorf("it says:\n%s", said)
			}
		}

		faults := &hsmtest.Faults{}
		faults.Inject(hsmtest.Fault{Function: "C_InitToken", Code: cryptoki.CKR_DEVICE_ERROR})
		said, _ := w.applied([]hsm.Hook{faults.Hook}, token, key)
		if want := []string{notChecked, "Unable to Create Token", notChecked, "Unable to Create Key Pair: Token Still To Be Made"}; !slices.Equal(said.titles(), want) {
			t.Errorf("where the token is not made, it says:\n%s", said)
		}

		w.start() // in one process: a key that is too early is remembered for nothing
		if said, _ := w.apply(ecKey(nil)); !said.failed() {
			t.Errorf("it made a key:\n%s", said)
		}
		if said, _ := w.apply(token); said.failed() {
			t.Fatal(said)
		}
		if said, _ := w.apply(key); len(said) > 0 {
			t.Fatal(said)
		}
		for name, config := range hsmtest.InOrder(sources) {
			if said := w.readData(name, config); len(said) > 0 {
				t.Errorf("once the token is there, %s says:\n%s", name, said)
			}
		}

		// The state has a key, and the token is gone. No new token has it.
		w.empties()
		w.start()
		if _, said := w.plan(hydraToken()); len(said) > 0 {
			t.Fatal(said)
		}
		if said := w.refresh(key); !said.failed() || !strings.Contains(said.String(), "Do not initialise a token for this.") ||
			strings.Contains(said.String(), "depends_on") || key.state.IsNull() {
			t.Errorf("of a key of the state it says:\n%s", said)
		}
		w.stop()
	})
}

// TestKeysWaitForThePINThatTheProviderHas plans new PINs of tokens, and reads a key: with a PIN that is yet to be set,
// nobody logs in.
func TestKeysWaitForThePINThatTheProviderHas(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, blank *hsmtest.Blank) {
		w := newWire(t, blank)
		w.withSOPINs(blank.SOPIN, "")
		token, key, other := hydraToken(), ecKey(nil), hydraToken()
		other.config["label"] = "shop"
		if said, _ := w.applied(nil, token, other, key); said.failed() {
			t.Fatal(said)
		}
		old, next := blank.PIN, hsmtest.RandomPIN()
		const notRead = `Keys Not Read: "web" (key_id 6b31)`
		for name, row := range hsmtest.InOrder(map[string]struct {
			token  *wired
			config words
			pin    string // the provider's
			titles []string
		}{
			"its own":                   {token, words{"pin_wo_version": 2}, next, []string{notRead}},
			"its own, said twice":       {token, words{"pin_wo_version": 2, "pin_wo": next}, next, []string{notRead}},
			"another one":               {token, words{"pin_wo_version": 2, "pin_wo": next}, old, []string{"The Provider Needs The New PIN"}},
			"its own, of another token": {other, words{"pin_wo_version": 2}, old, nil},
		}) {
			w.block["pin"] = row.pin
			given := *row.token
			given.config = maps.Clone(given.config)
			maps.Copy(given.config, row.config)
			logins := 0
			said := w.start(func(_ context.Context, c *cryptoki.Call, next func() error) error {
				if c.Function == "C_Login" {
					logins++
				}
				return next()
			})
			_, ds := w.plan(&given)
			said = append(append(said, ds...), w.refresh(key)...)
			if !slices.Equal(said.titles(), row.titles) || (logins == 0) != slices.Contains(row.titles, notRead) {
				t.Errorf("%s: after %d logins it says\n%s", name, logins, said)
			}
			w.stop()
		}
	})
}

// TestASecondProviderBlockWaitsForTheSerialNumber is of a provider block whose token_serial is that of a token to come, beside
// a label in the environment.
func TestASecondProviderBlockWaitsForTheSerialNumber(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, blank *hsmtest.Blank) {
		w := newWire(t, blank)
		w.withSOPINs(blank.SOPIN, "")
		w.block["token_label"] = nil
		token := hydraToken()
		if said, _ := w.applied(nil, token); said.failed() {
			t.Fatal(said)
		}
		serial := token.attribute("serial")
		for name, row := range hsmtest.InOrder(map[string]struct {
			label  string
			serial any
			titles []string
			says   []string
		}{
			"unknown":              {"", tftypes.UnknownValue, []string{notChecked}, []string{"(token_serial)"}},
			"unknown, and a label": {"shop", tftypes.UnknownValue, []string{notChecked}, []string{"(token_serial)"}},
			"known":                {"", serial, nil, nil},
			"known, and its label": {"hydra", serial, nil, nil},
			"known, and another token's label": {"shop", serial, []string{notFound}, []string{
				fmt.Sprintf(`label "shop" (from HSM_TOKEN_LABEL) and serial number %q (from token_serial)`, serial),
			}},
		}) {
			w.setenv("HSM_TOKEN_LABEL", row.label)
			w.block["token_serial"] = row.serial
			said := w.start()
			for range 2 {
				_, ds := w.plan(ecKey(nil))
				said = append(said, ds...)
				if ds.failed() {
					break
				}
			}
			if !slices.Equal(said.titles(), row.titles) || slices.ContainsFunc(row.says, func(s string) bool { return !strings.Contains(said.String(), s) }) {
				t.Errorf("%s: it says\n%s", name, said)
			}
		}
		w.setenv("HSM_TOKEN_LABEL", "")
		w.stop()
	})
}

// TestATokenAndItsKeysInOneProcess makes a token, sets its PIN and erases it, while keys that do not wait for it are planned,
// made and read in the same process. What is told to wait does so, nothing is refused for its PIN, and no goroutine is left.
func TestATokenAndItsKeysInOneProcess(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, blank *hsmtest.Blank) {
		goroutines := runtime.NumGoroutine()
		w := newWire(t, blank)
		w.withSOPINs(blank.SOPIN, "")
		token := hydraToken()
		keys := make([]*wired, 6)
		for i := range keys {
			keys[i] = ecKey(nil)
			keys[i].config["key_id"] = fmt.Sprintf("6b3%d", i)
		}
		together := func(of func(r *wired) diagnostics) (said diagnostics) {
			t.Helper()
			w.start(hsmtest.KeepApart)
			var mu sync.Mutex
			var all sync.WaitGroup
			for _, r := range append([]*wired{token}, keys...) {
				all.Go(func() {
					ds := of(r)
					mu.Lock()
					defer mu.Unlock()
					said = append(said, ds...)
				})
			}
			all.Wait()
			return said
		}
		apply := func(r *wired) diagnostics {
			for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
				said, _ := w.apply(r)
				early := strings.Contains(said.String(), ": Token Not Found") || strings.Contains(said.String(), ": Token Still To Be Made") ||
					strings.Contains(said.String(), ": Token Not Initialised") || strings.Contains(said.String(), ": No User PIN On The Token")
				if !said.failed() || !early || time.Now().After(end) {
					return said
				}
			}
		}
		if said := together(apply); said.failed() {
			t.Fatal(said)
		}
		newPIN := hsmtest.RandomPIN()
		token.config["pin_wo"], token.config["pin_wo_version"] = newPIN, 2
		said := together(func(r *wired) diagnostics {
			if r == token {
				return apply(r)
			}
			return w.refresh(r)
		})
		if said.failed() {
			t.Fatal(said)
		}
		w.block["pin"] = newPIN
		if said := together(w.refresh); len(said) > 0 {
			t.Fatal(said)
		}
		if said := together(func(r *wired) diagnostics {
			if r == token {
				return nil
			}
			r.config = nil
			return apply(r)
		}); len(said) > 0 {
			t.Fatal(said)
		}
		token.config = nil
		if said, _ := w.applied(nil, token); said.failed() {
			t.Fatal(said)
		}
		if files, _ := filepath.Glob(filepath.Join(blank.Folder, "*", "*.object")); len(files) != 1 { // the token's own
			t.Errorf("in the end there are %v", files)
		}
		for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > goroutines; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				stacks := make([]byte, 1<<16)
				t.Fatalf("%d goroutines are left of %d:\n%s", runtime.NumGoroutine(), goroutines, stacks[:runtime.Stack(stacks, true)])
			}
		}
	})
}
