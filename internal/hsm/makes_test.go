package hsm_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// What makes do differently with keys, played over SoftHSM: each hook has a token behave like that, and each made-up
// make tells the operations of it.

const vendorMechanism cryptoki.MechanismType = 0x80000142

var (
	makeDefault   = hsmtest.Differ(quirk.Differences{})
	makeVendorRSA = hsmtest.Differ(quirk.Differences{Generating: map[cryptoki.MechanismType][]cryptoki.MechanismType{
		cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN: {0x80000141, vendorMechanism}}})
	makeHMAC = hsmtest.Differ(quirk.Differences{HMAC: &quirk.HMAC{
		Mechanism: vendorMechanism, KeyType: cryptoki.CKK_SHA256_HMAC, NoLength: true}})
	makeAssigned    = hsmtest.Differ(quirk.Differences{IDs: quirk.Names{Assigned: true}})
	makeAssignedOne = hsmtest.Differ(quirk.Differences{IDs: quirk.Names{Assigned: true},
		Labels: quirk.Names{Unique: true}})
	makeUniqueID    = hsmtest.Differ(quirk.Differences{IDs: quirk.Names{Unique: true}})
	makeUniqueLabel = hsmtest.Differ(quirk.Differences{Labels: quirk.Names{Unique: true}})
	makeShortIDs    = hsmtest.Differ(quirk.Differences{IDs: quirk.Names{Least: 1, Most: 1, Alphabet: `[\x01-\x03]`}})
	makeNoIDs       = hsmtest.Differ(quirk.Differences{IDs: quirk.Names{Most: 1, Alphabet: "x[^x]"}})
	makeLasting     = hsmtest.Differ(quirk.Differences{IDs: quirk.Names{Lasting: true, Says: "IDs live on."}})
	makeLabelIsID   = hsmtest.Differ(quirk.Differences{LabelIsID: true})
	makeFollows     = hsmtest.Differ(quirk.Differences{Follows: true})
	makeUsages      = hsmtest.Differ(quirk.Differences{Usages: map[string][]string{
		"RSA": {"sign", "decrypt"}, "EC": {"sign", "derive"}}})
	makeOnePair  = hsmtest.Differ(quirk.Differences{OnePair: true})
	makeNoKeys   = hsmtest.Differ(quirk.Differences{NoKeys: []quirk.NoKey{{Type: "RSA", Attribute: "usage", Says: "No."}}})
	makeNoChange = hsmtest.Differ(quirk.Differences{Refuses: map[quirk.Ask]string{
		quirk.ChangeLabel: "Use the tool.", quirk.ChangeUsage: "Use the tool.", quirk.Destroy: "Use the tool."}})
	makeLate           = hsmtest.Differ(quirk.Differences{Late: true})
	makeNoPublicDerive = hsmtest.Differ(quirk.Differences{NoPublicDerive: true})
)

// played opens a token as one of a made-up make. The hooks play what it does; they stand around the calls that the
// faults let through.
func played(t *testing.T, d cryptoki.Hook, play ...cryptoki.Hook) (*hsmtest.Token, *hsm.Token, *hsmtest.Faults) {
	t.Helper()
	onSoftHSM(t)
	k, faults := hsmtest.New(t), &hsmtest.Faults{}
	token, err := hsm.Open(t.Context(), k.Config(slices.Concat(play, []cryptoki.Hook{faults.Hook, d})...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = token.Close() })
	return k, token, faults
}

// mechanisms has a token offer other mechanisms than it has: each in the place of one that it has, and those of its own
// that are named in no place.
func mechanisms(instead map[cryptoki.MechanismType]cryptoki.MechanismType,
	gone ...cryptoki.MechanismType) cryptoki.Hook {
	return func(_ context.Context, c *cryptoki.Call, next func() error) error {
		of, ok := instead[c.Mechanism]
		switch {
		case c.Function != "C_GetMechanismInfo" && c.Function != "C_GenerateKeyPair":
		case slices.Contains(gone, c.Mechanism):
			return &cryptoki.Error{Function: c.Function, Code: cryptoki.CKR_MECHANISM_INVALID}
		case ok:
			c.Mechanism = of
		}
		return next()
	}
}

func TestTheMechanismThatTheTokenOffersMakesTheKey(t *testing.T) {
	usual, older := cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN, cryptoki.CKM_RSA_X9_31_KEY_PAIR_GEN
	for _, c := range []struct {
		name string
		d    cryptoki.Hook
		play cryptoki.Hook
		made bool
	}{
		{"the second of the make's", makeVendorRSA, mechanisms(map[cryptoki.MechanismType]cryptoki.MechanismType{
			vendorMechanism: usual}, usual, older, 0x80000141), true},
		{"none of the make's", makeVendorRSA, mechanisms(nil, older, vendorMechanism, 0x80000141), false},
		{"the older one alone", makeDefault, mechanisms(map[cryptoki.MechanismType]cryptoki.MechanismType{
			older: usual}, usual), true},
		{"none at all", makeDefault, mechanisms(nil, usual, older), false},
	} {
		_, token, faults := played(t, c.d, c.play)
		checked := token.Check(t.Context(), small("i", "l"))
		_, err := token.Generate(t.Context(), small("i", "l"))
		if c.made && (checked != nil || err != nil) {
			t.Errorf("%s: %v, %v", c.name, checked, err)
		}
		if !c.made && (!errors.Is(checked, object.ErrMechanism) || !errors.Is(err, object.ErrMechanism) ||
			faults.Count("C_GenerateKeyPair") > 0) {
			t.Errorf("%s: %v, %v", c.name, checked, err)
		}
	}
}

