package hsm_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// signature is one that callers ask for.
type signature struct {
	name string
	opts crypto.SignerOpts
}

// hashes are those that are signed.
var hashes = []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512}

// signaturesOf are all signatures that a key makes.
func signaturesOf(pub crypto.PublicKey) (all []signature) {
	_, isRSA := pub.(*rsa.PublicKey)
	if !isRSA && (publickey.ParameterSet(pub) != "" || publickey.Curve(pub) == publickey.Ed25519) {
		return []signature{{"the message", crypto.Hash(0)}}
	}
	for _, h := range hashes {
		all = append(all, signature{h.String(), h})
		if isRSA {
			all = append(all,
				signature{"PSS " + h.String(), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: h}})
		}
	}
	return all
}

// digestOf is what Sign gets for a message.
func digestOf(h crypto.Hash, message []byte) []byte {
	if h == 0 {
		return message
	}
	hash := h.New()
	hash.Write(message)
	return hash.Sum(nil)
}

// verifies says that a signature is one of a message, by code that shares nothing with the signer where Go has it.
func verifies(pub crypto.PublicKey, opts crypto.SignerOpts, message, sig []byte) bool {
	h := opts.HashFunc()
	digest := digestOf(h, message)
	switch key := pub.(type) {
	case *rsa.PublicKey:
		if options, ok := opts.(*rsa.PSSOptions); ok {
			length := options.SaltLength
			if length == rsa.PSSSaltLengthAuto {
				length = rsa.PSSSaltLengthEqualsHash
			}
			return rsa.VerifyPSS(key, h, digest, sig, &rsa.PSSOptions{SaltLength: length}) == nil
		}
		return rsa.VerifyPKCS1v15(key, h, digest, sig) == nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, digest, sig)
	}
	if h != 0 {
		return publickey.VerifyDigestDER(pub, digest, sig)
	}
	return publickey.Verify(pub, message, sig)
}

