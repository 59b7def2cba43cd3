package provider_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"github.com/hashicorp/terraform-plugin-testing/tfversion"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	hsmprovider "github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider"
)

// bench is a fresh token for one test, and the provider that works on it: its calls into the module are counted,
// and what it says to Terraform is kept.
type bench struct {
	*hsmtest.Token
	t      *testing.T
	faults *hsmtest.Faults
	needs  []tfversion.TerraformVersionCheck // of Terraform; the test is skipped on others
	hooks  []hsm.Hook                        // around the provider's calls, besides the faults

	mu     sync.Mutex
	made   []provider.Provider
	heard  []remark
	before []remark  // what was heard in the step before this one
	latest time.Time // when the last of it was heard, in this or an earlier step
	asked  time.Time // when the request came that this was the answer to; of reads and applies alone
}

func newBench(t *testing.T) *bench {
	t.Helper()
	if os.Getenv(resource.EnvTfAcc) == "" {
		t.Skip("runs Terraform: scripts/acceptance go test ./internal/provider")
	}
	b := &bench{Token: hsmtest.New(t), t: t, faults: &hsmtest.Faults{}}
	t.Cleanup(b.closeProviders)
	return b
}

// closeProviders gives back what the providers of past Terraform commands hold of the token, as the end of their
// processes would.
func (b *bench) closeProviders() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.made {
		if err := p.(interface{ Close() error }).Close(); err != nil {
			b.t.Errorf("closing a provider: %v", err)
		}
	}
	b.made = nil
}

// server is a new instance of the provider. Terraform commands have one each.
func (b *bench) server() (tfprotov6.ProviderServer, error) {
	hooks := append(slices.Clone(b.hooks), b.faults.Hook, hsmtest.KeepApart)
	p := hsmprovider.New("test", hsmprovider.WithHooks(hooks...))()
	b.mu.Lock()
	b.made = append(b.made, p)
	b.mu.Unlock()
	return listener{hsmprovider.NewServer(func() provider.Provider { return p })(), b}, nil
}

// factories gives the provider under its name, and under others, which stand for aliases.
func (b *bench) factories(others ...string) map[string]func() (tfprotov6.ProviderServer, error) {
	f := map[string]func() (tfprotov6.ProviderServer, error){"hsm": b.server}
	for _, name := range others {
		f[name] = b.server
	}
	return f
}

// library says in a provider block which module to load, and with what.
func (b *bench) library() string {
	lines := line("library", b.Library)
	if b.Parameters != "" {
		lines += "\n  " + line("library_parameters", b.Parameters)
	}
	return lines
}

// provider is the provider block for the token.
func (b *bench) provider() string {
	return block("hsm", b.library(), line("token_label", b.Label), line("pin", b.PIN))
}

// config is a configuration of the provider and the blocks.
func (b *bench) config(blocks ...string) string { return b.provider() + strings.Join(blocks, "\n") }

// key is the address of most tests' pair.
const key = "hsm_rsa_keypair.k"

// pair is the block of the key pair hsm_rsa_keypair.NAME, of 2048 bits and with the policy "delete" where the lines
// say nothing of that.
func pair(name string, lines ...string) string {
	return keyPairBlock("hsm_rsa_keypair", name, map[string]string{"modulus_bits": "2048", "deletion_policy": `"delete"`}, lines)
}

// ecPair is the block of the key pair hsm_ec_keypair.k, on P-256 and with the policy "delete" where the lines say
// nothing of that.
func ecPair(lines ...string) string {
	return keyPairBlock("hsm_ec_keypair", "k", map[string]string{"curve": `"P-256"`, "deletion_policy": `"delete"`}, lines)
}

// keyPairBlock is a resource's block, with values for the attributes of which the lines say nothing.
func keyPairBlock(resourceType, name string, otherwise map[string]string, lines []string) string {
	for attribute, value := range hsmtest.InOrder(otherwise) {
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, attribute) }) {
			lines = append(lines, attribute+" = "+value)
		}
	}
	return fmt.Sprintf("resource %q %q {\n  %s\n}\n", resourceType, name, strings.Join(lines, "\n  "))
}

// turn is a step of a test, with all that the provider says in it.
type turn struct {
	resource.TestStep
	says []remark
}

// besides is the turn in which more is said.
func (t turn) besides(more ...remark) turn {
	t.says = append(slices.Clone(t.says), more...)
	return t
}

// test runs the turns. What the provider says in one and is not expected there fails the test, as does the opposite.
func (b *bench) test(turns ...turn) { b.testWith(b.factories(), turns...) }

