package provider_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/jwk"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// newTokenWire speaks Terraform's protocol with a provider for the bench's token.
func (b *bench) newTokenWire() *wire {
	b.t.Helper()
	w := newWire(b.t, &hsmtest.Blank{})
	w.block = words{"library": b.Library, "token_label": b.Label, "pin": b.PIN}
	if b.Parameters != "" {
		w.block["library_parameters"] = b.Parameters
	}
	b.t.Cleanup(w.stop)
	return w
}

// opens opens an ephemeral resource, and gives what it has then.
func (w *wire) opens(typeName string, config words) (map[string]tftypes.Value, diagnostics) {
	w.t.Helper()
	schema := w.schemas.EphemeralResourceSchemas[typeName]
	resp, err := w.server.OpenEphemeralResource(w.t.Context(), &tfprotov6.OpenEphemeralResourceRequest{
		TypeName: typeName, Config: w.dynamic(w.object(schema, config)),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	values := map[string]tftypes.Value{}
	if resp.Result != nil {
		result, err := resp.Result.Unmarshal(schema.ValueType())
		if err == nil && !result.IsNull() {
			err = result.As(&values)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	return values, resp.Diagnostics
}

// textOf is a text among the values, "" where it is null or absent.
func textOf(values map[string]tftypes.Value, name string) (text string) {
	if v, ok := values[name]; ok && v.IsKnown() && !v.IsNull() {
		_ = v.As(&text)
	}
	return text
}

// opened is an ephemeral resource by which tests sign or draw, and what is wrong with what it gives.
type opened struct {
	name, typeName string
	config         words
	secret         string // the value that must not be wrong
	wrong          func(value string) error
}

// rsa says that an RSA key signs.
func (o opened) rsa() bool {
	return slices.Contains([]string{"RS256", "PS256", "SHA256-RSA", "SHA256-RSAPSS"}, o.name)
}

// everyOpened has one of each kind of key, for keys that are made here.
func (b *bench) everyOpened() (all []opened) {
	b.t.Helper()
	const claims = `{"sub":"somebody"}`
	for _, key := range []struct{ kind, id, alg, algorithm string }{
		{"rsa:2048", "06", "RS256", "SHA256-RSA"}, {"rsa:2048", "06", "PS256", "SHA256-RSAPSS"},
		{"EC:prime256v1", "01", "ES256", "ECDSA-SHA256"}, {"EC:edwards25519", "05", "EdDSA", "Ed25519"},
	} {
		if key.algorithm != "SHA256-RSAPSS" { // which the key of the row before signs by
			b.Tool(b.t, "--keypairgen", "--key-type", key.kind, "--usage-sign", "--label", "web", "--id", key.id)
		}
		pem := b.pemOf(key.id)
		pub, err := publickey.ParsePEM(pem)
		if err != nil {
			b.t.Fatal(err)
		}
		all = append(all,
			opened{key.alg, "hsm_jwt", words{"public_key_pem": pem, "claims": claims, "algorithm": key.alg}, "token",
				func(value string) error {
					return jwk.VerifyJWT(value, key.alg, pub, []byte(claims))
				}},
			opened{key.algorithm, "hsm_signature", words{
				"public_key_pem": pem, "message_base64": base64.StdEncoding.EncodeToString([]byte(message)),
				"algorithm": key.algorithm,
			}, "signature_base64", func(value string) error {
				signature, err := base64.StdEncoding.DecodeString(value)
				if err != nil {
					return err
				}
				return verifies(pub, key.algorithm, signature)
			}})
	}
	return append(all, opened{"random", "hsm_random", words{"bytes": 16}, "hex", func(value string) error {
		if len(value) != 32 || strings.Count(value, value[:1]) == 32 {
			return errors.New("they are not 16 random bytes")
		}
		return nil
	}})
}

// verifies is nil where a signature is one of the message.
func verifies(pub crypto.PublicKey, algorithm string, signature []byte) error {
	digest := sha256.Sum256([]byte(message))
	switch key, _ := pub.(*rsa.PublicKey); {
	case algorithm == "SHA256-RSA":
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature)
	case algorithm == "SHA256-RSAPSS":
		return rsa.VerifyPSS(key, crypto.SHA256, digest[:], signature, nil)
	case publickey.VerifyDigestDER(pub, digest[:], signature), publickey.Verify(pub, []byte(message), signature):
		return nil
	}
	return errors.New("it does not verify")
}

// TestACallThatFailsGivesNoWrongSignature has each call of an opening fail once, before it takes effect and after. What
// comes is valid, or an error that says what failed.
func TestACallThatFailsGivesNoWrongSignature(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t, "P-256", "Ed25519")
	b := newBench(t)
	w := b.newTokenWire()
	every := map[hsmtest.Extent]int{hsmtest.Sample: 3, hsmtest.Matrix: 1, hsmtest.All: 1}[hsmtest.ThisExtent(t)]
	for _, o := range b.everyOpened() {
		t.Run(o.typeName+" "+o.name, func(t *testing.T) {
			picker := hsmtest.Pick(t, every) // of four faults a call, so that each call and each fault has its turn
			faults := &hsmtest.Faults{}
			open := func() (string, diagnostics) {
				w.start(faults.Hook, hsmtest.KeepApart)
				values, said := w.opens(o.typeName, o.config)
				return textOf(values, o.secret), said
			}
			value, said := open()
			if len(said) > 0 || o.wrong(value) != nil {
				t.Fatalf("it gives %q, %v, and says\n%s", value, o.wrong(value), said)
			}
			faults.Clear()
			open() // the first one in a process makes more calls
			calls, tried, fired, failed := faults.Calls(), 0, 0, 0
			for n, function := range calls {
				for _, fault := range []hsmtest.Fault{
					{Code: cryptoki.CKR_DEVICE_ERROR}, {Code: cryptoki.CKR_DEVICE_ERROR, After: true},
					{Code: cryptoki.CKR_SESSION_HANDLE_INVALID}, {Code: cryptoki.CKR_FUNCTION_FAILED, Onwards: true},
				} {
					if !picker.Takes() {
						continue
					}
					tried++
					fault.Nth = n + 1
					faults.Clear()
					faults.Inject(fault)
					value, said := open()
					if faults.Injected() > 0 {
						fired++
					}
					at := fmt.Sprintf("call %d, %s, %+v", n+1, function, fault)
					switch {
					case said.failed():
						failed++
						if value != "" || !strings.HasPrefix(said.titles()[0], "Unable to ") ||
							!strings.Contains(said.String(), "What to do: ") {
							t.Errorf("%s: it gives %q, and says\n%s", at, value, said)
						}
					case o.wrong(value) != nil:
						t.Errorf("%s: it gives %q: %v", at, value, o.wrong(value))
					}
				}
			}
			if fired < tried*3/4 || failed < 4 { // SoftHSM is asked more often where others write meanwhile
				t.Errorf("of %d faults, %d were injected, and %d openings failed", tried, fired, failed)
			}
		})
	}
}

// TestALyingTokensSignatureIsNeverGivenOut has the token give what is no signature of the text by the key.
func TestALyingTokensSignatureIsNeverGivenOut(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t, "P-256", "Ed25519")
	b := newBench(t)
	w := b.newTokenWire()
	signing := slices.DeleteFunc(b.everyOpened(), func(o opened) bool { return o.typeName == "hsm_random" })
	for name, lie := range hsmtest.InOrder(map[string]func(real []byte) []byte{
		"another bit": func(real []byte) []byte {
			return append(slices.Clone(real[:len(real)-1]),
				real[len(real)-1]^1)
		},
		"half of it":   func(real []byte) []byte { return real[:len(real)/2] },
		"nothing":      func([]byte) []byte { return nil },
		"zeros":        func(real []byte) []byte { return make([]byte, len(real)) },
		"more":         func(real []byte) []byte { return append(slices.Clone(real), 0) },
		"r for s":      func(real []byte) []byte { return bytes.Repeat(real[:len(real)/2], 2) },
		"what is said": func(real []byte) []byte { return bytes.Repeat([]byte{0x41}, len(real)) },
	}) {
		for _, o := range signing {
			lies := 0
			for _, honest := range []int{0, 1} { // on curves, the first signature proves the pair
				var told [][]byte
				asked := 0
				w.start(func(_ context.Context, c *cryptoki.Call, next func() error) error {
					err := next()
					if signature, ok := c.Result.(*[]byte); ok && err == nil && c.Function == "C_Sign" {
						if asked++; asked > honest {
							*signature = lie(*signature)
							told = append(told, *signature)
						}
					}
					return err
				}, hsmtest.KeepApart)
				values, said := w.opens(o.typeName, o.config)
				if len(told) == 0 && honest > 0 {
					continue // RSA halves show that they are one pair
				}
				lies++
				value := textOf(values, o.secret)
				verdicts := []string{": Signature Does Not Verify", ": Halves Of Different Keys"}[:2-honest]
				if value != "" || len(said) != 1 || !said.failed() ||
					!slices.ContainsFunc(verdicts, func(end string) bool {
						return strings.HasSuffix(said.titles()[0], end)
					}) {
					t.Errorf("%s for %s %s: it gives %q after %d lies, and says\n%s", name, o.typeName, o.name, value,
						len(told), said)
				}
				for _, lie := range told {
					encoded := base64.StdEncoding.EncodeToString(lie)
					if len(lie) > 8 && (strings.Contains(said.String(), encoded) ||
						strings.Contains(said.String(), fmt.Sprintf("%x", lie))) {
						t.Errorf("%s for %s %s: the error has the signature:\n%s", name, o.typeName, o.name, said)
					}
				}
			}
			if want := map[bool]int{true: 1, false: 2}[o.rsa()]; lies != want {
				t.Errorf("%s for %s %s: lied in %d openings, not %d", name, o.typeName, o.name, lies, want)
			}
		}
	}
}

// TestWhatMakesTheTokenLeavesTheRestForTheApply opens ephemeral resources in a plan that makes the token, in one that
// sets the provider's PIN, and where the provider's block is not known yet.
func TestWhatMakesTheTokenLeavesTheRestForTheApply(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, blank *hsmtest.Blank) {
		w := newWire(t, blank)
		w.withSOPINs(blank.SOPIN, "")
		pem := somebodysPEM(t)
		all := map[string]struct {
			config  words
			unknown []string
		}{
			"hsm_jwt": {words{"public_key_pem": pem, "claims": "{}"}, []string{"algorithm", "kid", "token"}},
			"hsm_signature": {words{"public_key_pem": pem, "message_base64": "AA==", "algorithm": "ECDSA-SHA256"},
				[]string{"signature_base64"}},
			"hsm_random": {words{"bytes": 16}, []string{"base64", "hex"}},
		}
		later := func(when string) {
			t.Helper()
			for typeName, row := range hsmtest.InOrder(all) {
				values, said := w.opens(typeName, row.config)
				var unknown []string
				for name, value := range hsmtest.InOrder(values) {
					if !value.IsKnown() {
						unknown = append(unknown, name)
					}
				}
				if len(said) > 0 || !slices.Equal(unknown, row.unknown) {
					t.Errorf("%s, %s has the unknown values %q, and says\n%s", when, typeName, unknown, said)
				}
			}
		}
		token := hydraToken()
		w.start()
		if _, said := w.plan(token); said.failed() {
			t.Fatal(said)
		}
		later("where the plan makes the token")
		w.block["pin"] = tftypes.UnknownValue
		w.start()
		later("where the PIN is not known")
		w.block["pin"] = blank.PIN

		w.start()
		if _, said := w.opens("hsm_random", all["hsm_random"].config); !slices.Equal(said.titles(),
			[]string{"Unable to Generate Random Bytes: Token Not Found"}) {
			t.Errorf("without a token it says\n%s", said)
		}
		if said, _ := w.applied(nil, token); said.failed() {
			t.Fatal(said)
		}
		values, said := w.opens("hsm_random", all["hsm_random"].config)
		if len(said) > 0 || len(textOf(values, "hex")) != 32 {
			t.Errorf("of the token it has made it gives %v, and says\n%s", values, said)
		}
		token.config["pin_wo_version"] = 2
		w.block["pin"] = hsmtest.RandomPIN()
		w.start()
		if _, said := w.plan(token); said.failed() {
			t.Fatal(said)
		}
		later("where the plan sets the PIN")
	})
}

