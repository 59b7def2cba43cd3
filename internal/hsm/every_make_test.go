package hsm_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/pkcs11uri"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// TestEveryMake is the life of a key as every make of token allows it, with each function that generates, changes
// and destroys failing once on the way.
func TestEveryMake(t *testing.T) {
	tmpl := object.Template{Type: object.RSA, ModulusBits: 2048, PublicExponent: 65537, Usage: object.Sign | object.Decrypt}
	t.Run("RSA", func(t *testing.T) { life(t, tmpl) })
	for _, curve := range slices.Sorted(maps.Keys(hsmtest.Curves)) {
		t.Run(curve, func(t *testing.T) {
			hsmtest.NeedsCurves(t, curve)
			life(t, object.Template{Type: object.EC, Curve: curve, Usage: object.Sign})
		})
	}
	for _, set := range publickey.ParameterSets() {
		t.Run(set, func(t *testing.T) {
			hsmtest.Needs(t, hsmtest.MLDSA)
			life(t, object.Template{Type: object.MLDSA, ParameterSet: set, Usage: object.Sign})
		})
	}
	for name, tmpl := range hsmtest.InOrder(map[string]object.Template{
		"AES":  {Type: object.Secret, Kind: object.AES, Bits: 256, Usage: everySecretUsage},
		"HMAC": {Type: object.Secret, Kind: object.Generic, Bits: 256, Usage: object.Sign | object.Verify},
	}) {
		t.Run(name, func(t *testing.T) {
			hsmtest.Needs(t, hsmtest.SecretKeys)
			life(t, tmpl)
		})
	}
}

// life is that of a key on a token around whose calls the hooks stand, in those that fail.
func life(t *testing.T, tmpl object.Template, hooks ...hsm.Hook) {
	ctx := context.Background()
	k := hsmtest.New(t)
	faults := &hsmtest.Faults{}
	token := openHooked(t, k, append(hooks, faults.Hook)...)
	tmpl.ID, tmpl.Label = []byte("life"), "life"
	objects, generation := 2, "C_GenerateKeyPair"
	if tmpl.Type == object.Secret {
		objects, generation = 1, "C_GenerateKey"
	}
	for _, after := range []bool{false, true} {
		once := func(function string) {
			faults.Clear()
			faults.Inject(hsmtest.Fault{Function: function, Nth: 1, Code: cryptoki.CKR_DEVICE_ERROR, After: after})
		}
		once(generation)
		made := generate(t, token, tmpl)
		if _, err := token.Generate(ctx, tmpl); !errors.Is(err, object.ErrExists) {
			t.Fatalf("the ID a second time: %v", err)
		}
		ref := object.Ref{Type: tmpl.Type, ID: made.ID, Fingerprint: made.Fingerprint()}
		once("C_SetAttributeValue")
		label := "another"
		changed, err := token.Change(ctx, ref, object.Change{Label: &label})
		if err != nil {
			t.Fatal(err)
		}
		if found, err := token.Key(ctx, ref); err != nil || describe(found) != describe(changed) || found.Label != label || found.Fingerprint() != made.Fingerprint() {
			t.Fatalf("found %s, %v", describe(found), err)
		}
		if whole, err := wholeKeys(ctx, token); err != nil || len(whole) != 1 {
			t.Fatalf("%d keys, %v", len(whole), err)
		}
		once("C_FindObjects")
		keys, unclassified, err := entries(ctx, token)
		if err != nil || len(keys) != objects || unclassified > 0 || slices.ContainsFunc(keys, notWhole) {
			t.Fatalf("the keys are %v, %d are unclassified, %v", keys, unclassified, err)
		}
		once("C_FindObjects")
		key, err := token.PublicKey(ctx, pkcs11uri.URI{ID: made.ID})
		if objects > 1 && (err != nil || key.Fingerprint() != made.Fingerprint() || !key.HasPrivate || key.Label != label) || objects == 1 && !errors.Is(err, object.ErrNoMatch) {
			t.Fatalf("the public key is %+v, %v", key, err)
		}
		once("C_DestroyObject")
		if left, err := token.Destroy(ctx, ref); err != nil || len(left) > 0 {
			t.Fatalf("left %v, %v", left, err)
		}
		if _, err := token.Key(ctx, ref); !errors.Is(err, object.ErrNotFound) {
			t.Fatalf("after its destruction: %v", err)
		}
	}
}

