package hsmtest

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// Ability is something that some makes of token lack.
type Ability string

// What tests ask for.
const (
	TwoTokens   Ability = "a second token beside the first"
	SecretKeys  Ability = "secret keys (C_GenerateKey)"
	CMAC        Ability = "MACs by AES keys (CKM_AES_CMAC)"
	CheckValues Ability = "check values of AES keys (CKA_CHECK_VALUE)"
	Extractable Ability = "a sensitive private key that is extractable (CKA_EXTRACTABLE)"
	KeptIn      Ability = "private keys that stay in the token unless they are told otherwise (CKA_EXTRACTABLE)"
	OneUsage    Ability = "RSA keys of one usage alone (C_GenerateKeyPair)"
	Exponents   Ability = "RSA exponents but 65537 (CKM_RSA_PKCS_KEY_PAIR_GEN)"
	OtherEyes   Ability = "seeing at once what another process changes"
	ManyKeys    Ability = "hundreds of keys made by one process"
	SessionLoss Ability = "sessions that can be closed behind a process's back (C_CloseAllSessions)"
	TwoSessions Ability = "calls in two sessions at a time (C_DestroyObject crashes or hangs)"
	HashedRSA   Ability = "RSA signatures that hash in the token (CKM_SHA256_RSA_PKCS, CKM_SHA256_RSA_PKCS_PSS)"
	RawPSS      Ability = "RSASSA-PSS signatures of a digest (CKM_RSA_PKCS_PSS)"
	SameID      Ability = "two keys with one ID (the new one silently replaces the old one)"
	Local       Ability = "keys that are said to be made there (CKA_LOCAL)"
	WrongMACs   Ability = "a wrong MAC that is called a wrong MAC (C_Verify)"
	Reopening   Ability = "sessions after a process has initialised the module again (C_Finalize)"
	OwnToken    Ability = "a token for each test, since a refused PIN is counted and remembered"
	P224        Ability = "keys on P-224 (CKM_EC_KEY_PAIR_GEN)"
	P256        Ability = "keys on P-256 (CKM_EC_KEY_PAIR_GEN)"
	P384        Ability = "keys on P-384 (CKM_EC_KEY_PAIR_GEN)"
	P521        Ability = "keys on P-521 (CKM_EC_KEY_PAIR_GEN)"
	Secp256k1   Ability = "keys on secp256k1 (CKM_EC_KEY_PAIR_GEN)"
	ECDH        Ability = "agreement on secrets (CKM_ECDH1_DERIVE)"
	Ed25519     Ability = "keys on Ed25519 (CKM_EC_EDWARDS_KEY_PAIR_GEN)"
	Tools       Ability = "programs that know PKCS#11 (pkcs11-tool)"
	MLDSA       Ability = "ML-DSA keys (CKM_ML_DSA_KEY_PAIR_GEN)"
)

// Curves are those of EC keys, by their JOSE names, with what a token must have for keys on them.
var Curves = map[string][]Ability{
	"P-256": {P256}, "P-384": {P384}, "P-521": {P521}, "secp256k1": {Secp256k1}, "Ed25519": {Ed25519},
}

// Make is a make of token that tests run on, with what it lacks.
type Make struct {
	Name    string // as scripts/with-token has it
	Version string
	Library string // the module's file
	Setup   string // what scripts/with-token sets beside it, as the guide "Your HSM" says it; "" for nothing
	Lacks   []Ability
}

// Makes are the makes that tests run on. "make test-tokens" runs them all; the guide "Your HSM" shows this table.
var Makes = []Make{
	{Name: "softhsm", Version: "SoftHSM 2.6.1",
		Library: "libsofthsm2.so", Setup: "`SOFTHSM2_CONF`", Lacks: []Ability{MLDSA}},
	{Name: "p11-kit", Version: "SoftHSM 2.6.1 behind p11-kit 0.24.1's remoting",
		Library: "p11-kit-client.so", Setup: "`P11_KIT_SERVER_ADDRESS`", Lacks: []Ability{
			TwoTokens, HashedRSA, OwnToken, SessionLoss, CMAC, ECDH, Ed25519, MLDSA,
		}},
	{Name: "opencryptoki", Version: "openCryptoki 3.8.1, soft token",
		Library: "libopencryptoki.so", Lacks: []Ability{
			TwoTokens, HashedRSA, Exponents, OtherEyes, TwoSessions, OwnToken, SessionLoss, CMAC, CheckValues, P224, P256, P384,
			P521, Secp256k1, Ed25519, MLDSA,
		}},
	{Name: "tpm2", Version: "tpm2-pkcs11 1.9 on a simulated TPM",
		Library: "libtpm2_pkcs11.so", Setup: "`TPM2_PKCS11_STORE`, `TPM2_PKCS11_TCTI`", Lacks: []Ability{
			TwoTokens, SecretKeys, CMAC, Extractable, OneUsage, Exponents, OtherEyes, ManyKeys, OwnToken, SessionLoss, P521,
			Secp256k1, Ed25519, MLDSA, RawPSS,
		}},
	{Name: "nss", Version: "NSS's softoken 3.87",
		Library: "libsoftokn3.so", Setup: "`library_parameters`, see below", Lacks: []Ability{
			TwoTokens, TwoSessions, OwnToken, SameID, Local, KeptIn, CMAC, WrongMACs, CheckValues, P224, Secp256k1, Ed25519,
			MLDSA,
		}},
	{Name: "opencryptoki-new", Version: "openCryptoki 3.27, soft token",
		Library: "libopencryptoki.so", Lacks: []Ability{
			TwoTokens, OwnToken, SessionLoss,
		}},
	{Name: "tpm2-new", Version: "tpm2-pkcs11 1.9.1 on a simulated TPM",
		Library: "libtpm2_pkcs11.so", Setup: "`TPM2_PKCS11_STORE`, `TPM2_PKCS11_TCTI`", Lacks: []Ability{
			TwoTokens, SecretKeys, CMAC, Extractable, OneUsage, Exponents, OtherEyes, ManyKeys, OwnToken, SessionLoss, P521,
			Secp256k1, Ed25519, MLDSA, RawPSS,
		}},
	{Name: "nss-new", Version: "NSS's softoken 3.132",
		Library: "libsoftokn3.so", Setup: "`library_parameters`, see below", Lacks: []Ability{
			TwoTokens, TwoSessions, OwnToken, SameID, Local, KeptIn, CMAC, WrongMACs, CheckValues, P224, Secp256k1,
		}},
	{Name: "pkcs11-proxy", Version: "SoftHSM 2.6.1 behind pkcs11-proxy 0.4.1",
		Library: "libpkcs11-proxy.so", Setup: "`PKCS11_PROXY_SOCKET`", Lacks: []Ability{
			TwoTokens, HashedRSA, OwnToken, SessionLoss, CMAC, ECDH, Ed25519, MLDSA, Reopening,
		}},
}