func signerOf(t testing.TB, token *hsm.Token, pub crypto.PublicKey) *hsm.Signer {
	t.Helper()
	signer, err := token.Signer(context.Background(), pub)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// signs has a signer make every signature of its key, of a digest and of a message. A make of token may hash for some
// signatures by itself alone.
func signs(t *testing.T, signer *hsm.Signer) {
	t.Helper()
	message := []byte("what is signed")
	for _, s := range signaturesOf(signer.Public()) {
		sig, err := signer.Sign(nil, digestOf(s.opts.HashFunc(), message), s.opts)
		var cannot *hsm.CannotSignError
		if errors.As(err, &cannot) && strings.Contains(err.Error(), "hashes the message by itself") &&
			!hsmtest.Has(t, hsmtest.RawPSS) {
			t.Logf("%s: %v", s.name, err)
		} else if err != nil || !verifies(signer.Public(), s.opts, message, sig) {
			t.Errorf("%s of a digest: %x, %v", s.name, sig, err)
		}
		sig, err = signer.SignMessage(nil, message, s.opts)
		if err != nil || !verifies(signer.Public(), s.opts, message, sig) {
			t.Errorf("%s of a message: %x, %v", s.name, sig, err)
		}
	}
}

// signingKinds are a template of each kind of pair that signs.
func signingKinds() map[string]object.Template {
	kinds := map[string]object.Template{
		"RSA": {Type: object.RSA, ModulusBits: 2048, PublicExponent: 65537, Usage: object.Sign | object.Decrypt},
	}
	for curve := range hsmtest.Curves {
		kinds[curve] = object.Template{Type: object.EC, Curve: curve, Usage: object.Sign}
	}
	for _, set := range publickey.ParameterSets() {
		kinds[set] = object.Template{Type: object.MLDSA, ParameterSet: set, Usage: object.Sign}
	}
	return kinds
}

// needsKind skips where this make has no such pairs.
func needsKind(t testing.TB, tmpl object.Template) {
	t.Helper()
	switch {
	case tmpl.Type == object.MLDSA:
		hsmtest.Needs(t, hsmtest.MLDSA)
	case tmpl.Curve != "":
		hsmtest.NeedsCurves(t, tmpl.Curve)
	}
}

// TestEveryMakeSigns: by every kind of pair, scheme and hash.
func TestEveryMakeSigns(t *testing.T) {
	for name, tmpl := range hsmtest.InOrder(signingKinds()) {
		t.Run(name, func(t *testing.T) {
			needsKind(t, tmpl)
			token := open(t, hsmtest.New(t))
			tmpl.ID, tmpl.Label = []byte("signer"), "signer"
			made := generate(t, token, tmpl)
			signer := signerOf(t, token, made.PublicKey)
			if !publickey.Equal(signer.Public(), made.PublicKey) || !bytes.Equal(signer.Key().ID, made.ID) {
				t.Fatalf("the signer is %s", describe(signer.Key()))
			}
			signs(t, signer)
		})
	}
}

// TestOpenSSLVerifies what the token signs: a witness that shares no code with this project.
func TestOpenSSLVerifies(t *testing.T) {
	dir, message := t.TempDir(), []byte("what is signed")
	file := func(name string, content []byte) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	text := file("message", message)
	for name, tmpl := range hsmtest.InOrder(signingKinds()) {
		t.Run(name, func(t *testing.T) {
			if tmpl.Type == object.MLDSA {
				t.Skip("not every openssl has ML-DSA")
			}
			needsKind(t, tmpl)
			token := open(t, hsmtest.New(t))
			tmpl.ID, tmpl.Label = []byte("signer"), "signer"
			signer := signerOf(t, token, generate(t, token, tmpl).PublicKey)
			pem, err := publickey.PEM(signer.Public())
			if err != nil {
				t.Fatal(err)
			}
			key := file("key", []byte(pem))
			for _, s := range signaturesOf(signer.Public()) {
				sig, err := signer.SignMessage(nil, message, s.opts)
				if err != nil {
					t.Fatal(err)
				}
				args := []string{"pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin", "-in", text, "-sigfile",
					file("sig", sig)}
				if h := s.opts.HashFunc(); h != 0 {
					args = append(args, "-digest", strings.ReplaceAll(h.String(), "SHA-", "sha"))
				}
				if _, ok := s.opts.(*rsa.PSSOptions); ok {
					args = append(args, "-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:digest")
				}
				if out, err := exec.Command("openssl", args...).CombinedOutput(); err != nil {
					t.Errorf("%s: %v: %s", s.name, err, out)
				}
			}
		})
	}
}

// offering has a token offer no mechanism of these for signing: by C_GetMechanismInfo alone, so that whoever tries one
// all the same signs by it.
func offering(not ...cryptoki.MechanismType) cryptoki.Hook {
	return refuses("C_GetMechanismInfo", cryptoki.CKR_MECHANISM_INVALID, func(c *cryptoki.Call) bool {
		return slices.Contains(not, c.Mechanism)
	})
}

// refusing has a token sign by no mechanism of these. C_GetMechanismInfo tells nobody.
func refusing(code cryptoki.RV, mechanisms ...cryptoki.MechanismType) cryptoki.Hook {
	return refuses("C_SignInit", code, func(c *cryptoki.Call) bool { return slices.Contains(mechanisms, c.Mechanism) })
}

// TestTheWayToSign is chosen by what the key allows, and what the token offers and takes.
func TestTheWayToSign(t *testing.T) {
	onSoftHSM(t)
	rsaKey := object.Template{Type: object.RSA, ModulusBits: 2048, PublicExponent: 65537, Usage: object.Sign}
	p256 := object.Template{Type: object.EC, Curve: publickey.P256, Usage: object.Sign}
	digests := []cryptoki.MechanismType{cryptoki.CKM_RSA_PKCS, cryptoki.CKM_RSA_PKCS_PSS}
	hashing := []cryptoki.MechanismType{cryptoki.CKM_SHA256_RSA_PKCS, cryptoki.CKM_SHA256_RSA_PKCS_PSS}
	pss := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	// flagless has mechanisms whose flags leave out CKF_SIGN.
	flagless := func(_ context.Context, c *cryptoki.Call, next func() error) error {
		err := next()
		if answer, ok := c.Result.(*cryptoki.MechanismInfo); ok && slices.Contains(digests, c.Mechanism) {
			answer.Flags = cryptoki.CKF_VERIFY
		}
		return err
	}
	for name, c := range hsmtest.InOrder(map[string]struct {
		tmpl  object.Template
		hooks []cryptoki.Hook
		opts  crypto.SignerOpts
		by    cryptoki.MechanismType // that signs a message
		says  string                 // of a digest; "": it is signed too
	}{
		"digests are signed":        {rsaKey, nil, crypto.SHA256, cryptoki.CKM_RSA_PKCS, ""},
		"digests are signed by PSS": {rsaKey, nil, pss, cryptoki.CKM_RSA_PKCS_PSS, ""},
		"the token hashes": {rsaKey, []cryptoki.Hook{offering(digests...)}, crypto.SHA256,
			cryptoki.CKM_SHA256_RSA_PKCS, "hashes the message by itself"},
		"the token hashes by PSS": {rsaKey, []cryptoki.Hook{offering(digests...)}, pss,
			cryptoki.CKM_SHA256_RSA_PKCS_PSS, "hashes the message by itself"},
		"the mechanism is not for signing": {rsaKey, []cryptoki.Hook{flagless}, crypto.SHA256,
			cryptoki.CKM_SHA256_RSA_PKCS, "hashes the message by itself"},
		"the token refuses what it offers": {rsaKey,
			[]cryptoki.Hook{refusing(cryptoki.CKR_MECHANISM_INVALID, digests...)}, crypto.SHA256,
			cryptoki.CKM_SHA256_RSA_PKCS, "hashes the message by itself"},
		"the key may not do what the token offers": {rsaKey,
			[]cryptoki.Hook{refusing(cryptoki.CKR_KEY_FUNCTION_NOT_PERMITTED, digests...)}, pss,
			cryptoki.CKM_SHA256_RSA_PKCS_PSS, "hashes the message by itself"},
		"nothing is offered": {rsaKey, []cryptoki.Hook{offering(append(digests, hashing...)...)},
			crypto.SHA256, 0, "which the token does not offer for signing"},
		"everything is refused": {rsaKey,
			[]cryptoki.Hook{refusing(cryptoki.CKR_MECHANISM_INVALID, append(digests, hashing...)...)}, crypto.SHA256, 0,
			"the token refuses RSASSA-PKCS1-v1_5 with SHA-256 with it: CKM_RSA_PKCS: "},
		"a long hash on a small curve": {p256,
			[]cryptoki.Hook{refuses("C_Sign", cryptoki.CKR_DATA_LEN_RANGE, func(c *cryptoki.Call) bool {
				return len(c.Data) != 32
			})}, crypto.SHA512, cryptoki.CKM_ECDSA, ""},
		"a token that gives DER": {p256, []cryptoki.Hook{signsInDER}, crypto.SHA256,
			cryptoki.CKM_ECDSA, ""},
		"SHA-1": {p256, nil, crypto.SHA1, 0,
			"SHA-256, SHA-384 and SHA-512, not with SHA-1"},
		"no hash": {p256, nil, crypto.Hash(0), 0,
			"signs a digest, and no hash is given"},
		"PSS by a curve": {p256, nil, pss, 0, "RSASSA-PSS is for RSA keys"},
		"a salt of the option's length": {rsaKey, nil, &rsa.PSSOptions{SaltLength: 20, Hash: crypto.SHA256},
			cryptoki.CKM_RSA_PKCS_PSS, ""},
		"a salt of no given length": {rsaKey, nil,
			&rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto, Hash: crypto.SHA384}, cryptoki.CKM_RSA_PKCS_PSS, ""},
		"a salt of no length": {rsaKey, nil, &rsa.PSSOptions{SaltLength: -2, Hash: crypto.SHA384},
			0, "no salt has -2 bytes"},
		"a salt and hash longer than the modulus": {kinds[0].tmpl, nil,
			&rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA512}, 0,
			"needs a longer modulus than its 1024 bits"},
		"a digest by Ed25519": {kindNamed("Ed25519").tmpl, nil, crypto.SHA512, 0,
			"signs the message itself, and no digest"},
		"Ed25519 with a context": {kindNamed("Ed25519").tmpl, nil, &ed25519.Options{Context: "c"}, 0,
			"with a context"},
	}) {
		t.Run(name, func(t *testing.T) {
			var by []cryptoki.MechanismType
			var mu sync.Mutex
			watch := func(_ context.Context, call *cryptoki.Call, next func() error) error {
				if err := next(); err != nil || call.Function != "C_SignInit" {
					return err
				}
				mu.Lock()
				defer mu.Unlock()
				by = append(by, call.Mechanism)
				return nil
			}
			k := hsmtest.New(t)
			c.tmpl.ID, c.tmpl.Label = []byte("a"), "a"
			made := generate(t, open(t, k), c.tmpl)
			signer := signerOf(t, openHooked(t, k, append([]cryptoki.Hook{watch}, c.hooks...)...), made.PublicKey)
			message := []byte("what is signed")
			for range 2 {
				by = nil
				var cannot *hsm.CannotSignError
				sig, err := signer.SignMessage(nil, message, c.opts)
				switch {
				case c.by == 0:
					if !errors.As(err, &cannot) || !strings.Contains(err.Error(), c.says) || sig != nil ||
						!strings.Contains(err.Error(), `private key "a" (ID 61)`) {
						t.Errorf("a message: %v", err)
					}
				case err != nil || !verifies(made.PublicKey, c.opts, message, sig) ||
					!slices.Equal(by, []cryptoki.MechanismType{c.by}):
					t.Errorf("a message: by %v: %v", by, err)
				}
				if c.opts.HashFunc() == crypto.SHA1 || c.opts.HashFunc() == 0 {
					continue
				}
				sig, err = signer.Sign(nil, digestOf(c.opts.HashFunc(), message), c.opts)
				if c.says == "" && (err != nil || !verifies(made.PublicKey, c.opts, message, sig)) {
					t.Errorf("a digest: %v", err)
				}
				if c.says != "" && (!errors.As(err, &cannot) || !strings.Contains(err.Error(), c.says) || sig != nil) {
					t.Errorf("a digest: %v", err)
				}
			}
			if err := signer.Check(c.opts); (err == nil) != (c.by != 0) {
				t.Errorf("the check: %v", err)
			}
		})
	}
}

