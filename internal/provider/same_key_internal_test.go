package provider

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// TestWhichResourcesClash plans resources in turn, in both orders: Terraform plans them in any.
func TestWhichResourcesClash(t *testing.T) {
	rsa := func(mark, keyID string) claim {
		return claim{mark: mark, resource: "hsm_rsa_keypair", keyType: object.RSA, keyID: keyID, label: mark,
			policy: policyDelete}
	}
	with := func(c claim, change func(*claim)) claim {
		change(&c)
		return c
	}
	held := func(own claim) func(*claims) string {
		return func(c *claims) string {
			if diags := c.hold(own); diags.HasError() {
				return diags[0].Summary()
			}
			return ""
		}
	}
	wanted := func(keyID string, by claim) func(*claims) string {
		return func(c *claims) string {
			if diags := c.want(keyID, by); diags.HasError() {
				return diags[0].Summary()
			}
			return ""
		}
	}
	fresh := func(mark string) claim { return claim{mark: mark, resource: "hsm_rsa_keypair"} }
	const two, taken = "One Key In Two Resources", "Key ID Of Another Resource"
	for name, c := range map[string]struct {
		first, second func(*claims) string
		says          string
	}{
		"a key that was imported twice":      {held(rsa("a", "01")), held(rsa("b", "01")), two},
		"... with its ID in other letters":   {held(rsa("a", "0a")), held(rsa("b", "0A")), two},
		"two keys":                           {held(rsa("a", "01")), held(rsa("b", "02")), ""},
		"one resource that is planned twice": {held(rsa("a", "01")), held(rsa("a", "01")), ""},
		"states of before there were marks":  {held(rsa("", "01")), held(rsa("", "01")), ""},
		"one that leaves its key on the token": {held(rsa("a", "01")), held(with(rsa("b", "01"),
			func(c *claim) { c.leaves = true })), ""},
		"two types of key that have one ID": {held(rsa("a", "01")), held(with(rsa("b", "01"),
			func(c *claim) { c.keyType = object.EC })), ""},
		"two keys of one ID, by fingerprint": {held(with(rsa("a", "01"), func(c *claim) { c.fingerprint = "aa" })),
			held(with(rsa("b", "01"), func(c *claim) { c.fingerprint = "bb" })), ""},
		"one key whose fingerprint is not told": {held(with(rsa("a", "01"), func(c *claim) { c.fingerprint = "aa" })),
			held(rsa("b", "01")), two},
		"two kinds of secret key": {held(with(rsa("a", "01"), func(c *claim) { c.kind = object.AES })),
			held(with(rsa("b", "01"), func(c *claim) { c.kind = object.Generic })), ""},

		"a key that gets another's ID":              {held(rsa("b", "02")), wanted("02", rsa("a", "01")), taken},
		"... without marks":                         {held(rsa("", "02")), wanted("02", rsa("", "01")), taken},
		"a key that gets a free ID":                 {held(rsa("b", "02")), wanted("03", rsa("a", "01")), ""},
		"a new key with the ID of one that leaves":  {held(rsa("b", "02")), wanted("02", fresh("")), taken},
		"a new key that replaces its own":           {held(rsa("b", "02")), wanted("02", fresh("b")), ""},
		"... in a state of before there were marks": {held(rsa("", "02")), wanted("02", fresh("")), ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, order := range [][]func(*claims) string{{c.first, c.second}, {c.second, c.first}} {
				var all claims
				if says := order[0](&all); says != "" {
					t.Errorf("the first of them is refused: %s", says)
				}
				if says := order[1](&all); says != c.says {
					t.Errorf("the second says %q, not %q", says, c.says)
				}
			}
		})
	}
}

func TestADestructionThatTakesAnotherResourcesKey(t *testing.T) {
	var all claims
	own := claim{mark: "a", keyType: object.RSA, keyID: "01", label: "mine", policy: policyDelete}
	other := claim{mark: "b", keyType: object.RSA, keyID: "01", label: "theirs", policy: policyPrevent}
	if diags := all.destroying(own); diags.HasError() {
		t.Errorf("alone: %v", diags)
	}
	all.hold(own)
	if diags := all.destroying(own); diags.HasError() {
		t.Errorf("its own plan is in the way: %v", diags)
	}
	all.hold(other)
	diags := all.destroying(own)
	if !diags.HasError() || !strings.Contains(diags[0].Detail(), `label "theirs"`) ||
		!strings.Contains(diags[0].Detail(), "about to destroy") {
		t.Errorf("it is not refused: %v", diags)
	}
}

