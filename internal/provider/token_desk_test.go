package provider_test

import (
	"maps"
	"math/big"
	"os"
	"slices"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	hsmprovider "github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider"
)

// desk is where a test plays Terraform's part for hsm_token by the protocol, beside a SoftHSM without a token: a
// command takes milliseconds. What a command remembers of refused and new PINs, the next one knows, as all run in one
// process.
type desk struct {
	t        *testing.T
	blank    *hsmtest.Blank
	faults   *hsmtest.Faults
	schema   *tfprotov6.Schema
	object   tftypes.Object // of the resource's state
	block    tftypes.Object // of the provider block
	provider provider.Provider
	server   tfprotov6.ProviderServer // of this command
}

// atDesk runs a test at a desk: all that the provider needs is in the environment, but for what selects a token.
func atDesk(t *testing.T, test func(d *desk)) {
	t.Helper()
	hsmtest.Alone(t, func(t *testing.T, blank *hsmtest.Blank) {
		d := &desk{t: t, blank: blank, faults: &hsmtest.Faults{}}
		d.env("HSM_LIBRARY", blank.Library)
		d.env("HSM_PIN", blank.PIN)
		d.env("HSM_SO_PIN", blank.SOPIN)
		d.command()
		t.Cleanup(d.close)
		test(d)
	})
}

// env sets a variable of this process, which is the test's own.
func (d *desk) env(name, value string) {
	d.t.Helper()
	if err := os.Setenv(name, value); err != nil {
		d.t.Fatal(err)
	}
}

// command begins another one of Terraform's walks, whose provider is a new one.
func (d *desk) command() {
	d.t.Helper()
	d.close()
	d.provider = hsmprovider.New("test", hsmprovider.WithHooks(d.faults.Hook))()
	d.server = hsmprovider.NewServer(func() provider.Provider { return d.provider })()
	if d.schema == nil {
		schemas, err := d.server.GetProviderSchema(d.t.Context(), &tfprotov6.GetProviderSchemaRequest{})
		if err != nil {
			d.t.Fatal(err)
		}
		d.schema = schemas.ResourceSchemas["hsm_token"]
		d.object, d.block = d.schema.ValueType().(tftypes.Object), schemas.Provider.ValueType().(tftypes.Object)
	}
	resp, err := d.server.ConfigureProvider(d.t.Context(), &tfprotov6.ConfigureProviderRequest{Config: d.value(d.block,
		lines{})})
	if err != nil || len(resp.Diagnostics) > 0 {
		d.t.Fatal(err, resp)
	}
}

func (d *desk) close() {
	if d.provider == nil {
		return
	}
	if err := d.provider.(interface{ Close() error }).Close(); err != nil {
		d.t.Error(err)
	}
}

// lines are the attributes of a block or a state. What has none is null, and nil is a resource that is not there.
type lines map[string]any

// unknown is the value of an attribute that only the apply knows.
const unknown = tftypes.UnknownValue

func (d *desk) value(of tftypes.Object, l lines) *tfprotov6.DynamicValue {
	d.t.Helper()
	v := tftypes.NewValue(of, nil)
	if l != nil {
		all := map[string]tftypes.Value{}
		for name, kind := range of.AttributeTypes {
			all[name] = tftypes.NewValue(kind, l[name])
		}
		v = tftypes.NewValue(of, all)
	}
	dynamic, err := tfprotov6.NewDynamicValue(of, v)
	if err != nil {
		d.t.Fatal(err)
	}
	return &dynamic
}

// read gives the attributes of a resource, nil of one that is not there.
func (d *desk) read(dynamic *tfprotov6.DynamicValue) lines {
	d.t.Helper()
	v, err := dynamic.Unmarshal(d.object)
	if err == nil && v.IsNull() {
		return nil
	}
	all := map[string]tftypes.Value{}
	if err == nil {
		err = v.As(&all)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	l := lines{}
	for name, value := range all {
		var text string
		var number big.Float
		var yes bool
		switch {
		case !value.IsKnown():
			l[name] = unknown
		case value.IsNull() || name == "timeouts":
		case value.As(&text) == nil:
			l[name] = text
		case value.As(&yes) == nil:
			l[name] = yes
		case value.As(&number) == nil:
			n, _ := number.Int64()
			l[name] = n
		}
	}
	return l
}

// managed is a resource hsm_token: what Terraform keeps of it.
type managed struct {
	*desk
	state    lines
	private  []byte
	identity *tfprotov6.ResourceIdentityData
	heard    []remark // in the last command
}

func (d *desk) resource() *managed { return &managed{desk: d} }

func (m *managed) hear(diagnostics []*tfprotov6.Diagnostic, err error) (well bool) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
	well = true
	for _, d := range diagnostics {
		m.heard = append(m.heard, remark{severity: d.Severity, summary: d.Summary, at: where(d.Attribute),
			detail: d.Detail})
		well = well && d.Severity != tfprotov6.DiagnosticSeverityError
	}
	return well
}

// says holds what was heard in the last command against what was to be said.
func (m *managed) says(want ...remark) {
	m.t.Helper()
	for _, w := range want {
		if !slices.ContainsFunc(m.heard, w.matches) {
			m.t.Errorf("the provider did not say:\n%s\nbut:\n%v", w, m.heard)
		}
	}
	for _, have := range m.heard {
		if !slices.ContainsFunc(want, func(w remark) bool { return w.matches(have) }) {
			m.t.Errorf("the provider said what nobody expected:\n%s", have)
		}
	}
}

