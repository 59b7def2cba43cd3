package provider_test

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	hsmprovider "github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider"
)

// ringWire speaks Terraform's protocol with the provider about key rings, on the token of a bench: see wire.
type ringWire struct {
	*wire
	bench *bench
}

func newRingWire(t *testing.T) ringWire {
	t.Helper()
	hsmtest.NeedsCurves(t, "P-256")
	b := newBench(t)
	server := hsmprovider.NewServer(hsmprovider.New("test"))()
	schemas, err := server.GetProviderSchema(t.Context(), &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	block := words{"library": b.Library, "token_label": b.Label, "pin": b.PIN}
	if b.Parameters != "" {
		block["library_parameters"] = b.Parameters
	}
	w := ringWire{&wire{t: t, schemas: schemas, block: block}, b}
	t.Cleanup(w.stop)
	return w
}

// newRing is a ring of P-256 pairs with the label web, no time of publication and the policy "delete", unless the words
// say otherwise.
func newRing(of words) *wired {
	r := &wired{typeName: "hsm_key_ring", config: words{
		"label": "web", "generation": 1, "curve": "P-256", "min_publish_time": "0s", "deletion_policy": "delete",
	}}
	maps.Copy(r.config, of)
	return r
}

// says gives a resource other arguments; nil takes one away.
func (r *wired) says(argument string, value any) *wired {
	r.config[argument] = value
	if value == nil {
		delete(r.config, argument)
	}
	return r
}

// begins starts a process, which the bench's hooks and faults reach.
func (w ringWire) begins() {
	w.t.Helper()
	if said := w.start(append(slices.Clone(w.bench.hooks), w.bench.faults.Hook, hsmtest.KeepApart)...); len(said) > 0 {
		w.t.Fatal(said)
	}
}

// looks refreshes the resources and plans them in one process.
func (w ringWire) looks(resources ...*wired) (said diagnostics, after []tftypes.Value) {
	w.t.Helper()
	w.begins()
	for _, r := range resources {
		if said = append(said, w.refresh(r)...); said.failed() {
			return said, nil
		}
	}
	for _, r := range resources {
		if w.nothing(r) {
			after = append(after, w.stateOf(r))
			continue
		}
		planned, ds := w.plan(r)
		if said = append(said, ds...); said.failed() {
			return said, nil
		}
		after = append(after, w.static(r, planned.PlannedState))
	}
	return said, after
}

// plans is terraform plan, which leaves the state as it is.
func (w ringWire) plans(resources ...*wired) (said diagnostics, after []tftypes.Value) {
	w.t.Helper()
	defer kept(resources)()
	return w.looks(resources...)
}

// kept gives what makes the states what they are now.
func kept(resources []*wired) (restore func()) {
	var was []wired
	for _, r := range resources {
		was = append(was, *r)
	}
	return func() {
		for i, r := range resources {
			r.state, r.private, r.identity = was[i].state, was[i].private, was[i].identity
		}
	}
}

// applies is terraform apply. Each value that was planned is to be what the apply gives, as Terraform demands. between,
// if there is one, is done once the plan is made.
func (w ringWire) applies(between func(), resources ...*wired) (said diagnostics) {
	w.t.Helper()
	restore := kept(resources)
	said, planned := w.looks(resources...)
	if said.failed() {
		restore()
		return said
	}
	if between != nil {
		between()
	}
	w.begins()
	for i, r := range resources {
		if planned[i].Equal(w.stateOf(r)) {
			continue
		}
		ds := w.does(r, planned[i])
		if said = append(said, ds...); ds.failed() {
			break
		}
	}
	w.stop()
	return said
}

// does applies one planned resource: Terraform plans it anew, unless it ends, and applies that.
func (w ringWire) does(r *wired, planned tftypes.Value) (said diagnostics) {
	w.t.Helper()
	null := tftypes.NewValue(w.schema(r).ValueType(), nil)
	req := &tfprotov6.ApplyResourceChangeRequest{
		TypeName: r.typeName, PriorState: w.dynamic(w.stateOf(r)), PlannedState: w.dynamic(null),
		Config: w.dynamic(null), PlannedPrivate: r.private, PlannedIdentity: r.identity,
	}
	if r.config != nil {
		again, said := w.plan(r)
		if said.failed() {
			return said
		}
		w.consistent("the plan of the apply", planned, w.static(r, again.PlannedState))
		req.Config, req.PlannedState = w.dynamic(w.object(w.schema(r), r.config)), again.PlannedState
		req.PlannedPrivate, req.PlannedIdentity = again.PlannedPrivate, again.PlannedIdentity
	}
	resp, err := w.server.ApplyResourceChange(w.t.Context(), req)
	if err != nil {
		w.t.Fatal(err)
	}
	r.state, r.private, r.identity = w.static(r, resp.NewState), resp.Private, resp.NewIdentity
	said = resp.Diagnostics
	if w.stateOf(r).IsNull() {
		r.private, r.identity = nil, nil
	}
	if !said.failed() && r.config != nil {
		w.consistent("the apply", planned, r.state)
		if !r.state.IsFullyKnown() {
			w.t.Errorf("after the apply something is unknown: %v", r.state)
		}
	}
	return said
}

// consistent holds what was planned against what came.
func (w ringWire) consistent(what string, planned, got tftypes.Value) {
	w.t.Helper()
	differences, err := planned.Diff(got)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, d := range differences {
		under := func(unknown *tftypes.AttributePath) bool {
			return strings.HasPrefix(d.Path.String()+".", unknown.String()+".")
		}
		if !slices.ContainsFunc(unknownIn(planned), under) && (d.Value1 == nil || d.Value1.IsFullyKnown()) {
			w.t.Errorf("%s gives another value than was planned: %s", what, d)
		}
	}
}

// unknownIn are the paths of the values that are unknown.
func unknownIn(v tftypes.Value) (paths []*tftypes.AttributePath) {
	_ = tftypes.Walk(v, func(at *tftypes.AttributePath, v tftypes.Value) (bool, error) {
		if !v.IsKnown() {
			paths = append(paths, at)
		}
		return v.IsKnown(), nil
	})
	return paths
}

// goes is an apply that says just these things.
func (w ringWire) goes(r *wired, says ...remark) {
	w.t.Helper()
	w.heard(w.applies(nil, r), says...)
}

// fails is a plan that says just these things, and changes nothing.
func (w ringWire) fails(r *wired, says ...remark) {
	w.t.Helper()
	said, _ := w.plans(r)
	w.heard(said, says...)
}

// settled is a plan that changes nothing and says just these things.
func (w ringWire) settled(r *wired, says ...remark) {
	w.t.Helper()
	defer kept([]*wired{r})()
	said, planned := w.looks(r)
	w.heard(said, says...)
	if !said.failed() && !planned[0].Equal(w.stateOf(r)) {
		differences, _ := planned[0].Diff(w.stateOf(r))
		w.t.Errorf("the plan changes %v", differences)
	}
}

// heard holds what the provider says against what it is to say.
func (w ringWire) heard(said diagnostics, says ...remark) {
	w.t.Helper()
	var all []remark
	for _, d := range said {
		all = append(all, remark{severity: d.Severity, summary: d.Summary, at: where(d.Attribute), detail: d.Detail})
	}
	for _, want := range says {
		if !want.optional && !slices.ContainsFunc(all, want.matches) {
			w.t.Errorf("the provider did not say:\n%s\nbut:\n%v", want, all)
		}
	}
	for _, have := range all {
		if !slices.ContainsFunc(says, func(want remark) bool { return want.matches(have) }) {
			w.t.Errorf("the provider said what nobody expected:\n%s", have)
		}
	}
}

// plain is a value of the protocol as a value of Go: maps, lists, texts, and nil for null.
func plain(v tftypes.Value) any {
	var object map[string]tftypes.Value
	var list []tftypes.Value
	var text string
	var number big.Float
	var yes bool
	switch {
	case !v.IsKnown():
		return "unknown"
	case v.IsNull():
		return nil
	case v.As(&object) == nil:
		all := map[string]any{}
		for name, of := range object {
			all[name] = plain(of)
		}
		return all
	case v.As(&list) == nil:
		var all []any
		for _, of := range list {
			all = append(all, plain(of))
		}
		return all
	case v.As(&text) == nil:
		return text
	case v.As(&number) == nil:
		return number.Text('f', -1)
	case v.As(&yes) == nil:
		return yes
	}
	return nil
}

// fields are the attributes of a planned or kept ring.
func fields(v tftypes.Value) map[string]any {
	all, _ := plain(v).(map[string]any)
	return all
}

// pairs are the ring's in a state or a plan: "1 previous web.standby, 2 current web".
func pairs(v tftypes.Value) string {
	var all []string
	keys, _ := fields(v)["keys"].(map[string]any)
	for _, generation := range slices.Sorted(maps.Keys(keys)) {
		key := keys[generation].(map[string]any)
		all = append(all, fmt.Sprintf("%s %s %s", generation, key["role"], key["label"]))
	}
	return strings.Join(all, ", ")
}

// of is an attribute of one pair in a state or a plan, "" where there is none.
func of(v tftypes.Value, generation, attribute string) string {
	keys, _ := fields(v)["keys"].(map[string]any)
	key, _ := keys[generation].(map[string]any)
	text, _ := key[attribute].(string)
	return text
}

// holds wants these pairs in the state, and each on the token with its label.
func (w ringWire) holds(r *wired, want string) {
	w.t.Helper()
	if have := pairs(w.stateOf(r)); have != want {
		w.t.Errorf("the state has %s, and not %s", have, want)
	}
	labels := w.labels()
	for pair := range strings.SplitSeq(want, ", ") {
		words := strings.Fields(pair)
		id := of(w.stateOf(r), words[0], "key_id")
		if on := labels[id]; on != words[2]+" "+words[2] {
			w.t.Errorf("the token has generation %s as %q", words[0], on)
		}
	}
}

// labels are those of the key objects on the token, by ID: "web web" of a pair.
func (w ringWire) labels() map[string]string {
	w.t.Helper()
	all := map[string]string{}
	for _, half := range w.bench.halves() {
		all[half.id] = strings.TrimSpace(all[half.id] + " " + half.label)
	}
	return all
}

// publishedSince changes since when a pair of the state is published.
func (w ringWire) publishedSince(r *wired, generation, text string) {
	w.t.Helper()
	changed, err := tftypes.Transform(r.state, func(at *tftypes.AttributePath, v tftypes.Value) (tftypes.Value, error) {
		if where(at) == fmt.Sprintf("keys[%q]published_since", generation) {
			return tftypes.NewValue(tftypes.String, text), nil
		}
		return v, nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	r.state = changed
}

// id is the ID of a generation of the label web, in hex.
func id(generation string) string { return fmt.Sprintf("%x", "web-"+generation) }
