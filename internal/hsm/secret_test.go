package hsm_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// secretKey is the template of a secret key.
func secretKey(kind string, bits int, usage object.Usage, id string) object.Template {
	return object.Template{Type: object.Secret, Kind: kind, Bits: bits, Usage: usage, ID: []byte(id), Label: "secret " + id}
}

const everySecretUsage = object.Encrypt | object.Decrypt | object.Wrap | object.Unwrap | object.Sign | object.Verify

func TestSecretKeysOfEverySizeAndUsage(t *testing.T) {
	hsmtest.Needs(t, hsmtest.SecretKeys)
	k := hsmtest.New(t)
	token := open(t, k)
	ctx := context.Background()
	for name, c := range hsmtest.InOrder(map[string]struct {
		tmpl object.Template
		tool string // what pkcs11-tool calls it
		lone bool   // no operation proves it
	}{
		"AES of 128 bits":              {secretKey(object.AES, 128, object.Encrypt|object.Decrypt, "1"), "AES length 16", false},
		"AES of 192 bits":              {secretKey(object.AES, 192, object.Sign|object.Verify, "2"), "AES length 24", false},
		"AES of 256 bits for all":      {secretKey(object.AES, 256, everySecretUsage, "3"), "AES length 32", false},
		"AES that only wraps":          {secretKey(object.AES, 256, object.Wrap, "4"), "AES length 32", true},
		"generic of 256 bits":          {secretKey(object.Generic, 256, object.Sign|object.Verify, "5"), "Generic secret length 32", false},
		"generic too short for SHA256": {secretKey(object.Generic, 168, object.Sign|object.Verify, "6"), "Generic secret length 21", false},
		"generic that only signs":      {secretKey(object.Generic, 128, object.Sign, "7"), "Generic secret length 16", true},
	}) {
		t.Run(name, func(t *testing.T) {
			if c.tmpl.Kind == object.AES && c.tmpl.Usage == object.Sign|object.Verify {
				hsmtest.Needs(t, hsmtest.CMAC)
			}
			faults := &hsmtest.Faults{}
			made := generate(t, openWith(t, k, k.PIN, faults), c.tmpl)
			if used := faults.Count("C_Decrypt")+faults.Count("C_Verify") > 0; used == c.lone {
				t.Errorf("it was proven by use: %t", used)
			}
			ref := object.Ref{Type: object.Secret, ID: made.ID, Fingerprint: made.Fingerprint()}
			found, err := token.Key(ctx, ref)
			if err != nil || describe(found) != describe(made) {
				t.Fatalf("found %s, %v", describe(found), err)
			}
			if made.Kind != c.tmpl.Kind || made.Bits != c.tmpl.Bits || made.Usage != c.tmpl.Usage || !yes(made.Sensitive) || yes(made.Extractable) || made.PublicKey != nil {
				t.Errorf("made %s, %s of %d bits", describe(made), made.Kind, made.Bits)
			}
			access := "sensitive, always sensitive, never extractable"
			if hsmtest.Has(t, hsmtest.Local) {
				access += ", local"
			}
			seen := k.Tool(t, "--list-objects", "--id", object.FormatID(made.ID))
			if strings.Count(seen, "Key Object") != 1 || !strings.Contains(seen, "Secret Key Object; "+c.tool) ||
				!strings.Contains(seen, access+"\n") {
				t.Errorf("pkcs11-tool sees\n%s", seen)
			}
			if _, err := token.Key(ctx, object.Ref{ID: made.ID}); !errors.Is(err, object.ErrNotFound) {
				t.Errorf("as a key pair: %v", err)
			}
			if _, err := token.Generate(ctx, c.tmpl); !errors.Is(err, object.ErrExists) {
				t.Errorf("the ID a second time: %v", err)
			}
			if left, err := token.Destroy(ctx, ref); err != nil || len(left) > 0 {
				t.Errorf("left %v, %v", left, err)
			}
			if seen := k.Tool(t, "--list-objects"); strings.Contains(seen, "Key Object") {
				t.Errorf("after its destruction pkcs11-tool sees\n%s", seen)
			}
		})
	}
}

