package provider_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// curves are those of hsm_ec_keypair, as others know them.
var curves = []struct {
	name, id      string // the ID that tests give to the key on it
	alg           string
	tool, openssl string // the names in pkcs11-tool and openssl
	derives       bool
}{
	{"P-256", "01", "ES256", "EC:prime256v1", "ASN1 OID: prime256v1", true},
	{"P-384", "02", "ES384", "EC:secp384r1", "ASN1 OID: secp384r1", true},
	{"P-521", "03", "ES512", "EC:secp521r1", "ASN1 OID: secp521r1", true},
	{"secp256k1", "04", "ES256K", "EC:secp256k1", "ASN1 OID: secp256k1", true},
	{"Ed25519", "05", "EdDSA", "EC:edwards25519", "ED25519 Public-Key", false},
}

// onEveryCurve is a block of pairs, one on each curve, with these lines.
func onEveryCurve(lines ...string) string {
	var names []string
	for _, c := range curves {
		names = append(names, fmt.Sprintf("%q", c.name))
	}
	return fmt.Sprintf("locals { curves = [%s] }\n", strings.Join(names, ", ")) +
		ecPair(append(lines, "count = length(local.curves)", "curve = local.curves[count.index]", `key_id = format("%02x", count.index + 1)`)...)
}

// ecKeyIs compares what the state says of a key with what pkcs11-tool reads from the token and openssl makes of it.
func (b *bench) ecKeyIs(address, id, curve, opensslName, use, alg string) statecheck.StateCheck {
	return attributes{address, func(state map[string]any) error {
		if pem := b.openssl(id, "pkey", "-pubin", "-inform", "DER", "-outform", "PEM", "-in"); state["public_key_pem"] != pem {
			return fmt.Errorf("public_key_pem is\n%s\nand openssl writes\n%s", state["public_key_pem"], pem)
		}
		if state[fingerprint] != b.fingerprintOf(id) || state["curve"] != curve {
			return fmt.Errorf("the fingerprint is %s and the curve %s", state[fingerprint], state["curve"])
		}
		text := b.openssl(id, "pkey", "-pubin", "-inform", "DER", "-noout", "-text", "-in")
		if !strings.Contains(text, opensslName) {
			return fmt.Errorf("openssl says nothing of %s:\n%s", opensslName, text)
		}
		_, text, _ = strings.Cut(text, "pub:")
		text, _, _ = strings.Cut(text, "ASN1")
		point, err := hex.DecodeString(strings.Map(func(r rune) rune {
			if strings.ContainsRune("0123456789abcdef", r) {
				return r
			}
			return -1
		}, text))
		if err != nil {
			return err
		}
		raw, err := hex.DecodeString(id)
		if err != nil {
			return err
		}
		want := map[string]string{"kid": hex.EncodeToString(raw), "use": use, "crv": curve}
		if alg != "" {
			want["alg"] = alg
		}
		encode := base64.RawURLEncoding.EncodeToString
		if len(point) == 32 {
			want["kty"], want["x"] = "OKP", encode(point)
		} else {
			width := len(point) / 2
			want["kty"], want["x"], want["y"] = "EC", encode(point[1:1+width]), encode(point[1+width:])
		}
		var have map[string]string
		if err := json.Unmarshal([]byte(state["jwk"].(string)), &have); err != nil {
			return err
		}
		if !maps.Equal(have, want) {
			return fmt.Errorf("the JWK is %v, and openssl and the plan have %v", have, want)
		}
		if ssh := state["public_key_openssh"]; (ssh == nil) != (curve == "secp256k1") {
			return fmt.Errorf("public_key_openssh is %v", ssh)
		}
		return nil
	}}
}

func TestECKeyPairOnEveryCurve(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t)
	b := newBench(t)
	before := map[string]string{}
	var created, changed []plancheck.PlanCheck
	var first, second []statecheck.StateCheck
	var signs, derives []half
	reuse := "usage = local.curves[count.index] == \"Ed25519\" ? [\"sign\"] : [\"derive\"]"
	for i, c := range curves {
		address := fmt.Sprintf("hsm_ec_keypair.k[%d]", i)
		created = append(created, plancheck.ExpectResourceAction(address, plancheck.ResourceActionCreate), plancheck.ExpectUnknownValue(address, tfjsonpath.New("uri")))
		changed = append(changed, plancheck.ExpectResourceAction(address, plancheck.ResourceActionUpdate))
		first = append(first, b.ecKeyIs(address, c.id, c.name, c.openssl, "sig", c.alg), attributes{address, func(state map[string]any) error {
			before[address] = state[fingerprint].(string)
			return nil
		}}, statecheck.ExpectKnownValue(address, tfjsonpath.New("usage"), knownvalue.SetExact([]knownvalue.Check{knownvalue.StringExact("sign")})))
		use, alg := "enc", "ECDH-ES"
		switch c.name {
		case "Ed25519":
			use, alg = "sig", c.alg
		case "secp256k1":
			alg = "" // JOSE has it for signatures alone
		}
		second = append(second, b.ecKeyIs(address, c.id, c.name, c.openssl, use, alg), attributes{address, func(state map[string]any) error {
			if state[fingerprint] != before[address] || state["label"] != "shop" {
				return fmt.Errorf("after a change in place: %v", state)
			}
			return nil
		}})
		signs = append(signs, signing("web", c.id)...)
		if c.derives {
			derives = append(derives, private("shop", c.id, "derive"), public("shop", c.id, "derive"))
			continue
		}
		derives = append(derives, signing("shop", c.id)...)
	}
	b.test(
		turn{TestStep: resource.TestStep{
			Config:           b.config(onEveryCurve(`label = "web"`)),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: created}, ConfigStateChecks: append(first, b.holding(slices.Clone(signs)...)),
		}},
		turn{TestStep: resource.TestStep{
			Config:           b.config(onEveryCurve(`label = "shop"`, reuse)),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: changed}, ConfigStateChecks: append(second, b.holding(slices.Clone(derives)...)),
		}},
		turn{TestStep: resource.TestStep{
			Config: b.config(onEveryCurve(`label = "shop"`, reuse)), ResourceName: "hsm_ec_keypair.k[2]", ImportState: true, ImportStateId: "shop/03",
			ImportStateVerify: true, ImportStateVerifyIdentifierAttribute: "key_id", ImportStateVerifyIgnore: []string{"deletion_policy"},
		}},
	)
	b.expect()
}

