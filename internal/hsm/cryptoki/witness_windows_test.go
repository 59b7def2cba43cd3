package cryptoki_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// What the binary interface is on Windows, where a CK_ULONG has 4 bytes and structures are packed, is shown by a
// module that declares all of it itself: cryptokitest/module/witness.c. scripts/check-windows builds it and runs these
// tests.

const (
	witnessSlot, otherSlot, emptySlot = 0x80000022, 0x33, 0x11
	witnessPIN                        = "87654321"
)

// witness is the path of a module that scripts/check-windows has built.
func witness(t testing.TB, name string) string {
	t.Helper()
	folder := os.Getenv("HSMTEST_WITNESS")
	if folder == "" {
		t.Fatal("HSMTEST_WITNESS names no folder of modules: scripts/check-windows builds them and runs the tests")
	}
	return filepath.Join(folder, name)
}

// openWitness opens the module, whose token is as on the first day, and gives its journal. When the test ends, the
// module must have understood all that it was given.
func openWitness(t *testing.T) (m *cryptoki.Module, journal func() []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal")
	t.Setenv("HSMTEST_WITNESS_JOURNAL", path)
	m, err := cryptoki.Open(context.Background(), witness(t, "witness.dll"))
	if err != nil {
		t.Fatal(err)
	}
	journal = func() []string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		for _, line := range journal() {
			if strings.HasPrefix(line, "WRONG") {
				t.Error(line)
			}
		}
	})
	return m, journal
}

// witnessSession opens a session of the witness's first token, logged in.
func witnessSession(t *testing.T) (s *cryptoki.Session, journal func() []string) {
	t.Helper()
	ctx := context.Background()
	m, journal := openWitness(t)
	s, err := m.OpenSession(ctx, witnessSlot, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.CloseSession(ctx); err != nil {
			t.Error(err)
		}
	})
	if err := s.Login(ctx, cryptoki.CKU_USER, []byte(witnessPIN)); err != nil {
		t.Fatal(err)
	}
	return s, journal
}

