package provider_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// adopt is an import block.
func adopt(address, id string) string {
	return fmt.Sprintf("import {\n  to = %s\n  id = %q\n}\n", address, id)
}

// TestAdoptedKeysSayWhatTheyAre adopts keys of pkcs11-tool's making that are not as safe as the provider's own. Each is
// told of, can be configured, and is made safer where the token takes that.
func TestAdoptedKeysSayWhatTheyAre(t *testing.T) {
	t.Parallel()
	hsmtest.Needs(t, hsmtest.OtherEyes)
	b := newBench(t)
	b.Tool(t, "--keypairgen", "--key-type", "rsa:1024", "--usage-sign", "--label", "weak", "--id", "01")
	b.Tool(t, "--keygen", "--key-type", "AES:16", "--label", "bare", "--id", "02")
	b.Tool(t, "--keygen", "--key-type", "AES:16", "--label", "shown", "--id", "03", "--private")
	b.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign", "--label", "", "--id", "04")
	const all = `usage = ["decrypt", "encrypt", "sign", "unwrap", "verify", "wrap"]`
	secret := func(name, id string, lines ...string) string {
		return keyPairBlock("hsm_secret_key", name, map[string]string{
			"label": fmt.Sprintf("%q", name), "key_id": fmt.Sprintf("%q", id), "type": `"aes"`, "bits": "128",
			"deletion_policy": `"delete"`,
		}, append(lines, all))
	}
	blocks := []string{
		pair("weak", `label = "weak"`, `key_id = "01"`, `usage = ["decrypt", "sign", "unwrap"]`, "modulus_bits = 1024"),
		secret("bare", "02"), secret("shown", "03"), ecPair(`label = ""`, `key_id = "04"`),
	}
	imports := []string{
		adopt("hsm_rsa_keypair.weak", "01"), adopt("hsm_secret_key.bare", "02"), adopt("hsm_secret_key.shown", "03"),
		adopt("hsm_ec_keypair.k", "04"),
	}
	weak := warns("Key Unlike Any New One", `"weak" (key_id 01)`, "1024 bits")
	bare := warns("Key Not Protected By The PIN", `"bare" (key_id 02)`)
	shown := []remark{
		warns(`Key Value Not Kept Secret: "bare" (key_id 02)`, "without a PIN"), // with names, so that none is folded
		warns(`Key Value Not Kept Secret: "shown" (key_id 03)`, "whoever has the PIN"),
	}
	claim := func(address, name string, want bool) statecheck.StateCheck {
		return statecheck.ExpectKnownValue(address, tfjsonpath.New(name), knownvalue.Bool(want))
	}
	b.test(
		turn{
			TestStep: resource.TestStep{
				Config: b.config(append(blocks, imports...)...),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectUnknownValue("hsm_secret_key.bare", tfjsonpath.New("sensitive")),
				}},
				ConfigStateChecks: []statecheck.StateCheck{
					claim("hsm_secret_key.bare", "private", false), claim("hsm_secret_key.bare", "sensitive", true),
					claim("hsm_secret_key.bare", "always_sensitive", false), claim("hsm_secret_key.shown", "private", true),
					claim("hsm_secret_key.shown", "sensitive", true), claim("hsm_rsa_keypair.weak", "private", true),
					holds(func() error {
						if seen := b.Tool(t, "--list-objects", "--type", "secrkey"); strings.Contains(seen, "VALUE") {
							return fmt.Errorf("the token shows a value: %s", seen)
						}
						return nil
					}),
				},
			},
			says: append(shown, weak, bare, warns("Usage The Key Cannot Have", "(key_id 04)").maybe()), // as the token's default is
		},
		turn{
			TestStep: resource.TestStep{Config: b.config(blocks...), PlanOnly: true},
			says:     []remark{weak, bare},
		},
		turn{
			TestStep: resource.TestStep{Config: b.config(append(blocks, pair("new", `label = "new"`, "modulus_bits = 1024", "public_exponent = 3"))...), PlanOnly: true},
			says: []remark{
				weak.maybe(), bare.maybe(), fails("Not For A New Key", `"new"`, "1024 bits").pointing("modulus_bits"),
				fails("Not For A New Key", "exponent 3").pointing("public_exponent"),
			},
		},
		turn{
			TestStep: resource.TestStep{Config: b.config(append(blocks[1:], pair("weak", `label = ""`, `key_id = "01"`, "modulus_bits = 1032"))...), PlanOnly: true},
			says: []remark{
				weak.maybe(), bare.maybe(), fails("Not For A New Key", "1032 bits").pointing("modulus_bits"),
				fails("Empty Label").pointing("label"), underOldID,
			},
		},
	)
}

