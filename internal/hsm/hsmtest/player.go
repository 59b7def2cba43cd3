package hsmtest

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"slices"
	"sync"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

// Player plays a make of HSM that no test can have: SoftHSM under it does the work. The player says that it is that
// make, and refuses, ignores, renames, hides and delays what the make's documents say. It is written from those, and
// not from what the provider does.
type Player struct {
	Make   string                    // of quirk.Makes
	Module cryptoki.Info             // what C_GetInfo tells; the version stays
	Token  func(*cryptoki.TokenInfo) // makes the make's answer of SoftHSM's
	PIN    string                    // of the make's form, for a token to have; "": any
	Rules  []Rule                    // the first one sees a call first
}

// Rule is one thing that a player does, and how it is known that the make does it.
type Rule struct {
	Does   string
	Kind   quirk.Kind
	Source string
	part   part
}

// part makes a rule's hook for one stage.
type part func(*Stage) cryptoki.Hook

// Stage is a player at work on a token, as one process would see it. Its Hook stands before the module.
type Stage struct {
	token   *Token
	slot    *uint // the token's; nil until somebody asked
	hook    cryptoki.Hook
	mu      sync.Mutex // one call at a time: SoftHSM does not keep its own threads apart
	users   map[cryptoki.User]bool
	hidden  map[cryptoki.Object]bool // from this process
	slow    bool
	refused int
}

// Play puts a player before a token, whose PIN has that make's form until the test ends.
func Play(t testing.TB, name string, k *Token) *Stage {
	t.Helper()
	p := playerOf(t, name)
	if p.PIN != "" {
		k.takePIN(t, p.PIN)
	}
	return p.on(k)
}

// Again is another process that sees the same token.
func (s *Stage) Again(t testing.TB, name string) *Stage {
	t.Helper()
	again := playerOf(t, name).on(s.token)
	again.slot = s.slot
	return again
}

func playerOf(t testing.TB, name string) Player {
	t.Helper()
	for _, p := range append(slices.Clone(Players), NoRow) {
		if p.Make == name {
			return p
		}
	}
	t.Fatalf("nobody plays %q", name)
	return Player{}
}

func (p Player) on(k *Token) *Stage {
	s := &Stage{token: k, users: map[cryptoki.User]bool{}, hidden: map[cryptoki.Object]bool{}}
	s.hook = p.who()(s)
	for _, rule := range slices.Backward(p.Rules) {
		outer, inner := rule.part(s), s.hook
		s.hook = func(ctx context.Context, c *cryptoki.Call, next func() error) error {
			return outer(ctx, c, func() error { return inner(ctx, c, next) })
		}
	}
	return s
}

// Hook is the cryptoki.Hook.
func (s *Stage) Hook(ctx context.Context, c *cryptoki.Call, next func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hook(ctx, c, next)
}

// Throttle has the make ask for patience from now on, or no longer.
func (s *Stage) Throttle(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slow = on
}

// Throttled is how many calls were asked for patience.
func (s *Stage) Throttled() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

// who tells the names: the innermost hook. Other tests' tokens keep theirs.
func (p Player) who() part {
	return after(func(_ context.Context, s *Stage, c *cryptoki.Call) {
		switch answer := c.Result.(type) {
		case *cryptoki.Info:
			answer.Manufacturer, answer.Description = p.Module.Manufacturer, p.Module.Description
		case *cryptoki.TokenInfo:
			if answer.Label == s.token.Label {
				sum := crc32.ChecksumIEEE([]byte(p.Make)) // a process knows logins by it, and tokens are played on again
				answer.Serial = fmt.Sprintf("%08x", sum)
				p.Token(answer)
			}
		}
	})
}

// Config opens the token that the make is played on. It goes by its slot, since some makes tell no label or serial
// number of their own.
func (s *Stage) Config(t testing.TB) hsm.Config {
	t.Helper()
	if s.slot == nil {
		slots, err := hsm.Slots(context.Background(), s.token.Config())
		if err != nil {
			t.Fatal(err)
		}
		for _, slot := range slots {
			if slot.Token != nil && slot.Token.Label == s.token.Label {
				s.slot = &slot.ID
			}
		}
	}
	c := s.token.Config(s.Hook)
	c.Selector = hsm.Selector{Slot: s.slot}
	return c
}

// WrongPIN is a PIN of the make's form that is not the token's, another one each time.
func (s *Stage) WrongPIN() string { return s.token.PIN + RandomPIN() }