// TestEveryMakeTurnsARing makes a ring, rotates three times, goes back and on again, and destroys it.
func TestEveryMakeTurnsARing(t *testing.T) {
	ctx := context.Background()
	k := hsmtest.New(t)
	token := open(t, k)
	if !token.Relabels(ctx) {
		t.Error("the token is said to change no label")
	}
	r := ringOf(1, 1)
	r.Template = ringTemplate(t)
	var state hsm.RingState
	for _, c := range []struct {
		generation, previous int
		want                 string
	}{
		{1, 1, "1 current, 2 standby"},
		{2, 1, "1 standby, 2 current, 3 standby"},
		{3, 1, "1 retired, 2 standby, 3 current, 4 standby"},
		{4, 1, "1 retired, 2 retired, 3 standby, 4 current, 5 standby"},
		{3, 1, "1 retired, 2 retired, 3 current, 4 standby, 5 standby"},
		{4, 0, "1 retired, 2 retired, 4 current, 5 standby"},
	} {
		r.Generation, r.Previous, r.Destroy = c.generation, c.previous, c.previous == 0
		before := state.Pairs
		state = turned(t, token, r, c.want)
		for generation, pair := range state.Pairs {
			if was, ok := before[generation]; ok && was.Fingerprint() != pair.Fingerprint() {
				t.Errorf("generation %d is another pair", generation)
			}
		}
	}
	for generation, pair := range state.Pairs {
		ref := object.Ref{Type: pair.Type, ID: pair.ID, Fingerprint: pair.Fingerprint()}
		if left, err := token.Destroy(ctx, ref); err != nil || len(left) > 0 {
			t.Errorf("of generation %d, %v is left: %v", generation, left, err)
		}
	}
	if left, err := open(t, k).Inventory(ctx); err != nil || len(left.All()) > 0 {
		t.Errorf("the token holds %v, %v", left.All(), err)
	}
}

// TestEveryMakeIsDescribedWithoutAPIN asks a token for what it can do, with each call failing once.
func TestEveryMakeIsDescribedWithoutAPIN(t *testing.T) {
	ctx := context.Background()
	k := hsmtest.New(t)
	for _, function := range []string{"", "C_GetSlotList", "C_GetSlotInfo", "C_GetTokenInfo", "C_GetMechanismList", "C_GetMechanismInfo"} {
		faults := &hsmtest.Faults{}
		if function != "" {
			faults.Inject(hsmtest.Fault{Function: function, Nth: 1, Code: cryptoki.CKR_DEVICE_ERROR, After: true})
		}
		d, err := hsm.Describe(ctx, config(k, "", faults))
		if err != nil || d.Label != k.Label || !d.Slot.HasToken() || d.PINState() != "ok" {
			t.Fatalf("%s fails once, and the token is %+v, %v", function, d, err)
		}
		i := slices.IndexFunc(d.Mechanisms, func(m hsm.Mechanism) bool { return m.Type == cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN })
		if i < 0 || !slices.Contains(d.Mechanisms[i].Words(), "generate_key_pair") || d.Mechanisms[i].Info.MaxKeySize == 0 {
			t.Fatalf("the mechanisms are %v", d.Mechanisms)
		}
		slots, err := hsm.Slots(ctx, config(k, "", faults))
		if err != nil || slotOf(t, slots, k.Label).Token.Serial != d.Serial {
			t.Fatalf("the slots are %+v, %v", slots, err)
		}
		if n := faults.Count("C_Login") + faults.Count("C_OpenSession"); n != 0 {
			t.Fatalf("%d sessions and logins", n)
		}
	}
}