// TestAChangeThatTheKeyForbidsFailsInThePlan has keys that say that they must not be changed or destroyed.
func TestAChangeThatTheKeyForbidsFailsInThePlan(t *testing.T) {
	t.Parallel()
	hsmtest.Needs(t, hsmtest.OtherEyes)
	b := newBench(t)
	secret := func(id, label string, limits ...cryptoki.Attribute) {
		t.Helper()
		err := b.Session(func(ctx context.Context, s *cryptoki.Session) error {
			_, err := s.GenerateKey(ctx, cryptoki.Mechanism{Type: cryptoki.CKM_GENERIC_SECRET_KEY_GEN}, append([]cryptoki.Attribute{
				cryptoki.Bool(cryptoki.CKA_TOKEN, true), cryptoki.Bool(cryptoki.CKA_PRIVATE, true),
				cryptoki.Bool(cryptoki.CKA_EXTRACTABLE, false), cryptoki.Bytes(cryptoki.CKA_ID, []byte(id)), cryptoki.Bytes(cryptoki.CKA_LABEL, []byte(label)),
				cryptoki.ULong(cryptoki.CKA_VALUE_LEN, 32), cryptoki.Bool(cryptoki.CKA_SIGN, true), cryptoki.Bool(cryptoki.CKA_VERIFY, true),
				cryptoki.Bool(cryptoki.CKA_ENCRYPT, false), cryptoki.Bool(cryptoki.CKA_DECRYPT, false),
				cryptoki.Bool(cryptoki.CKA_WRAP, false), cryptoki.Bool(cryptoki.CKA_UNWRAP, false),
			}, limits...))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	secret("1", "fixed", cryptoki.Bool(cryptoki.CKA_SENSITIVE, true), cryptoki.Bool(cryptoki.CKA_MODIFIABLE, false))
	secret("3", "shown", cryptoki.Bool(cryptoki.CKA_MODIFIABLE, false), cryptoki.Bool(cryptoki.CKA_SENSITIVE, false), cryptoki.Bool(cryptoki.CKA_DERIVE, true))
	secret("2", "kept", cryptoki.Bool(cryptoki.CKA_SENSITIVE, true), cryptoki.Bool(cryptoki.CKA_DESTROYABLE, false), cryptoki.Bool(cryptoki.CKA_COPYABLE, false))
	b.faults.Inject(hsmtest.Fault{Function: "C_GetAttributeValue", Do: func(_ context.Context, c *cryptoki.Call, next func() error) error {
		err := next() // SoftHSM cannot read the dates of a secret key
		if reading, ok := c.Result.(*cryptoki.Reading); ok && string(reading.Attributes[cryptoki.CKA_ID]) == "2" {
			reading.Attributes[cryptoki.CKA_START_DATE], reading.Attributes[cryptoki.CKA_END_DATE] = []byte("20260102"), []byte("20361231")
		}
		return err
	}})
	block := func(name, id, label, policy string, more ...string) string {
		return keyPairBlock("hsm_secret_key", name, map[string]string{
			"label": fmt.Sprintf("%q", label), "key_id": fmt.Sprintf("%q", id), "type": `"generic"`, "bits": "256",
			"usage": `["sign", "verify"]`, "deletion_policy": fmt.Sprintf("%q", policy),
		}, more)
	}
	cannotBeDestroyed := fails("Key Cannot Be Destroyed", `"kept" (key_id 32)`, "CKA_DESTROYABLE is false",
		`deletion_policy = "abandon"`)
	fixed, kept := block("fixed", "31", "fixed", "abandon"), block("kept", "32", "kept", "delete")
	shown := []remark{
		warns("Key Value Not Kept Secret", `"shown" (key_id 33)`, "does not set CKA_SENSITIVE of this key"),
		warns("Usage The Key Cannot Have", `"shown" (key_id 33)`, "derive (CKA_DERIVE)", "CKA_MODIFIABLE is false"),
	}
	b.test(turn{
		TestStep: resource.TestStep{Config: b.config(adopt("hsm_secret_key.shown", "33"), block("shown", "33", "shown", "abandon"))},
		says:     shown,
	}, turn{
		TestStep: resource.TestStep{Config: b.config(block("shown", "33", "shown", "abandon")), PlanOnly: true},
		says:     shown,
	})
	b.test(
		turn{TestStep: resource.TestStep{
			Config: b.config(adopt("hsm_secret_key.fixed", "31"), adopt("hsm_secret_key.kept", "32"), fixed, kept, keysBlock("all")),
			ConfigStateChecks: []statecheck.StateCheck{attributes{"data.hsm_keys.all", func(state map[string]any) error {
				var have []string
				for _, row := range state["keys"].([]any) {
					k := row.(map[string]any)
					have = append(have, fmt.Sprint(k["label"], " ", k["private"], " ", k["modifiable"], " ", k["destroyable"], " ", k["copyable"], " ", k["start_date"], " ", k["end_date"]))
				}
				want := "fixed true false true true <nil> <nil>, kept true true false false 2026-01-02 2036-12-31, " +
					"shown true false true true <nil> <nil>"
				if got := strings.Join(have, ", "); got != want {
					return fmt.Errorf("the list has %s", got)
				}
				return nil
			}}},
		}},
		turn{
			TestStep: resource.TestStep{
				Config: b.config(block("fixed", "31", "new", "abandon"),
					block("kept", "32", "kept", "delete", "extractable = true")), PlanOnly: true,
			},
			says: []remark{
				fails("Key Cannot Be Changed", `"fixed" (key_id 31)`, "CKA_MODIFIABLE is false").pointing("label"),
				underOldID, cannotBeDestroyed, // and so it cannot be replaced
			},
		},
		turn{
			TestStep: resource.TestStep{Config: b.config(fixed), PlanOnly: true},
			says:     []remark{cannotBeDestroyed},
		},
		turn{TestStep: resource.TestStep{Config: b.config(fixed, block("kept", "32", "kept", "abandon"))}},
	)
}

// TestKeysOfUnknownKindsAreNotMalformed imports keys on curves that the provider does not know.
func TestKeysOfUnknownKindsAreNotMalformed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.odd("p224", "01")
	b.test(turn{
		TestStep: resource.TestStep{Config: b.config(ecPair(`label = "p224"`, `key_id = "01"`), adopt("hsm_ec_keypair.k", "01")), PlanOnly: true},
		says:     []remark{fails("Unable to Import Key Pair: Kind Of Key Not Supported", "1.3.132.0.33", "nothing is wrong with the key")},
	})
}