func (b *bench) testWith(factories map[string]func() (tfprotov6.ProviderServer, error), turns ...turn) {
	b.t.Helper()
	var steps []resource.TestStep
	for i, now := range turns {
		step := now.TestStep
		step.PreConfig = func() {
			if i > 0 {
				b.review(i, turns[i-1].says)
			}
			b.listen()
			if now.PreConfig != nil {
				now.PreConfig()
			}
		}
		for _, r := range now.says {
			if !r.optional && r.severity == tfprotov6.DiagnosticSeverityError && step.ExpectError == nil {
				step.ExpectError = wrapped(r.summary)
			}
		}
		steps = append(steps, step)
	}
	resource.Test(b.t, resource.TestCase{ProtoV6ProviderFactories: factories, TerraformVersionChecks: b.needs, Steps: steps})
	if !b.t.Failed() {
		b.review(len(turns), turns[len(turns)-1].says)
	}
}

// wrapped matches a text in Terraform's output, which breaks lines anywhere.
func wrapped(text string) *regexp.Regexp {
	words := strings.Fields(text)
	for i := range words {
		words[i] = regexp.QuoteMeta(words[i])
	}
	return regexp.MustCompile(strings.Join(words, `[\s│]+`))
}

func (b *bench) listen() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.before, b.heard = b.heard, nil
}

// review holds what was heard against what was to be said.
func (b *bench) review(step int, says []remark) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, want := range says {
		if !want.optional && !slices.ContainsFunc(b.heard, want.matches) {
			b.t.Errorf("step %d: the provider did not say:\n%s\nbut:\n%v", step, want, b.heard)
		}
	}
	for _, have := range b.heard {
		if warns("Key Stays On The Token").isSummary(have.summary) { // many tests abandon keys, and few are about that
			continue
		}
		if !slices.ContainsFunc(says, func(want remark) bool { return want.matches(have) }) {
			b.t.Errorf("step %d: the provider said what nobody expected:\n%s", step, have)
		}
	}
}

// said says whether something was said in this step so far.
func (b *bench) said(want remark) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(b.heard, want.matches)
}

// remark is one diagnostic. As an expectation, its parts must all be in the detail.
type remark struct {
	severity         tfprotov6.DiagnosticSeverity
	summary, at      string
	detail           string
	parts, otherwise []string
	optional         bool
}

// fails expects an error, whose detail has all of the parts.
func fails(summary string, parts ...string) remark {
	return remark{severity: tfprotov6.DiagnosticSeverityError, summary: summary, parts: parts}
}

// warns expects a warning, whose detail has all of the parts.
func warns(summary string, parts ...string) remark {
	return remark{severity: tfprotov6.DiagnosticSeverityWarning, summary: summary, parts: parts}
}

// pointing is the remark at an attribute.
func (r remark) pointing(at string) remark {
	r.at = at
	return r
}

// maybe makes the remark one that need not be made.
func (r remark) maybe() remark {
	r.optional = true
	return r
}

// without expects none of the parts in the detail.
func (r remark) without(parts ...string) remark {
	r.otherwise = parts
	return r
}

func (r remark) matches(have remark) bool {
	return r.severity == have.severity && r.isSummary(have.summary) && r.at == have.at &&
		!slices.ContainsFunc(r.parts, func(part string) bool { return !strings.Contains(have.detail, part) }) &&
		!slices.ContainsFunc(r.otherwise, func(part string) bool { return strings.Contains(have.detail, part) })
}

// isSummary says that a summary is the remark's. A warning may name a key after that: `Key ID Changes: "web" (key_id 6b31)`.
func (r remark) isSummary(summary string) bool {
	return r.summary == summary || r.severity == tfprotov6.DiagnosticSeverityWarning && strings.HasPrefix(summary, r.summary+": ")
}

func (r remark) String() string {
	text := fmt.Sprintf("%s %q at %q: %s", r.severity, r.summary, r.at, r.detail)
	for _, part := range r.parts {
		text += fmt.Sprintf("\n  with %q", part)
	}
	for _, part := range r.otherwise {
		text += fmt.Sprintf("\n  without %q", part)
	}
	return text + "\n"
}

// listener hears what a provider says to Terraform.
type listener struct {
	tfprotov6.ProviderServer
	bench *bench
}

func (l listener) hear(diagnostics []*tfprotov6.Diagnostic) {
	l.bench.mu.Lock()
	defer l.bench.mu.Unlock()
	for _, d := range diagnostics {
		l.bench.latest = time.Now()
		l.bench.heard = append(l.bench.heard, remark{severity: d.Severity, summary: d.Summary, at: where(d.Attribute), detail: d.Detail})
	}
}