// TestTheBoundsAreThoseOfTheMechanismThatIsTaken: not those of the one that the token lacks.
func TestTheBoundsAreThoseOfTheMechanismThatIsTaken(t *testing.T) {
	_, token, _ := played(t, makeVendorRSA, mechanisms(map[cryptoki.MechanismType]cryptoki.MechanismType{
		vendorMechanism: cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN}, cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN, 0x80000141),
		func(_ context.Context, c *cryptoki.Call, next func() error) error {
			asked := c.Mechanism == vendorMechanism
			err := next()
			if answer, ok := c.Result.(*cryptoki.MechanismInfo); ok && asked {
				answer.MinKeySize, answer.MaxKeySize = 2048, 2048
			}
			return err
		})
	if err := token.Check(t.Context(), small("i", "l")); !errors.Is(err, object.ErrMechanism) {
		t.Errorf("of 1024 bits it says %v", err)
	}
}

// TestEd25519IsAskedForByItsOIDNext: the name is refused, and nothing was made.
func TestEd25519IsAskedForByItsOIDNext(t *testing.T) {
	for _, code := range []cryptoki.RV{
		cryptoki.CKR_CURVE_NOT_SUPPORTED, cryptoki.CKR_DOMAIN_PARAMS_INVALID, cryptoki.CKR_ATTRIBUTE_VALUE_INVALID,
		cryptoki.CKR_TEMPLATE_INCONSISTENT, cryptoki.CKR_ARGUMENTS_BAD, cryptoki.CKR_DEVICE_MEMORY,
	} {
		asked := 0
		_, token, _ := played(t, makeDefault, func(_ context.Context, c *cryptoki.Call, next func() error) error {
			if c.Function == "C_GenerateKeyPair" {
				asked++
				for _, a := range c.Public {
					if a.Type == cryptoki.CKA_EC_PARAMS && a.Value[0] == 0x13 {
						return &cryptoki.Error{Function: c.Function, Code: code}
					}
				}
			}
			return next()
		})
		key, err := token.Generate(t.Context(), onCurve(publickey.Ed25519, "i", "l"))
		if full := code == cryptoki.CKR_DEVICE_MEMORY; full {
			if !errors.Is(err, code) {
				t.Errorf("%s: %v", code, err)
			}
			continue
		}
		if err != nil || publickey.Curve(key.PublicKey) != publickey.Ed25519 || asked != 2 {
			t.Errorf("%s: asked for %d times: %v", code, asked, err)
		}
	}
}

// hmacMake has a key for HMAC made and shown as some makes do.
func hmacMake(length uint) cryptoki.Hook {
	return func(_ context.Context, c *cryptoki.Call, next func() error) error {
		made := c.Mechanism == vendorMechanism
		if made {
			c.Mechanism = cryptoki.CKM_GENERIC_SECRET_KEY_GEN
		}
		if c.Function == "C_GenerateKey" {
			if !made || !has(c.Template, cryptoki.CKA_CLASS) || !has(c.Template, cryptoki.CKA_KEY_TYPE) ||
				has(c.Template, cryptoki.CKA_VALUE_LEN) {
				return &cryptoki.Error{Function: c.Function, Code: cryptoki.CKR_TEMPLATE_INCONSISTENT}
			}
			c.Template = slices.DeleteFunc(slices.Clone(c.Template), func(a cryptoki.Attribute) bool {
				return a.Type == cryptoki.CKA_KEY_TYPE
			})
			c.Template = append(c.Template, cryptoki.ULong(cryptoki.CKA_VALUE_LEN, length))
		}
		if c.Function == "C_FindObjectsInit" {
			c.Template = slices.Clone(c.Template)
			for i, a := range c.Template {
				if a.Type == cryptoki.CKA_KEY_TYPE && a.Value[0] == byte(cryptoki.CKK_SHA256_HMAC) {
					c.Template[i] = cryptoki.ULong(a.Type, cryptoki.CKK_GENERIC_SECRET)
				}
			}
		}
		err := next()
		if answer, ok := c.Result.(*cryptoki.Reading); ok {
			if now := answer.Attributes[cryptoki.CKA_KEY_TYPE]; len(now) > 0 && now[0] == byte(cryptoki.CKK_GENERIC_SECRET) {
				answer.Attributes[cryptoki.CKA_KEY_TYPE] = cryptoki.ULong(0, cryptoki.CKK_SHA256_HMAC).Value
			}
		}
		return err
	}
}

func has(template []cryptoki.Attribute, t cryptoki.AttributeType) bool {
	return slices.ContainsFunc(template, func(a cryptoki.Attribute) bool { return a.Type == t })
}

