package provider

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// instanceMark is the key in private state of a text that no other resource has. Terraform tells the provider no
// address: by the mark it tells two resources of one key from one that it is asked about twice. The mark goes where the
// state goes, so that a resource that gets another address keeps it.
const instanceMark = "instance"

// privateState is what the framework gives of a resource's private state.
type privateState interface {
	GetKey(ctx context.Context, key string) ([]byte, diag.Diagnostics)
	SetKey(ctx context.Context, key string, value []byte) diag.Diagnostics
}

// mark gives a resource a mark of its own.
func mark(ctx context.Context, private privateState) diag.Diagnostics {
	text, _ := json.Marshal(rand.Text()) // of a string
	return private.SetKey(ctx, instanceMark, text)
}

// markMissing gives a resource a mark where it has none: its state is of before there were marks.
func markMissing(ctx context.Context, had, private privateState) diag.Diagnostics {
	if text, diags := had.GetKey(ctx, instanceMark); diags.HasError() || len(text) > 0 {
		return diags
	}
	return mark(ctx, private)
}

// markOf is the resource's mark, "" where it has none.
func markOf(ctx context.Context, private privateState) string {
	text, diags := private.GetKey(ctx, instanceMark)
	if diags.HasError() {
		return ""
	}
	return string(text)
}

// claim is a resource of the state, and the key that the state says it manages.
type claim struct {
	mark                 string // "" where the state is of before there were marks, and was not read
	resource             string // its type: "hsm_rsa_keypair"
	keyType              object.KeyType
	kind                 string // of a secret key
	keyID, label, policy string // policy is the deletion_policy
	fingerprint          string
	leaves               bool // it is planned to leave the state, and its key to stay on the token
	doubtful             bool // there is something to warn of, see cautions
}

// sameKey says that two resources have the same key, as far as the state tells: other tools make several keys of one
// ID, which have other fingerprints.
func (c claim) sameKey(other claim) bool {
	differ := func(a, b string) bool { return a != "" && b != "" && a != b }
	return strings.EqualFold(c.keyID, other.keyID) && c.keyType == other.keyType && !differ(c.kind, other.kind) &&
		!differ(c.fingerprint, other.fingerprint)
}

// other says that the two are two resources. Without both marks nobody can tell.
func (c claim) other(than claim) bool { return c.mark != "" && than.mark != "" && c.mark != than.mark }

// name is such as `"web" (key_id 6b31)`.
func (c claim) name() string { return named(c.label, c.keyID) }

func (c claim) String() string {
	return fmt.Sprintf("  - %s, label %q, key_id %s, deletion_policy %q", c.resource, c.label, c.keyID, c.policy)
}

// claimOf is the claim of a state that has not been decoded: most keys of most plans are looked at no further.
func (r *keyResource) claimOf(state tftypes.Value, mark string) claim {
	var fields map[string]tftypes.Value
	_ = state.As(&fields) // the framework has made sure that it is an object
	text := func(name string) string { return textOf(fields, name) }
	c := claim{
		mark: mark, resource: r.kind.typeName(), keyType: r.kind.keyType, keyID: strings.ToLower(text("key_id")),
		label: text("label"), policy: text("deletion_policy"), fingerprint: text(r.kind.fingerprint),
	}
	c.doubtful = saysNoIn(fields, "private") || saysNoIn(fields, "sensitive")
	if c.policy == "" {
		c.policy = policyPrevent
	}
	if r.kind.keyType == object.Secret {
		c.kind = text("type")
	}
	return c
}

// textOf is a text in a plan or a state that is not decoded, "" where it is null or unknown.
func textOf(fields map[string]tftypes.Value, name string) string {
	var text *string
	if v, ok := fields[name]; !ok || !v.IsKnown() || v.As(&text) != nil || text == nil {
		return ""
	}
	return *text
}

// claims are the resources that this run has planned, by the IDs of their keys. Terraform plans them one by one and at
// the same time, so that the one that comes later finds what is wrong with both.
type claims struct {
	mu sync.Mutex
	of map[string]*claimed // by formatted key ID
	at map[string]string   // by mark: the ID of the key of the resource that was planned last with it
}

// claimed is what concerns one key ID.
type claimed struct {
	read   *claim  // by the first whose state had it when this run read it
	held   []claim // by those whose state has it
	wanted []wish  // by those whose plan gives it to their key
}