// TestTheAdviceOnOneKeyInTwoResources: two import blocks give two resources that look the same, and are in no state.
func TestTheAdviceOnOneKeyInTwoResources(t *testing.T) {
	var all claims
	own := claim{mark: "a", resource: "hsm_rsa_keypair", keyType: object.RSA, keyID: "6b31", label: "web",
		policy: policyPrevent}
	other := own
	other.mark = "b"
	all.hold(other)
	diags := all.hold(own)
	if !diags.HasError() {
		t.Fatal("it is not refused")
	}
	text := diags[0].Detail()
	if !strings.Contains(text, own.String()+" (this one)\n"+other.String()+"\n") ||
		strings.Contains(text, "of this state") {
		t.Errorf("it does not tell the two apart:\n%s", text)
	}
	block, rm := strings.Index(text, "Remove that import block"), strings.Index(text, "state rm")
	if block < 0 || block > rm {
		t.Errorf("it does not speak of import blocks first:\n%s", text)
	}

	// The command is run with a Terraform that shows this key_id for each address.
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("there is no POSIX shell")
	}
	addresses := []string{
		`hsm_rsa_keypair.k["a.data.b"]`, "hsm_ec_keypair.hsm_", "module.data.hsm_secret_key.k",
		`module.m["a.b"].module.n[0].hsm_rsa_keypair.k`,
	}
	listed := append([]string{"data.hsm_jwks.k", "module.m.data.hsm_public_key.k", `module.m["a.b"].data.hsm_keys.k`,
		"terraform_data.hsm_k"}, addresses...)
	dir := t.TempDir()
	stub := "#!/bin/sh\nif [ \"$2\" = list ]; then\ncat <<'END'\n" + strings.Join(listed, "\n") +
		"\nEND\nelse\necho '    key_id = \"6B31\"'\nfi\n"
	if err := os.WriteFile(filepath.Join(dir, "terraform"), []byte(stub), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	_, script, _ := strings.Cut(text, "key_id:\n\n")
	command := exec.Command("sh", "-c", script)
	command.Env = append(os.Environ(), "PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	out, err := command.CombinedOutput()
	if want := strings.Join(addresses, "\n") + "\n"; err != nil || string(out) != want {
		t.Errorf("the command lists\n%snot\n%s%v", out, want, err)
	}
}

// TestWhatANewKeyReplaces is what a plan without a state can know of the key in whose place it makes one.
func TestWhatANewKeyReplaces(t *testing.T) {
	const protected, taken, old = "Key Is Protected From Replacement", "Key ID Stays Taken", "New Key Under An Old ID"
	for name, c := range map[string]struct {
		read, planned string // whether the old resource was read, and planned: its policy
		mark, keyID   string // of the new key
		says          string
	}{
		"-replace of a protected key":             {"prevent", "prevent", "a", "6b31", protected},
		"... with a random ID":                    {"prevent", "prevent", "a", "", protected},
		"... without a refresh":                   {"", "prevent", "a", "", protected},
		"-replace of a key that stays":            {"abandon", "abandon", "a", "6B31", taken},
		"... under another ID":                    {"abandon", "abandon", "a", "6b32", ""},
		"-replace of a key that goes":             {"delete", "delete", "a", "6b31", ""},
		"a mark that no plan has seen":            {"", "prevent", "b", "6b32", ""},
		"a tainted resource":                      {"prevent", "", "", "6B31", protected},
		"... whose key stays":                     {"abandon", "", "", "6b31", taken},
		"... whose key goes":                      {"delete", "", "", "6b31", old},
		"a tainted one with a random ID":          {"prevent", "", "", "", ""},
		"a tainted one that was not read":         {"", "", "", "6b31", ""},
		"a new key with an ID that is planned":    {"prevent", "prevent", "", "6b31", ""}, // claims.want refuses it
		"a new key with an ID that nobody has":    {"prevent", "", "", "6b32", ""},
		"a resource of before there were marks":   {"", "prevent", "", "", ""},
		"a change of IDs between two (see wants)": {"delete", "delete", "a", "6b33", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRSAKeyPairResource()
			r.client = newClient(configuration{})
			was := func(policy string) claim {
				return claim{mark: "a", keyType: object.RSA, keyID: "6b31", label: "web", policy: policy}
			}
			if c.read != "" {
				r.client.met(was(c.read))
			}
			if c.planned != "" {
				r.client.claim(was(c.planned))
			}
			plan := r.kind.newModel()
			plan.common().KeyID = types.StringUnknown()
			if c.keyID != "" {
				plan.common().KeyID = types.StringValue(c.keyID)
			}
			var diags diag.Diagnostics
			r.planForced(c.mark, plan, &diags)
			if len(diags) > 1 || len(diags) == 0 != (c.says == "") || c.says != "" && diags[0].Summary() != c.says {
				t.Errorf("it says %v, not %q", diags, c.says)
			}
		})
	}
}