func TestAKeyForOneHMACLivesAsAGenericOne(t *testing.T) {
	_, token, _ := played(t, makeHMAC, hmacMake(32))
	ctx, tmpl := t.Context(), kindNamed("HMAC").template("mac", "l")
	made := generate(t, token, tmpl)
	ref := object.Ref{Type: object.Secret, ID: made.ID, Kind: object.Generic, Bits: 256}
	found, err := token.Key(ctx, ref)
	if err != nil || found.Kind != object.Generic || found.Private.CKK != cryptoki.CKK_SHA256_HMAC {
		t.Fatalf("%+v, %v", found, err)
	}
	all, _, err := entries(ctx, token)
	if err != nil || len(all) != 1 {
		t.Errorf("%v are listed, %v", all, err)
	}
	label := "new"
	if changed, err := token.Change(ctx, ref, object.Change{Label: &label}); err != nil || changed.Label != label {
		t.Errorf("changed: %v, %v", changed.Label, err)
	}
	if _, err := token.Destroy(ctx, ref); err != nil {
		t.Error(err)
	}
	if _, err := token.Key(ctx, ref); !errors.Is(err, object.ErrNotFound) {
		t.Errorf("then %v", err)
	}
	_, token, _ = played(t, makeHMAC, hmacMake(64))
	_, err = token.Generate(ctx, tmpl)
	if failed, ok := errors.AsType[*hsm.OperationError](err); !ok || failed.Holds != hsm.HoldsNothing ||
		!strings.Contains(err.Error(), "it has 512 bits, not 256") {
		t.Errorf("of a length of the token's own: %v", err)
	}
}

// assigns has the token choose the ID of each new key.
func assigns() cryptoki.Hook {
	var mu sync.Mutex
	n := 0
	return func(_ context.Context, c *cryptoki.Call, next func() error) error {
		if c.Function == "C_GenerateKeyPair" || c.Function == "C_GenerateKey" {
			if has(c.Template, cryptoki.CKA_ID) || has(c.Public, cryptoki.CKA_ID) {
				return &cryptoki.Error{Function: c.Function, Code: cryptoki.CKR_TEMPLATE_INCONSISTENT}
			}
			mu.Lock()
			n++
			id := cryptoki.Bytes(cryptoki.CKA_ID, fmt.Appendf(nil, "version/%d", n))
			mu.Unlock()
			c.Template = append(slices.Clone(c.Template), id)
			if c.Public != nil {
				c.Public = append(slices.Clone(c.Public), id)
			}
		}
		return next()
	}
}

func TestAnIDThatTheTokenChooses(t *testing.T) {
	k, token, _ := played(t, makeAssigned, assigns())
	ctx := t.Context()
	for i, name := range []string{"RSA", "P-256", "AES"} {
		tmpl := kindNamed(name).template("", "label")
		tmpl.ID = nil
		key := generate(t, token, tmpl)
		if want := fmt.Sprintf("version/%d", i+1); string(key.ID) != want || key.Label != "label" {
			t.Errorf("%s has the ID %q, not %q", name, key.ID, want)
		}
		if found, err := token.Key(ctx, object.Ref{Type: tmpl.Type,
			ID: key.ID}); err != nil || describe(found) != describe(key) {
			t.Errorf("%s is %v, %v", name, found, err)
		}
	}
	tmpl := small("mine", "label")
	_, err := token.Generate(ctx, tmpl)
	if refused, ok := errors.AsType[*object.RefusedError](err); !ok || refused.Attribute != "key_id" {
		t.Errorf("of an ID that is chosen: %v", err)
	}
	if n := strings.Count(k.Tool(t, "--list-objects"), "Key Object"); n != 5 {
		t.Errorf("there are %d objects", n)
	}
}

// TestAKeyOfTheTokensIDWhoseSessionIsLost: it is found by its label, if no other key had that, and nothing that may be
// another one's is touched.
func TestAKeyOfTheTokensIDWhoseSessionIsLost(t *testing.T) {
	failed := cryptoki.CKR_DEVICE_ERROR
	for _, c := range []struct {
		name   string
		before bool            // the label is another key's too
		faults []hsmtest.Fault // nil: what unseen does
		holds  hsm.Holding     // HoldsKey: it is made
		left   int             // objects
	}{
		{"the looks fail", false, nil, hsm.HoldsKey, 2},
		{"the answer is lost", false, []hsmtest.Fault{{Function: "C_GenerateKeyPair", Nth: 1, Code: failed, After: true}},
			hsm.HoldsKey, 2},
		{"the generation fails once", false, []hsmtest.Fault{{Function: "C_GenerateKeyPair", Nth: 1, Code: failed}},
			hsm.HoldsKey, 2},
		{"half of a pair comes up", false, []hsmtest.Fault{{Function: "C_GenerateKeyPair", Nth: 1, Do: half}},
			hsm.HoldsUnknown, 1},
		{"the generation fails", false, []hsmtest.Fault{{Function: "C_GenerateKeyPair", Code: failed}}, hsm.HoldsNothing, 0},
		{"the answer is lost beside another key", true,
			[]hsmtest.Fault{{Function: "C_GenerateKeyPair", Nth: 1, Code: failed, After: true}}, hsm.HoldsUnknown, 4},
		{"the generation fails beside another key", true,
			[]hsmtest.Fault{{Function: "C_GenerateKeyPair", Code: failed}}, hsm.HoldsUnknown, 2},
		{"the looks fail beside another key", true, nil, hsm.HoldsUnknown, 4},
		{"a bad key beside another one", true, []hsmtest.Fault{{Function: "C_Sign", Do: badSignature}}, hsm.HoldsNothing, 2},
		{"a bad key", false, []hsmtest.Fault{{Function: "C_Sign", Do: badSignature}}, hsm.HoldsNothing, 0},
		{"a bad key that may be another's", false, []hsmtest.Fault{
			{Function: "C_GenerateKeyPair", Nth: 1, Code: failed, After: true}, {Function: "C_Sign", Do: badSignature}},
			hsm.HoldsUnknown, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			k, token, faults := played(t, makeAssigned, assigns())
			tmpl := small("", "label")
			tmpl.ID = nil
			if c.before {
				generate(t, token, tmpl)
			}
			for _, fault := range c.faults {
				faults.Inject(fault)
			}
			if c.faults == nil {
				faults.Inject(unseen(faults))
			}
			key, err := token.Generate(t.Context(), tmpl)
			faults.Clear()
			holds := hsm.HoldsKey
			if failure, ok := errors.AsType[*hsm.OperationError](err); ok {
				holds = failure.Holds
			}
			if holds != c.holds || err == nil && len(key.ID) == 0 {
				t.Errorf("it is %q, %v", key.ID, err)
			}
			if n := strings.Count(k.Tool(t, "--list-objects"), "Key Object"); n != c.left {
				t.Errorf("there are %d objects, not %d", n, c.left)
			}
		})
	}
}