func TestSecretKeysThatCannotBe(t *testing.T) {
	hsmtest.Needs(t, hsmtest.SecretKeys)
	k := hsmtest.New(t)
	faults := &hsmtest.Faults{}
	token := openWith(t, k, k.PIN, faults)
	for _, c := range []struct {
		tmpl object.Template
		says string
	}{
		{secretKey(object.AES, 512, object.Encrypt, "1"), "AES keys have 128, 192 or 256 bits, not 512"},
		{secretKey(object.Generic, 129, object.Sign, "2"), "whole bytes"},
		{secretKey(object.Generic, 64, object.Sign, "3"), "from 128 to 4096 bits"},
		{secretKey(object.Generic, 256, object.Sign|object.Encrypt, "4"), "generic keys are for sign, verify, not for encrypt"},
		{secretKey("des", 64, object.Encrypt, "5"), `there is no key type "secret" "des"`},
	} {
		if _, err := token.Generate(context.Background(), c.tmpl); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s of %d bits: %v", c.tmpl.Kind, c.tmpl.Bits, err)
		}
	}
	if n := faults.Count("C_GenerateKey"); n != 0 {
		t.Errorf("the token was told to make %d of them", n)
	}
}

// TestTheBoundsOfAESKeysAreInBytes compares sizes with the bounds that tokens give, some in bytes, as PKCS#11 has it,
// some in bits.
func TestTheBoundsOfAESKeysAreInBytes(t *testing.T) {
	hsmtest.Needs(t, hsmtest.SecretKeys)
	k := hsmtest.New(t)
	for bounds, ok := range map[[2]uint]bool{{16, 32}: true, {16, 24}: false, {128, 256}: true, {128, 192}: false, {0, 0}: true} {
		faults := &hsmtest.Faults{}
		faults.Inject(hsmtest.Fault{Function: "C_GetMechanismInfo", Do: func(_ context.Context, c *cryptoki.Call, next func() error) error {
			err := next()
			info := c.Result.(*cryptoki.MechanismInfo)
			info.MinKeySize, info.MaxKeySize = bounds[0], bounds[1]
			return err
		}})
		err := openWith(t, k, k.PIN, faults).Check(context.Background(), secretKey(object.AES, 256, object.Encrypt, "1"))
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "AES keys of 256 bits") {
			t.Errorf("%v: %v", bounds, err)
		}
	}
}

