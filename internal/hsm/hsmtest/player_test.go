package hsmtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

func TestMain(m *testing.M) {
	Tokens = 15 // a player that fails keeps its token
	os.Exit(Main(m))
}

// actor makes raw calls to a player, in a session of its own.
type actor struct {
	t testing.TB
	context.Context
	*cryptoki.Session
	module *cryptoki.Module
	slot   uint
	stage  *Stage
}

// act gives what a try shows of a player, on an empty token.
func (p Player) act(t *testing.T, k *Token, user cryptoki.User, try func(*actor) string) string {
	t.Helper()
	if err := k.empty(); err != nil {
		t.Fatal(err)
	}
	ctx, stage := context.Background(), p.on(k)
	m, err := cryptoki.OpenWith(ctx, k.Library, "", stage.Hook, KeepApart)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	slot := *stage.Config(t).Selector.Slot
	s, err := m.OpenSession(ctx, slot, false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.CloseSession(ctx) }()
	if user != nobody {
		if err := s.Login(ctx, user, []byte(k.PIN)); err != nil && !errors.Is(err,
			cryptoki.CKR_USER_ALREADY_LOGGED_IN) {
			return said(err)
		}
	}
	return try(&actor{t, ctx, s, m, slot, stage})
}

const nobody cryptoki.User = 1 << 20

// said is a code's name, or "OK".
func said(err error) string {
	if e, ok := errors.AsType[*cryptoki.Error](err); ok {
		return fmt.Sprintf("0x%X", uint(e.Code))
	}
	return fmt.Sprintf("%v", map[bool]any{true: "OK", false: err}[err == nil])
}

type attributes = []cryptoki.Attribute

var (
	p256   = onCurve(6, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7)
	nameOf = func(id, label string) attributes {
		return attributes{yes(cryptoki.CKA_TOKEN), cryptoki.Bytes(cryptoki.CKA_ID, []byte(id)),
			cryptoki.Bytes(cryptoki.CKA_LABEL, []byte(label))}
	}
	yes       = func(t cryptoki.AttributeType) cryptoki.Attribute { return cryptoki.Bool(t, true) }
	no        = func(t cryptoki.AttributeType) cryptoki.Attribute { return cryptoki.Bool(t, false) }
	plainEC   = cryptoki.Mechanism{Type: cryptoki.CKM_EC_KEY_PAIR_GEN}
	edwardsBy = cryptoki.Mechanism{Type: cryptoki.CKM_EC_EDWARDS_KEY_PAIR_GEN}
	kmsTake   = func(label string, algorithm uint) attributes {
		return attributes{cryptoki.Bytes(cryptoki.CKA_LABEL, []byte(label)), cryptoki.ULong(kmsAlgorithm, algorithm)}
	}
)

// pair makes a pair with more attributes than its name and kind: of the public half, then of the private one.
func (a *actor) pair(m cryptoki.Mechanism, kind attributes, id, label string, public,
	private attributes) (cryptoki.Pair, error) {
	pub, priv := slices.Concat(nameOf(id, label), kind), append(nameOf(id, label), yes(cryptoki.CKA_SIGN),
		yes(cryptoki.CKA_SENSITIVE), yes(cryptoki.CKA_PRIVATE))
	for _, x := range public {
		set(&pub, x)
	}
	for _, x := range private {
		set(&priv, x)
	}
	return a.GenerateKeyPair(a, m, pub, priv)
}

// made makes a pair on P-256, or fails.
func (a *actor) made(id, label string, public, private attributes) cryptoki.Pair {
	a.t.Helper()
	pair, err := a.pair(plainEC, p256, id, label, public, private)
	if err != nil {
		a.t.Fatal(err)
	}
	return pair
}

func (a *actor) tries(m cryptoki.Mechanism, kind, public, private attributes) string {
	_, err := a.pair(m, kind, "01", "label", public, private)
	return said(err)
}

func (a *actor) secret(m cryptoki.MechanismType, more ...cryptoki.Attribute) (cryptoki.Object, error) {
	return a.GenerateKey(a, cryptoki.Mechanism{Type: m}, append(append(nameOf("01", "label"), yes(cryptoki.CKA_PRIVATE),
		yes(cryptoki.CKA_SENSITIVE)), more...))
}