// takePIN gives the token's user another PIN until the test ends.
func (k *Token) takePIN(t testing.TB, pin string) {
	t.Helper()
	old := k.PIN
	set := func(to string) {
		if err := k.Session(func(ctx context.Context, s *cryptoki.Session) error {
			return s.SetPIN(ctx, []byte(k.PIN), []byte(to))
		}); err != nil {
			t.Errorf("the token takes no other PIN: %v", err)
			k.Spoil()
			return
		}
		k.PIN = to
	}
	set(pin)
	t.Cleanup(func() { set(old) })
}

// What rules are made of: tests of a call, and what is done where all of them hold.

// when is a test of a call.
type when func(ctx context.Context, s *Stage, c *cryptoki.Call) bool

func all(ctx context.Context, s *Stage, c *cryptoki.Call, tests []when) bool {
	return !slices.ContainsFunc(tests, func(test when) bool { return !test(ctx, s, c) })
}

func not(test when) when {
	return func(ctx context.Context, s *Stage, c *cryptoki.Call) bool { return !test(ctx, s, c) }
}

func either(tests ...when) when {
	return func(ctx context.Context, s *Stage, c *cryptoki.Call) bool {
		return slices.ContainsFunc(tests, func(test when) bool { return test(ctx, s, c) })
	}
}

// calls holds for calls of these C functions.
func calls(functions ...string) when {
	return func(_ context.Context, _ *Stage, c *cryptoki.Call) bool {
		return slices.Contains(functions, c.Function)
	}
}

var (
	makesPair  = calls("C_GenerateKeyPair")
	makesKey   = calls("C_GenerateKey")
	makes      = either(makesPair, makesKey)
	changes    = calls("C_SetAttributeValue")
	destroys   = calls("C_DestroyObject")
	derives    = calls("C_DeriveKey")
	signs      = calls("C_SignInit")
	asksOfIt   = calls("C_GetMechanismInfo")
	reads      = calls("C_GetAttributeValue")
	initialise = calls("C_InitToken", "C_InitPIN", "C_SetPIN")
)

// by holds for calls with one of these mechanisms.
func by(mechanisms ...cryptoki.MechanismType) when {
	return func(_ context.Context, _ *Stage, c *cryptoki.Call) bool {
		return slices.Contains(withMechanism, c.Function) && slices.Contains(mechanisms, c.Mechanism)
	}
}

// withMechanism are the functions that have one: 0 is a mechanism too.
var withMechanism = []string{
	"C_GetMechanismInfo", "C_GenerateKey", "C_GenerateKeyPair", "C_DeriveKey", "C_SignInit", "C_VerifyInit",
	"C_EncryptInit", "C_DecryptInit",
}

// names holds where the template of the private half, or of a secret key, or of a change, has one of the attributes.
func names(types ...cryptoki.AttributeType) when {
	return func(_ context.Context, _ *Stage, c *cryptoki.Call) bool { return hasAny(c.Template, types) }
}

// namesOther holds where it has any other one.
func namesOther(types ...cryptoki.AttributeType) when {
	return func(_ context.Context, _ *Stage, c *cryptoki.Call) bool {
		return slices.ContainsFunc(c.Template, func(a cryptoki.Attribute) bool {
			return !slices.Contains(types,
				a.Type)
		})
	}
}

// publicNames is names of the public half's template.
func publicNames(types ...cryptoki.AttributeType) when {
	return func(_ context.Context, _ *Stage, c *cryptoki.Call) bool { return hasAny(c.Public, types) }
}

func hasAny(template []cryptoki.Attribute, types []cryptoki.AttributeType) bool {
	return slices.ContainsFunc(template, func(a cryptoki.Attribute) bool { return slices.Contains(types, a.Type) })
}

// says holds where the template has one of the attributes with that value.
func says(attributes ...cryptoki.Attribute) when {
	return func(_ context.Context, _ *Stage, c *cryptoki.Call) bool { return saysAny(c.Template, attributes) }
}

// publicSays is says of the public half's template.
func publicSays(attributes ...cryptoki.Attribute) when {
	return func(_ context.Context, _ *Stage, c *cryptoki.Call) bool { return saysAny(c.Public, attributes) }
}