// knownKey writes an AES key of a known value and the ID "a" on the token, and gives its check value as openssl computes it.
func knownKey(t *testing.T, k *hsmtest.Token, label string, value byte) string {
	t.Helper()
	dir := t.TempDir()
	key, zeros := filepath.Join(dir, "key"), filepath.Join(dir, "zeros")
	secret := bytes.Repeat([]byte{value}, 16)
	for file, content := range hsmtest.InOrder(map[string][]byte{key: secret, zeros: make([]byte, 16)}) {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	k.Tool(t, "--write-object", key, "--type", "secrkey", "--key-type", "AES:16", "--id", "61", "--label", label,
		"--usage-decrypt", "--sensitive", "--private")
	sealed := k.Command(t, "openssl", "enc", "-aes-128-ecb", "-nopad", "-K", hex.EncodeToString(secret), "-in", zeros)
	return hex.EncodeToString([]byte(sealed[:3]))
}

// hidden is a token that shows nothing of secret keys.
func hidden(t *testing.T, k *hsmtest.Token, faults *hsmtest.Faults) *hsm.Token {
	t.Helper()
	token := openWith(t, k, k.PIN, faults)
	faults.Inject(lie(cryptoki.CKO_SECRET_KEY, without(cryptoki.CKA_CHECK_VALUE)))
	return token
}

func TestTheCheckValueIsOpenSSLs(t *testing.T) {
	hsmtest.Needs(t, hsmtest.SecretKeys, hsmtest.OtherEyes)
	k := hsmtest.New(t)
	ctx := context.Background()
	want := knownKey(t, k, "known", 7)
	ref := object.Ref{Type: object.Secret, ID: []byte("a")}
	faults := &hsmtest.Faults{}
	for name, token := range hsmtest.InOrder(map[string]*hsm.Token{
		"as the token shows it": open(t, k), "as it is computed": hidden(t, k, faults),
	}) {
		key, err := token.Key(ctx, ref)
		if err != nil || key.Fingerprint() != want || key.Kind != object.AES || key.Bits != 128 {
			t.Errorf("%s: %s of %d bits, %s, not %s, %v", name, key.Kind, key.Bits, key.Fingerprint(), want, err)
		}
	}
	if n := faults.Count("C_Encrypt"); n != 1 {
		t.Errorf("%d encryptions", n)
	}
	faults.Inject(hsmtest.Fault{Function: "C_EncryptInit", Code: cryptoki.CKR_MECHANISM_INVALID})
	token := hidden(t, k, faults)
	key, err := token.Key(ctx, ref)
	if err != nil || key.Fingerprint() != "" {
		t.Errorf("where nothing shows it: %q, %v", key.Fingerprint(), err)
	}
	faults.Clear()
	faults.Inject(hsmtest.Fault{Function: "C_EncryptInit", Code: cryptoki.CKR_DEVICE_ERROR})
	if _, err := hidden(t, k, faults).Key(ctx, ref); !errors.Is(err, cryptoki.CKR_DEVICE_ERROR) {
		t.Errorf("where the token fails: %v", err)
	}
}

// TestAnotherSecretKeyBehindAnIDIsLeftAlone tells keys apart by their check values, shown or computed.
func TestAnotherSecretKeyBehindAnIDIsLeftAlone(t *testing.T) {
	hsmtest.Needs(t, hsmtest.SecretKeys, hsmtest.OtherEyes)
	k := hsmtest.New(t)
	ctx := context.Background()
	theirs := knownKey(t, k, "known", 7)
	label := "mine"
	for name, token := range hsmtest.InOrder(map[string]*hsm.Token{
		"shown": open(t, k), "computed": hidden(t, k, &hsmtest.Faults{}),
	}) {
		ref := object.Ref{Type: object.Secret, ID: []byte("a"), Fingerprint: "c0ffee"}
		_, changeErr := token.Change(ctx, ref, object.Change{Label: &label})
		_, destroyErr := token.Destroy(ctx, ref)
		for _, err := range []error{changeErr, destroyErr} {
			if different, ok := errors.AsType[*object.DifferentKeyError](err); !ok || different.Found != theirs {
				t.Errorf("%s: %v", name, err)
			}
		}
		if key, err := token.Key(ctx, ref); err != nil || key.Fingerprint() != theirs || key.Label != "known" {
			t.Errorf("%s: found %s, %v", name, describe(key), err)
		}
	}
}

func TestTwoSecretKeysOfOneID(t *testing.T) {
	hsmtest.Needs(t, hsmtest.SecretKeys, hsmtest.OtherEyes, hsmtest.SameID)
	k := hsmtest.New(t)
	ctx := context.Background()
	first, second := knownKey(t, k, "first", 1), knownKey(t, k, "second", 2)
	token := open(t, k)
	_, err := token.Key(ctx, object.Ref{Type: object.Secret, ID: []byte("a")})
	ambiguous, ok := errors.AsType[*object.AmbiguousError](err)
	if !ok || len(ambiguous.Objects) != 2 || !slices.Contains(ambiguous.Fingerprints, first) {
		t.Errorf("got %v", err)
	}
	if _, err := token.Destroy(ctx, object.Ref{Type: object.Secret, ID: []byte("a")}); !errors.Is(err, object.ErrAmbiguous) {
		t.Errorf("a destruction of either: %v", err)
	}
	left, err := token.Destroy(ctx, object.Ref{Type: object.Secret, ID: []byte("a"), Fingerprint: first})
	if err != nil || len(left) != 1 || left[0].Label != "second" {
		t.Errorf("left %v, %v", left, err)
	}
	if key, err := token.Key(ctx, object.Ref{Type: object.Secret, ID: []byte("a")}); err != nil || key.Fingerprint() != second {
		t.Errorf("found %s, %v", describe(key), err)
	}
	// A key pair of the same ID is another type of key: each is found by its own.
	k.Tool(t, "--keypairgen", "--key-type", "rsa:2048", "--id", "61", "--label", "pair", "--usage-sign")
	token = open(t, k)
	if pair, err := token.Key(ctx, object.Ref{ID: []byte("a")}); err != nil || pair.Label != "pair" {
		t.Errorf("found %s, %v", describe(pair), err)
	}
	if key, err := token.Key(ctx, object.Ref{Type: object.Secret, ID: []byte("a")}); err != nil || key.Label != "second" {
		t.Errorf("found %s, %v", describe(key), err)
	}
}

// answer changes what a function gives.
func answer(function string, change func([]byte)) hsmtest.Fault {
	return hsmtest.Fault{Function: function, Do: func(_ context.Context, c *cryptoki.Call, next func() error) error {
		err := next()
		change(*c.Result.(*[]byte))
		return err
	}}
}

// TestASecretKeyThatIsNotWhatWasAskedForIsDestroyed makes keys on a token that lies about them, or does not do with them
// what it should.
func TestASecretKeyThatIsNotWhatWasAskedForIsDestroyed(t *testing.T) {
	hsmtest.Needs(t, hsmtest.SecretKeys)
	k := hsmtest.New(t)
	aes := secretKey(object.AES, 256, object.Encrypt|object.Decrypt, "a")
	mac := secretKey(object.Generic, 256, object.Sign|object.Verify, "a")
	const secret = cryptoki.CKO_SECRET_KEY
	flip := func(b []byte) {
		if len(b) > 0 {
			b[0] ^= 1
		}
	}
	for name, c := range hsmtest.InOrder(map[string]struct {
		tmpl  object.Template
		fault hsmtest.Fault
		says  string
	}{
		"shorter than asked for":       {aes, lie(secret, set(cryptoki.CKA_VALUE_LEN, cryptoki.ULong(cryptoki.CKA_VALUE_LEN, 16).Value)), "it has 128 bits, not 256"},
		"of another type":              {aes, lie(secret, set(cryptoki.CKA_KEY_TYPE, cryptoki.ULong(cryptoki.CKA_KEY_TYPE, cryptoki.CKK_GENERIC_SECRET).Value)), "is that of generic keys, not of AES keys"},
		"not sensitive":                {aes, lie(secret, set(cryptoki.CKA_SENSITIVE, []byte{0})), "CKA_SENSITIVE of the secret key is false"},
		"not private":                  {aes, lie(secret, set(cryptoki.CKA_PRIVATE, []byte{0})), "CKA_PRIVATE of the secret key is false"},
		"extractable":                  {aes, lie(secret, set(cryptoki.CKA_EXTRACTABLE, []byte{1})), "CKA_EXTRACTABLE of the secret key is true"},
		"one that may wrap":            {aes, lie(secret, set(cryptoki.CKA_WRAP, []byte{1})), "CKA_WRAP of the secret key is true"},
		"one that may not decrypt":     {aes, lie(secret, set(cryptoki.CKA_DECRYPT, []byte{0})), "CKA_DECRYPT of the secret key is false"},
		"one that decrypts to another": {aes, answer("C_Decrypt", flip), "does not decrypt what it has encrypted"},
		"one that verifies nothing":    {mac, hsmtest.Fault{Function: "C_Verify", Code: cryptoki.CKR_SIGNATURE_INVALID}, "does not verify"},
		"one whose MAC is another's":   {mac, answer("C_Sign", flip), "does not verify"},
	}) {
		t.Run(name, func(t *testing.T) {
			if name == "one whose MAC is another's" {
				hsmtest.Needs(t, hsmtest.WrongMACs)
			}
			faults := &hsmtest.Faults{}
			token := openWith(t, k, k.PIN, faults)
			faults.Inject(c.fault)
			_, err := token.Generate(context.Background(), c.tmpl)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
			if seen := k.Tool(t, "--list-objects"); strings.Contains(seen, "Key Object") {
				t.Errorf("it was kept: %s", seen)
			}
		})
	}
}

// TestATokenThatOffersNoProofKeepsSecretKeys makes keys that nothing can prove: they are what their attributes say.
func TestATokenThatOffersNoProofKeepsSecretKeys(t *testing.T) {
	hsmtest.Needs(t, hsmtest.SecretKeys)
	k := hsmtest.New(t)
	faults := &hsmtest.Faults{}
	token := hidden(t, k, faults)
	for _, function := range []string{"C_EncryptInit", "C_SignInit"} {
		faults.Inject(hsmtest.Fault{Function: function, Code: cryptoki.CKR_MECHANISM_INVALID})
	}
	key := generate(t, token, secretKey(object.AES, 256, everySecretUsage, "a"))
	if key.Fingerprint() != "" || faults.Count("C_EncryptInit") == 0 || faults.Count("C_SignInit") == 0 {
		t.Errorf("made %s", describe(key))
	}
	label := "b"
	ref := object.Ref{Type: object.Secret, ID: key.ID}
	if changed, err := token.Change(context.Background(), ref, object.Change{Label: &label}); err != nil || changed.Label != label {
		t.Errorf("changed to %s, %v", describe(changed), err)
	}
	if left, err := token.Destroy(context.Background(), ref); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

// TestARaceForASecretKeysID has somebody else make a key of the same ID right after ours. The key with the greater
// check value stays. Where a key shows none, we give way. The other key is never destroyed.
func TestARaceForASecretKeysID(t *testing.T) {
	hsmtest.Needs(t, hsmtest.SecretKeys, hsmtest.OtherEyes, hsmtest.SameID)
	least, greatest := []byte{0, 0, 0}, []byte{0xff, 0xff, 0xff}
	for _, c := range []struct {
		rival          string
		mine           []byte
		atOnce, leaves bool
	}{
		{rival: "a greater one", mine: least, atOnce: true},
		{rival: "a lesser one, which stays", mine: greatest},
		{rival: "a lesser one, which gives way", mine: greatest, leaves: true},
		{rival: "one that shows nothing", mine: []byte{}, atOnce: true},
	} {
		t.Run(c.rival, func(t *testing.T) {
			t.Parallel()
			k := hsmtest.New(t)
			faults, race := &hsmtest.Faults{}, &rivalry{Token: k, t: t, pieces: 1}
			token := openWith(t, k, k.PIN, faults)
			faults.Inject(hsmtest.Fault{Function: "C_GenerateKey", Nth: 1, Do: func(_ context.Context, _ *cryptoki.Call, next func() error) error {
				err := next()
				race.theirs = knownKey(t, k, "theirs", 7)
				race.watch(faults, c.leaves)
				return err
			}})
			faults.Inject(lie(cryptoki.CKO_SECRET_KEY, func(a cryptoki.Attributes) {
				if string(a[cryptoki.CKA_LABEL]) != "theirs" || len(c.mine) == 0 {
					a[cryptoki.CKA_CHECK_VALUE] = c.mine
				}
			}))
			made, err := token.Generate(context.Background(), secretKey(object.AES, 128, object.Encrypt|object.Decrypt, "a"))
			race.judge(err, c.atOnce, c.leaves)
			key, err := open(t, k).Key(context.Background(), object.Ref{Type: object.Secret, ID: []byte("a")})
			label, fingerprint := "theirs", race.theirs
			if c.leaves {
				label, fingerprint = made.Label, key.Fingerprint()
			}
			if err != nil || key.Label != label || key.Fingerprint() != fingerprint {
				t.Errorf("left is %s, %v", describe(key), err)
			}
		})
	}
}

// TestASecretKeyOfAnotherTypeOrLengthIsLeftAlone has another key take a key's place. Neither shows a check value.
func TestASecretKeyOfAnotherTypeOrLengthIsLeftAlone(t *testing.T) {
	hsmtest.Needs(t, hsmtest.SecretKeys)
	k := hsmtest.New(t)
	ctx := context.Background()
	token := hidden(t, k, &hsmtest.Faults{})
	generate(t, token, secretKey(object.Generic, 256, object.Sign|object.Verify, "a"))
	label := "mine"
	for _, ref := range []object.Ref{{Kind: object.AES, Bits: 256}, {Kind: object.Generic, Bits: 512}} {
		ref.Type, ref.ID, ref.Fingerprint = object.Secret, []byte("a"), "c0ffee"
		_, changeErr := token.Change(ctx, ref, object.Change{Label: &label})
		_, destroyErr := token.Destroy(ctx, ref)
		for _, err := range []error{changeErr, destroyErr} {
			if different, ok := errors.AsType[*object.DifferentKeyError](err); !ok || different.FoundKind != "generic (256 bits)" {
				t.Errorf("%s of %d bits: %v", ref.Kind, ref.Bits, err)
			}
		}
		if key, err := token.Key(ctx, ref); err != nil || key.Label != "secret a" || key.Differs(ref) == nil {
			t.Errorf("found %s, %v", describe(key), err)
		}
	}
}

// TestAnotherSecretKeyThatShowsItselfAfterAChangeIsPutBack has the new usage let the check value be computed.
func TestAnotherSecretKeyThatShowsItselfAfterAChangeIsPutBack(t *testing.T) {
	hsmtest.Needs(t, hsmtest.SecretKeys)
	k := hsmtest.New(t)
	token := hidden(t, k, &hsmtest.Faults{})
	generate(t, token, secretKey(object.AES, 256, object.Decrypt, "a"))
	usage, ref := object.Encrypt|object.Decrypt, object.Ref{Type: object.Secret, ID: []byte("a"), Fingerprint: "c0ffee"}
	_, err := token.Change(context.Background(), ref, object.Change{Usage: &usage})
	failed, _ := errors.AsType[*hsm.OperationError](err)
	if different, ok := errors.AsType[*object.DifferentKeyError](err); !ok || different.Want != "c0ffee" || failed.Holds != hsm.HoldsAsBefore {
		t.Errorf("got %v", err)
	}
	if key, err := token.Key(context.Background(), ref); err != nil || key.Usage != object.Decrypt {
		t.Errorf("left %s, %v", describe(key), err)
	}
}

// TestSecretKeysThatShowNothingAreFoundByTheirCheckValues has several keys share an ID, and one with another ID.
func TestSecretKeysThatShowNothingAreFoundByTheirCheckValues(t *testing.T) {
	hsmtest.Needs(t, hsmtest.SecretKeys, hsmtest.OtherEyes, hsmtest.SameID)
	k, faults := hsmtest.New(t), &hsmtest.Faults{}
	ctx := context.Background()
	first := knownKey(t, k, "first", 1)
	knownKey(t, k, "second", 2)
	token := hidden(t, k, faults)
	ref := object.Ref{Type: object.Secret, ID: []byte("a"), Kind: object.AES, Bits: 128, Fingerprint: first}
	if key, err := token.Key(ctx, ref); err != nil || key.Label != "first" {
		t.Errorf("found %s, %v", describe(key), err)
	}
	nobody := func([]byte) bool { return false }
	for range 2 { // the second time costs nothing
		key, found, err := token.KeyByFingerprint(ctx, ref, nobody)
		if err != nil || !found || key.Label != "first" {
			t.Errorf("it is %s (%t), %v", describe(key), found, err)
		}
	}
	before := faults.Count("")
	longer := ref
	longer.Bits = 256
	if _, found, err := token.KeyByFingerprint(ctx, longer, nobody); err != nil || found {
		t.Errorf("one of another length: %t, %v", found, err)
	}
	if _, found, err := token.KeyByFingerprint(ctx, ref, func([]byte) bool { return true }); err != nil || found {
		t.Errorf("one that is skipped: %t, %v", found, err)
	}
	if n := faults.Count("") - before; n != 0 {
		t.Errorf("looking again makes %d calls", n)
	}
	usage := object.Decrypt
	if key, err := token.Change(ctx, ref, object.Change{Usage: &usage}); err != nil || key.Label != "first" || key.Usage != usage {
		t.Errorf("changed to %s, %v", describe(key), err)
	}
}