// shown is what an object shows of one attribute, in hexadecimal.
func (a *actor) shown(o cryptoki.Object, t cryptoki.AttributeType) string {
	read, err := a.GetAttributeValue(a, o, []cryptoki.AttributeType{t})
	if value, ok := read[t]; ok {
		return fmt.Sprintf("%x", value)
	}
	return "nothing, " + said(err)
}

func (a *actor) count() string {
	found, err := a.FindObjects(a, nil)
	return fmt.Sprintf("%d, %s", len(found), said(err))
}

func (a *actor) changes(o cryptoki.Object, change ...cryptoki.Attribute) string {
	return said(a.SetAttributeValue(a, o, change))
}

// another makes a pair behind every rule, as another program would.
func (a *actor) another() {
	a.t.Helper()
	if err := a.stage.token.Session(func(ctx context.Context, s *cryptoki.Session) error {
		_, err := s.GenerateKeyPair(ctx, plainEC, slices.Concat(nameOf("99", "another"), p256), append(nameOf("99",
			"another"), no(cryptoki.CKA_PRIVATE)))
		return err
	}); err != nil {
		a.t.Fatal(err)
	}
}

func (a *actor) initialises() string { return said(a.InitPIN(a, []byte("12345678"))) }

func labelled(text string) cryptoki.Attribute {
	return cryptoki.Bytes(cryptoki.CKA_LABEL, []byte(text))
}

func hmacOf(more ...cryptoki.Attribute) attributes {
	return append(attributes{cryptoki.ULong(cryptoki.CKA_CLASS, cryptoki.CKO_SECRET_KEY),
		cryptoki.ULong(cryptoki.CKA_KEY_TYPE, sha256HMACKey)}, more...)
}

// destroysPublic destroys a public half alone, and counts what is left.
func destroysPublic(a *actor) string {
	pair := a.made("01", "a", nil, nil)
	return said(a.DestroyObject(a, pair.Public)) + ", " + a.count()
}

func destroysPrivate(a *actor) string {
	pair := a.made("01", "a", nil, nil)
	return said(a.DestroyObject(a, pair.Private)) + ", " + a.count()
}

func rsaBy(m cryptoki.MechanismType, more ...cryptoki.Attribute) func(*actor) string {
	return func(a *actor) string { return a.tries(cryptoki.Mechanism{Type: m}, rsaOf(2048), more, nil) }
}

func usesPoint(a *actor) string {
	pair := a.made("01", "a", nil, attributes{yes(cryptoki.CKA_DERIVE), no(cryptoki.CKA_SIGN)})
	read, _ := a.GetAttributeValue(a, pair.Public, []cryptoki.AttributeType{cryptoki.CKA_EC_POINT})
	der := read[cryptoki.CKA_EC_POINT] // SoftHSM's are DER
	template := attributes{
		cryptoki.ULong(cryptoki.CKA_CLASS, cryptoki.CKO_SECRET_KEY), cryptoki.ULong(cryptoki.CKA_KEY_TYPE,
			cryptoki.CKK_GENERIC_SECRET),
		no(cryptoki.CKA_TOKEN), cryptoki.ULong(cryptoki.CKA_VALUE_LEN, 32),
	}
	_, raw := a.DeriveKey(a, cryptoki.ECDH1(der[2:]), pair.Private, template)
	_, wrapped := a.DeriveKey(a, cryptoki.ECDH1(der), pair.Private, template)
	return said(raw) + " raw, " + said(wrapped) + " in DER"
}

func throttled(a *actor) string {
	pair := a.made("01", "a", attributes{yes(cryptoki.CKA_PRIVATE)}, nil)
	a.stage.Throttle(true)
	_, first := a.GetAttributeValue(a, pair.Public, []cryptoki.AttributeType{cryptoki.CKA_ID})
	_, second := a.GetAttributeValue(a, pair.Public, []cryptoki.AttributeType{cryptoki.CKA_ID})
	return said(first) + ", then " + said(second)
}

func ed25519(names ...[]byte) func(*actor) string {
	return func(a *actor) (text string) {
		for _, name := range names {
			pair, err := a.pair(edwardsBy, attributes{cryptoki.Bytes(cryptoki.CKA_EC_PARAMS, name)}, "01", "a", nil,
				nil)
			if text += said(err) + " "; err == nil {
				text += a.shown(pair.Public, cryptoki.CKA_EC_PARAMS) + " "
			}
		}
		return text
	}
}