// TestWhatATokenRefusesIsAskedOnce: the second signature makes the calls of one alone.
func TestWhatATokenRefusesIsAskedOnce(t *testing.T) {
	onSoftHSM(t)
	k, faults := hsmtest.New(t), &hsmtest.Faults{}
	made := generate(t, open(t, k), small("a", "a"))
	token := openHooked(t, k, refusing(cryptoki.CKR_MECHANISM_INVALID, cryptoki.CKM_RSA_PKCS), faults.Hook)
	signer := signerOf(t, token, made.PublicKey)
	for i, want := range []int{2, 1, 1} {
		faults.Clear()
		if _, err := signer.SignMessage(nil, []byte("m"), crypto.SHA256); err != nil {
			t.Fatal(err)
		}
		if n := faults.Count("C_SignInit"); n != want {
			t.Errorf("signature %d takes %d calls: %v", i, n, faults.Calls())
		}
	}
	if want := []string{"C_GetAttributeValue", "C_SignInit", "C_Sign"}; !slices.Equal(faults.Calls(), want) {
		t.Errorf("a signature makes the calls %v", faults.Calls())
	}
	faults.Clear()
	for range 2 {
		if _, err := signer.Sign(nil, make([]byte, 32), crypto.SHA256); err == nil || faults.Count("C_SignInit") > 0 {
			t.Errorf("a digest: %v", err)
		}
	}
	if _, err := signer.Sign(nil, make([]byte, 31), crypto.SHA256); err == nil ||
		!strings.Contains(err.Error(), "31 bytes") {
		t.Errorf("half a digest: %v", err)
	}
}