// TestEveryMakeClosesNoFileOfOthers opens and closes the module again and again, beside files that others open.
func TestEveryMakeClosesNoFileOfOthers(t *testing.T) {
	k := hsmtest.New(t)
	var files []*os.File
	for range 4 {
		if _, err := hsm.Slots(context.Background(), k.Config()); err != nil {
			t.Fatal(err)
		}
		for range 16 { // whichever number is free
			file, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
	}
	for _, file := range files {
		if _, err := file.Stat(); err != nil {
			t.Errorf("a file of others: %v", err)
		}
		_ = file.Close()
	}
}

// fromBlank is what the life of a token is on a make: the errors that it has there, nil for none.
type fromBlank struct {
	initTokens, setPINs int    // how often Initialize calls C_InitToken and C_SetPIN
	fixedLabel          bool   // a blank token has its label already
	factory             string // the PIN that no security officer may get
	pin, erase          error
}

var fromBlanks = map[string]fromBlank{
	"softhsm":          {initTokens: 1},
	"p11-kit":          {initTokens: 1},
	"opencryptoki":     {initTokens: 1, setPINs: 1, factory: "87654321", erase: hsm.ErrNoErasure},
	"tpm2":             {initTokens: 1, erase: hsm.ErrNoErasure},
	"nss":              {fixedLabel: true, pin: hsm.ErrNoOfficer, erase: hsm.ErrNoOfficer},
	"opencryptoki-new": {initTokens: 1, setPINs: 1, factory: "87654321", erase: hsm.ErrNoErasure},
	"tpm2-new":         {initTokens: 1, erase: hsm.ErrNoErasure},
	"nss-new":          {fixedLabel: true, pin: hsm.ErrNoOfficer, erase: hsm.ErrNoOfficer},
	"pkcs11-proxy":     {initTokens: 1},
	"witness":          {initTokens: 1},
}

// newborn is a token to be, with all that asks for it.
type newborn struct {
	t            *testing.T
	want         fromBlank
	faults       hsmtest.Faults
	config       hsm.Config
	setup        hsm.Setup
	first, other string // PINs of its user
	ref          hsm.TokenRef
	token        *hsm.Token
	key          object.Key
}

// TestEveryMakeFromBlank is the life of a token as every make allows it: from a blank one to a key, new PINs and its
// erasure. It wants a token that nobody has initialised yet.
func TestEveryMakeFromBlank(t *testing.T) {
	if os.Getenv("HSMTEST_BLANK") == "" {
		t.Skip("HSMTEST_BLANK=1 scripts/with-token MAKE runs it")
	}
	b := &newborn{
		t: t, want: fromBlanks[hsmtest.ThisMake(t).Name], first: os.Getenv("HSMTEST_PIN"), other: hsmtest.RandomPIN(),
	}
	b.setup = hsm.Setup{
		Label: os.Getenv("HSMTEST_TOKEN_LABEL"), PIN: hsm.NewPIN(b.first), OfficerPIN: hsm.NewPIN(hsmtest.RandomPIN()),
	}
	b.config = hsm.Config{
		Library: os.Getenv("HSMTEST_LIBRARY"), LibraryParameters: os.Getenv("HSMTEST_LIBRARY_PARAMETERS"), PIN: b.setup.PIN,
		Hooks: []hsm.Hook{b.faults.Hook}, Selector: hsm.Selector{Label: &b.setup.Label},
	}
	b.planned()
	b.initialised()
	b.used()
	b.getsPINs()
	b.erased()
}

// is says whether an error is of the type.
func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// planned looks at the blank token. What it shows as its label before it has one of its own means nothing.
func (b *newborn) planned() {
	b.t.Helper()
	ctx := context.Background()
	site, err := hsm.SiteOf(ctx, b.config, b.setup)
	asks := site.AsksUser && site.AsksOfficer == (b.want.pin == nil)
	if err != nil || site.State != hsm.SiteBlank || site.Token.Initialised() || !asks {
		b.t.Fatalf("the site is %+v, %v", site, err)
	}
	other := b.setup
	other.Label = "IBM OS PKCS#11"
	_, err = hsm.SiteOf(ctx, b.config, other)
	if is[*hsm.FixedLabelError](err) != b.want.fixedLabel || err != nil && !b.want.fixedLabel {
		b.t.Errorf("with the label that openCryptoki's have before: %v", err)
	}
	if b.want.factory != "" {
		other = b.setup
		other.OfficerPIN = hsm.NewPIN(b.want.factory)
		if _, err := hsm.SiteOf(ctx, b.config, other); !errors.Is(err, hsm.ErrPINUnfit) {
			b.t.Errorf("the first PIN of the security officer is to stay: %v", err)
		}
	}
	if n := b.faults.Count("C_InitToken") + b.faults.Count("C_Login"); n != 0 {
		b.t.Errorf("plans have called C_InitToken or C_Login %d times", n)
	}
}

// initialised makes the token, in two runs: the first one ends before the security officer's login.
func (b *newborn) initialised() {
	b.t.Helper()
	ctx := context.Background()
	b.faults.Inject(hsmtest.Fault{Function: "C_Login", Nth: 1, Code: cryptoki.CKR_DEVICE_ERROR})
	_, err := hsm.Initialize(ctx, b.config, b.setup)
	standing, ok := errors.AsType[*hsm.StandingError](err)
	if !ok || standing.Stands != hsm.StandsInitialized || !errors.Is(err, cryptoki.CKR_DEVICE_ERROR) {
		b.t.Fatalf("without a login: %v", err)
	}
	info, err := hsm.Initialize(ctx, b.config, b.setup)
	if err != nil {
		b.t.Fatal(err)
	}
	if info.Label != b.setup.Label || !info.Initialised() || info.PINState() != "ok" || info.OfficerPINState() != "ok" {
		b.t.Errorf("the token is %+v", info)
	}
	for function, want := range map[string]int{"C_InitToken": b.want.initTokens, "C_SetPIN": b.want.setPINs, "C_InitPIN": 1} {
		if n := b.faults.Count(function); n != want {
			b.t.Errorf("%s was called %d times, not %d", function, n, want)
		}
	}
	b.ref = hsm.TokenRef{Label: info.Label, Serial: info.Serial}
}

// used makes a key. From then on nothing initialises the token.
func (b *newborn) used() {
	b.t.Helper()
	ctx := context.Background()
	var err error
	if b.token, err = hsm.Open(ctx, b.config); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = b.token.Close() })
	b.key = generate(b.t, b.token, object.Template{
		Type: object.RSA, ModulusBits: 2048, PublicExponent: 65537, Usage: object.Sign | object.Decrypt,
		ID: []byte("k1"), Label: "k",
	})
	b.faults.Clear()
	if _, err := hsm.SiteOf(ctx, b.config, b.setup); !is[*hsm.LabelTakenError](err) {
		b.t.Errorf("a plan of another token of that label: %v", err)
	}
	_, err = hsm.Initialize(ctx, b.config, b.setup)
	if !is[*hsm.LabelTakenError](err) || b.faults.Count("C_InitToken") != 0 {
		b.t.Errorf("another token of that label: %v", err)
	}
	b.holds(b.first)
}