func saysAny(template, attributes []cryptoki.Attribute) bool {
	return slices.ContainsFunc(template, func(a cryptoki.Attribute) bool {
		return slices.ContainsFunc(attributes, func(b cryptoki.Attribute) bool {
			return a.Type == b.Type && bytes.Equal(a.Value, b.Value)
		})
	})
}

// of holds where the object of the call shows all the attributes, behind every rule.
func of(attributes ...cryptoki.Attribute) when {
	return func(ctx context.Context, _ *Stage, c *cryptoki.Call) bool {
		if c.Object == 0 {
			return false
		}
		types := make([]cryptoki.AttributeType, len(attributes))
		for i, a := range attributes {
			types[i] = a.Type
		}
		shown, err := c.Behind().GetAttributeValue(ctx, c.Object, types)
		return err == nil && !slices.ContainsFunc(attributes, func(a cryptoki.Attribute) bool {
			return !bytes.Equal(shown[a.Type], a.Value)
		})
	}
}

var (
	ofPublic  = of(cryptoki.ULong(cryptoki.CKA_CLASS, cryptoki.CKO_PUBLIC_KEY))
	ofPrivate = of(cryptoki.ULong(cryptoki.CKA_CLASS, cryptoki.CKO_PRIVATE_KEY))
	ofGeneric = of(cryptoki.ULong(cryptoki.CKA_KEY_TYPE, cryptoki.CKK_GENERIC_SECRET))
	ofEdwards = of(cryptoki.ULong(cryptoki.CKA_KEY_TYPE, cryptoki.CKK_EC_EDWARDS))
)

// refuse answers the code, and does nothing.
func refuse(code cryptoki.RV, tests ...when) part {
	return func(s *Stage) cryptoki.Hook {
		return func(ctx context.Context, c *cryptoki.Call, next func() error) error {
			if all(ctx, s, c, tests) {
				return &cryptoki.Error{Function: c.Function, Code: code}
			}
			return next()
		}
	}
}

// ignore answers CKR_OK, and does nothing.
func ignore(tests ...when) part {
	return func(s *Stage) cryptoki.Hook {
		return func(ctx context.Context, c *cryptoki.Call, next func() error) error {
			if all(ctx, s, c, tests) {
				return nil
			}
			return next()
		}
	}
}

// before changes what the call is given.
func before(change func(context.Context, *Stage, *cryptoki.Call), tests ...when) part {
	return func(s *Stage) cryptoki.Hook {
		return func(ctx context.Context, c *cryptoki.Call, next func() error) error {
			if all(ctx, s, c, tests) {
				change(ctx, s, c)
			}
			return next()
		}
	}
}

// after changes what a call that succeeded has answered.
func after(change func(context.Context, *Stage, *cryptoki.Call), tests ...when) part {
	return func(s *Stage) cryptoki.Hook {
		return func(ctx context.Context, c *cryptoki.Call, next func() error) error {
			held := all(ctx, s, c, tests)
			err := next()
			if err == nil && held {
				change(ctx, s, c)
			}
			return err
		}
	}
}

// both is one rule of several parts, the first outermost.
func both(parts ...part) part {
	return func(s *Stage) cryptoki.Hook {
		hooks := make([]cryptoki.Hook, len(parts))
		for i, p := range parts {
			hooks[i] = p(s)
		}
		return func(ctx context.Context, c *cryptoki.Call, next func() error) error {
			call := next
			for _, hook := range slices.Backward(hooks) {
				inner := call
				call = func() error { return hook(ctx, c, inner) }
			}
			return call()
		}
	}
}

// shows has objects show these attributes, whatever SoftHSM's have.
func shows(attributes []cryptoki.Attribute, tests ...when) part {
	return after(func(_ context.Context, _ *Stage, c *cryptoki.Call) {
		reading := c.Result.(*cryptoki.Reading)
		for _, a := range attributes {
			if slices.Contains(c.Types, a.Type) {
				reading.Attributes[a.Type] = a.Value
			}
		}
	}, append(tests, reads)...)
}

// calledFor has a mechanism go by another number.
func calledFor(real, shown cryptoki.MechanismType, tests ...when) part {
	rename := func(types []cryptoki.MechanismType) []cryptoki.MechanismType {
		for i, t := range types {
			if t == real {
				types[i] = shown
			}
		}
		return types
	}
	return both(
		refuse(cryptoki.CKR_MECHANISM_INVALID, append(tests, by(real))...),
		before(func(_ context.Context, _ *Stage, c *cryptoki.Call) { c.Mechanism = real }, append(tests, by(shown))...),
		after(func(_ context.Context, _ *Stage, c *cryptoki.Call) {
			list := c.Result.(*[]cryptoki.MechanismType)
			*list = rename(*list)
		}, calls("C_GetMechanismList")),
	)
}

