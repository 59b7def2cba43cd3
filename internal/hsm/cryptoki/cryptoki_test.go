package cryptoki_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

func TestMain(m *testing.M) {
	hsmtest.Tokens = 10
	os.Exit(hsmtest.Main(m))
}

// session opens a logged-in session on a fresh token.
func session(t testing.TB, hooks ...cryptoki.Hook) *cryptoki.Session {
	t.Helper()
	return pacedSession(t, nil, hooks...)
}

// pacedSession is session on a token that asks for patience by these codes.
func pacedSession(t testing.TB, busy cryptoki.Busy, hooks ...cryptoki.Hook) *cryptoki.Session {
	t.Helper()
	ctx := context.Background()
	k := hsmtest.New(t)
	m, err := cryptoki.OpenWith(ctx, k.Library, k.Parameters, hooks...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	m.Pace(busy)
	slots, err := m.GetSlotList(ctx, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, slot := range slots {
		info, err := m.GetTokenInfo(ctx, slot)
		if err != nil {
			t.Fatal(err)
		}
		if info.Label != k.Label {
			continue
		}
		s, err := m.OpenSession(ctx, slot, false)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.CloseSession(ctx) })
		if err := s.Login(ctx, cryptoki.CKU_USER, []byte(k.PIN)); err != nil {
			t.Fatal(err)
		}
		return s
	}
	t.Fatal("the token is not there")
	return nil
}

func pair(t *testing.T, s *cryptoki.Session, label string) cryptoki.Pair {
	t.Helper()
	yes := func(a cryptoki.AttributeType) cryptoki.Attribute { return cryptoki.Bool(a, true) }
	name := cryptoki.Bytes(cryptoki.CKA_LABEL, []byte(label))
	made, err := s.GenerateKeyPair(context.Background(), cryptoki.Mechanism{Type: cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN},
		[]cryptoki.Attribute{yes(cryptoki.CKA_TOKEN), name, cryptoki.ULong(cryptoki.CKA_MODULUS_BITS, 1024), cryptoki.Bytes(cryptoki.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1})},
		[]cryptoki.Attribute{yes(cryptoki.CKA_TOKEN), yes(cryptoki.CKA_SENSITIVE), name})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestAttributesAreReadInOneCall(t *testing.T) {
	calls := &hsmtest.Faults{}
	s := session(t, calls.Hook)
	ctx := context.Background()
	long := strings.Repeat("label ", 200) // more than the room set out beforehand
	for name, c := range map[string]struct {
		label     string
		attribute cryptoki.AttributeType
		there     bool
		calls     int
	}{
		"what is there":                      {"a", cryptoki.CKA_MODULUS, true, 1},
		"what is missing is no failure":      {"b", cryptoki.CKA_EC_POINT, false, 1},
		"what is sensitive is no failure":    {"c", 0x123 /* CKA_PRIVATE_EXPONENT */, false, 1},
		"what is too long is asked for anew": {long, cryptoki.CKA_LABEL, true, 3},
	} {
		t.Run(name, func(t *testing.T) {
			made := pair(t, s, c.label)
			calls.Clear()
			got, err := s.GetAttributeValue(ctx, made.Private, []cryptoki.AttributeType{cryptoki.CKA_CLASS, c.attribute, cryptoki.CKA_LABEL})
			if err != nil {
				t.Fatal(err)
			}
			if class, ok, err := got.ULong(cryptoki.CKA_CLASS); class != cryptoki.CKO_PRIVATE_KEY || !ok || err != nil {
				t.Errorf("class %d", class)
			}
			if _, there := got[c.attribute]; there != c.there {
				t.Errorf("%s is there: %t", c.attribute, there)
			}
			if string(got[cryptoki.CKA_LABEL]) != c.label {
				t.Errorf("label %q", got[cryptoki.CKA_LABEL])
			}
			if n := calls.Count("C_GetAttributeValue"); n != c.calls {
				t.Errorf("%d calls, want %d", n, c.calls)
			}
		})
	}
}

