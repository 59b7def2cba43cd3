package provider_test

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/hashicorp/terraform-plugin-testing/compare"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// jwks is the block of the data source data.hsm_jwks.NAME.
func jwks(name string, lines ...string) string {
	return fmt.Sprintf("data \"hsm_jwks\" %q {\n  %s\n}\n", name, strings.Join(lines, "\n  "))
}

// keySet checks a JWKS: each key as "label key_id kid kty use alg", in order, and that keys says the same as json.
func keySet(name string, want ...string) statecheck.StateCheck {
	return attributes{"data.hsm_jwks." + name, func(state map[string]any) error {
		var set struct{ Keys []map[string]string }
		if err := json.Unmarshal([]byte(state["json"].(string)), &set); err != nil {
			return err
		}
		var have []string
		for i, row := range state["keys"].([]any) {
			k := row.(map[string]any)
			have = append(have, fmt.Sprint(k["label"], " ", k["key_id"], " ", k["kid"], " ", k["kty"], " ", k["use"], " ", k["alg"]))
			members := map[string]string{}
			for member, v := range k {
				if text, ok := v.(string); ok && member != "label" && member != "key_id" {
					members[member] = text
				}
			}
			if i >= len(set.Keys) || !maps.Equal(members, set.Keys[i]) {
				return fmt.Errorf("%s: keys[%d] is %v, and json is %s", name, i, members, state["json"])
			}
			for _, secret := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
				if _, ok := members[secret]; ok {
					return fmt.Errorf("%s: keys[%d] has the private member %s", name, i, secret)
				}
			}
		}
		if !slices.Equal(have, want) || len(set.Keys) != len(want) {
			return fmt.Errorf("%s holds\n%s\nand not\n%s\njson: %s", name, strings.Join(have, "\n"), strings.Join(want, "\n"), state["json"])
		}
		return nil
	}}
}