// hides has objects show no such attribute.
func hides(t cryptoki.AttributeType) func(context.Context, *cryptoki.Call, func() error) error {
	return func(_ context.Context, c *cryptoki.Call, next func() error) error {
		err := next()
		if answer, ok := c.Result.(*cryptoki.Reading); ok {
			delete(answer.Attributes, t)
		}
		return err
	}
}

// TestWhatShowsNoIDIsNotDestroyed: as long as only the token knows the new ID, an object without one may be anybody's.
func TestWhatShowsNoIDIsNotDestroyed(t *testing.T) {
	onSoftHSM(t)
	k, faults := hsmtest.New(t), &hsmtest.Faults{}
	sound := func(_ context.Context, c *cryptoki.Call, next func() error) error {
		err := next()
		if answer, ok := c.Result.(*cryptoki.TokenInfo); ok {
			answer.Manufacturer = "one that tears nothing"
		}
		return err
	}
	token := openMadeUp(t, k, quirk.Differences{IDs: quirk.Names{Assigned: true}}, assigns(), faults.Hook, sound)
	faults.Inject(hsmtest.Fault{Function: "C_GetAttributeValue", Do: hides(cryptoki.CKA_ID)})
	tmpl := small("", "label")
	tmpl.ID = nil
	_, err := token.Generate(t.Context(), tmpl)
	failed, _ := errors.AsType[*hsm.OperationError](err)
	if failed == nil || failed.Holds != hsm.HoldsUnknown || faults.Count("C_DestroyObject") > 0 {
		t.Errorf("%v, after %d destructions", err, faults.Count("C_DestroyObject"))
	}
}

// unseen lets no look in the session that made a pair see it.
func unseen(faults *hsmtest.Faults) hsmtest.Fault {
	return hsmtest.Fault{Function: "C_GenerateKeyPair", Nth: 1, Do: func(_ context.Context, _ *cryptoki.Call,
		next func() error) error {
		for n := range 3 {
			faults.Inject(hsmtest.Fault{Function: "C_GetAttributeValue", Nth: n + 1, Code: cryptoki.CKR_DEVICE_ERROR})
		}
		return next()
	}}
}

// half makes a pair, of which only the public half stays, and fails.
func half(ctx context.Context, c *cryptoki.Call, next func() error) error {
	err := next()
	if pair, ok := c.Result.(*cryptoki.Pair); ok && err == nil {
		err = c.Behind().DestroyObject(ctx, pair.Private)
	}
	return errors.Join(&cryptoki.Error{Function: c.Function, Code: cryptoki.CKR_DEVICE_ERROR}, err)
}

func badSignature(_ context.Context, c *cryptoki.Call, next func() error) error {
	err := next()
	if signature, ok := c.Result.(*[]byte); ok && len(*signature) > 0 {
		*signature = bytes.Clone(*signature)
		(*signature)[0] ^= 1
	}
	return err
}

func TestALabelThatTheTokenTakesOnce(t *testing.T) {
	for name, d := range map[string]cryptoki.Hook{"of its own IDs": makeAssignedOne, "of any ID": makeUniqueLabel} {
		play := []cryptoki.Hook{}
		tmpl := small("one", "label")
		if name == "of its own IDs" {
			play, tmpl.ID = append(play, assigns()), nil
		}
		_, token, faults := played(t, d, play...)
		generate(t, token, tmpl)
		if tmpl.ID != nil {
			tmpl.ID = []byte("two")
		}
		faults.Clear()
		_, err := token.Generate(t.Context(), tmpl)
		refused, ok := errors.AsType[*object.RefusedError](err)
		if !ok || refused.Attribute != "label" || faults.Count("C_GenerateKeyPair") > 0 {
			t.Errorf("%s: %v", name, err)
		}
		tmpl.Label = "another"
		other, label := generate(t, token, tmpl), "label"
		_, err = token.Change(t.Context(), object.Ref{ID: other.ID}, object.Change{Label: &label})
		if refused, ok := errors.AsType[*object.RefusedError](err); !ok || refused.Attribute != "label" {
			t.Errorf("%s: given the label: %v", name, err)
		}
	}
}

func TestRandomIDsAreThoseThatTheTokenTakes(t *testing.T) {
	_, token, _ := played(t, makeShortIDs)
	tmpl := kindNamed("AES").template("", "label")
	tmpl.ID = nil
	seen := map[string]bool{}
	for range 3 {
		key := generate(t, token, tmpl)
		if !regexp.MustCompile(`\A[\x01-\x03]\z`).Match(key.ID) || seen[string(key.ID)] {
			t.Errorf("the ID %x", key.ID)
		}
		seen[string(key.ID)] = true
	}
	_, err := token.Generate(t.Context(), tmpl)
	if failed, _ := errors.AsType[*hsm.OperationError](err); !errors.Is(err, object.ErrExists) ||
		failed.Holds != hsm.HoldsUntouched {
		t.Errorf("where all are taken: %v", err)
	}
	_, token, _ = played(t, makeNoIDs)
	_, err = token.Generate(t.Context(), tmpl)
	if refused, ok := errors.AsType[*object.RefusedError](err); !ok || refused.Attribute != "key_id" {
		t.Errorf("where there is none: %v", err)
	}
}