// lacks has the token not offer mechanisms.
func lacks(mechanisms ...cryptoki.MechanismType) part {
	return both(
		refuse(cryptoki.CKR_MECHANISM_INVALID, by(mechanisms...)),
		after(func(_ context.Context, _ *Stage, c *cryptoki.Call) {
			list := c.Result.(*[]cryptoki.MechanismType)
			*list = slices.DeleteFunc(*list, func(t cryptoki.MechanismType) bool {
				return slices.Contains(mechanisms,
					t)
			})
		}, calls("C_GetMechanismList")),
	)
}

// set writes an attribute of a template, or adds it.
func set(template *[]cryptoki.Attribute, attributes ...cryptoki.Attribute) {
	for _, a := range attributes {
		*template = append(strip(*template, a.Type), a)
	}
}

// strip is a template without attributes. The one that was given stays as it is.
func strip(template []cryptoki.Attribute, types ...cryptoki.AttributeType) []cryptoki.Attribute {
	return slices.DeleteFunc(slices.Clone(template), func(a cryptoki.Attribute) bool {
		return slices.Contains(types,
			a.Type)
	})
}

// valueOf is an attribute's value in a template; nil where it is not there.
func valueOf(template []cryptoki.Attribute, t cryptoki.AttributeType) []byte {
	for _, a := range template {
		if a.Type == t {
			return a.Value
		}
	}
	return nil
}

// otherHalf is the other half of a pair's half, 0 where there is none.
func otherHalf(ctx context.Context, c *cryptoki.Call) cryptoki.Object {
	s := c.Behind()
	shown, err := s.GetAttributeValue(ctx, c.Object, []cryptoki.AttributeType{cryptoki.CKA_ID, cryptoki.CKA_CLASS})
	class, _, classErr := shown.ULong(cryptoki.CKA_CLASS)
	if err != nil || classErr != nil || class != cryptoki.CKO_PRIVATE_KEY && class != cryptoki.CKO_PUBLIC_KEY {
		return 0
	}
	other := cryptoki.CKO_PRIVATE_KEY + cryptoki.CKO_PUBLIC_KEY - class
	found, err := s.FindObjects(ctx, []cryptoki.Attribute{
		cryptoki.ULong(cryptoki.CKA_CLASS, other), cryptoki.Bytes(cryptoki.CKA_ID, shown[cryptoki.CKA_ID]),
	})
	if err != nil || len(found) != 1 {
		return 0
	}
	return found[0]
}

// onePair has the private half take the public one along.
func onePair() part {
	return func(s *Stage) cryptoki.Hook {
		return func(ctx context.Context, c *cryptoki.Call, next func() error) error {
			var other cryptoki.Object
			if destroys(ctx, s, c) && ofPrivate(ctx, s, c) {
				other = otherHalf(ctx, c)
			}
			err := next()
			if err == nil && other != 0 {
				err = c.Behind().DestroyObject(ctx, other)
			}
			return err
		}
	}
}

// hidesDestroyed has a half that was destroyed alone vanish from this process, and from no other.
func hidesDestroyed(tests ...when) part {
	return func(s *Stage) cryptoki.Hook {
		hide := ignore(append(tests, destroys, func(_ context.Context, s *Stage, c *cryptoki.Call) bool {
			s.hidden[c.Object] = true
			return true
		})...)(s)
		return func(ctx context.Context, c *cryptoki.Call, next func() error) error {
			return hide(ctx, c, func() error {
				err := next()
				if found, ok := c.Result.(*[]cryptoki.Object); ok {
					*found = slices.DeleteFunc(*found, func(o cryptoki.Object) bool { return s.hidden[o] })
				}
				return err
			})
		}
	}
}