func TestACallIsNotWaitedForLongerThanItsContext(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	faults := &hsmtest.Faults{}
	s := session(t, faults.Hook)
	faults.Inject(hsmtest.Fault{Function: "C_FindObjectsInit", Nth: 1, Do: func(context.Context, *cryptoki.Call, func() error) error {
		<-release
		return nil
	}})
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := s.FindObjects(ctx, nil)
	hang, ok := errors.AsType[*cryptoki.HangError](err)
	if !ok || hang.Function != "C_FindObjectsInit" || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("it took %s", took)
	}
	if !s.Lost() {
		t.Error("the session is taken for good")
	}
}

func TestACallThatAHookKeepsBackDoesNotHang(t *testing.T) {
	proceeds := make(chan bool, 1)
	keep := func(ctx context.Context, c *cryptoki.Call, next func() error) error {
		if c.Function != "C_GetSlotList" {
			return next()
		}
		if !c.Wait() {
			t.Error("nobody waits for it")
		}
		<-ctx.Done()
		time.Sleep(50 * time.Millisecond) // whoever made the call is gone by then
		proceeds <- c.Proceed() || c.Wait()
		return nil
	}
	m, err := cryptoki.Open(context.Background(), hsmtest.Library(t), keep)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err = m.GetSlotList(ctx, true)
	if hang := (*cryptoki.HangError)(nil); errors.As(err, &hang) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "C_GetSlotList was not called") {
		t.Errorf("got %v", err)
	}
	if <-proceeds {
		t.Error("it proceeds, with nobody to wait for it")
	}
}

func TestAPanicInsideACallIsAnAnswerThatMakesNoSense(t *testing.T) {
	faults := &hsmtest.Faults{}
	s := session(t, faults.Hook)
	faults.Inject(hsmtest.Fault{Function: "C_Sign", Do: func(context.Context, *cryptoki.Call, func() error) error { panic("a length of ~0") }})
	made := pair(t, s, "a")
	_, err := s.Sign(context.Background(), cryptoki.Mechanism{Type: cryptoki.CKM_RSA_PKCS}, made.Private, bytes.Repeat([]byte{1}, 20))
	if answer, ok := errors.AsType[*cryptoki.AnswerError](err); !ok || answer.Function != "C_Sign" {
		t.Errorf("got %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	folder := t.TempDir()
	text := filepath.Join(folder, "text.so")
	if err := os.WriteFile(text, []byte("no library"), 0o600); err != nil {
		t.Fatal(err)
	}
	libm, _ := filepath.Glob("/lib/*/libm.so.6")
	cases := map[string]string{"a missing file": filepath.Join(folder, "none.so"), "a folder": folder, "a text": text}
	if len(libm) > 0 {
		cases["a library that is no module"] = libm[0]
	}
	for name, path := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := cryptoki.Open(context.Background(), path)
			if !errors.Is(err, cryptoki.ErrLoad) {
				t.Fatalf("got %v", err)
			}
			if strings.Count(err.Error(), path) > 1 {
				t.Errorf("the path comes again and again: %v", err)
			}
		})
	}
}

