package hsm_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/pkcs11uri"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// codes are what calls are made to answer.
var codes = []cryptoki.RV{
	cryptoki.CKR_DEVICE_ERROR, cryptoki.CKR_DEVICE_REMOVED, cryptoki.CKR_DEVICE_MEMORY, cryptoki.CKR_FUNCTION_FAILED,
	cryptoki.CKR_GENERAL_ERROR, cryptoki.CKR_HOST_MEMORY, cryptoki.CKR_SESSION_HANDLE_INVALID, cryptoki.CKR_SESSION_CLOSED,
	cryptoki.CKR_SESSION_COUNT, cryptoki.CKR_OBJECT_HANDLE_INVALID, cryptoki.CKR_TOKEN_NOT_PRESENT,
	cryptoki.CKR_USER_NOT_LOGGED_IN, cryptoki.CKR_OPERATION_ACTIVE, cryptoki.CKR_FUNCTION_NOT_SUPPORTED,
	cryptoki.CKR_ATTRIBUTE_READ_ONLY, cryptoki.CKR_ACTION_PROHIBITED, cryptoki.CKR_BUFFER_TOO_SMALL,
}

// kind is a kind of key that tests make.
type kind struct {
	name  string
	tmpl  object.Template // is quickly made
	other object.Usage    // that such a key can have instead; 0: it has none
}

// kinds has a row for each way in which halves show their key and are proven to be one: SoftHSM's private halves show
// an RSA modulus, and no EC point.
var kinds = []kind{
	{"RSA", object.Template{Type: object.RSA, ModulusBits: 1024, PublicExponent: 65537, Usage: object.Sign}, object.Decrypt},
	{"P-256", object.Template{Type: object.EC, Curve: publickey.P256, Usage: object.Sign}, object.Derive},
	{"secp256k1 that derives", object.Template{Type: object.EC, Curve: publickey.Secp256k1, Usage: object.Derive}, object.Sign},
	{"Ed25519", object.Template{Type: object.EC, Curve: publickey.Ed25519, Usage: object.Sign}, 0},
	{"AES", object.Template{Type: object.Secret, Kind: object.AES, Bits: 128, Usage: object.Encrypt | object.Decrypt}, object.Sign | object.Verify},
	{"HMAC", object.Template{Type: object.Secret, Kind: object.Generic, Bits: 256, Usage: object.Sign | object.Verify}, object.Sign},
}

func (k kind) template(id, label string) object.Template {
	tmpl := k.tmpl
	tmpl.ID, tmpl.Label = []byte(id), label
	return tmpl
}

// objects is how many objects such a key is.
func (k kind) objects() int {
	if k.tmpl.Type == object.Secret {
		return 1
	}
	return 2
}

// needs skips a test on a make of token that has no such keys.
func (k kind) needs(t *testing.T) {
	t.Helper()
	if k.tmpl.Type == object.Secret {
		hsmtest.Needs(t, hsmtest.SecretKeys)
	}
	if k.tmpl.Curve != "" {
		hsmtest.NeedsCurves(t, k.tmpl.Curve)
	}
	if k.tmpl.Usage == object.Derive { // which is what proves that the halves belong together
		hsmtest.Needs(t, hsmtest.ECDH)
	}
}

// kindNamed is a row of kinds.
func kindNamed(name string) kind {
	return kinds[slices.IndexFunc(kinds, func(k kind) bool { return k.name == name })]
}

// operation is something that Terraform has done to a token.
type operation struct {
	name  string
	reads bool // it makes, changes and destroys nothing
	alike bool // it makes the calls of another one: see spare
	// prepare brings the token into the state that the operation starts from.
	prepare func(*world)
	// run is the operation. What it gives is kept for the check.
	run func(context.Context, *world, *hsm.Token) error
	// converge is what the next run does, without a fault, and the check of what the token holds in the end.
	converge func(*world, *hsm.Token)
	to       func(kind) object.Change // what it changes; nil where it changes nothing
}

func changing(name string, prepare func(*world), to func(kind) object.Change) operation {
	return operation{name: name, prepare: prepare, run: change(to), converge: changed(to), to: to}
}

func (op operation) likeAnother() operation { op.alike = true; return op }