// answered hears the answer to a request, which tests may ask the time of.
func (l listener) answered(asked time.Time, diagnostics []*tfprotov6.Diagnostic) {
	l.hear(diagnostics)
	if len(diagnostics) > 0 {
		l.bench.mu.Lock()
		defer l.bench.mu.Unlock()
		l.bench.asked = asked
	}
}

// where writes a path as configurations do: labels[0], algorithms["RSA"].
func where(path *tftypes.AttributePath) string {
	var b strings.Builder
	for _, step := range path.Steps() {
		switch step := step.(type) {
		case tftypes.AttributeName:
			b.WriteString(string(step))
		case tftypes.ElementKeyInt:
			fmt.Fprintf(&b, "[%d]", int(step))
		case tftypes.ElementKeyString:
			fmt.Fprintf(&b, "[%q]", string(step))
		default:
			fmt.Fprintf(&b, "[%v]", step)
		}
	}
	return b.String()
}

func (l listener) ValidateProviderConfig(ctx context.Context, req *tfprotov6.ValidateProviderConfigRequest) (*tfprotov6.ValidateProviderConfigResponse, error) {
	resp, err := l.ProviderServer.ValidateProviderConfig(ctx, req)
	l.hear(resp.Diagnostics)
	return resp, err
}

func (l listener) ConfigureProvider(ctx context.Context, req *tfprotov6.ConfigureProviderRequest) (*tfprotov6.ConfigureProviderResponse, error) {
	resp, err := l.ProviderServer.ConfigureProvider(ctx, req)
	l.hear(resp.Diagnostics)
	return resp, err
}

func (l listener) ValidateResourceConfig(ctx context.Context, req *tfprotov6.ValidateResourceConfigRequest) (*tfprotov6.ValidateResourceConfigResponse, error) {
	resp, err := l.ProviderServer.ValidateResourceConfig(ctx, req)
	l.hear(resp.Diagnostics)
	return resp, err
}

func (l listener) ValidateDataResourceConfig(ctx context.Context, req *tfprotov6.ValidateDataResourceConfigRequest) (*tfprotov6.ValidateDataResourceConfigResponse, error) {
	resp, err := l.ProviderServer.ValidateDataResourceConfig(ctx, req)
	l.hear(resp.Diagnostics)
	return resp, err
}

func (l listener) ReadResource(ctx context.Context, req *tfprotov6.ReadResourceRequest) (*tfprotov6.ReadResourceResponse, error) {
	asked := time.Now()
	resp, err := l.ProviderServer.ReadResource(ctx, req)
	l.answered(asked, resp.Diagnostics)
	return resp, err
}

func (l listener) PlanResourceChange(ctx context.Context, req *tfprotov6.PlanResourceChangeRequest) (*tfprotov6.PlanResourceChangeResponse, error) {
	resp, err := l.ProviderServer.PlanResourceChange(ctx, req)
	l.hear(resp.Diagnostics)
	return resp, err
}

func (l listener) ApplyResourceChange(ctx context.Context, req *tfprotov6.ApplyResourceChangeRequest) (*tfprotov6.ApplyResourceChangeResponse, error) {
	asked := time.Now()
	resp, err := l.ProviderServer.ApplyResourceChange(ctx, req)
	l.answered(asked, resp.Diagnostics)
	return resp, err
}

func (l listener) ImportResourceState(ctx context.Context, req *tfprotov6.ImportResourceStateRequest) (*tfprotov6.ImportResourceStateResponse, error) {
	resp, err := l.ProviderServer.ImportResourceState(ctx, req)
	l.hear(resp.Diagnostics)
	return resp, err
}

func (l listener) ReadDataSource(ctx context.Context, req *tfprotov6.ReadDataSourceRequest) (*tfprotov6.ReadDataSourceResponse, error) {
	resp, err := l.ProviderServer.ReadDataSource(ctx, req)
	l.hear(resp.Diagnostics)
	return resp, err
}

func (l listener) ValidateEphemeralResourceConfig(ctx context.Context,
	req *tfprotov6.ValidateEphemeralResourceConfigRequest) (*tfprotov6.ValidateEphemeralResourceConfigResponse, error) {
	resp, err := l.ProviderServer.ValidateEphemeralResourceConfig(ctx, req)
	l.hear(resp.Diagnostics)
	return resp, err
}