// TestAllowedMechanismsDecide on real keys, each of one mechanism (CKA_ALLOWED_MECHANISMS).
func TestAllowedMechanismsDecide(t *testing.T) {
	onSoftHSM(t)
	k := hsmtest.New(t)
	pss := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	for id, c := range map[string]struct {
		kind, mechanism string
		good, bad       crypto.SignerOpts
		digest          bool
	}{
		"01": {"rsa:2048", "RSA-PKCS", crypto.SHA512, pss, true},
		"02": {"rsa:2048", "SHA256-RSA-PKCS", crypto.SHA256, crypto.SHA384, false},
		"03": {"rsa:2048", "RSA-PKCS-PSS", pss, crypto.SHA256, true},
		"04": {"rsa:2048", "SHA256-RSA-PKCS-PSS", pss, crypto.SHA256, false},
		"05": {"EC:prime256v1", "ECDSA", crypto.SHA384, crypto.Hash(0), true},
	} {
		k.Tool(t, "--keypairgen", "--key-type", c.kind, "--id", id, "--label", c.mechanism, "--usage-sign",
			"--allowed-mechanisms", c.mechanism)
		token := open(t, k)
		raw, _ := object.ParseID(id)
		key, err := token.Key(t.Context(), object.Ref{ID: raw})
		if err != nil {
			t.Fatal(err)
		}
		signer, message := signerOf(t, token, key.PublicKey), []byte("m")
		sig, err := signer.SignMessage(nil, message, c.good)
		if err != nil || !verifies(key.PublicKey, c.good, message, sig) {
			t.Errorf("%s: %v", c.mechanism, err)
		}
		if _, err := signer.Sign(nil, digestOf(c.good.HashFunc(), message), c.good); (err == nil) != c.digest {
			t.Errorf("%s: a digest: %v", c.mechanism, err)
		}
		var cannot *hsm.CannotSignError
		_, err = signer.SignMessage(nil, message, c.bad)
		if !errors.As(err, &cannot) ||
			c.bad != crypto.Hash(0) && !strings.Contains(err.Error(), "CKA_ALLOWED_MECHANISMS names none") {
			t.Errorf("%s: what it may not: %v", c.mechanism, err)
		}
	}
}