// late shows this process what was there when it first looked, and what it made itself. An object is known by its class
// and ID: SoftHSM gives it another handle once no session is left.
func late() part {
	type name struct{ class, id string }
	nameOf := func(ctx context.Context, c *cryptoki.Call, o cryptoki.Object) name {
		types := []cryptoki.AttributeType{cryptoki.CKA_CLASS, cryptoki.CKA_ID}
		shown, _ := c.Behind().GetAttributeValue(ctx, o, types) // what is gone has no name
		return name{string(shown[cryptoki.CKA_CLASS]), string(shown[cryptoki.CKA_ID])}
	}
	return func(*Stage) cryptoki.Hook {
		var known map[name]bool
		return func(ctx context.Context, c *cryptoki.Call, next func() error) error {
			learn := func(objects ...cryptoki.Object) {
				for _, o := range objects {
					known[nameOf(ctx, c, o)] = true
				}
			}
			if c.Function == "C_FindObjectsInit" && known == nil {
				there, err := c.Behind().FindObjects(ctx, nil)
				if err != nil {
					return err
				}
				known = map[name]bool{}
				learn(there...)
			}
			err := next()
			if err != nil || known == nil {
				return err
			}
			switch answer := c.Result.(type) {
			case *cryptoki.Pair:
				learn(answer.Public, answer.Private)
			case *cryptoki.Object:
				learn(*answer)
			case *[]cryptoki.Object:
				*answer = slices.DeleteFunc(*answer, func(o cryptoki.Object) bool { return !known[nameOf(ctx, c, o)] })
			}
			if changes(ctx, nil, c) {
				learn(c.Object)
			}
			return nil
		}
	}
}

// throttles refuses every second one of the calls while the stage is told to throttle.
func throttles(code cryptoki.RV, tests ...when) part {
	return func(s *Stage) cryptoki.Hook {
		n := 0
		return func(ctx context.Context, c *cryptoki.Call, next func() error) error {
			if s.slow && all(ctx, s, c, tests) {
				if n++; n%2 == 1 {
					s.refused++
					return &cryptoki.Error{Function: c.Function, Code: code}
				}
			}
			return next()
		}
	}
}

// bulk refuses to read more attributes at once than so many.
func bulk(most int, code cryptoki.RV) part {
	return refuse(code, reads, func(_ context.Context, _ *Stage, c *cryptoki.Call) bool { return len(c.Types) > most })
}

// uniqueIDs refuses a new key whose ID another key has.
func uniqueIDs(code cryptoki.RV) part {
	return refuse(code, makes, func(ctx context.Context, _ *Stage, c *cryptoki.Call) bool {
		id := valueOf(c.Template, cryptoki.CKA_ID)
		found, err := c.Behind().FindObjects(ctx, []cryptoki.Attribute{cryptoki.Bytes(cryptoki.CKA_ID, id)})
		return err != nil || id != nil && len(found) > 0
	})
}

// users lets users of these types log in, each as SoftHSM's user.
func users(types ...cryptoki.User) part {
	return both(
		refuse(errUserType, calls("C_Login"), func(_ context.Context, _ *Stage, c *cryptoki.Call) bool {
			return !slices.Contains(types, c.User)
		}),
		func(s *Stage) cryptoki.Hook {
			return func(_ context.Context, c *cryptoki.Call, next func() error) error {
				if c.Function != "C_Login" {
					return next()
				}
				who := c.User
				c.User = cryptoki.CKU_USER
				err := next()
				if err == nil {
					s.users = map[cryptoki.User]bool{who: true}
				}
				return err
			}
		},
		after(func(_ context.Context, s *Stage, c *cryptoki.Call) {
			if state := c.Result.(*uint); s.users[cryptoki.CKU_SO] && *state == cryptoki.CKS_RW_USER_FUNCTIONS {
				*state = cryptoki.CKS_RW_SO_FUNCTIONS
			}
		}, calls("C_GetSessionInfo")),
	)
}

// loggedIn holds while a user of that type is logged in.
func loggedIn(user cryptoki.User) when {
	return func(_ context.Context, s *Stage, _ *cryptoki.Call) bool { return s.users[user] }
}

// loggedInAlready has somebody else log in, with the right PIN, as soon as there is a session.
func loggedInAlready() part {
	return after(func(ctx context.Context, s *Stage, c *cryptoki.Call) {
		c.Session = *c.Result.(*uint)
		// Where the process is logged in, it stays so.
		_ = c.Behind().Login(ctx, cryptoki.CKU_USER, []byte(s.token.PIN))
	}, calls("C_OpenSession"))
}