// TestAKeyThatDoesNotSign is refused at its argument, by what the token has of it.
func TestAKeyThatDoesNotSign(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t, "P-256")
	b := newBench(t)
	for id, how := range map[string][]string{
		"01": {"EC:prime256v1", "--usage-sign"}, "02": {"EC:prime256v1", "--usage-sign"},
		"03": {"EC:prime256v1", "--usage-sign"},
	} {
		b.Tool(t, append([]string{"--keypairgen", "--label", "web", "--id", id, "--key-type"}, how...)...)
	}
	b.alter(privateHalf, "02", cryptoki.Bool(cryptoki.CKA_SIGN, false), cryptoki.Bool(cryptoki.CKA_DERIVE, true))
	alone := b.pemOf("03")
	b.destroy("03", "privkey")
	stranger := hsmtest.NewStranger(t, b.Token)
	stranger.MakesPair(t, hsmtest.StrangerP256, "theirs", "04")
	w := b.newTokenWire()
	w.start(hsmtest.KeepApart)
	for name, row := range hsmtest.InOrder(map[string]struct {
		pem  string
		says []string // the end of the title first
	}{
		"a key of somebody else": {somebodysPEM(t),
			[]string{": No Key Pair With This Public Key", "no key pair with the public key"}},
		"a public half alone": {alone,
			[]string{": No Key Pair With This Public Key", "public key alone", "(ID 03)"}},
		"a key for another use": {b.pemOf("02"), []string{": Key Does Not Sign This", "(ID 02)", "derive"}},
		"a key that anyone may have made": {b.pemOf("04"),
			[]string{": Signing Key Not Protected By The PIN", "(ID 04)", "CKA_PRIVATE", "PIN"}},
	}) {
		for typeName, config := range hsmtest.InOrder(map[string]words{
			"hsm_jwt": {"claims": "{}"}, "hsm_signature": {"message_base64": "AA=="},
		}) {
			config["public_key_pem"] = row.pem
			values, said := w.opens(typeName, config)
			if len(said) != 1 || !said.failed() || where(said[0].Attribute) != "public_key_pem" ||
				textOf(values, "token")+textOf(values, "signature_base64") != "" {
				t.Errorf("%s of %s says\n%s", typeName, name, said)
				continue
			}
			for _, part := range append(row.says, "What to do: ") {
				if !strings.Contains(said.String(), part) {
					t.Errorf("%s of %s does not say %q, but\n%s", typeName, name, part, said)
				}
			}
		}
	}
	values, said := w.opens("hsm_jwt", words{"public_key_pem": b.pemOf("01"), "claims": "{}"})
	if len(said) > 0 || textOf(values, "token") == "" {
		t.Errorf("of a key that signs it says\n%s", said)
	}
}