// hasDone checks that the token holds what an operation has done that says it has: the next run would hide that it has
// done nothing.
func (w *world) hasDone(op operation, token *hsm.Token) {
	if op.to == nil && op.name != deleting {
		return
	}
	ref, c := w.ref(), object.Change{}
	if op.to != nil {
		c = op.to(w.kind)
	}
	if c.ID != nil {
		ref.ID = c.ID
	}
	key, err := token.Key(context.Background(), ref)
	switch {
	case op.name == deleting && errors.Is(err, object.ErrNotFound):
	case op.name == deleting:
		w.t.Errorf("the key is said to be destroyed, and is there: %v", err)
	case err != nil || c.Label != nil && key.Label != *c.Label || c.Usage != nil && key.Usage != *c.Usage ||
		c.Sensitive != nil && yes(key.Sensitive) != *c.Sensitive ||
		c.Extractable != nil && yes(key.Extractable) != *c.Extractable:
		w.t.Errorf("the key is said to be changed, and is %s, %v", describe(key), err)
	}
}

const deleting = "delete"

// world is a token with one key that an operation is about, seen by a witness that no fault is injected in.
type world struct {
	t       *testing.T
	kind    kind
	token   *hsmtest.Token
	witness *hsm.Token
	id      []byte
	key     object.Key // before the operation; zero where there is none
	made    object.Key // by the operation
	err     error      // of the operation

	certified string // the fingerprint of the key that certificates on the token are for; "" where there are none
}

const oldLabel, newLabel = "old", "new"

var newID = []byte("another ID")

func (w *world) ref() object.Ref {
	return object.Ref{Type: w.kind.tmpl.Type, ID: w.id, Fingerprint: w.key.Fingerprint()}
}

// withKey prepares a key as it was before.
func withKey(w *world) { w.have(w.kind.template("the ID", oldLabel), true) }

// withExtractableKey is withKey with a key that may leave the token, wrapped.
func withExtractableKey(w *world) {
	tmpl := w.kind.template("the ID", oldLabel)
	tmpl.Extractable = true
	w.have(tmpl, true)
}

// withReadableKey is withExtractableKey with a key of another tool's, whose value anyone with the PIN can read.
func withReadableKey(w *world) {
	tmpl := w.kind.template("the ID", oldLabel)
	tmpl.Extractable = true
	w.have(tmpl, false)
}

// have brings the token to hold the one key that the template asks for. Another tool makes what is not sensitive.
func (w *world) have(tmpl object.Template, sensitive bool) {
	w.id = tmpl.ID
	keys := w.keys()
	if len(keys) == 1 && yes(keys[0].Extractable) == tmpl.Extractable && yes(keys[0].Sensitive) == sensitive {
		if w.key = keys[0]; w.isAs(tmpl) {
			return
		}
		// What is changed back need not be made anew, which takes longest of all.
		back := object.Change{ID: tmpl.ID, Label: new(oldLabel), Usage: &tmpl.Usage}
		if _, err := w.witness.Change(context.Background(), object.Ref{Type: w.key.Type, ID: w.key.ID}, back); err == nil {
			if w.key = w.keys()[0]; w.isAs(tmpl) {
				return
			}
		}
	}
	w.clear()
	if sensitive {
		w.key = generate(w.t, w.witness, tmpl)
		return
	}
	w.makeReadable(tmpl)
	w.key = w.keys()[0]
	if yes(w.key.Sensitive) {
		w.t.Fatal("the token makes no key that can be read")
	}
}

// isAs says that the key is named and used as a template asks.
func (w *world) isAs(tmpl object.Template) bool {
	return string(w.key.ID) == string(tmpl.ID) && w.key.Label == oldLabel && w.key.Usage == tmpl.Usage &&
		w.key.PublicUsage == tmpl.Usage
}