// ThisMake is the make that the tests run on: HSMTEST_MAKE's, as scripts/with-token sets it, else SoftHSM.
func ThisMake(t testing.TB) Make {
	t.Helper()
	name := os.Getenv("HSMTEST_MAKE")
	if name == "" {
		return Makes[0]
	}
	for _, m := range append(ownMakes, Makes...) {
		if m.Name == name {
			return m
		}
	}
	t.Fatalf("HSMTEST_MAKE=%s is no make of token that tests know", name)
	return Make{}
}

// Has says whether this make of token has an ability.
func Has(t testing.TB, ability Ability) bool {
	t.Helper()
	return !slices.Contains(ThisMake(t).Lacks, ability)
}

// Needs skips a test on a make of token that lacks one of the abilities.
func Needs(t testing.TB, abilities ...Ability) {
	t.Helper()
	for _, wanted := range abilities {
		if !Has(t, wanted) {
			t.Skipf("%s lacks %s", ThisMake(t).Version, wanted)
		}
	}
}

// NeedsCurves skips a test on a make of token that makes no keys on one of the curves; none: on any of Curves.
func NeedsCurves(t testing.TB, curves ...string) {
	t.Helper()
	if len(curves) == 0 {
		curves = slices.Sorted(maps.Keys(Curves))
	}
	for _, curve := range curves {
		Needs(t, Curves[curve]...)
	}
}

// shared is the one token of a make that has one: tests take turns, and each finds it empty.
var shared = struct {
	turn   chan struct{}
	mu     sync.Mutex
	holder string
	open   sync.Once // the module, for as long as the process lasts
	failed error
}{turn: make(chan struct{}, 1)}

func sharedToken(t testing.TB) *Token {
	t.Helper()
	shared.mu.Lock()
	holder := shared.holder
	shared.mu.Unlock()
	if holder != "" && (t.Name() == holder || strings.HasPrefix(t.Name(), holder+"/")) {
		Needs(t, TwoTokens)
	}
	if !strings.Contains(t.Name(), "TestEveryMake") {
		Needs(t, OneUsage) // other tests make keys of one usage
	}
	shared.turn <- struct{}{}
	shared.mu.Lock()
	shared.holder = t.Name()
	shared.mu.Unlock()
	t.Cleanup(func() {
		shared.mu.Lock()
		shared.holder = ""
		shared.mu.Unlock()
		<-shared.turn
	})
	k := &Token{
		Library: os.Getenv("HSMTEST_LIBRARY"), Parameters: os.Getenv("HSMTEST_LIBRARY_PARAMETERS"),
		Label: os.Getenv("HSMTEST_TOKEN_LABEL"), PIN: os.Getenv("HSMTEST_PIN"), SOPIN: os.Getenv("HSMTEST_SO_PIN"),
		toolLibrary: cmp.Or(os.Getenv("HSMTEST_TOOL_LIBRARY"), os.Getenv("HSMTEST_LIBRARY")),
	}
	if !Has(t, Reopening) {
		shared.open.Do(func() { _, shared.failed = cryptoki.OpenWith(context.Background(), k.Library, k.Parameters) })
		if shared.failed != nil {
			t.Fatal(shared.failed)
		}
	}
	if err := k.empty(); err != nil && !errors.Is(err, errInUse) {
		t.Fatal(err)
	}
	return k
}

// errInUse: the login of a test that has ended is still there.
var errInUse = errors.New("sessions are left open on the token")

// empty destroys every object on the token. It gives errInUse where a session is logged in.
func (k *Token) empty() error {
	inUse := false
	err := k.session(func(ctx context.Context, s *cryptoki.Session, loggedIn bool) error {
		inUse = loggedIn
		objects, err := s.FindObjects(ctx, nil)
		if err != nil {
			return err
		}
		for _, o := range objects {
			if err := s.DestroyObject(ctx, o); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && inUse {
		return errInUse
	}
	return err
}