// pointInDER takes another side's point as an OCTET STRING in DER alone.
func pointInDER() part {
	isDER := func(_ context.Context, _ *Stage, c *cryptoki.Call) bool {
		return len(c.Point) > 2 && c.Point[0] == 4 && int(c.Point[1]) == len(c.Point)-2
	}
	return both(
		refuse(cryptoki.CKR_MECHANISM_PARAM_INVALID, derives, not(isDER)),
		before(func(_ context.Context, _ *Stage, c *cryptoki.Call) { c.Point = c.Point[2:] }, derives),
	)
}

// follows gives the public half what the private one gets.
func follows() part {
	return func(s *Stage) cryptoki.Hook {
		return func(ctx context.Context, c *cryptoki.Call, next func() error) error {
			var other cryptoki.Object
			if changes(ctx, s, c) && ofPrivate(ctx, s, c) {
				other = otherHalf(ctx, c)
			}
			err := next()
			if err == nil && other != 0 {
				err = c.Behind().SetAttributeValue(ctx, other, c.Template)
			}
			return err
		}
	}
}

// edwards has Ed25519 go by one name in CKA_EC_PARAMS. SoftHSM knows it by another.
func edwards(name []byte) part {
	named := func(_ context.Context, _ *Stage, c *cryptoki.Call) bool {
		return bytes.Equal(valueOf(c.Public, cryptoki.CKA_EC_PARAMS), name)
	}
	shown := []cryptoki.Attribute{cryptoki.Bytes(cryptoki.CKA_EC_PARAMS, name)}
	return both(
		refuse(cryptoki.CKR_DOMAIN_PARAMS_INVALID, makesPair, by(cryptoki.CKM_EC_EDWARDS_KEY_PAIR_GEN), not(named)),
		before(func(_ context.Context, _ *Stage, c *cryptoki.Call) {
			set(&c.Public, cryptoki.Bytes(cryptoki.CKA_EC_PARAMS, softHSMEdwards))
		}, makesPair, named),
		shows(shown, ofEdwards),
	)
}

// The names of Ed25519.
var (
	softHSMEdwards = []byte("\x13\x0cedwards25519")
	edwardsOID     = []byte{6, 3, 0x2B, 0x65, 0x70} // 1.3.101.112
	edwardsGNU     = []byte{6, 9, 0x2B, 6, 1, 4, 1, 0xDA, 0x47, 0x0F,
		1} // 1.3.6.1.4.1.11591.15.1
	noEdwardsNames = []cryptoki.MechanismType{cryptoki.CKM_EC_EDWARDS_KEY_PAIR_GEN,
		cryptoki.CKM_EDDSA} // of makes without it
)

// Codes and numbers that the provider does not decide on.
const (
	errUserType   cryptoki.RV            = 0x103 // CKR_USER_TYPE_INVALID
	errDataLength cryptoki.RV            = 0x21  // CKR_DATA_LEN_RANGE
	errData       cryptoki.RV            = 0x20  // CKR_DATA_INVALID
	sha256HMACKey uint                   = 0x2B  // CKK_SHA256_HMAC
	x931          cryptoki.MechanismType = 0xA   // CKM_RSA_X9_31_KEY_PAIR_GEN
)

// hmacKeys has keys for HMAC be of a type of their own, for which CKA_CLASS and CKA_KEY_TYPE are required.
func hmacKeys() part {
	own := cryptoki.ULong(cryptoki.CKA_KEY_TYPE, sha256HMACKey)
	return both(
		refuse(cryptoki.CKR_TEMPLATE_INCONSISTENT, makesKey, by(cryptoki.CKM_GENERIC_SECRET_KEY_GEN),
			not(says(own))),
		before(func(_ context.Context, _ *Stage, c *cryptoki.Call) {
			c.Template = strip(c.Template, cryptoki.CKA_CLASS, cryptoki.CKA_KEY_TYPE)
			if valueOf(c.Template, cryptoki.CKA_VALUE_LEN) == nil {
				set(&c.Template, cryptoki.ULong(cryptoki.CKA_VALUE_LEN, 32))
			}
		}, makesKey, says(own)),
		before(func(_ context.Context, _ *Stage, c *cryptoki.Call) {
			set(&c.Template, cryptoki.ULong(cryptoki.CKA_KEY_TYPE, cryptoki.CKK_GENERIC_SECRET))
		}, calls("C_FindObjectsInit"), says(own)),
		shows([]cryptoki.Attribute{own}, ofGeneric),
	)
}