func (l listener) OpenEphemeralResource(ctx context.Context,
	req *tfprotov6.OpenEphemeralResourceRequest) (*tfprotov6.OpenEphemeralResourceResponse, error) {
	resp, err := l.ProviderServer.OpenEphemeralResource(ctx, req)
	l.hear(resp.Diagnostics)
	return resp, err
}

func (l listener) ValidateListResourceConfig(ctx context.Context, req *tfprotov6.ValidateListResourceConfigRequest) (*tfprotov6.ValidateListResourceConfigResponse, error) {
	resp, err := l.ProviderServer.(tfprotov6.ListResourceServer).ValidateListResourceConfig(ctx, req)
	l.hear(resp.Diagnostics)
	return resp, err
}

func (l listener) ListResource(ctx context.Context, req *tfprotov6.ListResourceRequest) (*tfprotov6.ListResourceServerStream, error) {
	stream, err := l.ProviderServer.(tfprotov6.ListResourceServer).ListResource(ctx, req)
	return &tfprotov6.ListResourceServerStream{Results: func(push func(tfprotov6.ListResourceResult) bool) {
		stream.Results(func(result tfprotov6.ListResourceResult) bool {
			l.hear(result.Diagnostics)
			return push(result)
		})
	}}, err
}

// Plan checks.

// willBe checks what is planned for the pair k.
func willBe(action plancheck.ResourceActionType) resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(key, action)}}
}

// State checks.

// has checks the attributes of the key pair.
func has(attributes map[string]knownvalue.Check) (checks []statecheck.StateCheck) {
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		checks = append(checks, statecheck.ExpectKnownValue(key, tfjsonpath.New(name), attributes[name]))
	}
	return checks
}

// attributes runs a check of one's own on all that the state says of a resource.
type attributes struct {
	address string
	check   func(map[string]any) error
}

func (a attributes) CheckState(_ context.Context, req statecheck.CheckStateRequest, resp *statecheck.CheckStateResponse) {
	for _, r := range req.State.Values.RootModule.Resources {
		if r.Address == a.address {
			resp.Error = a.check(r.AttributeValues)
			return
		}
	}
	resp.Error = fmt.Errorf("%s is not in the state", a.address)
}

// holds is a state check of a witness: what the token holds at that time.
type holds func() error

func (h holds) CheckState(_ context.Context, _ statecheck.CheckStateRequest, resp *statecheck.CheckStateResponse) {
	resp.Error = h()
}

const fingerprint = "public_key_fingerprint_sha256"

// Witnesses, which share no code with the provider.

// half is a key object as pkcs11-tool lists it.
type half struct{ class, label, id, usage, access string }

// private and public are a pair's halves as pkcs11-tool is to list them.
func private(label, id, usage string) half {
	return half{"Private Key", label, id, usage, "sensitive, always sensitive, never extractable, local"}
}

func public(label, id, usage string) half { return half{"Public Key", label, id, usage, "local"} }

// signing are the halves of a pair that signs and does nothing else.
func signing(label, id string) []half {
	return []half{private(label, id, "sign"), public(label, id, "verify")}
}

// halves lists the key objects on the token, those without a name or a class, too. The tool takes what has no class for
// data, which the provider never makes.
func (b *bench) halves() (all []half) {
	b.t.Helper()
	for line := range strings.Lines(b.Tool(b.t, "--list-objects")) {
		line = strings.TrimRight(line, "\n")
		if class, _, ok := strings.Cut(line, " Object;"); ok {
			all = append(all, half{class: class})
			continue
		}
		if strings.HasPrefix(line, "Data object") {
			all = append(all, half{class: "Data"})
			continue
		}
		name, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok || len(all) == 0 {
			continue
		}
		last, value := &all[len(all)-1], strings.TrimSpace(value)
		switch name {
		case "label":
			last.label = value
		case "ID":
			last.id = value
		case "Usage":
			last.usage = value
		case "Access":
			last.access = value
		}
	}
	return all
}

// holding says that the token holds just these objects.
func (b *bench) holding(want ...half) holds {
	return func() error {
		have, want := b.halves(), slices.Clone(want)
		if !hsmtest.Has(b.t, hsmtest.Local) {
			for i := range want {
				want[i].access = cmp.Or(strings.TrimSuffix(strings.TrimSuffix(want[i].access, "local"), ", "), "none")
			}
		}
		order := func(a, b half) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) }
		slices.SortFunc(have, order)
		slices.SortFunc(want, order)
		if !slices.Equal(have, want) {
			return fmt.Errorf("pkcs11-tool lists:\n%q\nand not:\n%q", have, want)
		}
		return nil
	}
}