// keyID is that of the key, as versions of pkcs11-tool print it.
var keyID = regexp.MustCompile("6b:?31")

// holds says that the key is there, for whoever opened the token before and for pkcs11-tool with a PIN.
func (b *newborn) holds(pin string) {
	b.t.Helper()
	ref := object.Ref{Type: b.key.Type, ID: b.key.ID, Fingerprint: b.key.Fingerprint()}
	if key, err := b.token.Key(context.Background(), ref); err != nil || describe(key) != describe(b.key) {
		b.t.Errorf("the key is %s, %v", describe(key), err)
	}
	if !hsmtest.Has(b.t, hsmtest.Tools) {
		return
	}
	tool := exec.Command("pkcs11-tool", "--module", cmp.Or(os.Getenv("HSMTEST_TOOL_LIBRARY"), b.config.Library),
		"--token-label", b.setup.Label, "--login", "--pin", "env:HSMTEST_TOOL_PIN", "--list-objects", "--type", "privkey")
	tool.Env = append(os.Environ(), "HSMTEST_TOOL_PIN="+pin)
	if out, err := tool.CombinedOutput(); err != nil || !keyID.Match(out) {
		b.t.Errorf("pkcs11-tool sees no key: %v\n%s", err, out)
	}
}

// getsPINs has the security officer set PINs, each with the key in place. A wrong PIN of that one is sent once.
func (b *newborn) getsPINs() {
	b.t.Helper()
	ctx := context.Background()
	officer, wrong, next := b.setup.OfficerPIN, hsm.NewPIN(hsmtest.RandomPIN()), hsm.NewPIN(hsmtest.RandomPIN())
	if err := hsm.SetUserPIN(ctx, b.config, b.ref, officer, hsm.NewPIN(b.other)); !errors.Is(err, b.want.pin) {
		b.t.Fatalf("another PIN of the user: %v", err)
	}
	if err := hsm.SetOfficerPIN(ctx, b.config, b.ref, officer, next); !errors.Is(err, b.want.pin) {
		b.t.Fatalf("another PIN of the security officer: %v", err)
	}
	if b.want.pin != nil {
		b.holds(b.first)
		return
	}
	b.holds(b.other)
	b.faults.Clear()
	for range 2 {
		err := hsm.SetUserPIN(ctx, b.config, b.ref, wrong, hsm.NewPIN(b.first))
		if !errors.Is(err, hsm.ErrOfficerPINIncorrect) || b.faults.Count("C_Login") != 1 {
			b.t.Errorf("a wrong PIN of the security officer, sent %d times: %v", b.faults.Count("C_Login"), err)
		}
	}
	b.setup.OfficerPIN = next
	if err := hsm.SetUserPIN(ctx, b.config, b.ref, next, hsm.NewPIN(b.first)); err != nil {
		b.t.Fatalf("the first PIN of the user again: %v", err)
	}
	b.holds(b.first)
}