func TestANameOfADestroyedKeyMayBeTakenForGood(t *testing.T) {
	_, token, faults := played(t, makeLasting)
	faults.Inject(hsmtest.Fault{Function: "C_GenerateKeyPair", Code: cryptoki.CKR_ATTRIBUTE_VALUE_INVALID})
	_, err := token.Generate(t.Context(), small("was there", "label"))
	if lasting, ok := errors.AsType[*hsm.LastingError](err); !ok || lasting.Attribute != "key_id" ||
		!errors.Is(err, cryptoki.CKR_ATTRIBUTE_VALUE_INVALID) || !strings.Contains(err.Error(), "IDs live on.") {
		t.Errorf("of an ID that is chosen: %v", err)
	}
	tmpl := small("", "label")
	tmpl.ID = nil
	_, err = token.Generate(t.Context(), tmpl)
	if _, ok := errors.AsType[*hsm.LastingError](err); ok || err == nil {
		t.Errorf("of a random ID: %v", err)
	}
}

// labelIsID has each label be the ID's text.
func labelIsID(_ context.Context, c *cryptoki.Call, next func() error) error {
	if c.Function == "C_SetAttributeValue" && has(c.Template, cryptoki.CKA_LABEL) {
		return &cryptoki.Error{Function: c.Function, Code: cryptoki.CKR_ATTRIBUTE_READ_ONLY}
	}
	err := next()
	if answer, ok := c.Result.(*cryptoki.Reading); ok {
		if id, ok := answer.Attributes[cryptoki.CKA_ID]; ok {
			answer.Attributes[cryptoki.CKA_LABEL] = bytes.Clone(id)
		}
	}
	return err
}

func TestALabelThatIsTheID(t *testing.T) {
	_, token, _ := played(t, makeLabelIsID, labelIsID)
	tmpl, ctx := small("", "web"), t.Context()
	tmpl.ID = nil
	key := generate(t, token, tmpl)
	if string(key.ID) != "web" || key.Label != "web" {
		t.Fatalf("%v", key)
	}
	_, err := token.Generate(ctx, tmpl)
	if !errors.Is(err, object.ErrExists) {
		t.Errorf("a second time: %v", err)
	}
	label := "mail"
	changed, err := token.Change(ctx, object.Ref{ID: key.ID}, object.Change{ID: []byte(label), Label: &label})
	if err != nil || string(changed.ID) != label || changed.Label != label || changed.PublicLabel != label {
		t.Errorf("renamed: %v, %v", changed, err)
	}
	_, err = token.Change(ctx, object.Ref{ID: changed.ID}, object.Change{Label: &tmpl.Label})
	if refused, ok := errors.AsType[*object.RefusedError](err); !ok || refused.Attribute != "label" {
		t.Errorf("the label alone: %v", err)
	}
}

// follows has the public half take the private half's label and ID, and nobody else's.
func follows(deaf bool) cryptoki.Hook {
	return func(ctx context.Context, c *cryptoki.Call, next func() error) error {
		if c.Function != "C_SetAttributeValue" || !has(c.Template, cryptoki.CKA_LABEL) {
			return next()
		}
		behind := c.Behind()
		all, err := behind.GetAttributeValue(ctx, c.Object, []cryptoki.AttributeType{cryptoki.CKA_CLASS, cryptoki.CKA_ID})
		if err != nil {
			return err
		}
		if all[cryptoki.CKA_CLASS][0] == byte(cryptoki.CKO_PUBLIC_KEY) {
			return &cryptoki.Error{Function: c.Function, Code: cryptoki.CKR_ARGUMENTS_BAD}
		}
		if deaf {
			return nil
		}
		if err := next(); err != nil {
			return err
		}
		publics, err := behind.FindObjects(ctx, []cryptoki.Attribute{
			cryptoki.Bytes(cryptoki.CKA_ID, all[cryptoki.CKA_ID]), cryptoki.ULong(cryptoki.CKA_CLASS, cryptoki.CKO_PUBLIC_KEY)})
		for _, public := range publics {
			err = errors.Join(err, behind.SetAttributeValue(ctx, public, c.Template))
		}
		return err
	}
}

func TestAPublicHalfThatFollows(t *testing.T) {
	_, token, faults := played(t, makeFollows, follows(false))
	key, label := generate(t, token, small("i", "old")), "new"
	changed, err := token.Change(t.Context(), object.Ref{ID: key.ID}, object.Change{Label: &label})
	if n := faults.Count("C_SetAttributeValue"); n != 1 {
		t.Errorf("%d calls have written", n)
	}
	if err != nil || changed.Label != label || changed.PublicLabel != label {
		t.Errorf("%q, %q, %v", changed.Label, changed.PublicLabel, err)
	}
}

// TestAnOKThatMeansNothing: the change is read back, and told as what it is.
func TestAnOKThatMeansNothing(t *testing.T) {
	_, token, _ := played(t, makeFollows, follows(true))
	key, label := generate(t, token, small("i", "old")), "new"
	_, err := token.Change(t.Context(), object.Ref{ID: key.ID}, object.Change{Label: &label})
	failed, _ := errors.AsType[*hsm.OperationError](err)
	if failed == nil || failed.Holds != hsm.HoldsAsBefore || !strings.Contains(err.Error(), "still shows it as it was") {
		t.Errorf("it says %v", err)
	}
}