func seesAnothers(a *actor) string {
	before := a.count()
	a.another()
	return before + "; " + a.count()
}

func logsIn(users ...cryptoki.User) func(*actor) string {
	return func(a *actor) (text string) {
		for _, user := range users {
			text += said(a.Login(a, user, []byte(a.stage.token.PIN))) + " "
			_ = a.Logout(a)
		}
		return text
	}
}

// act is one rule's test: what it shows, and what a player without the rule shows in its place is something else.
type act struct {
	does string // how the rule's text begins
	user cryptoki.User
	try  func(*actor) string
	want string
}

const user = cryptoki.CKU_USER

// acts has a row for each rule of each player.
var acts = map[string][]act{
	"Thales Luna": {
		{"A partition in FIPS mode", user, func(a *actor) string {
			return rsaBy(cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN)(a) + " " + rsaBy(0x80000142)(a)
		}, "0x70 OK"},
		{"Ed25519 goes by the OID", user, ed25519(softHSMEdwards, edwardsOID, edwardsGNU), "0x130 0x130 OK " +
			"06092b06010401da470f01 "},
		{"C_DeriveKey wants", user, usesPoint, "0x71 raw, OK in DER"},
		{"CKA_SENSITIVE=false", user, func(a *actor) string {
			return a.tries(plainEC, p256, nil,
				attributes{no(cryptoki.CKA_SENSITIVE)})
		}, "0x13"},
		{"The crypto user", nobody, logsIn(0x80000001, cryptoki.CKU_USER, 5), "OK OK 0x103 "},
	},
	"Entrust nShield": {
		{"A public half must " +
			"have", user, func(a *actor) string {
			return a.tries(plainEC, p256, attributes{yes(cryptoki.CKA_PRIVATE)},
				nil)
		}, "0xD1"},
		{"C_GetAttributeValue for many", user, readsMany, "0x6, 3031"},
		{"Keys for HMAC", user, func(a *actor) string {
			_, usual := a.secret(cryptoki.CKM_GENERIC_SECRET_KEY_GEN, cryptoki.ULong(cryptoki.CKA_VALUE_LEN, 32))
			key, own := a.secret(0xDE436997, hmacOf(cryptoki.ULong(cryptoki.CKA_VALUE_LEN, 32))...)
			return said(usual) + " " + said(own) + " " + a.shown(key, cryptoki.CKA_KEY_TYPE)
		}, "0xD1 OK 2b00000000000000"},
		{"Ed25519 goes by its " +
			"printable", user, ed25519(edwardsOID, softHSMEdwards), "0x130 OK 130c656477617264733235353139 "},
		{"What another host makes", user, seesAnothers, "0, OK; 0, OK"},
	},
	"AWS CloudHSM": {
		{"There is no C_SetAttributeValue", user, func(a *actor) string {
			pair := a.made("01", "a", attributes{yes(cryptoki.CKA_PRIVATE)}, nil)
			return a.changes(pair.Private, labelled("b")) + " " + a.initialises()
		}, "0x54 0x54"},
		{"A public half must have " +
			"CKA_PRIVATE=true", user, func(a *actor) string {
			return a.tries(plainEC, p256,
				attributes{no(cryptoki.CKA_PRIVATE)}, nil)
		}, "0xD1"},
		{"A public half must have CKA_DERIVE=false", user, func(a *actor) string {
			return a.tries(plainEC, p256, attributes{yes(cryptoki.CKA_PRIVATE), yes(cryptoki.CKA_DERIVE)}, nil)
		}, "0x13"},
		{"Signing with recovery", user, func(a *actor) string {
			return a.tries(plainEC, p256, attributes{yes(cryptoki.CKA_PRIVATE)},
				attributes{no(cryptoki.CKA_SIGN_RECOVER)})
		}, "0x12"},
		{"RSA pairs are made", user, func(a *actor) string {
			private := yes(cryptoki.CKA_PRIVATE)
			return rsaBy(cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN, private)(a) + " " + rsaBy(x931, private)(a)
		}, "0x70 OK"},
		{"An ID belongs", user, func(a *actor) string {
			a.made("01", "a", attributes{yes(cryptoki.CKA_PRIVATE)}, nil)
			return a.tries(plainEC, p256, attributes{yes(cryptoki.CKA_PRIVATE)}, nil)
		}, "0x13"},
		{"C_GetAttributeValue answers", user, throttled, "0x30, then OK"},
	},
	"YubiHSM 2": {
		{"C_InitToken", user, (*actor).initialises, "0x54"},
		{"C_SetAttributeValue changes", user, func(a *actor) string {
			pair := a.made("k1", "a", nil, nil)
			return a.changes(pair.Private, yes(cryptoki.CKA_DERIVE)) + " " + a.changes(pair.Private, labelled("longer"))
		}, "0x54 OK"},
		{"A label of the old one's length", user, func(a *actor) (text string) {
			pair := a.made("k1", "a", nil, nil)
			for _, to := range []string{"b", "longer", "bigger"} {
				text += a.changes(pair.Private, labelled(to)) + " " + a.shown(pair.Private, cryptoki.CKA_LABEL) + " "
			}
			return text
		}, "OK 61 OK 6c6f6e676572 OK 626967676572 "},
		{"Destroying a public half", user, destroysPublic, "OK, 2, OK"},
		{"Destroying the private half", user, destroysPrivate, "OK, 0, OK"},
		{"RSA has 2048", user, func(a *actor) string {
			by := cryptoki.Mechanism{Type: cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN}
			three := attributes{cryptoki.Bytes(cryptoki.CKA_PUBLIC_EXPONENT, []byte{3})}
			return a.tries(by, rsaOf(1024), nil, nil) + " " + a.tries(by, rsaOf(2048), three, nil)
		}, "0x13 0x13"},
		{"Ed25519 goes by its " +
			"printable", user, ed25519(edwardsOID, softHSMEdwards), "0x130 OK 130c656477617264733235353139 "},
		{"A search for the type", user, func(a *actor) string {
			ed25519(softHSMEdwards)(a)
			found, err := a.FindObjects(a, attributes{cryptoki.ULong(cryptoki.CKA_KEY_TYPE, cryptoki.CKK_EC_EDWARDS)})
			return fmt.Sprint(len(found), said(err))
		}, "0OK"},
		{"CKA_VALUE_LEN is refused", user, func(a *actor) string {
			_, err := a.secret(cryptoki.CKM_GENERIC_SECRET_KEY_GEN, hmacOf(cryptoki.ULong(cryptoki.CKA_VALUE_LEN,
				32))...)
			return said(err)
		}, "0x12"},
		{"Keys for HMAC", user, func(a *actor) string {
			_, usual := a.secret(cryptoki.CKM_GENERIC_SECRET_KEY_GEN)
			key, err := a.secret(cryptoki.CKM_GENERIC_SECRET_KEY_GEN, hmacOf()...)
			found, _ := a.FindObjects(a, hmacOf()[1:])
			return said(usual) + " " + said(err) + " " + a.shown(key, cryptoki.CKA_KEY_TYPE) + fmt.Sprint(" ",
				len(found))
		}, "0xD1 OK 2b00000000000000 1"},
		{"An AES key", user, func(a *actor) string {
			_, err := a.secret(cryptoki.CKM_AES_KEY_GEN, cryptoki.ULong(cryptoki.CKA_VALUE_LEN, 32),
				yes(cryptoki.CKA_SIGN))
			return said(err)
		}, "0x13"},
		{"There is no CMAC", user, lacksOf(cryptoki.CKM_AES_CMAC), "false 0x70"},
		{"Every key shows", user, func(a *actor) string {
			return a.shown(a.made("01", "a", nil, nil).Private,
				cryptoki.CKA_MODIFIABLE)
		}, "00"},
	},
	"Google Cloud KMS": {
		{"Functions that change", nobody, func(a *actor) string {
			pair := a.kms(12)
			return a.changes(pair.Private, labelled("b")) + " " + a.initialises()
		}, "0x54 0x54"},
		{"The public half's template", nobody, func(a *actor) string {
			_, err := a.GenerateKeyPair(a, plainEC, attributes{labelled("a")}, kmsTake("a", 12))
			return said(err)
		}, "0xD1"},
		{"A template has the label", nobody, func(a *actor) string {
			_, other := a.GenerateKeyPair(a, plainEC, nil, append(kmsTake("a", 12), yes(cryptoki.CKA_TOKEN)))
			_, none := a.GenerateKeyPair(a, plainEC, nil, kmsTake("b", 12)[1:])
			return said(other) + " " + said(none)
		}, "0xD1 0xD0"},
		{"A label is a crypto key's name", nobody, func(a *actor) string {
			_, dotted := a.GenerateKeyPair(a, plainEC, nil, kmsTake("hydra.jwt", 12))
			pair := a.kms(12)
			_ = a.DestroyObject(a, pair.Private)
			_, again := a.GenerateKeyPair(a, plainEC, nil, kmsTake("a", 12))
			return said(dotted) + " " + said(again)
		}, "0x13 0x7"},
		{"The algorithm says all", nobody, func(a *actor) string {
			pair := a.kms(12)
			_, wrong := a.GenerateKeyPair(a, plainEC, nil, kmsTake("b", 5))
			return a.shown(pair.Private, cryptoki.CKA_PRIVATE) + a.shown(pair.Public, cryptoki.CKA_VERIFY) + " " +
				said(wrong)
		}, "0001 0xD1"},
		{"Ed25519 and CMAC", nobody, lacksOf(cryptoki.CKM_AES_ECB), "false 0x70"},
		{"A key signs with one scheme", nobody, func(a *actor) string {
			pair := a.kms(13)
			by := cryptoki.Mechanism{Type: cryptoki.CKM_ECDSA}
			_, short := a.Sign(a, by, pair.Private, make([]byte, 32))
			_, fits := a.Sign(a, by, pair.Private, make([]byte, 48))
			return said(short) + " " + said(fits)
		}, "0x21 OK"},
		{"Keys cannot be " +
			"changed", nobody, func(a *actor) string { return a.shown(a.kms(12).Private, cryptoki.CKA_MODIFIABLE) },
			"00"},
		{"A public half cannot", nobody, func(a *actor) string { return said(a.DestroyObject(a, a.kms(12).Public)) },
			"0x1B"},
		{"Destroying the private half", nobody, func(a *actor) string {
			a.count()
			return said(a.DestroyObject(a, a.kms(12).Private)) + ", " + a.count()
		}, "OK, 0, OK"},
		{"What others make", nobody, seesAnothers, "0, OK; 0, OK"},
	},
	"Utimaco": {
		{"C_InitToken wants", nobody, func(a *actor) string {
			_ = a.CloseSession(a)
			return said(a.module.InitToken(a, a.slot, []byte("not the PIN"), "x"))
		}, "0x101"},
		{"CKU_CS_GENERIC", nobody, logsIn(0x83, cryptoki.CKU_USER), "OK OK "},
		{"CKA_ALLOWED_MECHANISMS", user, func(a *actor) string {
			return a.tries(plainEC, p256, nil, attributes{cryptoki.ULong(cryptoki.CKA_ALLOWED_MECHANISMS,
				uint(cryptoki.CKM_ECDSA))})
		}, "0x12"},
	},
	"Securosys Primus": {
		{"The PIN is set", user, (*actor).initialises, "0x54"},
		{"Session objects", user, usesPoint, "0x8000005F raw, 0x8000005F in DER"},
		{"The ID and the label", user, func(a *actor) string {
			pair := a.made("01", "label", nil, nil)
			_, _ = a.DestroyObject(a, pair.Private), a.DestroyObject(a, pair.Public)
			return a.tries(plainEC, p256, nil, nil)
		}, "0x13"},
	},
	"Nitrokey NetHSM": {
		{"With both passphrases", nobody, func(a *actor) string { return a.tries(plainEC, p256, nil, nil) }, "OK"},
		{"C_InitToken is not supported", nobody, (*actor).initialises, "0x54"},
		{"C_SetAttributeValue " +
			"changes", nobody, func(a *actor) string {
			return a.changes(a.made("01", "a", nil, nil).Private,
				labelled("b"))
		}, "0x10"},
		{"A new ID", nobody, func(a *actor) string {
			pair := a.made("01", "a", nil, nil)
			return a.changes(pair.Private, cryptoki.Bytes(cryptoki.CKA_ID, []byte("02"))) + " " + a.shown(pair.Public,
				cryptoki.CKA_ID) +
				a.shown(pair.Public, cryptoki.CKA_LABEL)
		}, "OK 30323032"},
		{"Ed25519 goes by its " +
			"OID", nobody, func(a *actor) string { return ed25519(softHSMEdwards, edwardsOID)(a) },
			"0x130 OK 06032b6570 "},
		{"A key is named by its ID", nobody, func(a *actor) string {
			return a.shown(a.made("01", "a", nil, nil).Public, cryptoki.CKA_LABEL) + " " + a.tries(plainEC, p256, nil,
				nil)
		}, "3031 0x30"},
		{"Usages follow", nobody, func(a *actor) string {
			pair := a.made("01", "a", nil, attributes{no(cryptoki.CKA_SIGN), no(cryptoki.CKA_DERIVE)})
			return a.shown(pair.Private, cryptoki.CKA_SIGN) + a.shown(pair.Private, cryptoki.CKA_DERIVE) +
				a.shown(pair.Public, cryptoki.CKA_VERIFY)
		}, "010100"},
		{"A secret key is a generic one", nobody, func(a *actor) string {
			key, err := a.secret(cryptoki.CKM_AES_KEY_GEN, cryptoki.ULong(cryptoki.CKA_VALUE_LEN, 32))
			return said(err) + " " + a.shown(key, cryptoki.CKA_KEY_TYPE) + a.shown(key, cryptoki.CKA_VALUE_LEN)
		}, "OK 10000000000000000000000000000000"},
		{"CKA_LOCAL", nobody, func(a *actor) string {
			pair := a.made("01", "a", nil, nil)
			return a.shown(pair.Private, cryptoki.CKA_LOCAL) + a.shown(pair.Private, cryptoki.CKA_MODIFIABLE)
		}, "0000"},
		{"A public half that is destroyed", nobody, func(a *actor) string {
			mine := destroysPublic(a)
			err := a.stage.token.Session(func(ctx context.Context, s *cryptoki.Session) error {
				found, err := s.FindObjects(ctx, nil)
				mine += fmt.Sprint("; ", len(found))
				return err
			})
			return mine + " " + said(err)
		}, "OK, 1, OK; 2 OK"},
		{"Destroying the private half", nobody, destroysPrivate, "OK, 0, OK"},
		{"There is no MAC", nobody, lacksOf(cryptoki.CKM_SHA256_HMAC), "false 0x70"},
	},
	"SmartCard-HSM": {
		{"C_SetAttributeValue changes", user, func(a *actor) string {
			pair := a.made("01", "a", nil, nil)
			return a.changes(pair.Private, yes(cryptoki.CKA_DERIVE)) + " " + a.changes(pair.Private, labelled("b"))
		}, "0x10 OK"},
		{"Nothing of a public " +
			"half", user, func(a *actor) string { return a.changes(a.made("01", "a", nil, nil).Public, labelled("b")) },
			"0x7"},
		{"The public half follows", user, func(a *actor) string {
			pair := a.made("01", "a", nil, nil)
			return a.changes(pair.Private, labelled("b")) + " " + a.shown(pair.Public, cryptoki.CKA_LABEL)
		}, "OK 62"},
		{"Pairs are RSA and EC", user, func(a *actor) string {
			_, err := a.secret(cryptoki.CKM_AES_KEY_GEN, cryptoki.ULong(cryptoki.CKA_VALUE_LEN, 32))
			return ed25519(softHSMEdwards)(a) + said(err)
		}, "0x70 0x70"},
		{"Destroying a public half", user, destroysPublic, "OK, 2, OK"},
		{"Destroying the private half", user, destroysPrivate, "OK, 0, OK"},
	},
	"YubiKey PIV": {
		{"The security officer's PIN", cryptoki.CKU_SO, func(a *actor) string {
			state, err := a.GetSessionInfo(a)
			return fmt.Sprint(state, said(err), a.tries(plainEC, p256, nil, attributes{cryptoki.Bytes(cryptoki.CKA_ID,
				[]byte{1})}))
		}, "4OKOK"},
		{"Nothing changes", cryptoki.CKU_SO, func(a *actor) string {
			return a.changes(a.made("\x01", "a", nil, nil).Private, labelled("b")) + " " + a.initialises()
		}, "0x54 0x54"},
		{"Making and destroying", user, func(a *actor) string {
			return a.tries(plainEC, p256, nil, attributes{cryptoki.Bytes(cryptoki.CKA_ID, []byte{1})})
		}, "0x103"},
		{"A key is not destroyed", cryptoki.CKU_SO, func(a *actor) string {
			pair := a.made("\x01", "a", nil, nil)
			return said(a.DestroyObject(a, pair.Private)) + " " + a.count()
		}, "OK 2, OK"},
		{"An ID is the number", cryptoki.CKU_SO, func(a *actor) string { return a.tries(plainEC, p256, nil, nil) },
			"0x13"},
		{"No key can be extracted", cryptoki.CKU_SO, func(a *actor) string {
			return a.tries(plainEC, p256, nil, attributes{extractable, cryptoki.Bytes(cryptoki.CKA_ID, []byte{1})})
		}, "0x13"},
		{"A label is the name", cryptoki.CKU_SO, func(a *actor) string {
			pair := a.made("\x01", "a", nil, nil)
			return fmt.Sprint(a.shown(pair.Private, cryptoki.CKA_LABEL) == a.shown(pair.Public, cryptoki.CKA_LABEL),
				len(a.shown(pair.Private, cryptoki.CKA_LABEL)))
		}, "false 68"},
	},
	"Azure Cloud HSM": {
		{"Another program", nobody, func(a *actor) string {
			return said(a.Login(a, cryptoki.CKU_USER,
				[]byte("cu1:wrong")))
		}, "0x100"},
		{"PKCS#11 makes no tokens", user, (*actor).initialises, "0x54"},
		{"A key is extractable", user, func(a *actor) string {
			return a.shown(a.made("01", "a", nil, nil).Private,
				cryptoki.CKA_EXTRACTABLE)
		}, "01"},
		{"An HSM that is exchanged", user, throttled, "0x30, then OK"},
	},
	"Fortanix DSM": {
		{"PKCS#11 makes no tokens", user, (*actor).initialises, "0x54"},
		{"A name belongs", user, func(a *actor) string {
			a.made("02", "label", nil, nil)
			return a.tries(plainEC, p256, nil, nil)
		}, "0x13"},
		{"RSA has 1024", user, func(a *actor) string {
			return a.tries(cryptoki.Mechanism{Type: cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN}, rsaOf(512), nil, nil)
		}, "0x62"},
	},
	"IBM HPCS (EP11)": {
		{"C_SetAttributeValue changes", user, func(a *actor) string {
			pair := a.made("01", "a", nil, nil)
			return a.changes(pair.Private, labelled("b")) + " " + a.changes(pair.Private, yes(cryptoki.CKA_DERIVE))
		}, "0x10 OK"},
		{"Ed25519 pairs are made", user, func(a *actor) string {
			return ed25519(edwardsOID)(a) + a.tries(plainEC, attributes{cryptoki.Bytes(cryptoki.CKA_EC_PARAMS,
				edwardsOID)}, nil, nil)
		}, "0x70 OK"},
		{"Ed25519 signs", user, func(a *actor) string {
			pair, err := a.pair(plainEC, attributes{cryptoki.Bytes(cryptoki.CKA_EC_PARAMS, edwardsOID)}, "01", "a", nil,
				nil)
			_, usual := a.Sign(a, cryptoki.Mechanism{Type: cryptoki.CKM_EDDSA}, pair.Private, []byte("text"))
			_, own := a.Sign(a, cryptoki.Mechanism{Type: 0x8001001C}, pair.Private, []byte("text"))
			return said(err) + " " + said(usual) + " " + said(own)
		}, "OK 0x70 OK"},
	},
	"Kryoptic": {
		{"EC points are raw", user, func(a *actor) string {
			return fmt.Sprint(len(a.shown(a.made("01", "a", nil, nil).Public, cryptoki.CKA_EC_POINT)))
		}, "130"},
	},
	NoRow.Make: {
		{"Ed25519 goes by its OID", user, ed25519(softHSMEdwards, edwardsOID, edwardsGNU), "0x130 OK 06032b6570 0x130 "},
		{"RSA pairs are made", user, func(a *actor) string {
			return rsaBy(cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN)(a) + " " + rsaBy(x931)(a)
		}, "0x70 OK"},
		{"C_DeriveKey wants", user, usesPoint, "0x71 raw, OK in DER"},
		{"C_GetAttributeValue for many", user, readsMany, "0x6, 3031"},
	},
}