// TestWhoSignsIsFoundByItsKey under whatever label and ID, of however many objects, and whoever changes them.
func TestWhoSignsIsFoundByItsKey(t *testing.T) {
	onSoftHSM(t)
	k := hsmtest.New(t)
	token, other := open(t, k), open(t, k)
	made := generate(t, token, onCurve("P-256", "a", "a"))
	signer := signerOf(t, token, made.PublicKey)
	changes := []struct {
		by  *hsm.Token
		ref string
		to  object.Change
	}{
		{token, "a", object.Change{Label: new("another")}},
		{token, "a", object.Change{ID: []byte("b")}},
		{other, "b", object.Change{Label: new("a third")}},
		{other, "b", object.Change{ID: []byte("c"), Label: new("a fourth")}},
	}
	for i, c := range changes {
		if _, err := c.by.Change(t.Context(), object.Ref{Type: object.EC, ID: []byte(c.ref)}, c.to); err != nil {
			t.Fatal(err)
		}
		for _, s := range []*hsm.Signer{signer, signerOf(t, token, made.PublicKey),
			signerOf(t, open(t, k), made.PublicKey)} {
			signs(t, s)
			if got := s.Key(); c.to.Label != nil && got.Label != *c.to.Label ||
				c.to.ID != nil && string(got.ID) != string(c.to.ID) {
				t.Errorf("change %d: the pair is %s", i, describe(got))
			}
		}
	}
	k.Tool(t, "--type", "privkey", "--id", "63", "--set-id", "64")
	k.Tool(t, "--type", "pubkey", "--id", "63", "--set-id", "64")
	signs(t, signer)
	if _, err := other.Destroy(t.Context(), object.Ref{Type: object.EC, ID: []byte("d")}); err != nil {
		t.Fatal(err)
	}
	var none *hsm.NoSignerError
	if _, err := signer.SignMessage(nil, []byte("m"), crypto.SHA256); !errors.As(err, &none) {
		t.Errorf("a pair that is gone: %v", err)
	}
}

