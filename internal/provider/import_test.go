package provider_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// The pair is of pkcs11-tool's making, as the one that is to be adopted in practice.
func TestImportAdoptsAKeyPair(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.make("team/web", "6b31")
	b.make("twins", "6b32")
	b.make("twins", "6b33")
	b.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "curve", "--id", "6b34")
	whole := b.halves()
	extractable := !hsmtest.Has(t, hsmtest.KeptIn)
	lines := []string{`label = "team/web"`, `usage = ["decrypt", "sign", "unwrap"]`, fmt.Sprintf("extractable = %t", extractable)}
	config := b.config(pair("k", append(lines, `deletion_policy = "prevent"`)...))
	secret := "48151623"

	by := func(kind resource.ImportStateKind, id string) turn {
		return turn{TestStep: resource.TestStep{
			Config: config, ResourceName: key, ImportState: true, ImportStateKind: kind, ImportStateId: id,
			ImportStateVerify: kind == resource.ImportCommandWithID, ImportStateVerifyIdentifierAttribute: "key_id", ImportStateVerifyIgnore: []string{"deletion_policy"},
		}}
	}
	refused := func(id string, says remark) turn {
		return turn{
			TestStep: resource.TestStep{Config: config, ResourceName: key, ImportState: true, ImportStateId: id},
			says:     []remark{says},
		}
	}
	persisted := by(resource.ImportCommandWithID, "6B31")
	persisted.ImportStatePersist, persisted.ImportStateVerify = true, false

	b.test(
		persisted,
		turn{TestStep: resource.TestStep{
			Config: config,
			ConfigPlanChecks: resource.ConfigPlanChecks{
				PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()},
			},
			ConfigStateChecks: append(has(map[string]knownvalue.Check{
				"label": knownvalue.StringExact("team/web"), "key_id": knownvalue.StringExact("6b31"), "kid": knownvalue.StringExact("k1"),
				"deletion_policy": knownvalue.StringExact("prevent"), "extractable": knownvalue.Bool(extractable),
				"modulus_bits": knownvalue.Int64Exact(2048), "public_exponent": knownvalue.Int64Exact(65537),
				"uri": knownvalue.StringExact("pkcs11:token=" + b.Label + ";id=%6B%31"),
			}), b.publicKeyIs(key, "6b31"), jwkIs("k1", "sig", "RS256"), b.holding(whole...)),
		}},
		by(resource.ImportCommandWithID, "team/web/6b31"),
		by(resource.ImportCommandWithID, "pkcs11:object=team%2Fweb"),
		by(resource.ImportBlockWithID, "6b31"),
		by(resource.ImportBlockWithID, "pkcs11:token="+b.Label+";object=team%2Fweb;id=%6B%31;type=private"),

		refused("web/6b31", fails("Unable to Import Key Pair: Label Differs", `says label "web"`, `labelled "team/web"`)),
		refused("6b39", fails("Unable to Import Key Pair: Not On The Token", "Key ID 6b39", b.Label)),
		refused("6b34", fails("Unable to Import Key Pair: Key Of Another Type", `EC key pair "curve" (key_id 6b34)`,
			"terraform import hsm_ec_keypair.NAME 6b34").without("--list-objects")),
		refused("key-1", fails("Invalid Import ID", `"key-1" does not name a key`, "terraform import hsm_rsa_keypair.NAME 6b65792d31")),
		refused("pkcs11:object=twins", fails("Unable to Import Key Pair: Not One Key", `"twins", key_id 6b32`, `"twins", key_id 6b33`)),
		refused("pkcs11:token=elsewhere;id=6b31", fails("Unable to Import Key Pair: Not One Key",
			"names no key pair of this type on this token. The id in this URI is the text", "id=%6B%31")),
		refused("pkcs11:id=%6B%31?pin-value="+secret, fails("Invalid Import ID", "a PIN in it is refused").without(secret)),

		turn{TestStep: resource.TestStep{
			Config:            b.config(pair("k", append(lines, `deletion_policy = "abandon"`)...)),
			ConfigStateChecks: []statecheck.StateCheck{statecheck.ExpectKnownValue(key, tfjsonpath.New("deletion_policy"), knownvalue.StringExact("abandon"))},
		}},
	)
	b.expect(whole...)
}

// A key that makes no sense is no reason to refuse another one.
func TestImportPassesOverWhatItDoesNotName(t *testing.T) {
	t.Parallel()
	hsmtest.Needs(t, hsmtest.OtherEyes)
	b := newBench(t)
	b.make("web", "6b31")
	b.make("broken", "6b32")
	b.faults.Inject(hsmtest.Fault{Function: "C_GetAttributeValue", Do: func(_ context.Context, c *cryptoki.Call, next func() error) error {
		err := next()
		if reading, ok := c.Result.(*cryptoki.Reading); ok && bytes.Equal(reading.Attributes[cryptoki.CKA_ID], []byte("k2")) {
			reading.Attributes[cryptoki.CKA_CLASS] = []byte{1}
		}
		return err
	}})
	config := b.config(pair("k", `label = "web"`, `usage = ["decrypt", "sign", "unwrap"]`))
	by := func(id string, says ...remark) turn {
		return turn{TestStep: resource.TestStep{Config: config, ResourceName: key, ImportState: true, ImportStateId: id}, says: says}
	}
	b.test(by("web/6b31"), by("pkcs11:object=web;id=%6B%31"), by("pkcs11:object=web"),
		by("pkcs11:object=broken", fails("Unable to Import Key Pair: Malformed Object On The Token", `"broken" (ID 6b32)`,
			"CKA_CLASS")))
}