// wish is a plan that gives a key an ID that it does not have.
type wish struct {
	of claim // of a new key only the type, the label and the mark, which only a replacement has
}

func (w wish) String() string {
	if w.of.keyID == "" {
		return fmt.Sprintf("a new key for a resource %s, label %q", w.of.resource, w.of.label)
	}
	return fmt.Sprintf("the key of a resource %s, label %q, key_id %s", w.of.resource, w.of.label, w.of.keyID)
}

// takes says that the wish is for the ID that another resource's key has. A new key without a mark may be that of the
// same resource, if that had none either.
func (w wish) takes(from claim) bool {
	if w.of.keyID == "" {
		return w.of.mark != from.mark
	}
	return !strings.EqualFold(w.of.keyID, from.keyID)
}

func (c *claims) entry(keyID string) *claimed {
	if c.of == nil {
		c.of = map[string]*claimed{}
	}
	keyID = strings.ToLower(keyID)
	if c.of[keyID] == nil {
		c.of[keyID] = &claimed{}
	}
	return c.of[keyID]
}

// hold notes a resource that is planned, and is an error where another one has the same key, or is to get its ID.
func (c *claims) hold(own claim) (diags diag.Diagnostics) {
	c.mu.Lock()
	defer c.mu.Unlock()
	there := c.entry(own.keyID)
	if other, found := there.rival(own); found {
		diags.Append(twoResources("Two resources manage the same key:", own, other))
	}
	for _, w := range there.wanted {
		if w.takes(own) {
			diags.Append(takenID(w, own))
			break
		}
	}
	there.held = append(there.held, own)
	if own.mark != "" {
		if c.at == nil {
			c.at = map[string]string{}
		}
		c.at[own.mark] = own.keyID
	}
	return diags
}

// met notes a resource whose key this run has read.
func (c *claims) met(own claim) {
	c.mu.Lock()
	defer c.mu.Unlock()
	there := c.entry(own.keyID)
	if there.read == nil {
		there.read = &own
	}
}

// replacedBy is the resource in whose key's place a new key is planned. mark is what the new key's plan has, keyID
// what it asks for ("" where that is not known). Without a mark it may be that of a tainted resource: one that was
// read and has that ID, and whose state no plan was asked about.
func (c *claims) replacedBy(mark, keyID string) (old claim, ok, tainted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if mark != "" {
		for _, held := range c.entry(c.at[mark]).held {
			if held.mark == mark {
				return held, true, false
			}
		}
		return claim{}, false, false
	}
	if there := c.entry(keyID); keyID != "" && len(there.held) == 0 && there.read != nil {
		return *there.read, true, true
	}
	return claim{}, false, false
}

// want notes that a plan gives a key an ID, and is an error where that is the ID of another resource's key.
func (c *claims) want(keyID string, by claim) (diags diag.Diagnostics) {
	c.mu.Lock()
	defer c.mu.Unlock()
	there, w := c.entry(keyID), wish{by}
	for _, other := range there.held {
		if w.takes(other) {
			diags.Append(takenID(w, other))
			break
		}
	}
	there.wanted = append(there.wanted, w)
	return diags
}

// destroying is an error where another resource that this run has planned has the key that is about to be destroyed.
func (c *claims) destroying(own claim) (diags diag.Diagnostics) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if other, found := c.entry(own.keyID).rival(own); found {
		diags.Append(twoResources("The first of these resources is about to destroy its key, which the second manages too:",
			own, other))
	}
	return diags
}

// rival is another resource with the same key. One that leaves its key alone is none: that puts things right.
func (c *claimed) rival(own claim) (claim, bool) {
	for _, other := range c.held {
		if own.other(other) && own.sameKey(other) && !own.leaves && !other.leaves {
			return other, true
		}
	}
	return claim{}, false
}

// addresses says how to find the resources that have a key: Terraform tells their addresses only to who asks it. Data
// sources that show the key manage nothing, and are left out.
func addresses(keyID string) string {
	return "Terraform does not tell the provider the addresses of resources. To list those of the state with this " +
		"key_id:\n\n" +
		"  terraform state list | grep -E '^(module\\.[^.[]+(\\[[^]]*\\])?\\.)*hsm_' | while read -r a; do\n" +
		"    terraform state show -no-color \"$a\" </dev/null | grep -iq 'key_id *= *\"" + keyID + "\"' && echo \"$a\"\n" +
		"  done"
}

