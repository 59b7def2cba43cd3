package provider_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/compare"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// publicKeyIs compares the forms of the public key in the state with what pkcs11-tool reads from the token and
// openssl makes of it.
func (b *bench) publicKeyIs(address, id string) statecheck.StateCheck {
	return attributes{address, func(state map[string]any) error {
		pem := b.openssl(id, "pkey", "-pubin", "-inform", "DER", "-outform", "PEM", "-in")
		if state["public_key_pem"] != pem {
			return fmt.Errorf("public_key_pem is\n%s\nand openssl writes\n%s", state["public_key_pem"], pem)
		}
		digest := strings.Fields(b.openssl(id, "dgst", "-sha256", "-r"))[0]
		if state[fingerprint] != digest {
			return fmt.Errorf("the fingerprint is %s, and openssl's is %s", state[fingerprint], digest)
		}
		_, hex, _ := strings.Cut(strings.TrimSpace(b.openssl(id, "rsa", "-pubin", "-inform", "DER", "-noout", "-modulus", "-in")), "Modulus=")
		modulus, ok := new(big.Int).SetString(hex, 16)
		if !ok {
			return fmt.Errorf("openssl writes the modulus %q", hex)
		}
		var jwk map[string]string
		if err := json.Unmarshal([]byte(state["jwk"].(string)), &jwk); err != nil {
			return err
		}
		if n := base64.RawURLEncoding.EncodeToString(modulus.Bytes()); jwk["n"] != n {
			return fmt.Errorf("n of the JWK is %s, and openssl's modulus is %s", jwk["n"], n)
		}
		if bits, _ := state["modulus_bits"].(json.Number).Int64(); int64(modulus.BitLen()) != bits {
			return fmt.Errorf("modulus_bits is %d, and openssl's modulus has %d", bits, modulus.BitLen())
		}
		return nil
	}}
}

// jwkIs compares the members of the pair k's JWK in the state that are not the key's own.
func jwkIs(kid, use, alg string) statecheck.StateCheck {
	return attributes{key, func(state map[string]any) error {
		var jwk map[string]string
		if err := json.Unmarshal([]byte(state["jwk"].(string)), &jwk); err != nil {
			return err
		}
		n := jwk["n"]
		delete(jwk, "n")
		if have, want := fmt.Sprint(jwk), fmt.Sprint(map[string]string{"kty": "RSA", "e": "AQAB", "kid": kid, "use": use, "alg": alg}); have != want || n == "" {
			return fmt.Errorf("the JWK has %s and n %q, not %s", have, n, want)
		}
		return nil
	}}
}