// readsMany reads nine attributes at once, and then one.
func readsMany(a *actor) string {
	pair := a.made("01", "a", nil, nil)
	_, err := a.GetAttributeValue(a, pair.Public, make([]cryptoki.AttributeType, 9))
	return said(err) + ", " + a.shown(pair.Public, cryptoki.CKA_ID)
}

// lacksOf asks for a mechanism.
func lacksOf(m cryptoki.MechanismType) func(*actor) string {
	return func(a *actor) string {
		list, err := a.module.GetMechanismList(a, a.slot)
		if err != nil {
			return said(err)
		}
		_, err = a.module.GetMechanismInfo(a, a.slot, m)
		return fmt.Sprint(slices.Contains(list, m), " ", said(err))
	}
}

func (a *actor) kms(algorithm uint) cryptoki.Pair {
	a.t.Helper()
	pair, err := a.GenerateKeyPair(a, plainEC, nil, kmsTake("a", algorithm))
	if err != nil {
		a.t.Fatal(err)
	}
	return pair
}

// TestEachRuleOfAPlayerBites tries each rule by raw calls, and once more on the same player without the rule.
func TestEachRuleOfAPlayerBites(t *testing.T) {
	for _, p := range append(slices.Clone(Players), NoRow) {
		t.Run(p.Make, func(t *testing.T) {
			k := New(t)
			module, err := cryptoki.Open(context.Background(), k.Library) // once: initialising it takes time
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = module.Close() }()
			if p.PIN != "" {
				k.takePIN(t, p.PIN)
			}
			mine := acts[p.Make]
			if len(mine) != len(p.Rules) {
				t.Fatalf("%d rules have %d acts", len(p.Rules), len(mine))
			}
			for i, rule := range p.Rules {
				a := mine[i]
				if len(rule.Does) < len(a.does) || rule.Does[:len(a.does)] != a.does {
					t.Fatalf("the act %q is not that of the rule %q", a.does, rule.Does)
				}
				if rule.Kind != quirk.Guess && rule.Source == "" {
					t.Errorf("%s Where is that known from?", rule.Does)
				}
				if got := p.act(t, k, a.user, a.try); got != a.want {
					t.Errorf("%s\n%s, and not\n%s", rule.Does, got, a.want)
				}
				without := p
				without.Rules = slices.Delete(slices.Clone(p.Rules), i, i+1)
				without.act(t, k, a.user, func(x *actor) string {
					x.t = &forgiving{TB: t}
					return tolerate(func() string {
						got := a.try(x)
						if got == a.want {
							t.Errorf("%s\nWithout the rule, all is the same: %s", rule.Does, got)
						}
						return got
					})
				})
			}
		})
	}
}

