package provider_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/jwk"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// playsMLDSA skips a test on tokens over which ML-DSA cannot be played.
func playsMLDSA(t *testing.T) {
	t.Helper()
	if name := hsmtest.ThisMake(t).Name; name != "softhsm" {
		t.Skipf("ML-DSA is played over SoftHSM, and not over %s", name)
	}
}

const mlDSA = "hsm_ml_dsa_keypair.k"

// mlDSAPair is the block of the key pair hsm_ml_dsa_keypair.k.
func mlDSAPair(set, label string) string {
	return keyPairBlock("hsm_ml_dsa_keypair", "k", nil, []string{
		fmt.Sprintf("parameter_set = %q", set), fmt.Sprintf("label = %q", label), `key_id = "6b31"`,
		`deletion_policy = "delete"`,
	})
}

// mlDSAIs compares what the state says of the pair with itself: the PEM, the JWK and the fingerprint are of one key.
func mlDSAIs(set, label string) statecheck.StateCheck {
	return attributes{mlDSA, func(state map[string]any) error {
		pub, err := publickey.ParsePEM(state["public_key_pem"].(string))
		if err != nil {
			return err
		}
		print, err := publickey.Fingerprint(pub)
		if err != nil {
			return err
		}
		text, err := jwk.Key{PublicKey: pub, KID: "k1", Use: "sig"}.JSON()
		if err != nil {
			return err
		}
		for name, want := range map[string]any{
			"parameter_set": set, "label": label, "kid": "k1", "jwk": text, fingerprint: print,
			"public_key_openssh": nil, "sensitive": true, "private": true, "extractable": false,
		} {
			if state[name] != want {
				return fmt.Errorf("%s is %v, not %v", name, state[name], want)
			}
		}
		if publickey.ParameterSet(pub) != set {
			return fmt.Errorf("the PEM is of a key of %q", publickey.ParameterSet(pub))
		}
		return nil
	}}
}

// TestMLDSAKeyPair is the life of a pair, after a plan on a token that has no ML-DSA.
func TestMLDSAKeyPair(t *testing.T) {
	t.Parallel()
	playsMLDSA(t)
	b := newBench(t)
	var plays atomic.Bool
	b.hooks = []hsm.Hook{func(ctx context.Context, c *cryptoki.Call, next func() error) error {
		if !plays.Load() {
			return next()
		}
		return hsmtest.PlayMLDSA(ctx, c, next)
	}}
	shown := func(more string) string {
		return jwks("k", "uris = ["+mlDSA+".uri]", more) + publicKey("k", "uri = "+mlDSA+".uri") +
			"data \"hsm_keys\" \"k\" {\n  type = \"ML-DSA\"\n  depends_on = [" + mlDSA + "]\n}\n"
	}
	at := tfjsonpath.New("keys").AtSliceIndex
	exact := knownvalue.StringExact
	sees := func(set, label string) []statecheck.StateCheck {
		return []statecheck.StateCheck{
			mlDSAIs(set, label),
			statecheck.ExpectKnownValue("data.hsm_public_key.k", tfjsonpath.New("type"), exact("ML-DSA")),
			statecheck.ExpectKnownValue("data.hsm_public_key.k", tfjsonpath.New("parameter_set"), exact(set)),
			statecheck.ExpectKnownValue("data.hsm_public_key.k", tfjsonpath.New("curve"), knownvalue.Null()),
			statecheck.ExpectKnownValue("data.hsm_public_key.k", tfjsonpath.New("public_key_openssh"), knownvalue.Null()),
			statecheck.ExpectKnownValue("data.hsm_keys.k", at(1).AtMapKey("parameter_set"), exact(set)),
			statecheck.ExpectKnownValue("data.hsm_keys.k", at(1).AtMapKey("twin_missing"), knownvalue.Bool(false)),
			attributes{"data.hsm_jwks.k", func(state map[string]any) error {
				var set struct{ Keys []map[string]string }
				if err := json.Unmarshal([]byte(state["json"].(string)), &set); err != nil {
					return err
				}
				row := state["keys"].([]any)[0].(map[string]any)
				for name, value := range maps.All(set.Keys[0]) {
					if row[name] != value {
						return fmt.Errorf("the member %s is %v in keys, and %s in json", name, row[name], value)
					}
				}
				if row["kty"] != "AKP" || row["alg"] != "ML-DSA-44" && row["alg"] != "ML-DSA-87" || row["label"] != label {
					return fmt.Errorf("the key is %v", row)
				}
				return nil
			}},
		}
	}
	config := func(set, label, more string) string { return b.config(mlDSAPair(set, label), shown(more)) }
	// The alg by parameter set takes precedence over the one by kty, which does not fit.
	const algorithms = `algorithms = { AKP = "RS256", ML-DSA-44 = "ML-DSA-44", ML-DSA-87 = "ML-DSA-87" }`
	does := func(action plancheck.ResourceActionType) resource.ConfigPlanChecks {
		return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(mlDSA, action)}}
	}
	b.test(
		refused(b, fails("Unable to Plan Key Pair: Not Offered By The Token", "does not make ML-DSA key pairs"),
			mlDSAPair("ML-DSA-44", "old")),
		turn{TestStep: resource.TestStep{PreConfig: func() { plays.Store(true) }, Config: config("ML-DSA-44", "old", algorithms),
			ConfigStateChecks: sees("ML-DSA-44", "old")}},
		turn{TestStep: resource.TestStep{Config: config("ML-DSA-44", "new", algorithms), ConfigStateChecks: sees("ML-DSA-44", "new"),
			ConfigPlanChecks: does(plancheck.ResourceActionUpdate)}},
		turn{TestStep: resource.TestStep{Config: config("ML-DSA-87", "new", algorithms), ConfigStateChecks: sees("ML-DSA-87", "new"),
			ConfigPlanChecks: does(plancheck.ResourceActionReplace)}, says: []remark{underOldID}},
		turn{TestStep: resource.TestStep{Config: config("ML-DSA-87", "new", algorithms), ResourceName: mlDSA, ImportState: true,
			ImportStateId: "6b31", ImportStateVerify: true, ImportStateVerifyIdentifierAttribute: "key_id",
			ImportStateVerifyIgnore: []string{"deletion_policy"}}},
		turn{TestStep: resource.TestStep{Config: config("ML-DSA-87", "new", `profile = "hydra"`)},
			says: []remark{fails("Not Fit For Hydra", "it is of the kind ML-DSA-87").pointing("profile")}},
	)
}
