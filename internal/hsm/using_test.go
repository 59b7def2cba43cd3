package hsm_test

import (
	"bytes"
	"context"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/pkcs11uri"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

var madeUp atomic.Int64

// madeUpMake gives a make with these differences a row for as long as the test runs, and the hook that makes a SoftHSM
// token pass for one of it.
func madeUpMake(t *testing.T, d quirk.Differences) cryptoki.Hook {
	t.Helper()
	model := fmt.Sprintf("made up %d", madeUp.Add(1))
	before := quirk.Makes
	quirk.Makes = append(slices.Clone(before), quirk.Make{Name: model, Marks: []quirk.Mark{{Model: model}}, Differences: d})
	t.Cleanup(func() { quirk.Makes = before })
	return func(_ context.Context, c *cryptoki.Call, next func() error) error {
		err := next()
		if answer, ok := c.Result.(*cryptoki.TokenInfo); ok {
			answer.Model = model
		}
		return err
	}
}

// openMadeUp opens a token that passes for one of a make with these differences. The first hook is the innermost.
func openMadeUp(t *testing.T, k *hsmtest.Token, d quirk.Differences, hooks ...cryptoki.Hook) *hsm.Token {
	t.Helper()
	token, err := hsm.Open(t.Context(), k.Config(append(hooks, madeUpMake(t, d))...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = token.Close() })
	return token
}

// refuses is a hook by which calls of a function fail with a code where it says so.
func refuses(function string, code cryptoki.RV, when func(*cryptoki.Call) bool) cryptoki.Hook {
	return func(_ context.Context, c *cryptoki.Call, next func() error) error {
		if c.Function == function && when(c) {
			return &cryptoki.Error{Function: function, Code: code}
		}
		return next()
	}
}

// signsInDER gives ECDSA signatures as X9.62 has them.
func signsInDER(_ context.Context, c *cryptoki.Call, next func() error) error {
	err := next()
	if signature, ok := c.Result.(*[]byte); ok && c.Function == "C_Sign" && err == nil {
		half := len(*signature) / 2
		*signature, _ = asn1.Marshal(struct{ R, S *big.Int }{
			new(big.Int).SetBytes((*signature)[:half]), new(big.Int).SetBytes((*signature)[half:]),
		})
	}
	return err
}

// pointsInDER takes the point of an agreement in DER alone.
func pointsInDER(_ context.Context, c *cryptoki.Call, next func() error) error {
	if c.Function == "C_DeriveKey" {
		var point []byte
		if rest, err := asn1.Unmarshal(c.Point, &point); err != nil || len(rest) > 0 {
			return &cryptoki.Error{Function: c.Function, Code: cryptoki.CKR_MECHANISM_PARAM_INVALID}
		}
		c.Point = point
	}
	return next()
}

// hidesModulus has private halves show nothing of their keys.
func hidesModulus(_ context.Context, c *cryptoki.Call, next func() error) error {
	err := next()
	if r, ok := c.Result.(*cryptoki.Reading); ok {
		if class, _, _ := r.Attributes.ULong(cryptoki.CKA_CLASS); class == cryptoki.CKO_PRIVATE_KEY {
			delete(r.Attributes, cryptoki.CKA_MODULUS)
		}
	}
	return err
}

// TestProofsFitTheToken has tokens that make a proof in their own way alone. Their pairs are kept, and published.
func TestProofsFitTheToken(t *testing.T) {
	onSoftHSM(t)
	const vendorEdDSA cryptoki.MechanismType = 0x8001001C
	digestOf := func(length int) cryptoki.Hook {
		return refuses("C_Sign", cryptoki.CKR_DATA_LEN_RANGE, func(c *cryptoki.Call) bool { return len(c.Data) != length })
	}
	none := func(mechanisms ...cryptoki.MechanismType) cryptoki.Hook {
		return refuses("C_SignInit", cryptoki.CKR_MECHANISM_INVALID, func(c *cryptoki.Call) bool {
			return slices.Contains(mechanisms, c.Mechanism)
		})
	}
	raw := refuses("C_DeriveKey", cryptoki.CKR_ARGUMENTS_BAD, func(c *cryptoki.Call) bool { return c.Point[0] != 4 || len(c.Point) != 65 })
	derived := func(count *int) cryptoki.Hook {
		return refuses("C_DeriveKey", cryptoki.CKR_GENERAL_ERROR, func(*cryptoki.Call) bool { *count++; return true })
	}
	var derivations int
	for name, c := range hsmtest.InOrder(map[string]struct {
		curve    string // "" for RSA
		usage    object.Usage
		d        quirk.Differences
		hooks    []cryptoki.Hook
		unproven bool // the row knows that nothing proves it
	}{
		"SHA-384 alone on P-384":        {publickey.P384, object.Sign, quirk.Differences{}, []cryptoki.Hook{digestOf(48)}, false},
		"SHA-512 alone on P-521":        {publickey.P521, object.Sign, quirk.Differences{}, []cryptoki.Hook{digestOf(64)}, false},
		"signatures in DER":             {publickey.P256, object.Sign, quirk.Differences{}, []cryptoki.Hook{signsInDER}, false},
		"signatures in DER on P-521":    {publickey.P521, object.Sign, quirk.Differences{}, []cryptoki.Hook{signsInDER}, false},
		"DigestInfo of SHA-512 alone":   {"", object.Sign, quirk.Differences{}, []cryptoki.Hook{digestOf(19 + 64)}, false},
		"hashing mechanisms alone":      {"", object.Sign, quirk.Differences{}, []cryptoki.Hook{none(cryptoki.CKM_RSA_PKCS)}, false},
		"PSS alone":                     {"", object.Sign, quirk.Differences{}, []cryptoki.Hook{none(cryptoki.CKM_RSA_PKCS, cryptoki.CKM_SHA256_RSA_PKCS)}, false},
		"points in DER, without a row":  {publickey.P256, object.Derive, quirk.Differences{}, []cryptoki.Hook{pointsInDER}, false},
		"points in DER, by the row":     {publickey.P256, object.Derive, quirk.Differences{PointInDER: true}, []cryptoki.Hook{pointsInDER}, false},
		"no session objects":            {publickey.P256, object.Derive, quirk.Differences{NoSessionObjects: true}, []cryptoki.Hook{derived(&derivations)}, true},
		"no session objects, but signs": {publickey.P256, object.Derive | object.Sign, quirk.Differences{NoSessionObjects: true}, nil, false},
		"EdDSA by a vendor's mechanism": {publickey.Ed25519, object.Sign, quirk.Differences{EdDSA: vendorEdDSA}, []cryptoki.Hook{
			func(_ context.Context, c *cryptoki.Call, next func() error) error {
				switch {
				case c.Function == "C_SignInit" && c.Mechanism == cryptoki.CKM_EDDSA:
					return &cryptoki.Error{Function: c.Function, Code: cryptoki.CKR_MECHANISM_INVALID}
				case c.Function == "C_SignInit" && c.Mechanism == vendorEdDSA:
					c.Mechanism = cryptoki.CKM_EDDSA
				}
				return next()
			},
		}, false},
	}) {
		t.Run(name, func(t *testing.T) {
			k := hsmtest.New(t)
			token := openMadeUp(t, k, c.d, append(c.hooks, hidesModulus)...)
			tmpl := object.Template{Type: object.RSA, ModulusBits: 2048, PublicExponent: 65537, ID: []byte("a"), Label: "l", Usage: c.usage}
			if c.curve != "" {
				tmpl = onCurve(c.curve, "a", "l")
				tmpl.Usage = c.usage
			}
			key := generate(t, token, tmpl)
			proven, err := token.Prove(t.Context(), key)
			if err != nil || proven == c.unproven {
				t.Errorf("proven: %v, %v", proven, err)
			}
			err = published(t.Context(), token)
			if _, unproven := errors.AsType[*hsm.UnprovenError](err); unproven != c.unproven || err != nil && !unproven {
				t.Errorf("published: %v", err)
			}
			// What cannot be proven is changed and destroyed all the same: it is the key that is meant, as far as the token shows.
			label := "other"
			if _, err := token.Change(t.Context(), object.Ref{Type: key.Type, ID: key.ID}, object.Change{Label: &label}); err != nil {
				t.Errorf("changed: %v", err)
			}
			if _, err := token.Destroy(t.Context(), object.Ref{Type: key.Type, ID: key.ID, Fingerprint: key.Fingerprint()}); err != nil {
				t.Errorf("destroyed: %v", err)
			}
		})
	}
	for name, c := range map[string]struct {
		d    quirk.Differences
		hook cryptoki.Hook
	}{
		"no digest of any length":                        {quirk.Differences{}, digestOf(1)},
		"raw points, against the row":                    {quirk.Differences{PointInDER: true}, raw},
		"a vendor's code":                                {quirk.Differences{}, refuses("C_DeriveKey", 0x8000005F, func(*cryptoki.Call) bool { return true })},
		"what signs, on a token without session objects": {quirk.Differences{NoSessionObjects: true}, digestOf(1)},
	} {
		t.Run("not kept: "+name, func(t *testing.T) {
			k := hsmtest.New(t)
			token := openMadeUp(t, k, c.d, c.hook, hidesModulus)
			tmpl := onCurve(publickey.P256, "a", "l")
			tmpl.Usage = object.Derive
			if strings.Contains(name, "signs") || strings.Contains(name, "digest") {
				tmpl.Usage = object.Sign
			}
			_, err := token.Generate(t.Context(), tmpl)
			failed, ok := errors.AsType[*hsm.OperationError](err)
			if !ok || failed.Holds != hsm.HoldsNothing {
				t.Errorf("made: %v", err)
			}
		})
	}
	if derivations > 0 {
		t.Errorf("%d derivations on a token that makes no session objects", derivations)
	}
}

// TestASignatureOfNoFormDisproves has a stranger write over the public half of a pair that signs in DER.
func TestASignatureOfNoFormDisproves(t *testing.T) {
	onSoftHSM(t)
	k := hsmtest.New(t)
	s := hsmtest.NewStranger(t, k)
	token := openMadeUp(t, k, quirk.Differences{}, signsInDER)
	generate(t, token, onCurve(publickey.P256, "x", "web"))
	s.SwapsPublicHalf(t, hsmtest.StrangerP256, "web", "78")
	err := published(t.Context(), openMadeUp(t, k, quirk.Differences{}, signsInDER))
	if _, disproved := errors.AsType[*hsm.DisprovedError](err); !disproved {
		t.Error(err)
	}
}

// TestAPointOfAWrongLengthIsRead has a token write the length of a point on P-521 as tpm2-pkcs11 1.9 does.
func TestAPointOfAWrongLengthIsRead(t *testing.T) {
	onSoftHSM(t)
	k := hsmtest.New(t)
	wrong := func(_ context.Context, c *cryptoki.Call, next func() error) error {
		err := next()
		if r, ok := c.Result.(*cryptoki.Reading); ok {
			if rest, long := bytes.CutPrefix(r.Attributes[cryptoki.CKA_EC_POINT], []byte{4, 0x81, 0x85}); long {
				r.Attributes[cryptoki.CKA_EC_POINT] = append([]byte{4, 0x85}, rest...)
			}
		}
		return err
	}
	token := openMadeUp(t, k, quirk.Differences{}, wrong)
	made := generate(t, token, onCurve(publickey.P521, "x", "web"))
	if read, err := open(t, k).Key(t.Context(), object.Ref{ID: made.ID}); err != nil || read.Fingerprint() != made.Fingerprint() {
		t.Errorf("%v: %v, not %v", err, read.Fingerprint(), made.Fingerprint())
	}
}

// failsTogether fails to read many attributes of an object where that lacks some of them, and counts the calls.
func failsTogether(calls *atomic.Int64) cryptoki.Hook {
	return func(_ context.Context, c *cryptoki.Call, next func() error) error {
		if c.Function != "C_GetAttributeValue" {
			return next()
		}
		calls.Add(1)
		if len(c.Types) > 1 {
			return &cryptoki.Error{Function: c.Function, Code: cryptoki.CKR_FUNCTION_FAILED}
		}
		if slices.Contains(c.Types, cryptoki.CKA_COPYABLE) { // which it fails to read even alone
			return &cryptoki.Error{Function: c.Function, Code: cryptoki.CKR_FUNCTION_FAILED}
		}
		return next()
	}
}

// TestAttributesAreReadOneByOne has a token that fails to read many attributes in one call.
func TestAttributesAreReadOneByOne(t *testing.T) {
	onSoftHSM(t)
	for name, d := range hsmtest.InOrder(map[string]quirk.Differences{"with a row": {OneByOne: true}, "without a row": {}}) {
		t.Run(name, func(t *testing.T) {
			k := hsmtest.New(t)
			var calls atomic.Int64
			token := openMadeUp(t, k, d, failsTogether(&calls))
			made := generate(t, token, onCurve(publickey.P256, "a", "l"))
			for i := range 20 {
				generate(t, open(t, k), onCurve(publickey.P256, fmt.Sprintf("other %d", i), "l"))
			}
			label := "new"
			changed, err := token.Change(t.Context(), object.Ref{Type: object.EC, ID: made.ID}, object.Change{Label: &label})
			if err != nil || changed.Label != label || changed.Fingerprint() != made.Fingerprint() {
				t.Errorf("changed: %v, %v", changed, err)
			}
			calls.Store(0)
			inventory, err := openMadeUp(t, k, d, failsTogether(&calls)).Inventory(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if keys, broken := inventory.Keys(); len(keys) != 21 || len(broken) > 0 {
				t.Errorf("%d keys, broken: %v", len(keys), broken)
			}
			// Each of 42 objects costs a call for each attribute, and one more for what fails, and no more for the rest.
			if each := int64(len(object.Attributes)); calls.Load() > 42*(each+1)+20 {
				t.Errorf("%d calls", calls.Load())
			}
			if _, err := token.Destroy(t.Context(), object.Ref{Type: object.EC, ID: made.ID}); err != nil {
				t.Errorf("destroyed: %v", err)
			}
		})
	}
}

// TestATokenThatFailsToReadAnythingIsNoSuch fails each reading: then no attribute is asked for alone but the first.
func TestATokenThatFailsToReadAnythingIsNoSuch(t *testing.T) {
	hsmtest.NeedsCurves(t, publickey.P256)
	k := hsmtest.New(t)
	generate(t, open(t, k), onCurve(publickey.P256, "a", "l"))
	faults := &hsmtest.Faults{}
	token := openWith(t, k, k.PIN, faults)
	faults.Inject(hsmtest.Fault{Function: "C_GetAttributeValue", Code: cryptoki.CKR_FUNCTION_FAILED})
	_, err := token.Key(t.Context(), object.Ref{ID: []byte("a")})
	if !errors.Is(err, cryptoki.CKR_FUNCTION_FAILED) || faults.Count("C_GetAttributeValue") > 8 {
		t.Errorf("%v after %d calls", err, faults.Count("C_GetAttributeValue"))
	}
	faults.Clear()
	if _, err := token.Key(t.Context(), object.Ref{ID: []byte("a")}); err != nil || faults.Count("C_GetAttributeValue") != 2 {
		t.Errorf("afterwards: %v, %d calls", err, faults.Count("C_GetAttributeValue"))
	}
}

// TestALabelThatIsNotReadIsNoEmptyOne: a key ring would turn for it, and a key seem to be another one.
func TestALabelThatIsNotReadIsNoEmptyOne(t *testing.T) {
	onSoftHSM(t)
	k := hsmtest.New(t)
	generate(t, open(t, k), onCurve(publickey.P256, "a", "l"))
	fails := func(_ context.Context, c *cryptoki.Call, next func() error) error {
		if len(c.Types) > 1 || slices.Contains(c.Types, cryptoki.CKA_LABEL) {
			return &cryptoki.Error{Function: c.Function, Code: cryptoki.CKR_FUNCTION_FAILED}
		}
		return next()
	}
	for name, d := range hsmtest.InOrder(map[string]quirk.Differences{"with a row": {OneByOne: true}, "without a row": {}}) {
		if key, err := openMadeUp(t, k, d, fails).Key(t.Context(), object.Ref{ID: []byte("a")}); err == nil {
			t.Errorf("%s: it has the label %q", name, key.Label)
		}
	}
}

// TestAbsenceProvesNothingWhereOthersAreSeenLate asks a token for what it does not show.
func TestAbsenceProvesNothingWhereOthersAreSeenLate(t *testing.T) {
	onSoftHSM(t)
	k := hsmtest.New(t)
	token := openMadeUp(t, k, quirk.Differences{Late: true})
	ref := object.Ref{Type: object.EC, ID: []byte("a")}
	unseen := func(what string, err error) {
		t.Helper()
		if _, is := errors.AsType[*hsm.UnseenError](err); !is || errors.Is(err, object.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := token.Key(t.Context(), ref)
	unseen("a key", err)
	_, err = token.PublicKey(t.Context(), pkcs11uri.URI{ID: ref.ID})
	unseen("a public key", err)
	_, err = token.Destroy(t.Context(), ref)
	unseen("a destruction", err)
	generate(t, token, onCurve(publickey.P256, "a", "l"))
	if _, err := token.Destroy(t.Context(), ref); err != nil {
		t.Errorf("what this process destroys is gone: %v", err)
	}
}

// busyAtFirst has each function answer with a code the first two times that it is called.
func busyAtFirst(code cryptoki.RV, spared ...string) cryptoki.Hook {
	var mu sync.Mutex
	tries := map[string]int{}
	return func(_ context.Context, c *cryptoki.Call, next func() error) error {
		mu.Lock()
		tries[c.Function]++
		n := tries[c.Function]
		mu.Unlock()
		if n <= 2 && !slices.Contains(spared, c.Function) {
			return &cryptoki.Error{Function: c.Function, Code: code}
		}
		return next()
	}
}

// TestABusyTokenIsAskedAgain has every function of a token ask for patience.
func TestABusyTokenIsAskedAgain(t *testing.T) {
	onSoftHSM(t)
	const slower cryptoki.RV = 0x80000042
	writes := []string{
		"C_GenerateKeyPair", "C_DestroyObject", "C_SetAttributeValue", "C_Login", "C_DeriveKey", "C_Initialize", "C_GetInfo",
		"C_GetSlotList", "C_GetTokenInfo", "C_GetMechanismInfo", "C_CloseSession",
	}
	k := hsmtest.New(t)
	faults := &hsmtest.Faults{}
	quick := quirk.Differences{Busy: map[string][]cryptoki.RV{"": {slower}}}
	token := openMadeUp(t, k, quick, busyAtFirst(slower, writes...), faults.Hook)
	key := generate(t, token, onCurve(publickey.P256, "a", "l"))
	if err := published(t.Context(), token); err != nil {
		t.Errorf("published: %v", err)
	}
	if faults.Count("C_SignInit") < 3 || faults.Count("C_Sign") < 3 {
		t.Errorf("no patience: %v", faults.Calls())
	}
	if _, err := token.Destroy(t.Context(), object.Ref{Type: object.EC, ID: key.ID}); err != nil {
		t.Errorf("destroyed: %v", err)
	}
}

// TestPatienceEnds asks for patience until the context ends, and by functions and codes that are not in the row.
func TestPatienceEnds(t *testing.T) {
	onSoftHSM(t)
	const slower cryptoki.RV = 0x80000042
	always := func(*cryptoki.Call) bool { return true }
	for name, c := range hsmtest.InOrder(map[string]struct {
		busy     map[string][]cryptoki.RV
		function string
		code     cryptoki.RV
		again    bool
	}{
		"a search":                         {map[string][]cryptoki.RV{"": {slower}}, "C_FindObjects", slower, true},
		"a function of the row":            {map[string][]cryptoki.RV{"C_GenerateKeyPair": {slower}}, "C_GenerateKeyPair", slower, true},
		"another code":                     {map[string][]cryptoki.RV{"": {slower}}, "C_FindObjects", cryptoki.CKR_DEVICE_ERROR, false},
		"what makes objects":               {map[string][]cryptoki.RV{"": {slower}}, "C_GenerateKeyPair", slower, false},
		"a login, whose tries are counted": {map[string][]cryptoki.RV{"": {slower}}, "C_Login", slower, false},
		"no row":                           {nil, "C_FindObjects", slower, false},
	}) {
		t.Run(name, func(t *testing.T) {
			k := hsmtest.New(t)
			if c.function == "C_Login" {
				k.Spoil()
			}
			faults := &hsmtest.Faults{}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var asked atomic.Int64
			// It ends in the pause after the fifth call, which is the longer one: not in a call, however slow the machine is.
			ends := func(_ context.Context, call *cryptoki.Call, next func() error) error {
				if call.Function == c.function && asked.Add(1) == 5 {
					time.AfterFunc(200*time.Millisecond, cancel)
				}
				return next()
			}
			token := openMadeUp(t, k, quirk.Differences{Busy: c.busy}, refuses(c.function, c.code, always), ends, faults.Hook)
			_, err := token.Generate(ctx, onCurve(publickey.P256, "a", "l"))
			busy, is := errors.AsType[*cryptoki.BusyError](err)
			if is != c.again || err == nil || !errors.Is(err, c.code) || is && busy.For < 200*time.Millisecond {
				t.Errorf("%v", err)
			}
			if n := faults.Count(c.function); c.again != (n > 3) {
				t.Errorf("%d calls", n)
			}
		})
	}
}

// logins notes who logs in, with or without a PIN, and what else ends logins.
type logins struct {
	mu   sync.Mutex
	seen []string
}

func (l *logins) hook(_ context.Context, c *cryptoki.Call, next func() error) error {
	err := next()
	if slices.Contains([]string{"C_Login", "C_Logout", "C_CloseAllSessions"}, c.Function) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.seen = append(l.seen, fmt.Sprintf("%s %d %v", c.Function, c.User, err == nil))
	}
	return err
}

// TestWhoLogsIn logs in as the user that the configuration names.
func TestWhoLogsIn(t *testing.T) {
	onSoftHSM(t)
	so, vendor, absent, later := cryptoki.CKU_SO, hsm.User(0x83), hsm.User(0x84), cryptoki.CKU_CONTEXT_SPECIFIC
	for name, c := range hsmtest.InOrder(map[string]struct {
		user *hsm.User
		d    quirk.Differences
		pin  func(*hsmtest.Token) string
		seen []string
		want error
	}{
		"the normal user":             {nil, quirk.Differences{}, nil, []string{"C_Login 1 true"}, object.ErrNotFound},
		"the security officer":        {&so, quirk.Differences{}, func(k *hsmtest.Token) string { return k.SOPIN }, []string{"C_Login 0 true"}, nil},
		"the security officer, wrong": {&so, quirk.Differences{}, func(*hsmtest.Token) string { return "wrong" }, []string{"C_Login 0 false"}, hsm.ErrPINIncorrect},
		"a user of a vendor's":        {&vendor, quirk.Differences{}, nil, []string{"C_Login 131 true"}, nil},
		"a user whom nobody knows":    {&absent, quirk.Differences{}, nil, []string{"C_Login 132 false"}, hsm.ErrUserType},
		"one who only confirms":       {&later, quirk.Differences{}, nil, []string{"C_Login 2 false"}, hsm.ErrUserType},
		"nobody":                      {nil, quirk.Differences{NoLogin: true}, nil, nil, object.ErrNotFound},
		"a PIN of the form":           {nil, quirk.Differences{PIN: &quirk.PINForm{Expression: ".+", Says: "Any."}}, nil, []string{"C_Login 1 true"}, object.ErrNotFound},
	}) {
		t.Run(name, func(t *testing.T) {
			k := hsmtest.New(t)
			if c.user != nil {
				k.Spoil()
			}
			l := &logins{}
			standIn := func(_ context.Context, c *cryptoki.Call, next func() error) error {
				if c.Function == "C_Login" && c.User == vendor {
					c.User = cryptoki.CKU_USER
					defer func() { c.User = vendor }()
				}
				return next()
			}
			config := k.Config(standIn, l.hook, madeUpMake(t, c.d))
			config.User = c.user
			if c.pin != nil {
				config.PIN = hsm.NewPIN(c.pin(k))
			}
			token, err := hsm.Open(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = token.Close() })
			for range 2 {
				_, err = token.Key(t.Context(), object.Ref{Type: object.EC, ID: []byte("none")})
				unseen, late := errors.AsType[*hsm.UnseenError](err)
				if c.want != nil && !errors.Is(err, c.want) || c.want == nil && (!late || !unseen.Role) {
					t.Errorf("%v", err)
				}
			}
			if !slices.Equal(l.seen, c.seen) {
				t.Errorf("%v, not %v", l.seen, c.seen)
			}
		})
	}
}

// TestAnOfficerWhoSeesNoPrivateHalfDestroysNoPublicOne: what is left of a pair is destroyed only where its private half is
// known to be gone, and the officer is not shown one.
func TestAnOfficerWhoSeesNoPrivateHalfDestroysNoPublicOne(t *testing.T) {
	onSoftHSM(t)
	k := hsmtest.New(t)
	user, err := hsm.Open(t.Context(), k.Config())
	if err != nil {
		t.Fatal(err)
	}
	made := generate(t, user, onCurve(publickey.P256, "k1", "web"))
	if err := user.Close(); err != nil {
		t.Fatal(err)
	}
	k.Spoil()
	config, so := k.Config(), cryptoki.CKU_SO
	config.User, config.PIN = &so, hsm.NewPIN(k.SOPIN)
	officer, err := hsm.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = officer.Close() })
	ref := object.Ref{Type: object.EC, ID: made.ID, Fingerprint: made.Fingerprint()}
	_, readErr := officer.Key(t.Context(), ref)
	_, destroyErr := officer.Destroy(t.Context(), ref)
	for what, err := range map[string]error{"reading": readErr, "destroying": destroyErr} {
		if unseen, ok := errors.AsType[*hsm.UnseenError](err); !ok || !unseen.Role {
			t.Errorf("%s: %v", what, err)
		}
	}
	inventory, err := officer.Inventory(t.Context())
	if err != nil || len(inventory.All()) != 1 {
		t.Errorf("the officer sees %v after that, and not the public half: %v", inventory, err)
	}
}