func TestOneModuleAProcess(t *testing.T) {
	calls := &hsmtest.Faults{}
	library := hsmtest.New(t).Library
	link := filepath.Join(t.TempDir(), "link.so")
	if err := os.Symlink(library, link); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	first, err := cryptoki.Open(ctx, library, calls.Hook)
	if err != nil {
		t.Fatal(err)
	}
	second, err := cryptoki.Open(ctx, link, calls.Hook)
	if err != nil {
		t.Fatal(err)
	}
	if first.Path() != second.Path() {
		t.Error("two names of one library are two modules")
	}
	for range 2 { // a reference is given back once
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := second.GetSlotList(ctx, true); err != nil {
		t.Errorf("after the other has closed it: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if n, m := calls.Count("C_Initialize"), calls.Count("C_Finalize"); n != 1 || m != 1 {
		t.Errorf("initialised %d times, finalised %d times", n, m)
	}
}

func TestRV(t *testing.T) {
	for rv, want := range map[cryptoki.RV]string{
		cryptoki.CKR_DEVICE_ERROR: "CKR_DEVICE_ERROR (0x30)", cryptoki.CKR_ACTION_PROHIBITED: "CKR_ACTION_PROHIBITED (0x1B)",
		0x80000001: "vendor or unknown code (0x80000001)",
	} {
		if got := rv.Error(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	err := &cryptoki.Error{Function: "C_FindObjects", Code: cryptoki.CKR_DEVICE_ERROR}
	if err.Error() != "cryptoki: C_FindObjects: CKR_DEVICE_ERROR (0x30)" || !errors.Is(err, cryptoki.CKR_DEVICE_ERROR) {
		t.Error(err)
	}
}

func FuzzAttributes(f *testing.F) {
	f.Add([]byte{1}, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, flag, number []byte) {
		a := cryptoki.Attributes{cryptoki.CKA_SIGN: flag, cryptoki.CKA_CLASS: number}
		if _, ok, err := a.Bool(cryptoki.CKA_SIGN); (err == nil && ok) != (len(flag) == 1) {
			t.Errorf("%x is a flag: %v", flag, err)
		}
		width := len(cryptoki.ULong(cryptoki.CKA_CLASS, 0).Value)
		if v, ok, err := a.ULong(cryptoki.CKA_CLASS); (err == nil && ok) != (len(number) == width) || err == nil &&
			!bytes.Equal(cryptoki.ULong(cryptoki.CKA_CLASS, v).Value, number) {
			t.Errorf("%x is a number: %v", number, err)
		}
	})
}

// TestAHookChangesWhatIsGiven: a hook sees what a call is given, gives the module something else, and makes calls of
// its own that no hook sees.
func TestAHookChangesWhatIsGiven(t *testing.T) {
	ctx := context.Background()
	var seen []string
	hook := func(ctx context.Context, c *cryptoki.Call, next func() error) error {
		seen = append(seen, c.Function)
		if c.Function == "C_GenerateKey" {
			for i, a := range c.Template {
				if a.Type == cryptoki.CKA_LABEL {
					c.Template[i] = cryptoki.Bytes(cryptoki.CKA_LABEL, []byte("changed"))
				}
			}
			if _, err := c.Behind().FindObjects(ctx, nil); err != nil {
				t.Error(err)
			}
		}
		return next()
	}
	s := session(t, hook)
	key, err := s.GenerateKey(ctx, cryptoki.Mechanism{Type: cryptoki.CKM_AES_KEY_GEN}, []cryptoki.Attribute{
		cryptoki.ULong(cryptoki.CKA_VALUE_LEN, 16), cryptoki.Bytes(cryptoki.CKA_LABEL, []byte("asked for")),
	})
	if err != nil {
		t.Fatal(err)
	}
	shown, err := s.GetAttributeValue(ctx, key, []cryptoki.AttributeType{cryptoki.CKA_LABEL})
	if err != nil || string(shown[cryptoki.CKA_LABEL]) != "changed" {
		t.Errorf("the label is %q, %v", shown[cryptoki.CKA_LABEL], err)
	}
	if strings.Contains(strings.Join(seen, " "), "C_FindObjects") {
		t.Errorf("a hook saw its own calls: %v", seen)
	}
}

// TestWhatStopsAnOperationIsNotABusyToken: what is done between the two calls fails with a code by which the token asks
// for patience. The operation is active then, so that it is not begun anew, and the session is used no more.
func TestWhatStopsAnOperationIsNotABusyToken(t *testing.T) {
	calls := &hsmtest.Faults{}
	s := pacedSession(t, cryptoki.Busy{"": {cryptoki.CKR_DEVICE_MEMORY}}, calls.Hook)
	key := pair(t, s, "a").Private
	busy := &cryptoki.Error{Function: "C_GetTokenInfo", Code: cryptoki.CKR_DEVICE_MEMORY}
	short, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	out, err := s.SignAfter(short, cryptoki.Mechanism{Type: cryptoki.CKM_RSA_PKCS}, key, []byte("m"),
		func() error { return busy })
	if !errors.Is(err, busy) || out != nil || !s.Lost() || calls.Count("C_SignInit") != 1 ||
		calls.Count("C_Sign") != 0 {
		t.Errorf("%x, %v, by %v; the session is lost: %t", out, err, calls.Calls(), s.Lost())
	}
}