// erased initialises the token once more, where the make can, and takes it as a new one.
func (b *newborn) erased() {
	b.t.Helper()
	ctx := context.Background()
	b.faults.Clear()
	erase := func(force bool) error { return hsm.Erase(ctx, b.config, b.ref, b.setup.OfficerPIN, force) }
	if b.want.erase != nil {
		err := erase(true)
		if !errors.Is(err, b.want.erase) || b.faults.Count("C_InitToken")+b.faults.Count("C_Login") != 0 {
			b.t.Errorf("erasing: %v", err)
		}
		b.holds(b.first)
	} else if err := erase(false); !is[*hsm.ErasureError](err) {
		b.t.Errorf("erasing it with a key: %v", err)
	}
	if left, err := b.token.Destroy(ctx, object.Ref{Type: b.key.Type, ID: b.key.ID}); err != nil || len(left) > 0 {
		b.t.Fatalf("left %v, %v", left, err)
	}
	if b.want.erase == nil {
		if err := erase(false); err != nil {
			b.t.Fatal(err)
		}
		if info, err := hsm.FindToken(ctx, b.config, b.ref); err != nil || info.PINInitialised() {
			b.t.Errorf("after its erasure, the token is %+v, %v", info, err)
		}
	}
	b.faults.Clear()
	info, err := hsm.Initialize(ctx, b.config, b.setup)
	if err != nil || info.Serial != b.ref.Serial || info.PINState() != "ok" || b.faults.Count("C_InitToken") != 0 {
		b.t.Errorf("taken as a new one, the token is %+v, %v", info, err)
	}
}