// TestWhoeverMadeThePairItIsFound: reading the token takes long, and another process makes a pair right after.
func TestWhoeverMadeThePairItIsFound(t *testing.T) {
	onSoftHSM(t)
	k := hsmtest.New(t)
	slow := hsmtest.Fault{Function: "C_FindObjectsInit", Nth: 1, Onwards: true,
		Do: func(_ context.Context, _ *cryptoki.Call, next func() error) error {
			time.Sleep(200 * time.Millisecond)
			return next()
		}}
	for name, finds := range map[string]func(*hsm.Token, crypto.PublicKey) error{
		"to sign": func(token *hsm.Token, pub crypto.PublicKey) error {
			signer, err := token.Signer(t.Context(), pub)
			if err == nil {
				signs(t, signer)
			}
			return err
		},
		"for its certificate": func(token *hsm.Token, pub crypto.PublicKey) error {
			pair, found, err := token.PairOf(t.Context(), pub, time.Now())
			if err == nil && (!found || !publickey.Equal(pair.PublicKey, pub)) {
				err = fmt.Errorf("found %t: %s", found, describe(pair))
			}
			return err
		},
	} {
		faults := &hsmtest.Faults{}
		token, other := openHooked(t, k, faults.Hook), open(t, k)
		faults.Inject(slow)
		first := generate(t, other, onCurve("P-256", "a "+name, "a"))
		if err := finds(token, first.PublicKey); err != nil {
			t.Fatal(err)
		}
		late := generate(t, other, onCurve("P-256", "b "+name, "b"))
		if err := finds(token, late.PublicKey); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAThousandSignersReadTheTokenOnce: the calls grow with the signers, and not with signers times objects.
func TestManySignersReadTheTokenOnce(t *testing.T) {
	onSoftHSM(t)
	k, faults := hsmtest.New(t), &hsmtest.Faults{}
	maker := open(t, k)
	var keys []object.Key
	for i := range 40 {
		keys = append(keys, generate(t, maker, onCurve("P-256", fmt.Sprint("key ", i), "l")))
	}
	token := openHooked(t, k, faults.Hook)
	for _, key := range keys {
		signer := signerOf(t, token, key.PublicKey)
		if _, err := signer.SignMessage(nil, []byte("m"), crypto.SHA256); err != nil {
			t.Fatal(err)
		}
	}
	// Each object is read once in the inventory, and each private half before its proof and before its signature.
	if n := faults.Count("C_GetAttributeValue"); n > 4*len(keys)+10 {
		t.Errorf("%d reads for %d keys", n, len(keys))
	}
	if n := faults.Count("C_SignInit"); n != 2*len(keys) {
		t.Errorf("%d signatures for %d keys", n, len(keys))
	}
}

// TestWhoDoesNotSign: each reason has its error, and what may be hidden is not said to be absent.
func TestWhoDoesNotSign(t *testing.T) {
	onSoftHSM(t)
	k := hsmtest.New(t)
	stranger := hsmtest.NewStranger(t, k)
	token := open(t, k)
	derives := onCurve("P-256", "derives", "derives")
	derives.Usage = object.Derive
	deriving := generate(t, token, derives)
	swapped := generate(t, token, onCurve("P-256", "swapped", "swapped"))
	lone := generate(t, token, onCurve("P-384", "lone", "lone"))
	k.Tool(t, "--delete-object", "--type", "privkey", "--id", hex.EncodeToString([]byte("lone")))
	stranger.MakesPair(t, hsmtest.StrangerP256, "theirs", "01")
	stranger.SwapsPublicHalf(t, hsmtest.StrangerP256, "swapped", hex.EncodeToString([]byte("swapped")))
	fresh := open(t, k)
	whole, err := wholeKeys(t.Context(), fresh)
	if err != nil {
		t.Fatal(err)
	}
	byLabel := map[string]object.Key{}
	for _, key := range whole {
		byLabel[key.Label] = key
	}
	nobody, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	is := func(name string, pub crypto.PublicKey, want any, says string) {
		t.Helper()
		if _, err := fresh.Signer(t.Context(), pub); err == nil || !errors.As(err, want) ||
			!strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	is("a pair that derives", deriving.PublicKey, new(*hsm.CannotSignError), "its usage is derive")
	is("a public half alone", lone.PublicKey, new(*hsm.NoSignerError),
		`without the private half that would sign:`+"\n  - "+`EC public key "lone"`)
	is("a pair without the PIN", byLabel["theirs"].PublicKey, new(*hsm.UnprotectedSignerError), "CKA_PRIVATE is false")
	is("the stranger's public half", byLabel["swapped"].PublicKey, new(*hsm.DisprovedError), "swapped")
	is("a pair whose public half was exchanged", swapped.PublicKey, new(*hsm.NoSignerError), `EC private key "swapped"`)
	is("a key of nobody", &nobody.PublicKey, new(*hsm.NoSignerError), "no key pair with the public key")
	if _, err := fresh.Signer(t.Context(), "no key"); err == nil {
		t.Error("what is no key signs")
	}
	late := openHooked(t, k, makeLate)
	var unseen *hsm.UnseenError
	if _, err := late.Signer(t.Context(), &nobody.PublicKey); !errors.As(err, &unseen) {
		t.Errorf("on a token that shows late what others do: %v", err)
	}
}

// TestOfSeveralPairsTheOneThatSigns: an object of the same key that does not sign is passed over.
func TestOfSeveralPairsTheOneThatSigns(t *testing.T) {
	onSoftHSM(t)
	k := hsmtest.New(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, der := range map[string][]byte{"private": private, "public": public} {
		if err := os.WriteFile(filepath.Join(dir, name), der, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i, usage := range []object.Usage{object.Decrypt, object.Sign, object.Decrypt} {
		id := []byte{byte(i + 1)}
		for half, word := range map[string]string{"private": "privkey", "public": "pubkey"} {
			k.Tool(t, "--write-object", filepath.Join(dir, half), "--type", word, "--id", hex.EncodeToString(id),
				"--label", hex.EncodeToString(id))
		}
		if _, err := open(t, k).Change(t.Context(), object.Ref{Type: object.RSA, ID: id},
			object.Change{Usage: &usage}); err != nil {
			t.Fatal(err)
		}
	}
	signer := signerOf(t, open(t, k), &key.PublicKey)
	if signer.Key().Label != "02" {
		t.Errorf("%s signs", describe(signer.Key()))
	}
	signs(t, signer)
}

// TestASmallRSAKeySignsNothing, since nobody here can verify what it signs. That disproves no pair.
func TestASmallRSAKeySignsNothing(t *testing.T) {
	onSoftHSM(t)
	k := hsmtest.New(t)
	k.Tool(t, "--keypairgen", "--key-type", "rsa:512", "--id", "01", "--label", "small", "--usage-sign")
	token := openHooked(t, k, hidesModulus)
	key, err := token.Key(t.Context(), object.Ref{ID: []byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	var unproven *hsm.UnprovenError
	if err := token.Published(t.Context(), []object.Key{key}); !errors.As(err, &unproven) {
		t.Errorf("published: %v", err)
	}
	var cannot *hsm.CannotSignError
	_, err = signerOf(t, token, key.PublicKey).SignMessage(nil, []byte("m"), crypto.SHA256)
	if !errors.As(err, &cannot) || !strings.Contains(err.Error(), "fewer than 1024 bits") {
		t.Errorf("signed: %v", err)
	}
}

// BenchmarkSign is what a signature takes through a signer, beside the token's two calls alone.
func BenchmarkSign(b *testing.B) {
	for name, tmpl := range hsmtest.InOrder(map[string]object.Template{
		"P-256": {Type: object.EC, Curve: publickey.P256, Usage: object.Sign, ID: []byte("a"), Label: "a"},
		"RSA-2048": {Type: object.RSA, ModulusBits: 2048, PublicExponent: 65537, Usage: object.Sign, ID: []byte("a"),
			Label: "a"},
	}) {
		k := hsmtest.New(b)
		made := generate(b, open(b, k), tmpl)
		mechanism, digest := cryptoki.Mechanism{Type: cryptoki.CKM_ECDSA}, make([]byte, 32)
		if tmpl.Type == object.RSA {
			mechanism.Type = cryptoki.CKM_RSA_PKCS
		}
		b.Run(name+"/signer", func(b *testing.B) {
			signer := signerOf(b, open(b, k), made.PublicKey)
			for b.Loop() {
				if _, err := signer.Sign(nil, digest, crypto.SHA256); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/C_Sign", func(b *testing.B) {
			err := k.Session(func(ctx context.Context, s *cryptoki.Session) error {
				found, err := s.FindObjects(ctx,
					[]cryptoki.Attribute{cryptoki.ULong(cryptoki.CKA_CLASS, cryptoki.CKO_PRIVATE_KEY)})
				if err != nil {
					return err
				}
				for b.Loop() {
					if _, err := s.Sign(ctx, mechanism, found[0], digest); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		})
	}
}