// refresh reads the token.
func (m *managed) refresh() (well bool) {
	m.t.Helper()
	if m.state == nil {
		return true
	}
	resp, err := m.server.ReadResource(m.t.Context(), &tfprotov6.ReadResourceRequest{
		TypeName: "hsm_token", CurrentState: m.value(m.object, m.state), Private: m.private,
		CurrentIdentity: m.identity,
	})
	if !m.hear(resp.Diagnostics, err) {
		return false
	}
	m.state, m.private, m.identity = m.read(resp.NewState), resp.Private, resp.NewIdentity
	return true
}

// proposed is what Terraform proposes for a configuration: its values, and those of the state that the token gives.
func (m *managed) proposed(prior, config lines) lines {
	if config == nil {
		return nil
	}
	l := lines{}
	for _, a := range m.schema.Block.Attributes {
		switch {
		case a.WriteOnly:
		case config[a.Name] != nil:
			l[a.Name] = config[a.Name]
		case a.Computed:
			l[a.Name] = prior[a.Name]
		}
	}
	return l
}

// plan plans a configuration, nil the end. Its result is nil where it fails.
func (m *managed) plan(config lines) *tfprotov6.PlanResourceChangeResponse {
	m.t.Helper()
	if config != nil {
		valid, err := m.server.ValidateResourceConfig(m.t.Context(), &tfprotov6.ValidateResourceConfigRequest{
			TypeName: "hsm_token", Config: m.value(m.object, config),
			ClientCapabilities: &tfprotov6.ValidateResourceConfigClientCapabilities{WriteOnlyAttributesAllowed: true},
		})
		if !m.hear(valid.Diagnostics, err) {
			return nil
		}
	}
	resp, err := m.server.PlanResourceChange(m.t.Context(), &tfprotov6.PlanResourceChangeRequest{
		TypeName: "hsm_token", PriorState: m.value(m.object, m.state), Config: m.value(m.object, config),
		PriorPrivate:     m.private,
		ProposedNewState: m.value(m.object, m.proposed(m.state, config)), PriorIdentity: m.identity,
	})
	if !m.hear(resp.Diagnostics, err) {
		return nil
	}
	return resp
}

// plans is terraform plan. It gives the planned attributes that differ from those of the state.
func (m *managed) plans(config lines) (differ lines) {
	m.t.Helper()
	m.command()
	m.heard = nil
	if !m.refresh() {
		return nil
	}
	planned := m.plan(config)
	if planned == nil {
		return nil
	}
	differ = lines{}
	for name, value := range m.read(planned.PlannedState) {
		if value != m.state[name] {
			differ[name] = value
		}
	}
	return differ
}

// applies is terraform apply: a plan, and another one in the next process.
func (m *managed) applies(config lines) (well bool) {
	m.t.Helper()
	if m.plans(config) == nil && config != nil || m.state == nil && config == nil {
		return false
	}
	for _, said := range m.heard {
		if said.severity == tfprotov6.DiagnosticSeverityError {
			return false
		}
	}
	m.command()
	return m.goesOn(config)
}

// goesOn is the second half of terraform apply.
func (m *managed) goesOn(config lines) (well bool) {
	m.t.Helper()
	planned := m.plan(config)
	if planned == nil {
		return false
	}
	resp, err := m.server.ApplyResourceChange(m.t.Context(), &tfprotov6.ApplyResourceChangeRequest{
		TypeName: "hsm_token", PriorState: m.value(m.object, m.state), PlannedState: planned.PlannedState,
		Config: m.value(m.object, config), PlannedPrivate: planned.PlannedPrivate,
		PlannedIdentity: planned.PlannedIdentity,
	})
	well = m.hear(resp.Diagnostics, err)
	m.state, m.private, m.identity = m.read(resp.NewState), resp.Private, resp.NewIdentity
	if well {
		for name, value := range m.read(planned.PlannedState) {
			if have := m.state[name]; value != unknown && have != value || have == unknown {
				m.t.Errorf("%s is planned as %v, and became %v", name, value, have)
			}
		}
	}
	return well
}

// settled wants a plan that changes nothing and says nothing.
func (m *managed) settled(config lines) {
	m.t.Helper()
	if differ := m.plans(config); len(differ) > 0 {
		m.t.Errorf("the plan changes %v", differ)
	}
	m.says()
}

// with is the lines and more.
func (l lines) with(more lines) lines {
	all := maps.Clone(l)
	maps.Copy(all, more)
	return all
}

// imports is terraform import, by an ID or by an identity.
func (m *managed) imports(id string, identity lines) {
	m.t.Helper()
	m.command()
	m.heard = nil
	req := &tfprotov6.ImportResourceStateRequest{TypeName: "hsm_token", ID: id}
	if identity != nil {
		of := tftypes.Object{AttributeTypes: map[string]tftypes.Type{"serial": tftypes.String, "label": tftypes.String}}
		req.Identity = &tfprotov6.ResourceIdentityData{IdentityData: m.value(of, identity)}
	}
	resp, err := m.server.ImportResourceState(m.t.Context(), req)
	if !m.hear(resp.Diagnostics, err) {
		return
	}
	one := resp.ImportedResources[0]
	m.state, m.private, m.identity = m.read(one.State), one.Private, one.Identity
	m.refresh()
}