// allUsages has every key show all that it could do.
func allUsages(_ context.Context, c *cryptoki.Call, next func() error) error {
	err := next()
	if answer, ok := c.Result.(*cryptoki.Reading); ok {
		for _, flag := range []cryptoki.AttributeType{cryptoki.CKA_DECRYPT, cryptoki.CKA_DERIVE} {
			class := answer.Attributes[cryptoki.CKA_CLASS]
			rsa := len(answer.Attributes[cryptoki.CKA_MODULUS]) > 0
			if len(class) > 0 && class[0] == byte(cryptoki.CKO_PRIVATE_KEY) && rsa == (flag == cryptoki.CKA_DECRYPT) {
				answer.Attributes[flag] = []byte{1}
			}
		}
		if _, ok := answer.Attributes[cryptoki.CKA_LOCAL]; ok {
			answer.Attributes[cryptoki.CKA_LOCAL] = []byte{0}
		}
	}
	return err
}

func TestUsagesThatAreNotObeyed(t *testing.T) {
	_, token, faults := played(t, makeUsages, allUsages)
	ctx := t.Context()
	tmpl := small("i", "l")
	_, err := token.Generate(ctx, tmpl)
	if refused, ok := errors.AsType[*object.RefusedError](err); !ok || refused.Attribute != "usage" ||
		faults.Count("C_GenerateKeyPair") > 0 {
		t.Errorf("of a usage that the token does not give: %v", err)
	}
	tmpl.Usage = object.Sign | object.Decrypt
	if key := generate(t, token, tmpl); key.Usage != tmpl.Usage {
		t.Errorf("the key is for %s", key.Usage)
	}
	any := onCurve(publickey.P256, "any", "l")
	any.AnyUsage = true
	if key := generate(t, token, any); key.Usage != object.Sign|object.Derive {
		t.Errorf("the key of any usage is for %s", key.Usage)
	}
	sign := object.Sign
	_, err = token.Change(ctx, object.Ref{ID: []byte("i")}, object.Change{Usage: &sign})
	if refused, ok := errors.AsType[*object.RefusedError](err); !ok || refused.Attribute != "usage" {
		t.Errorf("changed: %v", err)
	}
	ring := hsm.Ring{RingLabels: hsm.RingLabels{Current: "c", Standby: "s", Retired: "r"}, Prefix: "p-", Generation: 1,
		Previous: 1, Template: small("", "")}
	ring.Template.AnyUsage = true
	if err := token.AllowsRing(ring); err != nil {
		t.Error(err)
	}
	if _, done, err := token.Turn(ctx, ring); err != nil || len(done) != 2 {
		t.Errorf("a ring: %v, %v", done, err)
	}
	ring.Generation = 2
	if _, done, err := token.Turn(ctx, ring); err != nil || len(done) != 3 {
		t.Errorf("a ring turns: %v, %v", done, err)
	}
}

// TestWhatIsKnownIsNotAsked: no call that makes, changes or destroys reaches the token.
func TestWhatIsKnownIsNotAsked(t *testing.T) {
	label, usage, ctx := "new", object.Decrypt, context.Background()
	_, token, faults := played(t, makeNoKeys)
	for _, err := range []error{token.Check(ctx, small("i", "l")), func() error {
		_, err := token.Generate(ctx, small("i", "l"))
		return err
	}()} {
		if refused, ok := errors.AsType[*object.RefusedError](err); !ok || refused.Attribute != "usage" ||
			!strings.Contains(refused.Way, "No.") {
			t.Errorf("a key that the token does not make: %v", err)
		}
	}
	if faults.Count("C_GenerateKeyPair") > 0 {
		t.Error("the token was asked for a key")
	}
	_, token, faults = played(t, makeNoChange)
	key := generate(t, token, small("i", "l"))
	faults.Clear()
	ref := object.Ref{ID: key.ID}
	for attribute, change := range hsmtest.InOrder(map[string]object.Change{
		"label": {Label: &label}, "usage": {Usage: &usage, Label: &key.Label}}) {
		_, err := token.Change(ctx, ref, change)
		failed, _ := errors.AsType[*hsm.OperationError](err)
		refused, _ := errors.AsType[*object.RefusedError](err)
		if refused == nil || refused.Attribute != attribute || failed.Holds != hsm.HoldsUntouched ||
			!strings.Contains(refused.Way, "Use the tool.") {
			t.Errorf("%s: %v", attribute, err)
		}
	}
	if now, err := token.Change(ctx, ref, object.Change{Label: &key.Label, Usage: &key.Usage}); err != nil ||
		describe(now) != describe(key) {
		t.Errorf("what the key has: %v", err)
	}
	_, err := token.Destroy(ctx, ref)
	if refused, ok := errors.AsType[*object.RefusedError](err); !ok || refused.Attribute != "deletion_policy" ||
		!strings.Contains(refused.Way, "abandon") {
		t.Errorf("destroyed: %v", err)
	}
	for _, function := range []string{"C_SetAttributeValue", "C_DestroyObject"} {
		if faults.Count(function) > 0 {
			t.Errorf("%s was called", function)
		}
	}
	if to := []byte("x"); to != nil {
		changed, err := token.Change(ctx, ref, object.Change{ID: to, Label: &key.Label, Usage: &key.Usage})
		if err != nil || string(changed.ID) != "x" {
			t.Errorf("an ID, which does change: %v", err)
		}
	}
}