// verifies says that a token's signature by each key of a JWKS verifies with that key of it.
func (b *bench) verifies(name, mechanism string, algorithm jose.SignatureAlgorithm) statecheck.StateCheck {
	return attributes{"data.hsm_jwks." + name, func(state map[string]any) error {
		var set jose.JSONWebKeySet
		if err := json.Unmarshal([]byte(state["json"].(string)), &set); err != nil {
			return err
		}
		if len(set.Keys) == 0 {
			return fmt.Errorf("%s is empty", name)
		}
		for i, row := range state["keys"].([]any) {
			keyID := row.(map[string]any)["key_id"].(string)
			dir := b.t.TempDir()
			text, signed := filepath.Join(dir, "text"), filepath.Join(dir, "signature")
			input := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"alg":%q,"kid":%q}`, algorithm, set.Keys[i].KeyID)) + "." +
				base64.RawURLEncoding.EncodeToString([]byte("signed in the token"))
			if err := os.WriteFile(text, []byte(input), 0o600); err != nil {
				return err
			}
			b.Tool(b.t, "--sign", "--mechanism", mechanism, "--id", keyID, "--input-file", text, "--output-file", signed)
			signature, err := os.ReadFile(signed)
			if err != nil {
				return err
			}
			compact := input + "." + base64.RawURLEncoding.EncodeToString(signature)
			token, err := jose.ParseSignedCompact(compact, []jose.SignatureAlgorithm{algorithm})
			if err != nil {
				return err
			}
			if _, err := token.Verify(set.Key(set.Keys[i].KeyID)[0]); err != nil {
				return fmt.Errorf("%s: the signature of %s does not verify: %w", name, keyID, err)
			}
			if _, ok := set.Keys[i].Key.(*rsa.PublicKey); !ok || !set.Keys[i].IsPublic() {
				return fmt.Errorf("%s: the key %s is a %T", name, keyID, set.Keys[i].Key)
			}
		}
		return nil
	}}
}

func TestJWKSHasJustTheSelectedPairs(t *testing.T) {
	t.Parallel()
	hsmtest.Needs(t, hsmtest.HashedRSA)
	b := newBench(t)
	// Neither in the order of labels nor in that of IDs, with halves of pairs among them.
	b.make("hydra.b", "6b34")
	b.make("hydra.a", "ff02")
	b.make("hydra.a", "6b31")
	b.make("hydra.half", "6b35")
	b.destroy("6b35", "privkey")
	b.make("other", "6b37")
	b.odd("hydra.odd", "6b38") // left out where nothing names it
	const (
		a1    = "hydra.a 6b31 k1 RSA sig RS256"
		a2    = "hydra.a ff02 ff02 RSA sig RS256"
		b1    = "hydra.b 6b34 k4 RSA sig RS256"
		other = "other 6b37 k7 RSA sig RS256"
	)
	thumbprint := func(name, keyID string) statecheck.StateCheck {
		return attributes{"data.hsm_jwks." + name, func(state map[string]any) error {
			k := state["keys"].([]any)[0].(map[string]any)
			canonical := fmt.Sprintf(`{"e":%q,"kty":"RSA","n":%q}`, k["e"], k["n"])
			dir := b.t.TempDir()
			file := filepath.Join(dir, "jwk")
			if err := os.WriteFile(file, []byte(canonical), 0o600); err != nil {
				return err
			}
			digest := b.Command(b.t, "openssl", "dgst", "-sha256", "-binary", file)
			if want := base64.RawURLEncoding.EncodeToString([]byte(digest)); k["kid"] != want || k["key_id"] != keyID {
				return fmt.Errorf("%s: kid is %s, and openssl's thumbprint of %s is %s", name, k["kid"], canonical, want)
			}
			return nil
		}}
	}
	spki := func(name, keyID string) statecheck.StateCheck { // the kid as pkcs11-tool and openssl see the key
		return attributes{"data.hsm_jwks." + name, func(state map[string]any) error {
			file := filepath.Join(b.t.TempDir(), "spki")
			b.Tool(b.t, "--read-object", "--type", "pubkey", "--id", keyID, "--output-file", file)
			digest := b.Command(b.t, "openssl", "dgst", "-sha256", "-binary", file)
			k := state["keys"].([]any)[0].(map[string]any)
			if want := base64.RawURLEncoding.EncodeToString([]byte(digest)); k["kid"] != want || k["key_id"] != keyID {
				return fmt.Errorf("%s: kid is %s, want %s", name, k["kid"], want)
			}
			return nil
		}}
	}
	same := statecheck.CompareValue(compare.ValuesSame())
	config := b.config(
		jwks("all"), jwks("again"),
		jwks("labels", `labels = ["hydra.b", "hydra.a"]`),
		jwks("prefix", `label_prefix = "hydra."`),
		jwks("key_ids", `key_ids = ["FF02", "6b34"]`),
		jwks("uris", `uris = ["pkcs11:object=hydra.a;id=%6B%31", "pkcs11:token=`+b.Label+`;id=%6B%34"]`),
		jwks("uris_of_a_label", `uris = ["pkcs11:object=hydra.a"]`),
		jwks("combined", `labels = ["hydra.a"]`, `label_prefix = "hydra"`, `key_ids = ["6b31", "6b34"]`),
		jwks("disjoint", `labels = ["hydra.a"]`, `key_ids = ["6b34"]`, "allow_empty = true"),
		jwks("no_prefix", `label_prefix = "nobody"`, "allow_empty = true"),
		jwks("hex", `labels = ["hydra.b"]`, `kid_format = "hex"`),
		jwks("thumbprint", `labels = ["hydra.b"]`, `kid_format = "thumbprint"`),
		jwks("spki_sha256", `labels = ["hydra.b"]`, `kid_format = "spki_sha256"`),
		jwks("ps256", `label_prefix = "hydra."`, `algorithms = { RSA = "PS256" }`),
		jwks("rs512", `labels = ["other"]`, `algorithms = { "P-256" = "ES256", EC = "ES512", RSA = "RS512" }`),
		jwks("enc", `labels = ["hydra.b"]`, `use = "enc"`),
	)
	b.test(turn{TestStep: resource.TestStep{
		Config: config,
		ConfigStateChecks: []statecheck.StateCheck{
			keySet("all", a1, b1, other, a2), keySet("labels", a1, b1, a2), keySet("prefix", a1, b1, a2), keySet("key_ids", b1, a2), keySet("uris", a1, b1),
			keySet("uris_of_a_label", a1, a2), keySet("combined", a1), keySet("disjoint"), keySet("no_prefix"),
			keySet("hex", "hydra.b 6b34 6b34 RSA sig RS256"), thumbprint("thumbprint", "6b34"),
			spki("spki_sha256", "6b34"),
			keySet("ps256", "hydra.a 6b31 k1 RSA sig PS256", "hydra.b 6b34 k4 RSA sig PS256", "hydra.a ff02 ff02 RSA sig PS256"),
			keySet("rs512", "other 6b37 k7 RSA sig RS512"), keySet("enc", "hydra.b 6b34 k4 RSA enc RSA-OAEP"),
			statecheck.ExpectKnownValue("data.hsm_jwks.disjoint", tfjsonpath.New("json"), knownvalue.StringExact(`{"keys":[]}`)),
			statecheck.CompareValuePairs("data.hsm_jwks.all", tfjsonpath.New("json"), "data.hsm_jwks.again", tfjsonpath.New("json"), compare.ValuesSame()),
			b.verifies("prefix", "SHA256-RSA-PKCS", jose.RS256), b.verifies("ps256", "SHA256-RSA-PKCS-PSS", jose.PS256),
			same.AddStateValue("data.hsm_jwks.all", tfjsonpath.New("json")),
		},
	}}, turn{TestStep: resource.TestStep{
		PreConfig: b.closeProviders, Config: b.config(jwks("all")),
		ConfigStateChecks: []statecheck.StateCheck{same.AddStateValue("data.hsm_jwks.all", tfjsonpath.New("json"))},
	}})
}

func TestJWKSRefusesWhatItCannotServe(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.make("web", "6b31")
	b.make("web", "FF31")
	b.make("half", "6b32")
	b.destroy("6b32", "privkey")
	b.make("twin", hexOf("ff31")) // named as FF31 is by its hex
	b.odd("half", "6b33")
	const miss, hint = "No Such Key Pair", "depends_on"
	cases := []struct {
		name  string // a sentence
		lines []string
		says  remark
	}{
		{"a label that no key has", []string{`labels = ["web", "shop"]`}, fails(miss, `matches "shop"`, b.Label, hint,
			"--list-objects").pointing("labels[1]")},
		{"an ID of half a pair", []string{`key_ids = ["6b31", "6b32"]`, `labels = ["web"]`}, fails(miss, `matches "6b32"`).pointing("key_ids[1]")},
		{"a label of a pair that has no JWK", []string{`labels = ["web", "half"]`}, fails("No JWK For This Kind Of Key", `The key "half" (key_id 6b33)`).pointing("labels[1]")},
		{"an ID of a pair that has no JWK", []string{`key_ids = ["6b33"]`}, fails("No JWK For This Kind Of Key", `The key "half" (key_id 6b33)`).pointing("key_ids[0]")},
		{"an ID that no key has", []string{`key_ids = ["6b31", "6B39"]`}, fails(miss, `matches "6B39"`,
			hint).pointing("key_ids[1]")},
		{"a URI that names nobody", []string{`uris = ["pkcs11:object=web", "pkcs11:object=web;id=%01"]`}, fails(miss, `matches "pkcs11:object=web;id=%01"`, hint).pointing("uris[1]")},
		{"a URI of another token", []string{`uris = ["pkcs11:token=elsewhere;id=6b31"]`},
			fails(miss, "write a % before each byte: id=%6B%31. If the same configuration").pointing("uris[0]")},
		{"a prefix that nobody's label has", []string{`label_prefix = "shop"`}, fails("Empty JSON Web Key Set", b.Label, "allow_empty = true")},
		{"arguments that exclude each other", []string{`label_prefix = "w"`, `uris = ["pkcs11:object=twin"]`}, fails("Empty JSON Web Key Set")},
		{"an algorithm of another kind of key", []string{`labels = ["twin"]`, `algorithms = { RSA = "ES256" }`}, fails("Algorithm Does Not Fit", `The key "twin"`).pointing(`algorithms["RSA"]`)},
		{"an algorithm of another use", []string{`labels = ["twin"]`, `use = "enc"`, `algorithms = { RSA = "PS256" }`}, fails("Algorithm Does Not Fit").pointing(`algorithms["RSA"]`)},
		{"two keys of one kid", []string{`key_ids = ["ff31", "66663331"]`}, fails("Two Keys With One kid", `kid "ff31"`, "kid_format")},
		{"an ID that is no hex", []string{`key_ids = ["6b3"]`}, fails("Invalid Key ID", "a digit of this one is missing: it has 3").pointing("key_ids[0]")},
		{"a URI with a PIN", []string{`uris = ["pkcs11:object=web?pin-value=48151623"]`}, fails("Invalid PKCS#11 URI", "uris[0]", "a PIN in it is refused").without("48151623")},
		{"keys that Hydra does not take", []string{`key_ids = ["6b31"]`, `profile = "hydra"`}, fails("Not Fit For Hydra", `"web" (key_id 6b31): its modulus has 2048 bits`,
			`"web" (key_id 6b31): it may sign and decrypt`, `"web" (key_id ff31): it has the label of a selected key`, b.Label).without("half", "twin").pointing("profile")},
		{"a use that is Hydra's to say", []string{`profile = "hydra"`, `use = "sig"`}, fails("Invalid Combination Of Arguments", "leave out profile").pointing("profile")},
		{"an empty label", []string{`labels = [""]`}, fails("Invalid Length", "labels[0]").pointing("labels[0]")},
	}
	var turns []turn
	for i, c := range cases {
		t.Logf("step %d: %s", i+1, c.name)
		turns = append(turns, refused(b, c.says, jwks("x", c.lines...)))
	}
	b.test(turns...)
}

func hexOf(text string) string { return fmt.Sprintf("%x", text) }

// What refers to a JWKS sees a change of a key's name or usage in the very apply that makes it.
func TestJWKSFollowsAChangeWithinOneApply(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	config := func(lines ...string) string {
		return b.config(pair("k", append(lines, `key_id = "6b31"`)...), pair("other", `label = "other"`, `key_id = "6b32"`),
			jwks("x", "uris = [hsm_rsa_keypair.k.uri, hsm_rsa_keypair.other.uri]"),
			jwks("labelled", `label_prefix = "web"`, "depends_on = [hsm_rsa_keypair.k]"),
			`resource "terraform_data" "verifier" { input = { json = data.hsm_jwks.x.json, labels = data.hsm_jwks.x.keys[*].label } }`,
			`resource "terraform_data" "jwk" { input = hsm_rsa_keypair.k.jwk }`)
	}
	// follows says that the other resources have what the key now is.
	follows := func(label, use, alg string) []statecheck.StateCheck {
		rows := []string{fmt.Sprintf("%s 6b31 k1 RSA %s %s", label, use, alg), "other 6b32 k2 RSA sig RS256"}
		labels := []knownvalue.Check{}
		for _, row := range rows {
			labels = append(labels, knownvalue.StringExact(strings.Fields(row)[0]))
		}
		return []statecheck.StateCheck{
			keySet("x", rows...), keySet("labelled", fmt.Sprintf("%s 6b31 k1 RSA %s %s", label, use, alg)), jwkIs("k1", use, alg),
			statecheck.CompareValuePairs("data.hsm_jwks.x", tfjsonpath.New("json"), "terraform_data.verifier", tfjsonpath.New("output").AtMapKey("json"), compare.ValuesSame()),
			statecheck.ExpectKnownValue("terraform_data.verifier", tfjsonpath.New("output").AtMapKey("labels"), knownvalue.TupleExact(labels)),
			statecheck.CompareValuePairs(key, tfjsonpath.New("jwk"), "terraform_data.jwk", tfjsonpath.New("output"), compare.ValuesSame()),
		}
	}
	updated := resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
		plancheck.ExpectResourceAction(key, plancheck.ResourceActionUpdate),
		plancheck.ExpectResourceAction("terraform_data.verifier", plancheck.ResourceActionUpdate),
	}}
	b.test(
		turn{TestStep: resource.TestStep{Config: config(`label = "web"`), ConfigStateChecks: follows("web", "sig", "RS256")}},
		turn{TestStep: resource.TestStep{Config: config(`label = "website"`), ConfigPlanChecks: updated, ConfigStateChecks: follows("website", "sig", "RS256")}},
		turn{TestStep: resource.TestStep{Config: config(`label = "website"`, `usage = ["decrypt"]`), ConfigPlanChecks: updated, ConfigStateChecks: follows("website", "enc", "RSA-OAEP")}},
	)
}

// Hydra takes keys on P-256 and P-521, and refuses those on other curves with all under their labels.
func TestJWKSForHydraOnCurves(t *testing.T) {
	t.Parallel()
	named := func(name string, lines ...string) string {
		return keyPairBlock("hsm_ec_keypair", name, map[string]string{"deletion_policy": `"delete"`}, lines)
	}
	b := newBench(t)
	made := map[string][]string{"02": {"EC:secp384r1", "hydra.a"}, "03": {"EC:edwards25519", "hydra.c"}, "04": {"EC:prime256v1", "hydra.a"}}
	refused := refused(b, fails("Not Fit For Hydra", `"hydra.a" (key_id 02): it has the label of a selected key, and one key that Hydra refuses makes it refuse all keys with that label: it is of the kind P-384`,
		`"hydra.c" (key_id 03): it is of the kind Ed25519`, `"hydra.a" (key_id 04): it may sign and decrypt`).pointing("profile"),
		jwks("x", `key_ids = ["03", "04"]`, `profile = "hydra"`))
	refused.PreConfig = func() {
		for id, key := range made {
			b.Tool(t, "--keypairgen", "--key-type", key[0], "--usage-sign", "--label", key[1], "--id", id)
		}
	}
	b.test(refused, turn{TestStep: resource.TestStep{
		PreConfig: func() {
			for id := range made {
				b.destroy(id, "privkey", "pubkey")
			}
		},
		Config: b.config(
			named("a", `label = "hydra.a"`, `key_id = "6131"`, `curve = "P-256"`), named("b", `label = "hydra.b"`, `key_id = "6231"`, `curve = "P-521"`),
			jwks("x", "uris = [hsm_ec_keypair.a.uri, hsm_ec_keypair.b.uri]", `profile = "hydra"`)),
		ConfigStateChecks: []statecheck.StateCheck{keySet("x", "hydra.a 6131 a1 EC sig ES256", "hydra.b 6231 b1 EC sig ES512")},
	}})
}
