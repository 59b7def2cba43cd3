package cryptoki_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki/cryptokitest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

const (
	huge     = ^uint(0)     // CK_UNAVAILABLE_INFORMATION, where that is a length
	almost   = ^uint(0) - 1 // what is beyond every bound, and is no code for anything
	gigabyte = uint(1) << 30
	label    = uint(cryptoki.CKA_LABEL)
	class    = uint(cryptoki.CKA_CLASS)
	generate = cryptoki.CKM_EC_KEY_PAIR_GEN
	aes      = cryptoki.CKM_AES_KEY_GEN
)

// above is a number that differs from another one above 32 bits alone.
func above(n uint) uint { return n + 1<<32 }

// stage is a token behind a module that lies, with a key to do everything with.
type stage struct {
	liar   *cryptokitest.Liar
	module *cryptoki.Module
	slot   uint
	pin    string
	rsa    cryptoki.Pair
	ec     cryptoki.Pair
	aes    cryptoki.Object
}

func newStage(t *testing.T) *stage {
	t.Helper()
	ctx := context.Background()
	k := hsmtest.New(t)
	st := &stage{liar: cryptokitest.NewLiar(t, k.Library, false), pin: k.PIN}
	var err error
	if st.module, err = cryptoki.Open(ctx, st.liar.Path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.module.Close() })
	slots, err := st.module.GetSlotList(ctx, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, slot := range slots {
		if info, err := st.module.GetTokenInfo(ctx, slot); err == nil && info.Label == k.Label {
			st.slot = slot
		}
	}
	s := st.session(t)
	if err := s.Login(ctx, cryptoki.CKU_USER, []byte(k.PIN)); err != nil {
		t.Fatal(err)
	}
	st.rsa = pair(t, s, "a label")
	if st.ec, err = generateEC(ctx, s); err != nil {
		t.Fatal(err)
	}
	if st.aes, err = generateAES(ctx, s); err != nil {
		t.Fatal(err)
	}
	return st
}