func TestRSAKeyPairIsCreatedAndChangedInPlace(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const one, two = "6b65792d31", "6b65792d32"
	same := statecheck.CompareValue(compare.ValuesSame())
	sameKey := func() statecheck.StateCheck { return same.AddStateValue(key, tfjsonpath.New(fingerprint)) }
	uri := func(id string) knownvalue.Check {
		return knownvalue.StringExact("pkcs11:token=" + b.Label + ";id=" + id)
	}
	change := func(config string, checks ...statecheck.StateCheck) turn {
		return turn{TestStep: resource.TestStep{
			Config: b.config(config), ConfigPlanChecks: willBe(plancheck.ResourceActionUpdate), ConfigStateChecks: append(checks, sameKey(), b.publicKeyIs(key, two)),
		}}
	}
	noDifference := func(config string) turn {
		return turn{TestStep: resource.TestStep{Config: b.config(config), PlanOnly: true}}
	}

	b.test(
		turn{TestStep: resource.TestStep{
			Config: b.config(pair("k", `label = "web"`, `key_id = "6B65792D31"`)),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectResourceAction(key, plancheck.ResourceActionCreate),
				plancheck.ExpectUnknownValue(key, tfjsonpath.New("uri")),
				plancheck.ExpectUnknownValue(key, tfjsonpath.New("jwk")),
			}},
			ConfigStateChecks: append(has(map[string]knownvalue.Check{
				"label": knownvalue.StringExact("web"), "key_id": knownvalue.StringExact("6B65792D31"), "kid": knownvalue.StringExact("key-1"),
				"modulus_bits": knownvalue.Int64Exact(2048), "public_exponent": knownvalue.Int64Exact(65537),
				"usage": knownvalue.SetExact([]knownvalue.Check{knownvalue.StringExact("sign")}), "extractable": knownvalue.Bool(false),
				"deletion_policy": knownvalue.StringExact("delete"), "uri": uri("%6B%65%79%2D%31"),
				"local": knownvalue.Bool(hsmtest.Has(t, hsmtest.Local)), "always_sensitive": knownvalue.Bool(true), "never_extractable": knownvalue.Bool(true),
			}), b.publicKeyIs(key, one), jwkIs("key-1", "sig", "RS256"), b.holding(signing("web", one)...), sameKey()),
		}},
		noDifference(pair("k", `label = "web"`, `key_id = "6b65792d31"`)), // the other case
		noDifference(pair("k", `label = "web"`)),                          // what is not said stays

		turn{TestStep: resource.TestStep{
			Config: b.config(pair("k", `label = "web site"`, `key_id = "6b65792d32"`, `usage = ["decrypt", "unwrap"]`)),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectResourceAction(key, plancheck.ResourceActionUpdate),
				plancheck.ExpectUnknownValue(key, tfjsonpath.New("uri")),
				plancheck.ExpectUnknownValue(key, tfjsonpath.New("kid")),
			}},
			ConfigStateChecks: append(has(map[string]knownvalue.Check{
				"key_id": knownvalue.StringExact(two), "kid": knownvalue.StringExact("key-2"), "uri": uri("%6B%65%79%2D%32"),
			}), sameKey(), b.publicKeyIs(key, two), jwkIs("key-2", "enc", "RSA-OAEP"),
				b.holding(private("web site", two, "decrypt, unwrap"), public("web site", two, "encrypt, wrap"))),
		}, says: []remark{warns(`Key ID Changes: "web" (key_id `+one+`)`, two, "kid").pointing("key_id")}},
		change(pair("k", `label = "shop"`, `usage = ["decrypt", "unwrap"]`),
			b.holding(private("shop", two, "decrypt, unwrap"), public("shop", two, "encrypt, wrap"))),
		change(pair("k", `label = "shop"`, `usage = ["sign", "decrypt"]`),
			jwkIs("key-2", "sig", "RS256"), b.holding(private("shop", two, "decrypt, sign"), public("shop", two, "encrypt, verify"))),
	)
	b.expect()
}

func TestRSAKeyPairWithoutAnIDGetsAUUID(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var keyID string
	b.test(
		turn{TestStep: resource.TestStep{
			Config: b.config(pair("k", `label = "web"`, "extractable = true", `usage = ["unwrap"]`)),
			ConfigStateChecks: []statecheck.StateCheck{
				attributes{key, func(state map[string]any) error {
					keyID = state["key_id"].(string)
					if kid := state["kid"].(string); len(kid) != 36 || keyID != fmt.Sprintf("%x", kid) || kid[14] != '4' {
						return fmt.Errorf("kid is %q and key_id is %q: not the text of a random UUID", kid, keyID)
					}
					return b.holding(
						half{"Private Key", "web", keyID, "unwrap", "sensitive, always sensitive, extractable, local"}, public("web", keyID, "wrap"))()
				}},
				statecheck.ExpectKnownValue(key, tfjsonpath.New("never_extractable"), knownvalue.Bool(false)),
				statecheck.ExpectKnownValue(key, tfjsonpath.New("extractable"), knownvalue.Bool(true)),
			},
		}},
		turn{TestStep: resource.TestStep{
			PreConfig:        func() { b.faults.Clear() },
			Config:           b.config(pair("k", `label = "web"`, "extractable = false", `usage = ["unwrap"]`)),
			ConfigPlanChecks: willBe(plancheck.ResourceActionUpdate),
			ConfigStateChecks: []statecheck.StateCheck{
				attributes{key, func(state map[string]any) error {
					if state["key_id"] != keyID || state[fingerprint] != b.fingerprintOf(keyID) || state["extractable"] != false {
						return fmt.Errorf("after extractable = false the state has %v", state)
					}
					return b.holding(half{"Private Key", "web", keyID, "unwrap", "sensitive, always sensitive, local"}, public("web", keyID, "wrap"))()
				}},
			},
		}},
	)
}

// Two keys of one label are how keys are rotated, and both are in the state.
func TestASecondKeyOfOneLabelIsNoStranger(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	k, l := pair("k", `label = "web"`, `key_id = "6b31"`), pair("l", `label = "web"`, `key_id = "6b32"`)
	b.test(
		turn{TestStep: resource.TestStep{Config: b.config(k)}},
		turn{TestStep: resource.TestStep{Config: b.config(k, l)}},
	)
}