func TestRingsThatCannotTurnAreRefused(t *testing.T) {
	ring := hsm.Ring{RingLabels: hsm.RingLabels{Current: "c", Standby: "s", Retired: "r"}, Prefix: "p-", Generation: 1,
		Template: small("", "")}
	destroys := ring
	destroys.Destroy = true
	for _, c := range []struct {
		d    cryptoki.Hook
		ring hsm.Ring
		at   string
	}{
		{makeDefault, destroys, ""}, {makeNoChange, ring, "label"}, {makeAssigned, ring, "key_id_prefix"},
		{makeLabelIsID, ring, "label"}, {makeUniqueLabel, ring, "label"}, {makeShortIDs, ring, "key_id_prefix"}, {makeNoKeys, ring, ""},
	} {
		_, token, _ := played(t, c.d)
		err := token.AllowsRing(c.ring)
		refused, _ := errors.AsType[*object.RefusedError](err)
		plain := c.at == "" && err == nil
		if known := refused != nil && refused.Attribute == c.at; !plain && !known {
			t.Errorf("at %q: %v", c.at, err)
		}
	}
}

// onePair has a pair be one object: its public half goes with the private one, and stays where it is told to.
func onePair(stays bool) cryptoki.Hook {
	return func(ctx context.Context, c *cryptoki.Call, next func() error) error {
		if c.Function != "C_DestroyObject" {
			return next()
		}
		behind := c.Behind()
		all, err := behind.GetAttributeValue(ctx, c.Object, []cryptoki.AttributeType{cryptoki.CKA_CLASS, cryptoki.CKA_ID})
		if err != nil {
			return err
		}
		if all[cryptoki.CKA_CLASS][0] == byte(cryptoki.CKO_PUBLIC_KEY) {
			return nil // it says so, and does nothing
		}
		if err := next(); err != nil || stays {
			return err
		}
		publics, err := behind.FindObjects(ctx, []cryptoki.Attribute{
			cryptoki.Bytes(cryptoki.CKA_ID, all[cryptoki.CKA_ID]), cryptoki.ULong(cryptoki.CKA_CLASS, cryptoki.CKO_PUBLIC_KEY)})
		for _, public := range publics {
			err = errors.Join(err, behind.DestroyObject(ctx, public))
		}
		return err
	}
}

func TestAPairThatIsOneObject(t *testing.T) {
	ctx := context.Background()
	for _, stays := range []bool{false, true} {
		_, token, faults := played(t, makeOnePair, onePair(stays))
		key := generate(t, token, small("i", "l"))
		beside := generate(t, token, small("beside", "l"))
		faults.Clear()
		_, err := token.Destroy(ctx, object.Ref{ID: key.ID, Fingerprint: key.Fingerprint()})
		failed, _ := errors.AsType[*hsm.OperationError](err)
		left, ofHalf := errors.AsType[*hsm.StaysError](err)
		if !stays && err != nil || stays && (!ofHalf || failed.Holds != hsm.HoldsPublic || left.Half.Class != "public key") {
			t.Errorf("stays %t: %v", stays, err)
		}
		if n := faults.Count("C_DestroyObject"); n != 1 {
			t.Errorf("stays %t: C_DestroyObject was called %d times", stays, n)
		}
		if stays { // once more, with nothing but the public half
			_, err := token.Destroy(ctx, object.Ref{ID: key.ID, Fingerprint: key.Fingerprint()})
			if _, ofHalf := errors.AsType[*hsm.StaysError](err); !ofHalf {
				t.Errorf("once more: %v", err)
			}
		}
		if found, err := token.Key(ctx, object.Ref{ID: beside.ID}); err != nil || describe(found) != describe(beside) {
			t.Errorf("stays %t: another pair is %v, %v", stays, found, err)
		}
	}
	// What is made and does not pass goes as a pair too, with an ID that is chosen and with a random one.
	for _, id := range [][]byte{[]byte("i"), nil} {
		k, token, faults := played(t, makeOnePair, onePair(false))
		faults.Inject(hsmtest.Fault{Function: "C_Sign", Do: badSignature})
		tmpl := small("", "l")
		tmpl.ID = id
		_, err := token.Generate(ctx, tmpl)
		if failed, ok := errors.AsType[*hsm.OperationError](err); !ok || failed.Holds != hsm.HoldsNothing {
			t.Errorf("ID %q: %v", id, err)
		}
		if left := k.Tool(t, "--list-objects"); strings.Contains(left, "Key Object") {
			t.Errorf("ID %q: it leaves\n%s", id, left)
		}
	}
}

// TestAPairDerivesWhoseDERIVEIsFalseInPublic: its halves are alike all the same, and it is published.
func TestAPairDerivesWhoseDERIVEIsFalseInPublic(t *testing.T) {
	_, token, _ := played(t, makeNoPublicDerive, func(_ context.Context, c *cryptoki.Call, next func() error) error {
		for _, a := range c.Public {
			if a.Type == cryptoki.CKA_DERIVE && a.Value[0] != 0 {
				return &cryptoki.Error{Function: c.Function, Code: cryptoki.CKR_ATTRIBUTE_VALUE_INVALID}
			}
		}
		return next()
	})
	key := generate(t, token, object.Template{
		Type: object.EC, Curve: publickey.P256, Usage: object.Derive, ID: []byte("i"), Label: "l"})
	if key.Usage != object.Derive || key.PublicUsage != key.Usage || key.Public.Has(cryptoki.CKA_DERIVE) {
		t.Errorf("the private half may %s, the public one %s", key.Usage, key.PublicUsage)
	}
	if err := token.Published(t.Context(), []object.Key{key}); err != nil {
		t.Error(err)
	}
}