// TestATokenThatANewKeyDoesNotReach is told once in a run.
func TestATokenThatANewKeyDoesNotReach(t *testing.T) {
	for name, c := range map[string]struct {
		configuration configuration
		severity      diag.Severity
		says          string
	}{
		"a configuration that is not known": {configuration{unknown: []string{"pin"}}, diag.SeverityWarning, "(pin)"},
		"one that is known, and is wrong":   {configuration{}, diag.SeverityError, "HSM_LIBRARY"},
		"one that is switched off":          {configuration{disabled: true}, diag.SeverityError, "HSM_ENABLED is"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRSAKeyPairResource()
			r.client = newClient(c.configuration)
			var diags diag.Diagnostics
			r.check(t.Context(), claim{}, r.kind.newModel(), r.kind.newModel(), &diags)
			// A warning is told once. An error is told of each key, or the plan of the second one would go on without it.
			var again diag.Diagnostics
			r.check(t.Context(), claim{}, r.kind.newModel(), r.kind.newModel(), &again)
			if again.HasError() != diags.HasError() || len(again) > 1 || len(again) == 1 && len(again[0].Detail()) > 150 {
				t.Errorf("the second key says %v", again)
			}
			if len(diags) != 1 || diags[0].Severity() != c.severity || !strings.Contains(diags[0].Detail(), c.says) {
				t.Errorf("it says %v", diags)
			}
		})
	}
}

// TestTheClaimsOfManyKeysAreQuick: a plan of ten thousand keys looks at each of them once.
func TestTheClaimsOfManyKeysAreQuick(t *testing.T) {
	const keys = 10000
	var all claims
	work := testing.AllocsPerRun(1, func() {
		for i := range keys {
			if diags := all.hold(claim{mark: fmt.Sprint(i), keyType: object.RSA, keyID: fmt.Sprintf("%08x",
				i)}); len(diags) > 0 {
				t.Fatal(diags)
			}
		}
		all = claims{}
	})
	if work > 10*keys {
		t.Errorf("%.0f allocations for %d keys", work, keys)
	}
}

// privateMap is a resource's private state.
type privateMap map[string][]byte

func (p privateMap) GetKey(_ context.Context, key string) ([]byte, diag.Diagnostics) {
	return p[key], nil
}

func (p privateMap) SetKey(_ context.Context, key string, value []byte) diag.Diagnostics {
	p[key] = value
	return nil
}

func TestAResourceKeepsItsMark(t *testing.T) {
	ctx, first, second := t.Context(), privateMap{}, privateMap{}
	for _, private := range []privateMap{first, second} {
		if diags := markMissing(ctx, private, private); diags.HasError() || len(markOf(ctx, private)) < 20 {
			t.Fatalf("the mark is %q: %v", markOf(ctx, private), diags)
		}
	}
	had := markOf(ctx, first)
	if markMissing(ctx, first, first); markOf(ctx, first) != had || markOf(ctx, second) == had {
		t.Errorf("the marks are %s, then %s; another resource has %s", had, markOf(ctx, first), markOf(ctx, second))
	}
}
