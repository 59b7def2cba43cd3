package provider_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	hsmprovider "github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider"
)

// words are the arguments of a block: strings, bools, ints, lists of strings, or tftypes.UnknownValue.
type words map[string]any

// wire speaks Terraform's protocol with the provider, as a run of Terraform does, in a hundredth of its time: hundreds
// of runs with a fault each would take too long otherwise.
type wire struct {
	t       *testing.T
	blank   *hsmtest.Blank
	schemas *tfprotov6.GetProviderSchemaResponse
	block   words // the provider's

	server tfprotov6.ProviderServer
	end    func()
}

func newWire(t *testing.T, blank *hsmtest.Blank) *wire {
	t.Helper()
	w := &wire{t: t, blank: blank, block: words{"library": blank.Library, "token_label": "hydra", "pin": blank.PIN}}
	server := hsmprovider.NewServer(hsmprovider.New("test"))()
	schemas, err := server.GetProviderSchema(t.Context(), &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	w.schemas = schemas
	return w
}

// start begins a process of the provider: a plan has one, and its apply another.
func (w *wire) start(hooks ...hsm.Hook) diagnostics {
	w.t.Helper()
	if w.end != nil {
		w.end()
	}
	p := hsmprovider.New("test", hsmprovider.WithHooks(hooks...))()
	w.server = hsmprovider.NewServer(func() provider.Provider { return p })()
	w.end = func() {
		if err := p.(interface{ Close() error }).Close(); err != nil && len(hooks) == 0 {
			w.t.Errorf("closing the provider: %v", err)
		}
	}
	config := w.dynamic(w.object(w.schemas.Provider, w.block))
	resp, err := w.server.ConfigureProvider(w.t.Context(), &tfprotov6.ConfigureProviderRequest{Config: config})
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.Diagnostics
}

// stop ends the process.
func (w *wire) stop() {
	if w.end != nil {
		w.end()
		w.end = nil
	}
}

// setenv sets a variable of this process, which is the test's alone.
func (w *wire) setenv(name, value string) {
	w.t.Helper()
	if err := os.Setenv(name, value); err != nil {
		w.t.Fatal(err)
	}
}

func (w *wire) object(s *tfprotov6.Schema, given words) tftypes.Value {
	object := s.ValueType().(tftypes.Object)
	values := map[string]tftypes.Value{}
	for name, kind := range object.AttributeTypes {
		value := given[name]
		if list, ok := value.([]string); ok {
			var all []tftypes.Value
			for _, text := range list {
				all = append(all, tftypes.NewValue(tftypes.String, text))
			}
			value = all
		}
		values[name] = tftypes.NewValue(kind, value)
	}
	return tftypes.NewValue(object, values)
}

func (w *wire) dynamic(v tftypes.Value) *tfprotov6.DynamicValue {
	w.t.Helper()
	d, err := tfprotov6.NewDynamicValue(v.Type(), v)
	if err != nil {
		w.t.Fatal(err)
	}
	return &d
}

// wired is a resource with what Terraform's configuration and state have of it.
type wired struct {
	typeName string
	config   words
	needs    *wired // depends_on

	state    tftypes.Value
	private  []byte
	identity *tfprotov6.ResourceIdentityData
}

// diagnostics are what the provider says.
type diagnostics []*tfprotov6.Diagnostic

func (d diagnostics) failed() bool {
	return slices.ContainsFunc(d,
		func(d *tfprotov6.Diagnostic) bool { return d.Severity == tfprotov6.DiagnosticSeverityError })
}

func (d diagnostics) String() string {
	var b strings.Builder
	for _, one := range d {
		fmt.Fprintf(&b, "%s: %s\n%s\n\n", one.Severity, one.Summary, one.Detail)
	}
	return b.String()
}

// titles are the summaries.
func (d diagnostics) titles() (all []string) {
	for _, one := range d {
		all = append(all, one.Summary)
	}
	return all
}

func (w *wire) schema(r *wired) *tfprotov6.Schema { return w.schemas.ResourceSchemas[r.typeName] }

func (w *wire) stateOf(r *wired) tftypes.Value {
	if r.state.Type() == nil {
		return tftypes.NewValue(w.schema(r).ValueType(), nil)
	}
	return r.state
}

// nothing says that a resource is neither in the configuration nor in the state.
func (w *wire) nothing(r *wired) bool { return r.config == nil && w.stateOf(r).IsNull() }

// attribute is what the state has, "" where it has none.
func (r *wired) attribute(name string) (text string) {
	attributes := map[string]tftypes.Value{}
	if r.state.Type() != nil && r.state.As(&attributes) == nil {
		_ = attributes[name].As(&text)
	}
	return text
}

// refresh reads the resource, if it is in the state.
func (w *wire) refresh(r *wired) diagnostics {
	w.t.Helper()
	if w.stateOf(r).IsNull() {
		return nil
	}
	resp, err := w.server.ReadResource(w.t.Context(), &tfprotov6.ReadResourceRequest{
		TypeName: r.typeName, CurrentState: w.dynamic(r.state), Private: r.private, CurrentIdentity: r.identity,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if !diagnostics(resp.Diagnostics).failed() {
		r.state, r.private, r.identity = w.static(r, resp.NewState), resp.Private, resp.NewIdentity
	}
	return resp.Diagnostics
}

func (w *wire) static(r *wired, d *tfprotov6.DynamicValue) tftypes.Value {
	w.t.Helper()
	v, err := d.Unmarshal(w.schema(r).ValueType())
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// proposed is what Terraform proposes to a plan: the configuration without what is write-only, and of what it does not
// say and the provider does, the state.
func (w *wire) proposed(r *wired) tftypes.Value {
	before := map[string]tftypes.Value{}
	if state := w.stateOf(r); !state.IsNull() {
		_ = state.As(&before)
	}
	after := map[string]tftypes.Value{}
	_ = w.object(w.schema(r), r.config).As(&after)
	for _, a := range w.schema(r).Block.Attributes {
		switch was, has := before[a.Name]; {
		case a.WriteOnly:
			after[a.Name] = tftypes.NewValue(a.ValueType(), nil)
		case !a.Computed || !after[a.Name].IsNull():
		case has:
			after[a.Name] = was
		default:
			after[a.Name] = tftypes.NewValue(a.ValueType(), tftypes.UnknownValue)
		}
	}
	return tftypes.NewValue(w.schema(r).ValueType(), after)
}

// plan plans a resource; without a configuration its end.
func (w *wire) plan(r *wired) (*tfprotov6.PlanResourceChangeResponse, diagnostics) {
	w.t.Helper()
	config := tftypes.NewValue(w.schema(r).ValueType(), nil)
	proposed := config
	if r.config != nil {
		config, proposed = w.object(w.schema(r), r.config), w.proposed(r)
	}
	resp, err := w.server.PlanResourceChange(w.t.Context(), &tfprotov6.PlanResourceChangeRequest{
		TypeName: r.typeName, PriorState: w.dynamic(w.stateOf(r)), ProposedNewState: w.dynamic(proposed),
		Config: w.dynamic(config), PriorPrivate: r.private, PriorIdentity: r.identity,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return resp, resp.Diagnostics
}

// apply plans a resource, as Terraform does at the start of an apply, and applies that. It says whether there was
// anything to do.
func (w *wire) apply(r *wired) (said diagnostics, changed bool) {
	w.t.Helper()
	planned, said := w.plan(r)
	if said.failed() {
		return said, true
	}
	after := w.static(r, planned.PlannedState)
	if after.Equal(w.stateOf(r)) {
		return said, false
	}
	config := tftypes.NewValue(w.schema(r).ValueType(), nil)
	if r.config != nil {
		config = w.object(w.schema(r), r.config)
	}
	resp, err := w.server.ApplyResourceChange(w.t.Context(), &tfprotov6.ApplyResourceChangeRequest{
		TypeName: r.typeName, PriorState: w.dynamic(w.stateOf(r)), PlannedState: planned.PlannedState,
		Config:         w.dynamic(config),
		PlannedPrivate: planned.PlannedPrivate, PlannedIdentity: planned.PlannedIdentity,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	said = append(said, resp.Diagnostics...)
	if now := w.static(r, resp.NewState); !said.failed() || !now.Equal(w.stateOf(r)) {
		r.state, r.private, r.identity = now, resp.Private, resp.NewIdentity
	}
	if said.failed() && w.stateOf(r).IsNull() {
		r.private, r.identity = nil, nil
	}
	return said, true
}

// planned makes a plan of all resources, each after what it needs.
func (w *wire) planned(resources ...*wired) (said diagnostics) {
	w.t.Helper()
	said = w.start()
	defer w.stop()
	for _, r := range resources {
		if said = append(said, w.refresh(r)...); said.failed() {
			return said
		}
		if w.nothing(r) {
			continue
		}
		_, ds := w.plan(r)
		if said = append(said, ds...); said.failed() {
			return said
		}
	}
	return said
}

// applied makes a plan of all resources and applies it, with hooks in the apply: what needs a resource that fails is
// not tried.
func (w *wire) applied(hooks []hsm.Hook, resources ...*wired) (said diagnostics, changed bool) {
	w.t.Helper()
	if said = w.planned(resources...); said.failed() {
		return said, true
	}
	said = append(said, w.start(hooks...)...)
	defer w.stop()
	var failed []*wired
	for _, r := range resources {
		if w.nothing(r) || slices.Contains(failed, r.needs) {
			continue
		}
		ds, did := w.apply(r)
		said, changed = append(said, ds...), changed || did
		if ds.failed() {
			failed = append(failed, r)
		}
	}
	return said, changed
}

// token and ecKey are resources of most tests.
func hydraToken() *wired {
	return &wired{typeName: "hsm_token", config: words{"label": "hydra", "deletion_policy": "erase"}}
}

func ecKey(needs *wired) *wired {
	return &wired{typeName: "hsm_ec_keypair", needs: needs, config: words{
		"label": "web", "key_id": "6b31", "curve": "P-256", "deletion_policy": "delete",
	}}
}

// sees gives what an independent look sees of the tokens of that label.
func (w *wire) sees(label string) (found []hsm.TokenInfo) {
	w.t.Helper()
	slots, err := hsm.Slots(context.Background(), w.blank.Config())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, slot := range slots {
		if slot.Token != nil && slot.Token.Initialised() && slot.Token.Label == label {
			found = append(found, *slot.Token)
		}
	}
	return found
}

// empties takes away every token but those.
func (w *wire) empties(but ...string) {
	w.t.Helper()
	w.stop()
	for _, folder := range w.blank.Folders(w.t) {
		if !slices.Contains(but, folder) {
			if err := os.RemoveAll(filepath.Join(w.blank.Folder, folder)); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// files are all files of a token's folder.
func (w *wire) files(folder string) (names []string) {
	w.t.Helper()
	entries, err := os.ReadDir(filepath.Join(w.blank.Folder, folder))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, entry := range entries {
		if name := entry.Name(); strings.HasSuffix(name, ".object") {
			info, err := entry.Info()
			if err != nil {
				w.t.Fatal(err)
			}
			names = append(names, fmt.Sprint(name, info.Size()))
		}
	}
	return names
}

// TestEachCallOfATokensLifeFails has each call into the module fail as a token is made with a key on it, gets PINs and
// is erased, before the real call and after it. What the error says of the token is true, and the next apply ends
// well: with one token of that label and one key, and with every object of another token.
func TestEachCallOfATokensLifeFails(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, blank *hsmtest.Blank) {
		other := blank.Add(t, "other")
		other.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign", "--label", "theirs", "--id", "01")
		theirs := blank.Folders(t)[0]
		w := newWire(t, blank)
		before := w.files(theirs)
		var newPIN, newSOPIN string
		for _, life := range []struct {
			name   string
			change func(token, key *wired) // after the token and the key are there; nil: they are made
			mend   func()                  // what the next apply needs where the change was made
			ends   int                     // tokens with a user PIN, in the end
		}{
			{name: "made", ends: 1},
			{name: "its user's PIN", ends: 1, change: func(token, _ *wired) {
				token.config["pin_wo_version"] = 2
				w.block["pin"] = newPIN
			}},
			{name: "its security officer's PIN", ends: 1, change: func(token, _ *wired) {
				token.config["so_pin_wo_version"], token.config["so_pin_wo"] = 2, newSOPIN
			}, mend: func() {
				w.setenv("HSM_SO_PIN", newSOPIN)
			}},
			{name: "erased", change: func(token, key *wired) { token.config, key.config = nil, nil }},
		} {
			picker := hsmtest.Pick(t, map[hsmtest.Extent]int{hsmtest.Sample: 30, hsmtest.Matrix: 3,
				hsmtest.All: 1}[hsmtest.ThisExtent(t)])
			for nth, more := 1, true; more; nth++ {
				for _, after := range []bool{false, true} {
					if nth > 1 && !picker.Takes() {
						continue
					}
					w.empties(theirs)
					// Others each time: this process remembers those that a call has failed with.
					pin, soPIN := hsmtest.RandomPIN(), hsmtest.RandomPIN()
					newPIN, newSOPIN = hsmtest.RandomPIN(), hsmtest.RandomPIN()
					w.setenv("HSM_SO_PIN", soPIN)
					w.block["pin"] = pin
					token := hydraToken()
					key := ecKey(token)
					all := []*wired{token, key}
					if life.change != nil {
						if said, _ := w.applied(nil, all...); said.failed() {
							t.Fatal(said)
						}
						life.change(token, key)
					}
					if token.config == nil {
						slices.Reverse(all)
						token.needs, key.needs = key, nil
					}
					faults := &hsmtest.Faults{}
					faults.Inject(hsmtest.Fault{Nth: nth, Do: failing(after)})
					said, _ := w.applied([]hsm.Hook{faults.Hook}, all...)
					more = faults.Injected() > 0
					at := fmt.Sprintf("%s, call %d of %v, after it: %t", life.name, nth, faults.Calls(), after)
					if said.failed() {
						w.true(at, said, life.name)
					}
					for _, secret := range []string{pin, soPIN, newPIN, newSOPIN} {
						if strings.Contains(said.String(), secret) {
							t.Fatalf("%s: a PIN is in what is said:\n%s", at, said)
						}
					}
					if life.mend != nil && after && strings.Contains(said.String(), hsm.StandsPerhapsNewOfficerPIN.String()) {
						life.mend()
					}
					if again, _ := w.applied(nil, all...); again.failed() {
						t.Fatalf("%s:\n%s\nThe next apply fails, too:\n%s", at, said, again)
					}
					if again, changed := w.applied(nil, all...); changed || again.failed() {
						t.Fatalf("%s: the apply after the next one does something:\n%s", at, again)
					}
					if have := w.sees("hydra"); len(have) != 1 || have[0].PINInitialised() != (life.ends == 1) {
						t.Fatalf("%s: in the end there are %v", at, have)
					}
					if have := w.files(theirs); !slices.Equal(have, before) {
						t.Fatalf("%s: the other token had\n%q\nand has\n%q", at, before, have)
					}
				}
			}
		}
		w.stop()
		if listed := other.Tool(t, "--list-objects"); strings.Count(listed, "theirs") != 2 {
			t.Errorf("the other token has:\n%s", listed)
		}
	})
}

// failing has a call fail before the module is called, or after it. What begins and ends the module's work fails so
// that the module is left finalized, as it is when the next run of Terraform starts its process.
func failing(after bool) func(context.Context, *cryptoki.Call, func() error) error {
	return func(_ context.Context, c *cryptoki.Call, next func() error) error {
		if after && c.Function != "C_Initialize" || c.Function == "C_Finalize" {
			if err := next(); err != nil {
				return err
			}
		}
		return &cryptoki.Error{Function: c.Function, Code: cryptoki.CKR_DEVICE_ERROR}
	}
}

// true holds what errors say of the token against an independent look.
func (w *wire) true(at string, said diagnostics, life string) {
	w.t.Helper()
	has := w.sees("hydra")
	initialised, pin := len(has) == 1, len(has) == 1 && has[0].PINInitialised()
	for _, d := range said {
		_, stands, told := strings.Cut(d.Detail, "On the token: ")
		if d.Severity != tfprotov6.DiagnosticSeverityError || !strings.HasSuffix(d.Summary, "Token") || !told {
			continue
		}
		stands, _, _ = strings.Cut(stands, "\n")
		right, known := false, true
		switch stands {
		case hsm.StandsUnknown.String(), hsm.StandsUntouched.String():
			right = initialised == (life != "made") && pin == initialised
		case hsm.StandsInitialized.String():
			right = initialised && !pin
		case hsm.StandsPerhapsPIN.String():
			right = initialised
		case hsm.StandsWhole.String():
			right = pin
		case hsm.StandsPerhapsInitialized.String(), hsm.StandsPerhapsErased.String():
			right = true
		case hsm.StandsOldPIN.String(), hsm.StandsPerhapsNewPIN.String(), hsm.StandsOldOfficerPIN.String(),
			hsm.StandsPerhapsNewOfficerPIN.String():
			right = pin
		default:
			known = false
		}
		if !known || !right {
			w.t.Errorf("%s: it says %q, and the module shows %v", at, stands, has)
		}
	}
}