// forgiving is for a player that lacks a rule: what it cannot make is another answer, and no failure.
type forgiving struct{ testing.TB }

type unmade struct{}

func (*forgiving) Fatal(...any) { panic(unmade{}) }

func tolerate(try func() string) string {
	defer func() {
		if x := recover(); x != nil {
			if _, ok := x.(unmade); !ok {
				panic(x)
			}
		}
	}()
	return try()
}

// TestPlayersPlayTheMakes: each of quirk's makes has a player, who is taken for it.
func TestPlayersPlayTheMakes(t *testing.T) {
	for _, m := range quirk.Makes {
		i := slices.IndexFunc(Players, func(p Player) bool { return p.Make == m.Name })
		if i < 0 {
			t.Errorf("nobody plays %s", m.Name)
			continue
		}
		info := cryptoki.TokenInfo{Manufacturer: "SoftHSM project", Model: "SoftHSM v2"}
		Players[i].Token(&info)
		if got := quirk.MakeOf(Players[i].Module, info); got == nil || got.Name != m.Name {
			t.Errorf("%s is taken for %+v", m.Name, got)
		}
	}
}

// TestLivesSayWhatPlansSay: each make has its lives, and what a plan refuses, it refuses with a text of the row's.
func TestLivesSayWhatPlansSay(t *testing.T) {
	names := map[string]bool{}
	for _, m := range quirk.Makes {
		if names[m.Name] = true; Lives[m.Name] == nil {
			t.Errorf("%s has no lives", m.Name)
		}
		for _, kind := range KeyKinds {
			for _, step := range KeySteps {
				if o := Life(m, kind, step); (o.How == Refused) != (o.Says != "") {
					t.Errorf("%s: %s %s: %+v", m.Name, kind, step, o)
				}
			}
		}
	}
	for name := range Lives {
		if !names[name] && name != NoRow.Make {
			t.Errorf("%s is no make", name)
		}
	}
}