// Pairs of pkcs11-tool's making, one on each curve, come in and are put right in place: SoftHSM lets them decrypt and unwrap.
func TestImportAdoptsECKeyPairs(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t)
	b := newBench(t)
	blocks := []string{onEveryCurve(`label = "web"`)}
	var changed []plancheck.PlanCheck
	var adopted []statecheck.StateCheck
	var whole []half
	for i, c := range curves {
		address := fmt.Sprintf("hsm_ec_keypair.k[%d]", i)
		b.Tool(t, "--keypairgen", "--key-type", c.tool, "--usage-sign", "--label", "web", "--id", c.id)
		blocks = append(blocks, fmt.Sprintf("import {\n  to = %s\n  id = %q\n}\n", address, c.id))
		changed = append(changed, plancheck.ExpectResourceAction(address, plancheck.ResourceActionUpdate))
		adopted = append(adopted, b.ecKeyIs(address, c.id, c.name, c.openssl, "sig", c.alg))
		whole = append(whole, signing("web", c.id)...)
	}
	b.test(turn{TestStep: resource.TestStep{
		Config: b.config(blocks...), ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: changed}, ConfigStateChecks: append(adopted, b.holding(whole...)),
	}, says: []remark{warns("Usage The Key Cannot Have").maybe()}}) // as the token's default is
	b.expect()
}

// The public half beside a private half that shows nothing of its key may be another key's.
func TestECHalvesOfTwoKeysAreNoPair(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t, "P-256")
	b := newBench(t)
	config := b.config(ecPair(`label = "web"`, `key_id = "6b31"`))
	exchange := func() {
		b.destroy("6b31", "pubkey")
		b.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign", "--label", "other", "--id", "6b32")
		b.destroy("6b32", "privkey")
		b.Tool(t, "--type", "pubkey", "--id", "6b32", "--set-id", "6b31")
	}
	strangers := fails("Unable to Read Key Pair: Halves Of Different Keys", `EC private key "web" (ID 6b31)`,
		"does not belong to the public half", `EC public key "other" (ID 6b31)`)
	b.test(
		turn{TestStep: resource.TestStep{Config: config}},
		turn{TestStep: resource.TestStep{PreConfig: exchange, Config: config, PlanOnly: true}, says: []remark{strangers}},
		turn{
			TestStep: resource.TestStep{Config: config, ResourceName: "hsm_ec_keypair.k", ImportState: true, ImportStateId: "6b31"},
			says:     []remark{fails("Unable to Import Key Pair: Halves Of Different Keys", "does not belong to the public half")},
		},
		turn{TestStep: resource.TestStep{
			PreConfig: func() { b.destroy("6b31", "pubkey", "privkey") }, Config: config, ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectResourceAction("hsm_ec_keypair.k", plancheck.ResourceActionCreate),
			}},
		}, says: []remark{warns("Key Not On The Token")}},
	)
}

func TestATakenIDOfAnEdwardsKeyIsToldHowToAdoptIt(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t, "Ed25519")
	b := newBench(t)
	b.Tool(t, "--keypairgen", "--key-type", "EC:edwards25519", "--usage-sign", "--label", "theirs", "--id", "6b31")
	taken := fails("Unable to Create Key Pair: Key ID Taken", `Edwards private key "theirs" (ID 6b31)`, "if the key pair that uses the ID is the one you want", "terraform import hsm_ec_keypair.NAME 6b31").pointing("key_id")
	b.test(turn{
		TestStep: resource.TestStep{Config: b.config(ecPair(`label = "web"`, `key_id = "6b31"`, `curve = "Ed25519"`))},
		says:     []remark{taken, warns("Key ID Already On The Token", "a key pair on the token already uses its key_id").pointing("key_id")},
	})
}

func TestECKeyPairRefusesWhatThereIsNot(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.test(
		refused(b, fails("Usage Does Not Fit The Curve", "Keys on Ed25519 are for sign, not for derive").pointing("usage"), ecPair(`label = "web"`, `curve = "Ed25519"`, `usage = ["derive", "sign"]`)),
		refused(b, fails("Unknown Word", `curve is "P-224". It must be "P-256"`, `"secp256k1" or "Ed25519".`).pointing("curve"), ecPair(`label = "web"`, `curve = "P-224"`)),
		refused(b, fails("Unknown Word", `An element of usage is "decrypt". It must be "derive" or "sign".`).pointing("usage[{{String []} decrypt}]"), ecPair(`label = "web"`, `usage = ["decrypt"]`)),
	)
	b.expect()
}