// twoResources refuses two resources of one key. The lines of the two may be the same: Terraform shows the address of
// the one that it asks about.
func twoResources(happens string, own, other claim) diag.Diagnostic {
	return diag.NewAttributeErrorDiagnostic(path.Root("key_id"), "One Key In Two Resources", fmt.Sprintf(
		"%s\n\n%s (this one)\n%s\n\n"+
			"What one of them does to the key, it does to the key of the other. If one has deletion_policy = \"delete\", its "+
			"end destroys the key of both.\n\nOn the token: nothing has been changed.\n\nWhat to do: keep one of the "+
			"two.\n\n"+
			"If one of them comes from an import block that is not applied yet, it is not in the state. Remove that import "+
			"block and its resource block.\n\n"+
			"If both are in the state, take one out of the configuration and out of the state. That leaves the key on the "+
			"token:\n\n"+
			"  terraform state rm ADDRESS\n\n%s", happens, own, other, addresses(own.keyID)))
}

func takenID(w wish, from claim) diag.Diagnostic {
	first := "If the ID really is to go to another key: first give the key that has it another key_id, or destroy that key, " +
		"and apply that alone."
	if w.of.keyID == "" {
		first = "If it is one more key: choose another key_id for it."
	}
	return diag.NewAttributeErrorDiagnostic(path.Root("key_id"), "Key ID Of Another Resource", fmt.Sprintf(
		"The plan gives the key_id %[1]s to %[2]s. But another resource of this state has a key with that ID:\n\n%[3]s\n\n"+
			"(Terraform may show either of the two.) An apply would fail halfway, or would give an ID that others know to "+
			"another key, and could destroy the key that has it now.\n\nOn the token: nothing has been changed.\n\n"+
			"What to do:\n"+
			"  - %[6]s\n"+
			"  - If you only moved resources about: with count, each one after an entry that leaves the list moves up. Use "+
			"for_each, and tell Terraform the new address of each resource that stays:\n\n"+
			"  resource %[4]q \"NAME\" {\n    for_each = toset([\"%[1]s\"])\n    key_id   = each.key\n  }\n\n"+
			"  moved {\n    from = %[4]s.NAME[1]\n    to   = %[4]s.NAME[\"%[1]s\"]\n  }\n\n%[5]s",
		from.keyID, w, from, from.resource, addresses(from.keyID), first))
}

// movingID warns that a key's ID changes in place.
func (r *keyResource) movingID(a *keyAttributes, to string) diag.Diagnostic {
	if to == "" {
		to = "one that is not known yet"
	}
	public, wanted := "", "If you want it so, tell whoever uses the key its new ID."
	if r.kind.keyType != object.Secret {
		public = " Verifiers keep public keys by their kid, which follows key_id."
		wanted = "If you want it so, let verifiers have the new kid before they see a signature with it."
	}
	return diag.NewAttributeWarningDiagnostic(path.Root("key_id"), "Key ID Changes", fmt.Sprintf(
		"The key %s is to get another key_id: %s. Whoever knows the key by its old ID does not find it any more.%s\n\n"+
			"What to do: if you only moved resources about, do not apply. With count, each resource after one that leaves gets the "+
			"entry after it. Use for_each, and tell Terraform the new addresses with moved blocks. %s", keyName(a), to, public,
		wanted))
}

// claim notes a resource that is planned; see claims.hold. The client is nil where the provider was never configured.
func (c *client) claim(own claim) diag.Diagnostics {
	if c == nil || own.keyID == "" {
		return nil
	}
	c.noteManaged(own.keyID)
	return c.claims.hold(own)
}

// met is claims.met.
func (c *client) met(own claim) {
	if c != nil && own.keyID != "" {
		c.claims.met(own)
	}
}

// replacedBy is claims.replacedBy.
func (c *client) replacedBy(mark, keyID string) (old claim, ok, tainted bool) {
	if c == nil {
		return claim{}, false, false
	}
	return c.claims.replacedBy(mark, keyID)
}

// want notes the ID that a plan gives a key; see claims.want.
func (c *client) want(keyID string, by claim) diag.Diagnostics {
	if c == nil {
		return nil
	}
	return c.claims.want(keyID, by)
}

// destroying is claims.destroying.
func (c *client) destroying(own claim) diag.Diagnostics {
	if c == nil {
		return nil
	}
	return c.claims.destroying(own)
}