// TestAFailedGenerationThatMayShowLater: what is not seen may be there, so that nothing is made a second time.
func TestAFailedGenerationThatMayShowLater(t *testing.T) {
	for name, c := range map[string]struct {
		d     cryptoki.Hook
		calls int
		holds hsm.Holding
	}{
		"at once": {makeDefault, 3, hsm.HoldsNothing}, "late": {makeLate, 1, hsm.HoldsUnknown},
	} {
		_, token, faults := played(t, c.d)
		faults.Inject(hsmtest.Fault{Function: "C_GenerateKeyPair", Code: cryptoki.CKR_DEVICE_ERROR})
		_, err := token.Generate(t.Context(), small("i", "l"))
		failed, _ := errors.AsType[*hsm.OperationError](err)
		if failed == nil || failed.Holds != c.holds || faults.Count("C_GenerateKeyPair") != c.calls {
			t.Errorf("%s: %d calls, %v", name, faults.Count("C_GenerateKeyPair"), err)
		}
	}
}

// TestWhatIsRefusedSinceAnotherWasFasterIsNotTaken: two look, both find the name free, and the token refuses the second
// one's call. The key that it then finds is the first one's.
func TestWhatIsRefusedSinceAnotherWasFasterIsNotTaken(t *testing.T) {
	for _, c := range []struct {
		name string
		d    cryptoki.Hook
		id   string
		code cryptoki.RV

		holds hsm.Holding
	}{
		{"of the same ID", makeUniqueID, "i", cryptoki.CKR_ATTRIBUTE_VALUE_INVALID, hsm.HoldsOther},
		{"of the same ID, by another code", makeUniqueID, "i", cryptoki.CKR_ARGUMENTS_BAD, hsm.HoldsOther},
		{"of the same ID, by a code that says nothing", makeUniqueID, "i", cryptoki.CKR_DEVICE_ERROR, hsm.HoldsUnknown},
		{"of the same label", makeAssignedOne, "", cryptoki.CKR_ARGUMENTS_BAD, hsm.HoldsOther},
		{"of the same label, by a code that says nothing", makeAssignedOne, "", cryptoki.CKR_DEVICE_ERROR,
			hsm.HoldsUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			k, token, faults := played(t, c.d)
			theirs := ""
			faults.Inject(hsmtest.Fault{Function: "C_GenerateKeyPair", Nth: 1,
				Do: func(ctx context.Context, call *cryptoki.Call, _ func() error) error {
					// Another process makes the key that is asked for here.
					behind, id := call.Behind(), cryptoki.Bytes(cryptoki.CKA_ID, []byte(cmp.Or(c.id, "version/1")))
					with := func(template []cryptoki.Attribute) []cryptoki.Attribute {
						return append(slices.DeleteFunc(slices.Clone(template),
							func(a cryptoki.Attribute) bool { return a.Type == cryptoki.CKA_ID }), id)
					}
					pair, err := behind.GenerateKeyPair(ctx, cryptoki.Mechanism{Type: call.Mechanism},
						with(call.Public), with(call.Template))
					if err == nil {
						theirs, err = fingerprintOf(ctx, behind, pair.Public)
					}
					return cmp.Or(err, error(&cryptoki.Error{Function: call.Function, Code: c.code}))
				}})
			tmpl := small(c.id, "label")
			if c.id == "" {
				tmpl.ID = nil
			}
			key, err := token.Generate(t.Context(), tmpl)
			failed, _ := errors.AsType[*hsm.OperationError](err)
			_, ofLabel := errors.AsType[*object.RefusedError](err)
			told := c.holds == hsm.HoldsUnknown || ofLabel || errors.Is(err, object.ErrExists)
			if failed == nil || failed.Holds != c.holds || !told {
				t.Errorf("it takes %q: %v", key.ID, err)
			}
			ref := object.Ref{ID: []byte(cmp.Or(c.id, "version/1")), Fingerprint: theirs}
			if left, err := open(t, k).Key(t.Context(), ref); err != nil || left.Fingerprint() != theirs {
				t.Errorf("of the other one's key: %v, %v", left, err)
			}
		})
	}
}

// TestAMechanismThatMakesNoSuchSizeIsPassedOver: the next one of the make's may.
func TestAMechanismThatMakesNoSuchSizeIsPassedOver(t *testing.T) {
	usual := cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN
	asked := map[cryptoki.MechanismType]int{}
	_, token, _ := played(t, makeVendorRSA, mechanisms(map[cryptoki.MechanismType]cryptoki.MechanismType{
		vendorMechanism: usual, 0x80000141: usual}, usual),
		func(_ context.Context, c *cryptoki.Call, next func() error) error {
			mechanism := c.Mechanism
			if c.Function == "C_GenerateKeyPair" {
				asked[mechanism]++
			}
			err := next()
			if answer, ok := c.Result.(*cryptoki.MechanismInfo); ok && mechanism == 0x80000141 {
				answer.MinKeySize, answer.MaxKeySize = 4096, 4096
			}
			return err
		})
	checked := token.Check(t.Context(), small("i", "l"))
	_, err := token.Generate(t.Context(), small("i", "l"))
	if checked != nil || err != nil || asked[vendorMechanism] != 1 || asked[0x80000141] != 0 {
		t.Errorf("%v, %v, made by %v", checked, err, asked)
	}
}