// TestNoLoginLeavesPrivacyUnknown has a token without a login show keys that are not private.
func TestNoLoginLeavesPrivacyUnknown(t *testing.T) {
	for login, d := range map[bool]quirk.Differences{true: {}, false: {NoLogin: true}} {
		o := object.Decode(1, cryptoki.Attributes{
			cryptoki.CKA_CLASS: cryptoki.ULong(0, cryptoki.CKO_PRIVATE_KEY).Value, cryptoki.CKA_PRIVATE: {0},
		}, d)
		if o.Claims().Unprotected() != login {
			t.Errorf("login %v: unprotected %v", login, o.Claims().Unprotected())
		}
	}
}

// TestAPINOfAnotherFormIsNotSent opens a token whose make wants PINs of a form.
func TestAPINOfAnotherFormIsNotSent(t *testing.T) {
	onSoftHSM(t)
	k := hsmtest.New(t)
	l := &logins{}
	form := &quirk.PINForm{Expression: "[a-z]+:.+", Says: "It is USER:PASSWORD."}
	_, err := hsm.Open(t.Context(), k.Config(l.hook, madeUpMake(t, quirk.Differences{PIN: form})))
	if _, is := errors.AsType[*hsm.PINFormError](err); !is || !strings.Contains(err.Error(), form.Says) || strings.Contains(err.Error(), k.PIN) || len(l.seen) > 0 {
		t.Errorf("%v, %v", err, l.seen)
	}
}