// TestEveryMakeDestroysManyKeysAtATime has keys destroyed by as many callers as Terraform has, each in a session where the
// token can take that.
func TestEveryMakeDestroysManyKeysAtATime(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	k := hsmtest.New(t)
	c := k.Config()
	c.MaxSessions = 8
	token, err := hsm.Open(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = token.Close() })
	tmpl, keys := kindNamed("P-256").tmpl, 50
	if !hsmtest.Has(t, hsmtest.P256) {
		tmpl = kindNamed("AES").tmpl
	}
	if !hsmtest.Has(t, hsmtest.ManyKeys) {
		keys = 8
	}
	all := func(do func(i int) error) {
		t.Helper()
		var group errgroup.Group
		group.SetLimit(10)
		for i := range keys {
			group.Go(func() error { return do(i) })
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	made := make([]object.Key, keys)
	all(func(i int) (err error) {
		made[i], err = token.Generate(ctx, tmpl)
		return err
	})
	all(func(i int) error {
		left, err := token.Destroy(ctx, object.Ref{Type: tmpl.Type, ID: made[i].ID, Fingerprint: made[i].Fingerprint()})
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("left %v", left)
		}
		return err
	})
	if left, err := open(t, k).Inventory(ctx); err != nil || len(left.All()) > 0 {
		t.Errorf("the token holds %v, %v", left.All(), err)
	}
}

// TestEveryMakeIsNotAskedForWhatItDoesNotMake has a table of keys that some make leaves behind unfit for use, or refuses
// although it lists their mechanism. Before the token is asked for one, the plan and the operation refuse it.
func TestEveryMakeIsNotAskedForWhatItDoesNotMake(t *testing.T) {
	if hsmtest.Has(t, hsmtest.OneUsage) {
		t.Skip("this make makes them all")
	}
	ctx := context.Background()
	faults := &hsmtest.Faults{}
	k := hsmtest.New(t)
	token := openWith(t, k, k.PIN, faults)
	rsa := object.Template{Type: object.RSA, ModulusBits: 2048, PublicExponent: 65537, Label: "no"}
	ec := object.Template{Type: object.EC, Curve: "P-256", Usage: object.Sign, Label: "no"}
	for name, tmpl := range hsmtest.InOrder(map[string]func() object.Template{
		"RSA that signs":             func() object.Template { tmpl := rsa; tmpl.Usage = object.Sign; return tmpl },
		"RSA that signs and unwraps": func() object.Template { tmpl := rsa; tmpl.Usage = object.Sign | object.Unwrap; return tmpl },
		"RSA that unwraps":           func() object.Template { tmpl := rsa; tmpl.Usage = object.Unwrap; return tmpl },
		"RSA with the exponent 3": func() object.Template {
			tmpl := rsa
			tmpl.Usage, tmpl.PublicExponent = object.Sign|object.Decrypt, 3
			return tmpl
		},
		"extractable":      func() object.Template { tmpl := ec; tmpl.Extractable = true; return tmpl },
		"EC that derives":  func() object.Template { tmpl := ec; tmpl.Usage = object.Derive; return tmpl },
		"EC on secp256k1":  func() object.Template { tmpl := ec; tmpl.Curve = "secp256k1"; return tmpl },
		"EC on P-521":      func() object.Template { tmpl := ec; tmpl.Curve = "P-521"; return tmpl },
		"AES":              func() object.Template { return kindNamed("AES").tmpl },
		"a generic secret": func() object.Template { return kindNamed("HMAC").tmpl },
	}) {
		if err := token.Check(ctx, tmpl()); err == nil {
			t.Errorf("%s: the plan does not refuse it", name)
		}
		if _, err := token.Generate(ctx, tmpl()); err == nil {
			t.Errorf("%s: it is made", name)
		}
	}
	if n := faults.Count("C_GenerateKeyPair") + faults.Count("C_GenerateKey"); n != 0 {
		t.Errorf("the token was asked %d times", n)
	}
}