// folderOfModules is a folder for modules that are loaded. Windows removes none of them before the process has ended.
func folderOfModules(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "hsmtest-") //nolint:usetesting // that folder is to be removed at the end
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o700)
	}
	if err == nil {
		err = os.WriteFile(to, text, 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func replaced(part, by string) func(path string) string {
	return func(path string) string { return strings.ReplaceAll(path, part, by) }
}

func TestAModuleIsLoadedByAnyPath(t *testing.T) {
	long := strings.Repeat(strings.Repeat("d", 60)+`\`, 5) // with it, the path has more than 260 characters
	for name, c := range map[string]struct {
		file  string // where the module is
		given func(path string) string
	}{
		"with blanks in it":         {`Program Files (x86)\a module.dll`, nil},
		"with other letters in it":  {`Schlüssel 鍵 ключ\mödül.dll`, nil},
		"with slashes":              {`slashes\module.dll`, filepath.ToSlash},
		"with slashes of both ways": {`both\ways\module.dll`, replaced(`\both\`, "/both/")},
		"with dots in it":           {`dots\module.dll`, replaced(`\dots\`, `\dots\..\dots\`)},
		"in other case":             {`case\module.dll`, strings.ToUpper},
		"of another ending":         {`ending\module.p11`, nil},
		"of more than 260 letters":  {long + "module.dll", nil},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(folderOfModules(t), c.file)
			copyFile(t, witness(t, "witness.dll"), path)
			if c.given != nil {
				path = c.given(path)
			}
			m, err := cryptoki.Open(context.Background(), path)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			if about := m.About(); about.Description != "a witness" {
				t.Errorf("it is %+v", about)
			}
		})
	}
}

func TestAFileThatIsNoModuleIsToldFromOneThatLacksSomething(t *testing.T) {
	folder := folderOfModules(t)
	at := func(name string) string { return filepath.Join(folder, name) }
	if err := os.WriteFile(at("text.dll"), []byte("no library"), 0o600); err != nil {
		t.Fatal(err)
	}
	bits32, err := os.ReadFile(witness(t, "other.dll"))
	if err != nil {
		t.Fatal(err)
	}
	copy(bits32[bytes.Index(bits32, []byte("PE\x00\x00"))+4:], "\x4c\x01") // IMAGE_FILE_MACHINE_I386
	if err := os.WriteFile(at("bits32.dll"), bits32, 0o600); err != nil {
		t.Fatal(err)
	}
	whole := needing(t, "beside.dll")
	copyFile(t, witness(t, "other.dll"), filepath.Join(filepath.Dir(whole), "beside.dll"))
	for name, c := range map[string]struct {
		path, want string
		missing    bool
	}{
		"a missing file":                  {path: at("none.dll"), missing: true},
		"a file of a missing folder":      {path: at(`none\none.dll`), missing: true},
		"a folder":                        {path: folder, want: "it is not a file"},
		"a text":                          {path: at("text.dll"), want: "it is not a DLL for 64-bit programs on amd64"},
		"a DLL of 32 bits":                {path: at("bits32.dll"), want: "it is not a DLL for 64-bit programs on amd64"},
		"a DLL that is no module":         {path: witness(t, "other.dll"), want: "it has no C_GetFunctionList"},
		"a module that lacks another DLL": {path: witness(t, "lonely.dll"), want: "a DLL that it needs is missing"},
		"a module that finds it beside": {
			path: whole, want: "its C_GetFunctionList answers CKR_DEVICE_ERROR (0x30)",
		},
		"a name with a zero byte in it": {path: at("a\x00b.dll"), want: "invalid argument"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := cryptoki.Open(context.Background(), c.path)
			if !errors.Is(err, cryptoki.ErrLoad) || errors.Is(err, fs.ErrNotExist) != c.missing ||
				!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "%1") {
				t.Fatalf("got %v", err)
			}
			t.Log(strings.ReplaceAll(err.Error(), folder, "FOLDER"))
		})
	}
}

// needing is a module that needs a DLL of that name, which has as many letters as absent. The process keeps what it has
// loaded, and so each test has a name of its own.
func needing(t *testing.T, name string) (path string) {
	t.Helper()
	module, err := os.ReadFile(witness(t, "lonely.dll"))
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(folderOfModules(t), "needs.dll")
	if err := os.WriteFile(path, bytes.ReplaceAll(module, []byte("absent.dll"), []byte(name)), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWhatAModuleNeedsIsNotTakenFromTheCurrentFolder(t *testing.T) {
	path, current := needing(t, "strays.dll"), folderOfModules(t)
	copyFile(t, witness(t, "other.dll"), filepath.Join(current, "strays.dll"))
	t.Chdir(current)
	_, err := cryptoki.Open(context.Background(), path)
	if err == nil || !strings.Contains(err.Error(), "a DLL that it needs is missing") {
		t.Errorf("got %v", err)
	}
}

func TestWhatAModuleNeedsIsTakenFromThePath(t *testing.T) {
	path, folder := needing(t, "onpath.dll"), folderOfModules(t)
	copyFile(t, witness(t, "other.dll"), filepath.Join(folder, "onpath.dll"))
	t.Setenv("PATH", os.Getenv("PATH")+";"+folder)
	_, err := cryptoki.Open(context.Background(), path)
	if err == nil || !strings.Contains(err.Error(), "answers CKR_DEVICE_ERROR") {
		t.Errorf("got %v", err)
	}
}

func TestEveryFieldIsReadWhereItIs(t *testing.T) {
	ctx := context.Background()
	m, journal := openWitness(t)
	if want := (cryptoki.Info{
		Manufacturer: "a maker of modules for Windows", Description: "a witness", Version: cryptoki.Version{Major: 3, Minor: 141},
	}); m.About() != want {
		t.Errorf("the module is %+v", m.About())
	}
	for present, want := range map[bool][]uint{true: {witnessSlot, otherSlot}, false: {witnessSlot, otherSlot, emptySlot}} {
		if slots, err := m.GetSlotList(ctx, present); err != nil || !slices.Equal(slots, want) {
			t.Errorf("the slots are %x, %v", slots, err)
		}
	}
	const described = "a slot with a token, described in no fewer than sixty-four bytes"
	for slot, want := range map[uint]cryptoki.SlotInfo{
		witnessSlot: {described, "a maker of slots", cryptoki.CKF_TOKEN_PRESENT | cryptoki.CKF_HW_SLOT},
		otherSlot:   {described, "a maker of slots", cryptoki.CKF_TOKEN_PRESENT | cryptoki.CKF_HW_SLOT},
		emptySlot:   {"an empty slot", "a maker of slots", cryptoki.CKF_REMOVABLE_DEVICE | 0x80000000},
	} {
		if info, err := m.GetSlotInfo(ctx, slot); err != nil || info != want {
			t.Errorf("slot 0x%X is %+v, %v", slot, info, err)
		}
	}
	flags := cryptoki.CKF_RNG | cryptoki.CKF_LOGIN_REQUIRED | cryptoki.CKF_USER_PIN_INITIALIZED | cryptoki.CKF_TOKEN_INITIALIZED
	const untold = cryptoki.Unknown
	for _, want := range []cryptoki.TokenInfo{
		{
			Slot: witnessSlot, Label: "witness", Serial: "W1", Model: "witness", Manufacturer: "a maker of tokens",
			Flags: flags | cryptoki.CKF_CLOCK_ON_TOKEN, MaxSessions: 1001, Sessions: 2, MaxRWSessions: 999, RWSessions: 1,
			MinPINLength: 4, MaxPINLength: 32, TotalPublicMemory: 0xFFFFFFFE, FreePublicMemory: 0x80000000,
			TotalPrivateMemory: 0x01020304, FreePrivateMemory: 0x01020300,
			HardwareVersionMajor: 5, HardwareVersionMinor: 6, FirmwareVersionMajor: 7, FirmwareVersionMinor: 8,
		},
		{
			Slot: otherSlot, Label: "tells no numbers", Serial: "0123456789ABCDEF", Model: "sixteen bytes so",
			Manufacturer: "a maker of tokens", Flags: flags, MaxSessions: untold, Sessions: untold, MaxRWSessions: untold,
			RWSessions: untold, MinPINLength: 8, MaxPINLength: 8, TotalPublicMemory: untold, FreePublicMemory: untold,
			TotalPrivateMemory: untold, FreePrivateMemory: untold,
		},
	} {
		if info, err := m.GetTokenInfo(ctx, want.Slot); err != nil || info != want {
			t.Errorf("the token is %+v, not %+v, %v", info, want, err)
		}
	}
	for slot, want := range map[uint]error{emptySlot: cryptoki.CKR_TOKEN_NOT_PRESENT, 0x22: cryptoki.CKR_SLOT_ID_INVALID} {
		if _, err := m.GetTokenInfo(ctx, slot); !errors.Is(err, want) {
			t.Errorf("the token in slot 0x%X: %v", slot, err)
		}
	}
	mechanisms, err := m.GetMechanismList(ctx, witnessSlot)
	if want := []cryptoki.MechanismType{0x0, 0x1, 0xD, 0x40, 0x43, 0x1040, 0x1041, 0x80000ABC}; err != nil || !slices.Equal(mechanisms, want) {
		t.Errorf("the mechanisms are %x, %v", mechanisms, err)
	}
	for mechanism, want := range map[cryptoki.MechanismType]cryptoki.MechanismInfo{
		cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN: {MinKeySize: 1024, MaxKeySize: 4096, Flags: cryptoki.CKF_GENERATE_KEY_PAIR},
		cryptoki.CKM_EC_KEY_PAIR_GEN: {MinKeySize: 256, MaxKeySize: 256,
			Flags: cryptoki.CKF_GENERATE_KEY_PAIR | cryptoki.CKF_EC_F_P | cryptoki.CKF_HW},
		0x80000ABC: {MinKeySize: untold, MaxKeySize: 0xFFFFFFFE, Flags: cryptoki.CKF_EXTENSION},
	} {
		if info, err := m.GetMechanismInfo(ctx, witnessSlot, mechanism); err != nil || info != want {
			t.Errorf("mechanism 0x%X is %+v, %v", uint(mechanism), info, err)
		}
	}
	if got := journal(); !slices.Equal(got, []string{"C_Initialize NULL"}) {
		t.Errorf("the journal is %q", got)
	}
}

func TestTheModuleGetsItsParameters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	t.Setenv("HSMTEST_WITNESS_JOURNAL", path)
	m, err := cryptoki.OpenWith(context.Background(), witness(t, "witness.dll"), `configdir='C:\a folder'`)
	if err == nil {
		err = m.Close()
	}
	text, readErr := os.ReadFile(path)
	if want := "C_Initialize configdir='C:\\a folder'\nC_Finalize\n"; err != nil || readErr != nil || string(text) != want {
		t.Errorf("the journal is %q, %v, %v", text, err, readErr)
	}
}

func TestEachLoginIsAnswered(t *testing.T) {
	ctx := context.Background()
	m, _ := openWitness(t)
	for _, c := range []struct {
		name string
		slot uint
		user cryptoki.User
		pin  string
		want error
	}{
		{"a wrong PIN", witnessSlot, cryptoki.CKU_USER, "11111111", cryptoki.CKR_PIN_INCORRECT},
		{"a PIN cut short", witnessSlot, cryptoki.CKU_USER, "8765432", cryptoki.CKR_PIN_INCORRECT},
		{"the security officer's", witnessSlot, cryptoki.CKU_USER, "12345678", cryptoki.CKR_PIN_INCORRECT},
		{"another token's", otherSlot, cryptoki.CKU_USER, witnessPIN, cryptoki.CKR_PIN_INCORRECT},
		{"a user that there is not", witnessSlot, 0x80000001, witnessPIN, cryptoki.CKR_USER_TYPE_INVALID},
		{"the right one", witnessSlot, cryptoki.CKU_USER, witnessPIN, nil},
		{"the security officer", witnessSlot, cryptoki.CKU_SO, "12345678", nil},
	} {
		s, err := m.OpenSession(ctx, c.slot, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Login(ctx, c.user, []byte(c.pin)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		info, err := m.GetTokenInfo(ctx, witnessSlot)
		if low := info.Has(cryptoki.CKF_USER_PIN_COUNT_LOW); err != nil || low != (c.want != nil) {
			t.Errorf("%s: a wrong PIN was tried: %t, %v", c.name, low, err)
		}
		if err := s.CloseSession(ctx); err != nil {
			t.Error(err)
		}
	}
	if _, err := m.OpenSession(ctx, emptySlot, false); !errors.Is(err, cryptoki.CKR_TOKEN_NOT_PRESENT) {
		t.Errorf("a session of an empty slot: %v", err)
	}
}

func TestASearchOfManyObjects(t *testing.T) {
	ctx := context.Background()
	s, journal := witnessSession(t)
	var made, even []cryptoki.Object
	for n := range 20 {
		object, err := s.CreateObject(ctx, []cryptoki.Attribute{
			cryptoki.ULong(cryptoki.CKA_CLASS, 0 /* CKO_DATA */), cryptoki.Bool(cryptoki.CKA_TOKEN, true),
			cryptoki.Bytes(cryptoki.CKA_LABEL, []byte([]string{"even", "odd"}[n%2])), cryptoki.Bytes(cryptoki.CKA_VALUE, []byte{byte(n)}),
		})
		if err != nil {
			t.Fatal(err)
		}
		if made = append(made, object); n%2 == 0 {
			even = append(even, object)
		}
	}
	for name, c := range map[string]struct {
		template []cryptoki.Attribute
		want     []cryptoki.Object
	}{
		"all": {nil, made},
		"by a text, a number and a flag": {[]cryptoki.Attribute{
			cryptoki.Bytes(cryptoki.CKA_LABEL, []byte("even")), cryptoki.ULong(cryptoki.CKA_CLASS, 0), cryptoki.Bool(cryptoki.CKA_TOKEN, true),
		}, even},
		"by what none has": {[]cryptoki.Attribute{cryptoki.ULong(cryptoki.CKA_CLASS, cryptoki.CKO_PRIVATE_KEY)}, nil},
	} {
		found, err := s.FindObjects(ctx, c.template)
		if err != nil || !slices.Equal(found, c.want) {
			t.Errorf("%s: %x, not %x, %v", name, found, c.want, err)
		}
	}
	if want := "C_FindObjectsInit 0x3=6576656e 0x0=00000000 0x1=01"; !slices.Contains(journal(), want) {
		t.Errorf("the journal is %q", journal())
	}
	for _, object := range made {
		if err := s.DestroyObject(ctx, object); err != nil {
			t.Error(err)
		}
	}
	if err := s.DestroyObject(ctx, made[0]); !errors.Is(err, cryptoki.CKR_OBJECT_HANDLE_INVALID) {
		t.Errorf("what is destroyed: %v", err)
	}
}

// templates are those of the halves of a pair that signs.
func templates(own ...cryptoki.Attribute) (public, private []cryptoki.Attribute) {
	name := []cryptoki.Attribute{
		cryptoki.Bool(cryptoki.CKA_TOKEN, true), cryptoki.Bytes(cryptoki.CKA_LABEL, []byte("ü")), cryptoki.Bytes(cryptoki.CKA_ID, []byte{0, 0xA5}),
	}
	return slices.Concat(name, own), slices.Concat(name, []cryptoki.Attribute{cryptoki.Bool(cryptoki.CKA_SIGN, true)})
}

func TestAPairsAttributes(t *testing.T) {
	ctx := context.Background()
	s, journal := witnessSession(t)
	p256 := []byte{0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07}
	for name, c := range map[string]struct {
		mechanism cryptoki.MechanismType
		own       []cryptoki.Attribute
		journal   string // of the public template, behind the name
		allowed   []uint
		secret    cryptoki.AttributeType
	}{
		"RSA": {
			cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN,
			[]cryptoki.Attribute{cryptoki.ULong(cryptoki.CKA_MODULUS_BITS, 1024), cryptoki.Bytes(cryptoki.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1})},
			" 0x121=00040000 0x122=010001", []uint{0x1, 0xD, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45}, 0x123, /* CKA_PRIVATE_EXPONENT */
		},
		"EC": {
			cryptoki.CKM_EC_KEY_PAIR_GEN, []cryptoki.Attribute{cryptoki.Bytes(cryptoki.CKA_EC_PARAMS, p256)},
			fmt.Sprintf(" 0x180=%x", p256), []uint{0x1041}, cryptoki.CKA_VALUE,
		},
	} {
		t.Run(name, func(t *testing.T) {
			public, private := templates(c.own...)
			pair, err := s.GenerateKeyPair(ctx, cryptoki.Mechanism{Type: c.mechanism}, public, private)
			if err != nil {
				t.Fatal(err)
			}
			named := " 0x1=01 0x3=c3bc 0x102=00a5"
			want := fmt.Sprintf("C_GenerateKeyPair 0x%X public%s%s private%s 0x108=01", uint(c.mechanism), named, c.journal, named)
			if !slices.Contains(journal(), want) {
				t.Errorf("the journal is %q, without %q", journal(), want)
			}
			asked := []cryptoki.AttributeType{
				cryptoki.CKA_CLASS, cryptoki.CKA_START_DATE, cryptoki.CKA_ID, c.secret, cryptoki.CKA_LABEL,
				cryptoki.CKA_SENSITIVE, cryptoki.CKA_ALLOWED_MECHANISMS,
			}
			for range 2 { // the second time after a change
				got, err := s.GetAttributeValue(ctx, pair.Private, asked)
				if err != nil {
					t.Fatal(err)
				}
				allowed, err := got.ULongs(cryptoki.CKA_ALLOWED_MECHANISMS)
				if class, _, _ := got.ULong(cryptoki.CKA_CLASS); class != cryptoki.CKO_PRIVATE_KEY ||
					!slices.Equal(allowed, c.allowed) || err != nil {
					t.Errorf("class %d, mechanisms %v, %v", class, allowed, err)
				}
				for _, none := range []cryptoki.AttributeType{cryptoki.CKA_START_DATE, c.secret} {
					if value, there := got[none]; there {
						t.Errorf("%s is %x", none, value)
					}
				}
				if !bytes.Equal(got[cryptoki.CKA_ID], []byte{0, 0xA5}) || !bytes.Equal(got[cryptoki.CKA_SENSITIVE], []byte{1}) {
					t.Errorf("the ID is %x, it is sensitive: %x", got[cryptoki.CKA_ID], got[cryptoki.CKA_SENSITIVE])
				}
				if label := string(got[cryptoki.CKA_LABEL]); label != "ü" && label != strings.Repeat("longer than any room", 100) {
					t.Errorf("the label is %q", label)
				}
				// Longer than the room that is set out: the first call has CK_UNAVAILABLE_INFORMATION for its length.
				err = s.SetAttributeValue(ctx, pair.Private, []cryptoki.Attribute{
					cryptoki.Bytes(cryptoki.CKA_LABEL, []byte(strings.Repeat("longer than any room", 100))),
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			err = s.SetAttributeValue(ctx, pair.Private, []cryptoki.Attribute{cryptoki.Bool(cryptoki.CKA_SENSITIVE, false)})
			if !errors.Is(err, cryptoki.CKR_ATTRIBUTE_READ_ONLY) {
				t.Errorf("what cannot be changed: %v", err)
			}
			signatureHolds(t, s, pair)
			for _, half := range []cryptoki.Object{pair.Public, pair.Private} {
				if err := s.DestroyObject(ctx, half); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// signatureHolds has a pair sign in every way, and verifies it with what the public half shows.
func signatureHolds(t *testing.T, s *cryptoki.Session, pair cryptoki.Pair) {
	t.Helper()
	ctx := context.Background()
	shown, err := s.GetAttributeValue(ctx, pair.Public, []cryptoki.AttributeType{
		cryptoki.CKA_MODULUS, cryptoki.CKA_PUBLIC_EXPONENT, cryptoki.CKA_EC_POINT,
	})
	if err != nil {
		t.Fatal(err)
	}
	text := []byte("a text")
	digest := sha256.Sum256(text)
	if point := shown[cryptoki.CKA_EC_POINT]; point != nil {
		signature, err := s.Sign(ctx, cryptoki.Mechanism{Type: cryptoki.CKM_ECDSA, OutputLength: 64}, pair.Private, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point[2:])
		if err != nil || !ecdsa.Verify(key, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
			t.Errorf("the signature does not hold: %v", err)
		}
		return
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(shown[cryptoki.CKA_MODULUS]), E: 65537}
	// The DigestInfo of SHA-256 (RFC 8017, 9.2).
	info := append([]byte("\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"), digest[:]...)
	for _, c := range []struct {
		mechanism cryptoki.Mechanism
		data      []byte
		pss       bool
	}{
		{cryptoki.Mechanism{Type: cryptoki.CKM_RSA_PKCS}, info, false},
		{cryptoki.Mechanism{Type: cryptoki.CKM_SHA256_RSA_PKCS}, text, false},
		{cryptoki.PSS(cryptoki.CKM_RSA_PKCS_PSS, crypto.SHA256, 32), digest[:], true},
		{cryptoki.PSS(cryptoki.CKM_SHA256_RSA_PKCS_PSS, crypto.SHA256, 32), text, true},
	} {
		signature, err := s.Sign(ctx, c.mechanism, pair.Private, c.data)
		if err != nil {
			t.Errorf("%s: %v", c.mechanism.Type, err)
			continue
		}
		if c.pss {
			err = rsa.VerifyPSS(key, crypto.SHA256, digest[:], signature, &rsa.PSSOptions{SaltLength: 32})
		} else {
			err = rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature)
		}
		if err != nil {
			t.Errorf("%s: %v", c.mechanism.Type, err)
		}
	}
}

func TestMechanismsAreUnderstood(t *testing.T) {
	ctx := context.Background()
	s, journal := witnessSession(t)
	public, private := templates(cryptoki.ULong(cryptoki.CKA_MODULUS_BITS, 1024))
	pair, err := s.GenerateKeyPair(ctx, cryptoki.Mechanism{Type: cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN}, public, private)
	if err != nil {
		t.Fatal(err)
	}
	for hash, want := range map[crypto.Hash]string{
		crypto.SHA256: "hashAlg=0x250 mgf=2 sLen=32", crypto.SHA384: "hashAlg=0x260 mgf=3 sLen=48", crypto.SHA512: "hashAlg=0x270 mgf=4 sLen=64",
	} {
		digest := bytes.Repeat([]byte{7}, hash.Size())
		if _, err := s.Sign(ctx, cryptoki.PSS(cryptoki.CKM_RSA_PKCS_PSS, hash, hash.Size()), pair.Private, digest); hash == crypto.SHA256 && err != nil {
			t.Error(err) // a modulus of 1024 bits has no room for every salt
		}
		if want = "C_SignInit 0xD " + want; !slices.Contains(journal(), want) {
			t.Errorf("the journal is %q, without %q", journal(), want)
		}
	}
	if _, err := s.Decrypt(ctx, cryptoki.OAEP(), pair.Private, make([]byte, 128)); !errors.Is(err, cryptoki.CKR_MECHANISM_INVALID) {
		t.Errorf("RSAES-OAEP: %v", err)
	}
	point := append([]byte{4}, bytes.Repeat([]byte{9}, 64)...)
	_, err = s.DeriveKey(ctx, cryptoki.ECDH1(point), pair.Private, []cryptoki.Attribute{cryptoki.ULong(cryptoki.CKA_VALUE_LEN, 32)})
	if !errors.Is(err, cryptoki.CKR_MECHANISM_INVALID) {
		t.Errorf("ECDH: %v", err)
	}
	null := strings.Repeat("0", 16)
	for _, want := range []string{
		"C_DecryptInit hashAlg=0x220 mgf=1 source=1 data=" + null + " of 0",
		fmt.Sprintf("C_DeriveKey kdf=1 shared=%s of 0 point 0x11=%x key 0x161=20000000", null, point),
	} {
		if !slices.Contains(journal(), want) {
			t.Errorf("the journal is %q, without %q", journal(), want)
		}
	}
	random, err := s.GenerateRandom(ctx, 100)
	if err != nil || len(random) != 100 {
		t.Errorf("%d random bytes, %v", len(random), err)
	}
}