// TestASharedLoginIsLeftAlone sets a PIN on a token whose login all programs share.
func TestASharedLoginIsLeftAlone(t *testing.T) {
	onSoftHSM(t)
	for _, shared := range []bool{true, false} {
		k := hsmtest.New(t)
		k.Spoil()
		l := &logins{}
		config := k.Config(l.hook, madeUpMake(t, quirk.Differences{SharedLogin: shared}))
		ref := hsm.TokenRef{Label: k.Label}
		if err := hsm.SetUserPIN(t.Context(), config, ref, hsm.NewPIN(k.SOPIN), hsm.NewPIN("another")); err != nil {
			t.Fatal(err)
		}
		ends := len(slices.DeleteFunc(l.seen, func(s string) bool { return strings.HasPrefix(s, "C_Login") }))
		if shared != (ends == 0) {
			t.Errorf("shared %v: %v", shared, l.seen)
		}
	}
}

// TestAKeypadThatIsNone has a token whose flags say that it asks for the PIN, and that takes one all the same.
func TestAKeypadThatIsNone(t *testing.T) {
	onSoftHSM(t)
	keypad := func(_ context.Context, c *cryptoki.Call, next func() error) error {
		err := next()
		if info, ok := c.Result.(*cryptoki.TokenInfo); ok {
			info.Flags |= cryptoki.CKF_PROTECTED_AUTHENTICATION_PATH
		}
		return err
	}
	for _, pin := range []string{"", "right", "wrong"} {
		k := hsmtest.New(t)
		l := &logins{}
		config := k.Config(keypad, l.hook)
		want := []string{"C_Login 1 false", "C_Login 1 true"}
		switch pin {
		case "":
			config.PIN, want = hsm.PIN{}, want[:1]
		case "wrong":
			k.Spoil()
			config.PIN, want = hsm.NewPIN(pin), []string{"C_Login 1 false", "C_Login 1 false"}
		}
		token, err := hsm.Open(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		_, err = token.Inventory(t.Context())
		if (err == nil) != (pin == "right") || pin != "" && !slices.Equal(l.seen, want) {
			t.Errorf("%q: %v, %v", pin, err, l.seen)
		}
		if pin == "wrong" {
			if _, err = token.Inventory(t.Context()); !errors.Is(err, hsm.ErrPINIncorrect) || len(l.seen) != 2 {
				t.Errorf("it is sent again: %v, %v", err, l.seen)
			}
		}
		_ = token.Close()
	}
}

// TestAReportNamesNoSecret makes a key on a token of an unknown make, which refuses one template.
func TestAReportNamesNoSecret(t *testing.T) {
	onSoftHSM(t)
	k := hsmtest.New(t)
	config := k.Config(as("Acme"), refuses("C_SetAttributeValue", 0x80000007, func(*cryptoki.Call) bool { return true }))
	config.Record = &hsm.Record{}
	token, err := hsm.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = token.Close() })
	made := generate(t, token, onCurve(publickey.P256, "the secret ID", "the secret label"))
	label := "another secret label"
	_, err = token.Change(t.Context(), object.Ref{Type: object.EC, ID: made.ID}, object.Change{Label: &label})
	const want = "C_SetAttributeValue (CKA_LABEL (20 bytes)): vendor or unknown code (0x80000007), "
	if asked := token.AskedOf(err); !token.Unknown() || !strings.HasPrefix(asked, want) {
		t.Errorf("unknown %v: %v: %s", token.Unknown(), err, asked)
	}
	text := fmt.Sprintln(config.Record.Calls())
	for _, part := range []string{"CKM_EC_KEY_PAIR_GEN", "CKA_SIGN=true", "CKA_ID (13 bytes)", "user type 1"} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is missing in %s", part, text)
		}
	}
	for _, secret := range []string{"secret", k.PIN, object.FormatID(made.ID)} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is in %s", secret, text)
		}
	}
	if token := open(t, k); token.Unknown() || token.NeverRunOn() != "" {
		t.Error("SoftHSM is unknown, or was never run on")
	}
	for range 300 {
		_, _ = token.Key(t.Context(), object.Ref{ID: []byte("none")})
	}
	if n := len(config.Record.Calls()); n != 200 {
		t.Errorf("%d calls are kept", n)
	}
}