// makeReadable makes a key as the template asks, but with CKA_SENSITIVE=false.
func (w *world) makeReadable(tmpl object.Template) {
	spec, err := tmpl.Spec()
	if err != nil {
		w.t.Fatal(err)
	}
	public, private := tmpl.Attributes(spec, quirk.Differences{})
	for i, a := range private {
		if a.Type == cryptoki.CKA_SENSITIVE {
			private[i] = cryptoki.Bool(a.Type, false)
		}
	}
	err = w.token.Session(func(ctx context.Context, s *cryptoki.Session) error {
		mechanism := cryptoki.Mechanism{Type: spec.Mechanism}
		if spec.Alone() {
			_, err := s.GenerateKey(ctx, mechanism, private)
			return err
		}
		_, err := s.GenerateKeyPair(ctx, mechanism, public, private)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func withoutKey(w *world) {
	w.id, w.key = []byte("the ID"), object.Key{}
	w.clear()
}

// afresh does something with a look at the token that has no memory of what was there before. The token is closed even
// where the test ends on the way: as long as anybody has it open, the module is not initialised anew, and this process
// sees no token again that it has lost sight of.
func (w *world) afresh(do func(*hsm.Token)) {
	token := w.fresh()
	defer func() {
		if err := token.Close(); err != nil {
			w.t.Error(err)
		}
	}()
	do(token)
}

// convergeAfter does what the next run does after an operation, once it has done what it says.
func (w *world) convergeAfter(op operation, err error) {
	w.afresh(func(token *hsm.Token) {
		if err == nil {
			w.hasDone(op, token)
		}
		op.converge(w, token)
	})
}

// fresh is for afresh, and for those who close it by defer.
func (w *world) fresh() *hsm.Token {
	token, err := hsm.Open(context.Background(), w.token.Config())
	if errors.Is(err, hsm.ErrNoToken) && w.token.OutOfSight(w.t) {
		w.t.Skip("this process has lost sight of the token, and another one sees it")
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

// keys are the whole keys on the token; anything else on it fails the test.
func (w *world) keys() []object.Key {
	token := w.fresh()
	defer token.Close()
	keys, err := wholeKeys(context.Background(), token)
	if err != nil {
		w.t.Fatal(err)
	}
	objects, err := names(context.Background(), token)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(objects) != w.kind.objects()*len(keys) {
		w.t.Fatalf("strays: %d keys among %v", len(keys), objects)
	}
	for i := range keys {
		if keys[i], err = token.Fingerprinted(context.Background(), keys[i]); err != nil {
			w.t.Fatal(err)
		}
	}
	return keys
}

func (w *world) clear() {
	for _, pair := range w.keys() {
		if _, err := w.witness.Destroy(context.Background(), object.Ref{Type: pair.Type, ID: pair.ID}); err != nil {
			w.t.Fatal(err)
		}
	}
}

func relabel(kind) object.Change { return object.Change{Label: new(newLabel)} }
func reuse(k kind) object.Change { return object.Change{Usage: &k.other} }
func move(kind) object.Change    { return object.Change{ID: newID} }
func keepIn(kind) object.Change  { return object.Change{Extractable: new(false)} }

// hide has a change that can be taken back beside the one that is final.
func hide(kind) object.Change { return object.Change{Label: new(newLabel), Sensitive: new(true)} }

func change(to func(kind) object.Change) func(context.Context, *world, *hsm.Token) error {
	return func(ctx context.Context, w *world, token *hsm.Token) (err error) {
		w.made, err = token.Change(ctx, w.ref(), to(w.kind))
		return err
	}
}

func look(ref func(*world) object.Ref) func(context.Context, *world, *hsm.Token) error {
	return func(ctx context.Context, w *world, token *hsm.Token) error {
		pair, err := token.Key(ctx, ref(w))
		if err == nil && pair.Fingerprint() != w.key.Fingerprint() {
			w.t.Errorf("another key was found: %s", describe(pair))
		}
		if errors.Is(err, object.ErrNotFound) {
			w.t.Errorf("a key that is there was taken for gone: %v", err)
		}
		return err
	}
}

// signing signs with the pair that has the public key. What is signed verifies, whatever fails.
var signing = operation{name: "sign", reads: true, prepare: withKey, converge: unchanged,
	run: func(ctx context.Context, w *world, token *hsm.Token) error {
		signer, err := token.Signer(ctx, w.key.PublicKey)
		if _, none := errors.AsType[*hsm.NoSignerError](err); none {
			w.t.Errorf("a pair that is there was taken for gone: %v", err)
		}
		if err != nil {
			return err
		}
		for _, s := range signaturesOf(w.key.PublicKey)[:1] {
			message := []byte("what is signed")
			sig, err := signer.SignMessage(nil, message, s.opts)
			if err != nil {
				return err
			}
			if !verifies(w.key.PublicKey, s.opts, message, sig) {
				w.t.Error("a signature was given that does not verify")
			}
		}
		return nil
	}}

var operations = []operation{
	{name: "refresh", reads: true, prepare: withKey, run: look((*world).ref), converge: unchanged},
	{name: "import", reads: true, prepare: withKey, run: look(func(w *world) object.Ref { return object.Ref{Type: w.kind.tmpl.Type, ID: w.id} }), converge: unchanged},
	{name: "JWKS and list", reads: true, prepare: withKey, converge: unchanged, run: func(ctx context.Context, w *world, token *hsm.Token) error {
		pairs, err := keyPairs(ctx, token)
		if err == nil && len(pairs) != w.kind.objects()-1 { // a secret key is in no set
			w.t.Errorf("the set has %d keys", len(pairs))
		}
		if err == nil {
			err = token.Published(ctx, pairs)
		}
		if err != nil {
			return err
		}
		whole, err := wholeKeys(ctx, token)
		if err == nil && (len(whole) != 1 || whole[0].Fingerprint() != "" && whole[0].Fingerprint() != w.key.Fingerprint()) {
			w.t.Errorf("there are %d keys", len(whole))
		}
		if err != nil {
			return err
		}
		keys, unclassified, err := entries(ctx, token)
		if err == nil && (len(keys) != w.kind.objects() || unclassified > 0 || slices.ContainsFunc(keys, notWhole)) {
			w.t.Errorf("the list is %v, and %d are unclassified", keys, unclassified)
		}
		return err
	}},
	{name: "a public key", reads: true, prepare: withKey, converge: unchanged, run: func(ctx context.Context, w *world, token *hsm.Token) error {
		key, err := token.PublicKey(ctx, pkcs11uri.URI{ID: w.id})
		if err == nil && (key.Fingerprint() != w.key.Fingerprint() || !key.HasPrivate) || errors.Is(err, object.ErrNoMatch) || errors.Is(err, object.ErrHalfPair) {
			w.t.Errorf("got %+v, %v", key, err)
		}
		return err
	}},
	signing,
	{name: "create", prepare: withoutKey, converge: created, run: func(ctx context.Context, w *world, token *hsm.Token) (err error) {
		w.made, err = token.Generate(ctx, w.kind.template(string(w.id), oldLabel))
		return err
	}},
	{name: "create with a random ID", prepare: withoutKey, converge: createdAtRandom, run: func(ctx context.Context, w *world, token *hsm.Token) (err error) {
		w.made, err = token.Generate(ctx, w.kind.template("", oldLabel))
		return err
	}},
	changing("relabel", withKey, relabel),
	changing("change the usage", withKey, reuse),
	changing("change the ID", withKey, move),
	{name: "change the ID, with certificates", prepare: withCertificates, converge: movedWithCertificates,
		run: change(moveAll), to: moveAll},
	changing("make sensitive", withReadableKey, hide).likeAnother(),
	changing("make unextractable", withExtractableKey, keepIn).likeAnother(),
	{name: deleting, prepare: withKey, converge: deleted, run: func(ctx context.Context, w *world, token *hsm.Token) error {
		_, err := token.Destroy(ctx, w.ref())
		return err
	}},
}

func unchanged(w *world, _ *hsm.Token) {
	pairs := w.keys()
	if len(pairs) != 1 || describe(pairs[0]) != describe(w.key) {
		w.t.Errorf("reading has changed the key: %v", pairs)
	}
}

// created does what the next apply does: it makes the key, or adopts by the command that the error carries.
func created(w *world, token *hsm.Token) {
	ctx := context.Background()
	pair, err := token.Generate(ctx, w.kind.template(string(w.id), oldLabel))
	if errors.Is(err, object.ErrExists) {
		pair, err = token.Key(ctx, object.Ref{Type: w.kind.tmpl.Type, ID: w.id})
	}
	if err != nil {
		w.t.Errorf("the next run does not converge: %v", err)
		return
	}
	if w.made.ID != nil && w.made.Fingerprint() != pair.Fingerprint() {
		w.t.Errorf("a second key was made")
	}
	if pairs := w.keys(); len(pairs) != 1 || describe(pairs[0]) != describe(pair) {
		w.t.Errorf("the token holds %d pairs", len(pairs))
	}
}

// createdAtRandom wants the one key of a creation that went well, and none of one that failed, once what its error
// says may be left is cleared away by the ID that the error names.
func createdAtRandom(w *world, token *hsm.Token) {
	if failed, ok := errors.AsType[*hsm.OperationError](w.err); ok && failed.Holds != hsm.HoldsNothing && failed.Holds != hsm.HoldsUntouched {
		if _, err := token.Destroy(context.Background(), object.Ref{Type: w.kind.tmpl.Type, ID: failed.ID}); err != nil {
			w.t.Error(err)
		}
	}
	pairs := w.keys()
	if w.made.ID == nil && len(pairs) > 0 {
		w.t.Errorf("a creation that failed has left %d pairs", len(pairs))
	}
	if w.made.ID != nil && (len(pairs) != 1 || describe(pairs[0]) != describe(w.made)) {
		w.t.Errorf("the token holds %d pairs", len(pairs))
	}
}

func changed(to func(kind) object.Change) func(*world, *hsm.Token) {
	return func(w *world, token *hsm.Token) {
		ref, c := w.ref(), to(w.kind)
		if w.made.ID != nil {
			ref.ID = w.made.ID
		}
		_, err := token.Key(context.Background(), ref)                                      // the refresh before it
		if half, ok := errors.AsType[*object.HalfPairError](err); ok && half.Other != nil { // as the error advises
			kind := map[string]string{"private key": "privkey", "public key": "pubkey"}[half.Other.Class]
			w.token.Tool(w.t, "--id", object.FormatID(half.Other.ID), "--type", kind, "--set-id", object.FormatID(ref.ID))
		}
		pair, err := token.Change(context.Background(), ref, c)
		if errors.Is(err, object.ErrNotFound) && c.ID != nil && w.made.ID == nil { // the state follows the key, as the error advises
			ref.ID = c.ID
			pair, err = token.Change(context.Background(), ref, c)
		}
		if err != nil {
			w.t.Errorf("the next run does not converge: %v", err)
			return
		}
		have := pair.Fingerprint()
		if have != w.key.Fingerprint() && (have != "" || hsmtest.Has(w.t, hsmtest.CheckValues)) {
			w.t.Error("the key is another one")
		}
		// A secret key that may not encrypt any more has a check value for those who remember it, where the token shows none.
		if pairs := w.keys(); len(pairs) != 1 || !strings.HasPrefix(describe(pair), describe(pairs[0])) {
			w.t.Errorf("the token holds %v", pairs)
		}
		if c.Sensitive != nil && !yes(pair.Sensitive) || c.Extractable != nil && yes(pair.Extractable) {
			w.t.Errorf("the next run leaves %s", describe(pair))
		}
	}
}

func deleted(w *world, token *hsm.Token) {
	if left, err := token.Destroy(context.Background(), w.ref()); err != nil || len(left) > 0 {
		w.t.Errorf("the next run does not converge: %v %v", left, err)
	}
	if pairs := w.keys(); len(pairs) != 0 {
		w.t.Errorf("the token holds %d pairs", len(pairs))
	}
}

// holdsAsSaid checks what an error says of the token against what is there. That it is not known, it may say only where
// one is blind: where the calls go on to fail that look at a token, or one hangs.
func (w *world) holdsAsSaid(err error, blind bool) {
	token := w.fresh()
	defer token.Close()
	objects, lookErr := names(context.Background(), token)
	if lookErr != nil {
		w.t.Fatal(lookErr)
	}
	count := map[string]int{}
	for _, o := range objects {
		count[o.Class]++
	}
	private, public := count["private key"], count["public key"]
	whole := private == 1 && public == 1
	if w.kind.objects() == 1 {
		whole = len(objects) == 1
	}
	before := w.key.ID != nil
	var failed *hsm.OperationError
	if !errors.As(err, &failed) {
		if whole != before {
			w.t.Errorf("the error says nothing of the token, which holds %v", objects)
		}
		return
	}
	var is bool
	switch failed.Holds {
	case hsm.HoldsUntouched:
		is = whole == before
	case hsm.HoldsNothing:
		is = len(objects) == 0
	case hsm.HoldsAsBefore:
		is = whole
		keys, _ := wholeKeys(context.Background(), token)
		is = is && len(keys) == 1 && describe(keys[0]) == describe(w.key) && (w.certified == "" || w.certificatesAre(w.id,
			w.id))
	case hsm.HoldsKey, hsm.HoldsMixed, hsm.HoldsKeyAtLeast:
		is = whole
	case hsm.HoldsPrivate:
		is = private == 1 && public == 0
	case hsm.HoldsPublic:
		is = private == 0 && public == 1
	case hsm.HoldsUnknown:
		is = blind
	}
	if !is {
		w.t.Errorf("the error says: %v\nbut the token holds %v", err, objects)
	}
}

// allows says that the operation can be done to such a key.
func (k kind) allows(op operation) bool {
	switch op.name {
	case "change the usage":
		return k.other != 0
	case "a public key":
		return k.objects() > 1
	case signing.name:
		return k.objects() > 1 && k.tmpl.Usage.Has(object.Sign)
	case "change the ID, with certificates": // it is the same for each kind of pair
		return k.name == "RSA" || k.name == "P-256"
	case "make sensitive", "make unextractable": // as they are for each kind of pair, and of secret key
		return k.name == "P-256" || k.name == "AES"
	}
	return true
}

// spare skips, in a sample, a test that takes long for an operation whose calls another one makes too.
func (op operation) spare(t *testing.T) {
	t.Helper()
	if op.alike && hsmtest.ThisExtent(t) == hsmtest.Sample {
		t.Skip("a sample leaves it out")
	}
}

// notWhole says that something of a key is malformed or missing.
func notWhole(k object.Entry) bool {
	return k.Err != nil || k.OtherHalfMissing != nil && *k.OtherHalfMissing
}

// everyOperation runs a test of each operation on each kind of key that it can be done to.
func everyOperation(t *testing.T, test func(*testing.T, kind, operation)) {
	for _, kind := range kinds {
		for _, op := range operations {
			if !kind.allows(op) {
				continue
			}
			t.Run(kind.name+": "+op.name, func(t *testing.T) {
				t.Parallel()
				kind.needs(t)
				test(t, kind, op)
			})
		}
	}
}

// TestEveryCallFails is the matrix: each kind of key, each operation, each call that it makes, each code, before and
// after the real call took effect, once and for good. It grows by itself with the calls that operations make.
// HSMTEST_FAULTS=all takes all of that. With HSMTEST_FAULTS=matrix, a sixth of the codes do for all positions but the
// first, and positions but the first ones and the last are left out; of kinds of key but the first, one fault of 19 is
// taken. Without either, it is one fault of ten of these.
func TestEveryCallFails(t *testing.T) {
	extent := hsmtest.ThisExtent(t)
	var total tally
	t.Run("in", func(t *testing.T) {
		everyOperation(t, func(t *testing.T, kind kind, op operation) {
			k := hsmtest.New(t)
			m := matrix{world: &world{t: t, kind: kind, token: k, witness: open(t, k)}, tally: &total, op: op}
			m.run(extent)
		})
	})
	recovered, failed := total.recovered.Load(), total.failed.Load()
	t.Logf("%d faults injected in %d operations: %d recovered by themselves, %d failed clearly; no key lost, none doubled",
		total.injected.Load(), recovered+failed, recovered, failed)
}

// TestWhatIsFinalIsWrittenLast has the token refuse the new label of the public half, beside which the private half is
// to get what cannot be taken back: the key is as before. Then the token fails once, which is made good.
func TestWhatIsFinalIsWrittenLast(t *testing.T) {
	kind := kindNamed("P-256")
	kind.needs(t)
	for name, c := range map[string]struct {
		prepare func(*world)
		change  object.Change
	}{
		"sensitive":     {withReadableKey, object.Change{Label: new(newLabel), Sensitive: new(true)}},
		"unextractable": {withExtractableKey, object.Change{Label: new(newLabel), Extractable: new(false)}},
	} {
		t.Run(name, func(t *testing.T) {
			k := hsmtest.New(t)
			w := &world{t: t, kind: kind, token: k, witness: open(t, k)}
			c.prepare(w)
			faults := &hsmtest.Faults{}
			faults.Inject(hsmtest.Fault{Function: "C_SetAttributeValue", Nth: 2,
				Code: cryptoki.CKR_ATTRIBUTE_READ_ONLY})
			token := openWith(t, k, k.PIN, faults)
			_, err := token.Change(context.Background(), w.ref(), c.change)
			failed, ok := errors.AsType[*hsm.OperationError](err)
			if !ok || failed.Holds != hsm.HoldsAsBefore || !errors.Is(err, cryptoki.CKR_ATTRIBUTE_READ_ONLY) {
				t.Errorf("got %v", err)
			}
			unchanged(w, nil)
			faults.Clear()
			faults.Inject(hsmtest.Fault{Function: "C_SetAttributeValue", Nth: 1, Code: cryptoki.CKR_FUNCTION_FAILED})
			_, err = token.Change(context.Background(), w.ref(), c.change)
			if n := faults.Count("C_SetAttributeValue"); err != nil || n != 4 {
				t.Errorf("after %d writes: %v", n, err)
			}
		})
	}
}

// tally is what came of faults.
type tally struct{ injected, recovered, failed atomic.Int64 }

// matrix are the faults of one operation.
type matrix struct {
	*world
	*tally
	op     operation
	faults hsmtest.Faults
}

func (m *matrix) run(extent hsmtest.Extent) {
	m.op.prepare(m.world)
	if err := m.attempt(); err != nil {
		m.t.Fatalf("without a fault: %v", err)
	}
	counts := map[string]int{}
	for _, function := range m.faults.Calls() {
		counts[function]++
	}
	taken := m.picker(extent)
	for _, function := range slices.Sorted(maps.Keys(counts)) {
		for _, position := range positions(counts[function], extent == hsmtest.All) {
			for i, code := range codes {
				if extent != hsmtest.All && position > 1 && (i+position)%6 != 0 {
					continue
				}
				for _, after := range []bool{false, true} {
					if !taken() {
						continue
					}
					m.one(hsmtest.Fault{Function: function, Nth: position, Code: code, After: after})
					if extent == hsmtest.All || (i+position)%4 == 0 {
						m.one(hsmtest.Fault{Function: function, Nth: position, Code: code, After: after, Onwards: true})
					}
				}
			}
		}
	}
}

// picker says of each fault whether the run has it.
func (m *matrix) picker(extent hsmtest.Extent) (takes func() bool) {
	every, n := 1, 0
	if m.kind.name != kinds[0].name {
		every = 19
	}
	switch extent {
	case hsmtest.All:
		return func() bool { return true }
	case hsmtest.Matrix:
		return func() bool { n++; return n%every == 0 }
	}
	return hsmtest.Pick(m.t, 10*every).Takes
}

// attempt runs the operation as a process of its own would: with a token that it opens and closes.
func (m *matrix) attempt() error {
	c := m.token.Config(m.faults.Hook)
	token, err := hsm.Open(context.Background(), c)
	if err != nil {
		return err
	}
	defer token.Close()
	return m.op.run(context.Background(), m.world, token)
}

func (m *matrix) one(fault hsmtest.Fault) {
	m.op.prepare(m.world)
	m.made = object.Key{}
	m.faults.Clear()
	m.faults.Inject(fault)
	m.err = m.attempt()
	m.injected.Add(int64(m.faults.Injected()))
	if m.err == nil {
		m.recovered.Add(1)
	} else {
		m.failed.Add(1)
		m.made = object.Key{}
		if text := m.err.Error(); !strings.Contains(text, fault.Function) || !strings.Contains(text, fault.Code.Error()) {
			m.t.Errorf("the error does not name the function and the code: %v", m.err)
		}
		m.holdsAsSaid(m.err, fault.Onwards && !slices.Contains(vital, fault.Function))
	}
	m.convergeAfter(m.op, m.err)
	if m.t.Failed() {
		m.t.Fatalf("in the case: %s number %d answers %s (after the call: %t, and so from then on: %t)\nwhich gave: %v\nafter the calls %v",
			fault.Function, fault.Nth, fault.Code, fault.After, fault.Onwards, m.err, m.faults.Calls())
	}
}

// positions are those of a function's n calls at which it is made to fail.
func positions(n int, full bool) []int {
	if full || n <= 3 {
		all := make([]int, n)
		for i := range all {
			all[i] = i + 1
		}
		return all
	}
	return []int{1, 2, n}
}