// session opens one more session. None is closed before the module is: each lie may make its own unfit for use.
func (st *stage) session(t *testing.T) *cryptoki.Session {
	t.Helper()
	s, err := st.module.OpenSession(context.Background(), st.slot, false)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func generateEC(ctx context.Context, s *cryptoki.Session) (cryptoki.Pair, error) {
	yes := func(a cryptoki.AttributeType) cryptoki.Attribute { return cryptoki.Bool(a, true) }
	p256 := []byte{6, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7}
	return s.GenerateKeyPair(ctx, cryptoki.Mechanism{Type: generate},
		[]cryptoki.Attribute{cryptoki.Bytes(cryptoki.CKA_EC_PARAMS, p256)},
		[]cryptoki.Attribute{yes(cryptoki.CKA_SIGN), yes(cryptoki.CKA_DERIVE)})
}

func generateAES(ctx context.Context, s *cryptoki.Session) (cryptoki.Object, error) {
	yes := func(a cryptoki.AttributeType) cryptoki.Attribute { return cryptoki.Bool(a, true) }
	return s.GenerateKey(ctx, cryptoki.Mechanism{Type: aes}, []cryptoki.Attribute{
		cryptoki.ULong(cryptoki.CKA_VALUE_LEN, 32), yes(cryptoki.CKA_ENCRYPT), yes(cryptoki.CKA_DECRYPT),
	})
}

var (
	block = bytes.Repeat([]byte{7}, 16)
	ecb   = cryptoki.Mechanism{Type: cryptoki.CKM_AES_ECB}
)

// calls has each function that gives something back, and what it gives.
func (st *stage) calls(ctx context.Context) map[string]func(s *cryptoki.Session) (any, error) {
	types := []cryptoki.AttributeType{cryptoki.CKA_CLASS, cryptoki.CKA_LABEL, cryptoki.CKA_ID, cryptoki.CKA_SIGN}
	return map[string]func(s *cryptoki.Session) (any, error){
		"C_GetInfo":          func(*cryptoki.Session) (any, error) { return st.module.GetInfo(ctx) },
		"C_GetSlotList":      func(*cryptoki.Session) (any, error) { return st.module.GetSlotList(ctx, true) },
		"C_GetSlotInfo":      func(*cryptoki.Session) (any, error) { return st.module.GetSlotInfo(ctx, st.slot) },
		"C_GetTokenInfo":     func(*cryptoki.Session) (any, error) { return st.module.GetTokenInfo(ctx, st.slot) },
		"C_GetMechanismList": func(*cryptoki.Session) (any, error) { return st.module.GetMechanismList(ctx, st.slot) },
		"C_GetMechanismInfo": func(*cryptoki.Session) (any, error) { return st.module.GetMechanismInfo(ctx, st.slot, aes) },
		"C_OpenSession": func(*cryptoki.Session) (any, error) {
			s, err := st.module.OpenSession(ctx, st.slot, false)
			return s != nil, err
		},
		"C_GetSessionInfo": func(s *cryptoki.Session) (any, error) { return s.GetSessionInfo(ctx) },
		"C_GetAttributeValue": func(s *cryptoki.Session) (any, error) {
			return s.GetAttributeValue(ctx, st.rsa.Private, types)
		},
		"C_FindObjects":     func(s *cryptoki.Session) (any, error) { return s.FindObjects(ctx, nil) },
		"C_GenerateKeyPair": func(s *cryptoki.Session) (any, error) { return generateEC(ctx, s) },
		"C_GenerateKey":     func(s *cryptoki.Session) (any, error) { return generateAES(ctx, s) },
		"C_Sign": func(s *cryptoki.Session) (any, error) {
			return s.Sign(ctx, cryptoki.Mechanism{Type: cryptoki.CKM_RSA_PKCS}, st.rsa.Private, block)
		},
		"C_GenerateRandom": func(s *cryptoki.Session) (any, error) { return s.GenerateRandom(ctx, 32) },
		"C_Encrypt":        func(s *cryptoki.Session) (any, error) { return s.Encrypt(ctx, ecb, st.aes, block) },
		"C_Decrypt":        func(s *cryptoki.Session) (any, error) { return s.Decrypt(ctx, ecb, st.aes, block) },
		"C_DeriveKey": func(s *cryptoki.Session) (any, error) {
			point, err := s.GetAttributeValue(ctx, st.ec.Public, []cryptoki.AttributeType{cryptoki.CKA_EC_POINT})
			if err != nil {
				return nil, err
			}
			return s.DeriveKey(ctx, cryptoki.ECDH1(point[cryptoki.CKA_EC_POINT][2:]), st.ec.Private, []cryptoki.Attribute{
				cryptoki.ULong(cryptoki.CKA_CLASS, cryptoki.CKO_SECRET_KEY),
				cryptoki.ULong(cryptoki.CKA_KEY_TYPE, cryptoki.CKK_GENERIC_SECRET),
				cryptoki.ULong(cryptoki.CKA_VALUE_LEN, 32),
			})
		},
	}
}

// ofModule are the functions that no session takes part in.
var ofModule = []string{
	"C_GetInfo", "C_GetSlotList", "C_GetSlotInfo", "C_GetTokenInfo", "C_GetMechanismList", "C_GetMechanismInfo",
	"C_OpenSession",
}

// TestEachLieIsAnError has the module lie in each way about each function: what comes of it is an error that names
// the function, and the session is not used again.
func TestEachLieIsAnError(t *testing.T) {
	st := newStage(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	calls := st.calls(ctx)

	var lies []cryptokitest.Lie
	lie := func(kind cryptokitest.Kind, numbers []uint, functions ...string) {
		for _, function := range functions {
			for _, n := range numbers {
				lies = append(lies, cryptokitest.Lie{Function: function, Kind: kind, Number: n})
			}
		}
	}
	for function := range calls {
		if function != "C_GetMechanismInfo" { // see below
			lie(cryptokitest.Nothing, []uint{0}, function)
		}
	}
	lie(cryptokitest.Handle, []uint{0}, "C_OpenSession", "C_GenerateKey", "C_GenerateKeyPair", "C_DeriveKey")
	lie(cryptokitest.Handle, []uint{5}, "C_GenerateKeyPair") // one handle for both

	// What is no length of an output: SoftHSM's are of 128 and 16 bytes.
	lengths := []uint{64 << 10, 16 << 20, gigabyte, above(16), above(128), above(0), 1 << 31, 8192 + 16, almost, huge}
	lie(cryptokitest.Length, lengths, "C_Sign", "C_Encrypt", "C_Decrypt")
	lie(cryptokitest.Length, []uint{0}, "C_Sign", "C_Encrypt")
	lie(cryptokitest.Length, []uint{8191 + 16, 8000, 144}, "C_Sign", "C_Encrypt", "C_Decrypt") // nobody wrote so much
	lie(cryptokitest.Write, []uint{8191 + 16, 8191 + 16 + 1, 16 << 10, 64 << 10}, "C_Sign", "C_Encrypt", "C_Decrypt")
	lie(cryptokitest.Small, []uint{0, 1, 128, 8191 + 16, 64<<10 + 17, gigabyte, above(9000), almost, huge},
		"C_Sign", "C_Encrypt", "C_Decrypt")

	lie(cryptokitest.Write, []uint{0, 1, 24, 32}, "C_GenerateRandom") // too few bytes, or all the same

	counts := []uint{1<<16 + 1, gigabyte, above(1), 1 << 31, almost, huge}
	lie(cryptokitest.Length, counts, "C_GetSlotList", "C_GetMechanismList", "C_FindObjects")
	lie(cryptokitest.First, counts, "C_GetSlotList", "C_GetMechanismList")
	lie(cryptokitest.Second, counts, "C_GetSlotList", "C_GetMechanismList")
	lie(cryptokitest.Small, append([]uint{0, 1, 15}, counts...), "C_GetSlotList", "C_GetMechanismList")
	lie(cryptokitest.Length, []uint{4097, 1000, 100}, "C_FindObjects")
	lie(cryptokitest.Write, []uint{4098}, "C_FindObjects")

	attribute := func(kind cryptokitest.Kind, of uint, numbers ...uint) {
		for _, n := range numbers {
			lies = append(lies, cryptokitest.Lie{Function: "C_GetAttributeValue", Kind: kind, Number: n, Attribute: of})
		}
	}
	absurd := []uint{1<<20 + 1, 2 << 30, gigabyte, above(7), above(0), almost}
	attribute(cryptokitest.Length, label, absurd...)
	attribute(cryptokitest.Length, class, absurd...)
	attribute(cryptokitest.Length, label, 513, 4096, 100, 512) // the last two fit, but nobody wrote so much
	attribute(cryptokitest.Length, class, 9, 16)
	attribute(cryptokitest.Small, label, append(absurd, huge)...)
	attribute(cryptokitest.Small, label, 513, 4096) // one of that length is too small too
	attribute(cryptokitest.Write, label, 513, 2048)

	for _, l := range lies {
		name := fmt.Sprintf("%s/%s %#x", l.Function, l.Kind, l.Number)
		if l.Function == "C_GetAttributeValue" {
			name += " " + cryptoki.AttributeType(l.Attribute).String()
		}
		t.Run(name, func(t *testing.T) {
			s := st.session(t)
			st.liar.Tell(t, l)
			got, err := calls[l.Function](s)
			st.liar.Repent(t)
			if long, ok := errors.AsType[*cryptoki.LongError](err); ok { // nobody can tell that from an object of a stranger's
				if l.Kind != cryptokitest.Small || long.Length != l.Number || s.Lost() {
					t.Errorf("got %v; the session is lost: %t", err, s.Lost())
				}
				return
			}
			answer, ok := errors.AsType[*cryptoki.AnswerError](err)
			if !ok || answer.Function != l.Function || strings.Contains(answer.Problem, "runtime error") {
				t.Fatalf("got %v, %v", got, err)
			}
			if !s.Lost() && !slices.Contains(ofModule, l.Function) {
				t.Error("the session is taken for good")
			}
		})
	}

	t.Run("a mechanism that nobody describes has neither bounds nor flags", func(t *testing.T) {
		st.liar.Tell(t, cryptokitest.Lie{Function: "C_GetMechanismInfo", Kind: cryptokitest.Nothing})
		got, err := calls["C_GetMechanismInfo"](st.session(t))
		st.liar.Repent(t)
		if got != (cryptoki.MechanismInfo{}) || err != nil {
			t.Errorf("got %v, %v", got, err)
		}
	})

	t.Run("the truth is believed", func(t *testing.T) {
		for function, call := range calls {
			if got, err := call(st.session(t)); err != nil {
				t.Errorf("%s: %v, %v", function, got, err)
			}
		}
	})
}

// TestAnyLength has the module say any length and count: whatever comes of it, it is no more than there was room for.
func TestAnyLength(t *testing.T) {
	st := newStage(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	calls := st.calls(ctx)
	random := rand.New(rand.NewPCG(1, 2))
	kinds := []cryptokitest.Kind{cryptokitest.Length, cryptokitest.First, cryptokitest.Second, cryptokitest.Small}
	for function, most := range map[string]int{
		"C_Sign": 8191 + 16, "C_Encrypt": 8191 + 16, "C_Decrypt": 8191 + 16,
		"C_GetSlotList": 1 << 16, "C_GetMechanismList": 1 << 16, "C_FindObjects": 4096, "C_GetAttributeValue": 512,
	} {
		t.Run(function, func(t *testing.T) {
			for range 60 {
				l := cryptokitest.Lie{
					Function: function, Kind: kinds[random.IntN(len(kinds))],
					Number: uint(random.Uint64() >> random.IntN(64)), Attribute: label,
				}
				st.liar.Tell(t, l)
				got, err := calls[function](st.session(t))
				if err != nil {
					continue
				}
				length := 0
				switch got := got.(type) {
				case []byte:
					length = len(got)
				case []uint:
					length = len(got)
				case []cryptoki.MechanismType:
					length = len(got)
				case []cryptoki.Object:
					length = len(got)
				case cryptoki.Attributes:
					length = len(got[cryptoki.CKA_LABEL])
				default:
					t.Fatalf("%T", got)
				}
				if length > most {
					t.Errorf("%+v brings %d", l, length)
				}
			}
		})
	}
}