// expect fails the test where the token does not hold just these objects.
func (b *bench) expect(want ...half) {
	b.t.Helper()
	if err := b.holding(want...)(); err != nil {
		b.t.Error(err)
	}
}

// spki is the public key of that ID as pkcs11-tool reads it, in DER.
func (b *bench) spki(id string) []byte {
	b.t.Helper()
	for listed := range strings.SplitSeq(b.Tool(b.t, "--list-objects", "--type", "pubkey"), "Public Key Object; ") {
		if strings.HasPrefix(listed, "EC ") && strings.Contains(listed, " "+strings.ToLower(id)+"\n") {
			return ecSPKI(listed)
		}
	}
	file := filepath.Join(b.t.TempDir(), "public.der")
	b.Tool(b.t, "--read-object", "--type", "pubkey", "--id", id, "--output-file", file)
	der, err := os.ReadFile(file)
	if err != nil {
		b.t.Fatal(err)
	}
	if block, _ := pem.Decode(der); block != nil { // as it writes Ed25519
		return block.Bytes
	}
	return der
}

// ecSPKI makes the SubjectPublicKeyInfo (RFC 5480) of an EC key as pkcs11-tool lists it, which cannot write those on wide
// curves.
func ecSPKI(listed string) []byte {
	value := func(name string) []byte {
		_, rest, _ := strings.Cut(listed, name+":")
		octets, _ := hex.DecodeString(strings.Fields(rest)[0])
		return octets
	}
	tlv := func(tag byte, parts ...[]byte) []byte {
		content := slices.Concat(parts...)
		if len(content) < 128 {
			return slices.Concat([]byte{tag, byte(len(content))}, content)
		}
		return slices.Concat([]byte{tag, 0x81, byte(len(content))}, content)
	}
	point := value("EC_POINT") // in a DER OCTET STRING
	if point[1] == 0x81 {
		point = point[1:]
	}
	ecPublicKey, _ := hex.DecodeString("06072a8648ce3d0201")
	return tlv(0x30, tlv(0x30, ecPublicKey, value("EC_PARAMS")), tlv(0x03, []byte{0}, point[2:]))
}

// fingerprintOf is that of the public key of that ID as the token shows it to pkcs11-tool.
func (b *bench) fingerprintOf(id string) string {
	b.t.Helper()
	digest := sha256.Sum256(b.spki(id))
	return hex.EncodeToString(digest[:])
}

// openssl runs openssl on the public key of that ID, whose file is the last argument.
func (b *bench) openssl(id string, args ...string) string {
	b.t.Helper()
	file := filepath.Join(b.t.TempDir(), "public.der")
	if err := os.WriteFile(file, b.spki(id), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return b.Command(b.t, append(append([]string{"openssl"}, args...), file)...)
}

// Behind Terraform's back.

// make makes a pair of 2048 bits as the usual recipe does, with pkcs11-tool: on SoftHSM it may decrypt and unwrap too.
func (b *bench) make(label, id string) {
	b.t.Helper()
	b.Tool(b.t, "--keypairgen", "--key-type", "rsa:2048", "--usage-sign", "--label", label, "--id", id)
}

// odd makes a pair of a kind that has no JWK.
func (b *bench) odd(label, id string) {
	b.t.Helper()
	b.Tool(b.t, "--keypairgen", "--key-type", "EC:secp224r1", "--usage-sign", "--label", label, "--id", id)
}

// destroy destroys halves: "privkey", "pubkey".
func (b *bench) destroy(id string, types ...string) {
	b.t.Helper()
	for _, t := range types {
		b.Tool(b.t, "--delete-object", "--type", t, "--id", id)
	}
}

// private and public halves, for alter.
const (
	privateHalf = cryptoki.CKO_PRIVATE_KEY
	publicHalf  = cryptoki.CKO_PUBLIC_KEY
)

// alter changes the attributes of one half on the token.
func (b *bench) alter(class uint, id string, attributes ...cryptoki.Attribute) {
	b.t.Helper()
	err := b.Session(func(ctx context.Context, s *cryptoki.Session) error {
		bytes, err := hex.DecodeString(id)
		if err != nil {
			return err
		}
		found, err := s.FindObjects(ctx, []cryptoki.Attribute{cryptoki.ULong(cryptoki.CKA_CLASS, class), cryptoki.Bytes(cryptoki.CKA_ID, bytes)})
		if err != nil || len(found) != 1 {
			return fmt.Errorf("found %d objects: %w", len(found), err)
		}
		return s.SetAttributeValue(ctx, found[0], attributes)
	})
	if err != nil {
		b.t.Fatalf("altering %s: %v", id, err)
	}
}