// TestWhatAMakeHasNoInitialisationFor asks a token of such a make for what its row refuses.
func TestWhatAMakeHasNoInitialisationFor(t *testing.T) {
	onSoftHSM(t)
	k := hsmtest.New(t)
	d := quirk.Differences{Refuses: map[quirk.Ask]string{
		quirk.MakeToken: "Make it elsewhere.", quirk.SetPIN: "Set it elsewhere.", quirk.EraseToken: "Erase it elsewhere.",
	}}
	config := k.Config(madeUpMake(t, d))
	for deed, says := range map[hsm.Deed]string{
		hsm.NewUserPIN: "Set it elsewhere.", hsm.NewOfficerPIN: "Set it elsewhere.", hsm.Erasure: "Erase it elsewhere.",
	} {
		_, err := hsm.Allows(t.Context(), config, hsm.TokenRef{Label: k.Label}, deed)
		if e, is := errors.AsType[*hsm.NotHereError](err); !is || e.Says != says {
			t.Errorf("deed %d: %v", deed, err)
		}
	}
	for _, label := range []string{k.Label, "new"} {
		_, err := hsm.SiteOf(t.Context(), config, hsm.Setup{Label: label})
		if e, is := errors.AsType[*hsm.NotHereError](err); !is || e.Says != "Make it elsewhere." {
			t.Errorf("a new token %q: %v", label, err)
		}
	}
}

// TestWhatTokensSayOfThemselvesIsShownForWhatItIs has a serial number of zeros, and a check
// value that is empty.
func TestWhatTokensSayOfThemselvesIsShownForWhatItIs(t *testing.T) {
	for serial, shown := range map[string]string{
		"": "no serial number", "0000000000000000": "no serial number", "0100": `serial number "0100"`,
	} {
		info := cryptoki.TokenInfo{Label: "l", Serial: serial, Flags: cryptoki.CKF_TOKEN_INITIALIZED}
		if !strings.Contains(info.String(), shown) || info.HasSerial() == (shown == "no serial number") {
			t.Errorf("%q: %s", serial, info)
		}
	}
	o := object.Decode(1, cryptoki.Attributes{
		cryptoki.CKA_CLASS: cryptoki.ULong(0, cryptoki.CKO_SECRET_KEY).Value, cryptoki.CKA_CHECK_VALUE: {},
	}, quirk.Differences{})
	if o.Has(cryptoki.CKA_CHECK_VALUE) {
		t.Error("an empty check value is one")
	}
}
