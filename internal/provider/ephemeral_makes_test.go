package provider_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/echoprovider"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/jwk"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// TestEveryMakeSignsJWTs has a key of each type sign a JWT and a text, and draws random bytes, as every make of token
// allows it. The keys are made in the same apply.
func TestEveryMakeSignsJWTs(t *testing.T) {
	t.Parallel()
	sign := func(t *testing.T, alg, address, block string) {
		b := newBench(t)
		b.testEphemeral(b.applied(func(data any) error {
			row := data.(map[string]any)
			s := signedJWTs([]any{row})[0]
			if s.alg != alg || s.kid != "k1" {
				return fmt.Errorf("the token is of %s and %q", s.alg, s.kid)
			}
			if err := s.verifiesByGoJose(); err != nil {
				return err
			}
			pub, err := publickey.ParsePEM(row["pem"].(string))
			if err != nil {
				return err
			}
			_, claims := s.parts()
			if err := jwk.VerifyJWT(s.token, alg, pub, []byte(claims)); err != nil {
				return err
			}
			random, err := hex.DecodeString(row["random"].(string))
			if err != nil || len(random) != 40 {
				return fmt.Errorf("%d random bytes: %w", len(random), err)
			}
			signature, err := base64.StdEncoding.DecodeString(row["signature"].(string))
			if err != nil || len(signature) < 64 {
				return fmt.Errorf("a signature of %d bytes: %w", len(signature), err)
			}
			return nil
		}, block, jwks("k", "uris = ["+address+".uri]"),
			ephemeralBlock("hsm_jwt", "k", "public_key_pem = "+address+".public_key_pem",
				`claims = jsonencode({ sub = "somebody" })`, `expires_in = "5m"`),
			ephemeralBlock("hsm_signature", "k", "public_key_pem = "+address+".public_key_pem",
				`message_base64 = base64encode("text")`),
			ephemeralBlock("hsm_random", "k", "bytes = 40"),
			echoed("{ alg = ephemeral.hsm_jwt.k.algorithm, kid = ephemeral.hsm_jwt.k.kid, "+
				"token = ephemeral.hsm_jwt.k.token, "+
				"set = data.hsm_jwks.k.json, pem = "+address+".public_key_pem, random = ephemeral.hsm_random.k.hex, "+
				"signature = ephemeral.hsm_signature.k.signature_base64 }")))
	}
	const named = `key_id = "6b31"`
	t.Run("RSA", func(t *testing.T) {
		t.Parallel()
		sign(t, "RS256", key, pair("k", `label = "web"`, named, `usage = ["sign", "decrypt"]`)) // as a TPM wants it
	})
	for _, c := range curves {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			hsmtest.NeedsCurves(t, c.name)
			sign(t, c.alg, "hsm_ec_keypair.k", ecPair(`label = "web"`, named, line("curve", c.name)))
		})
	}
	t.Run("ML-DSA", func(t *testing.T) {
		t.Parallel()
		hsmtest.Needs(t, hsmtest.MLDSA) // TestJWTsOfMLDSAVerify plays it over SoftHSM
		sign(t, "ML-DSA-65", mlDSA, mlDSAPair("ML-DSA-65", "web"))
	})
}

// TestABlankSlotSignsInTheApplyThatMakesItsToken makes a token, a key on it, and then a JWT and random bytes of it, in
// one apply whose plan knows neither.
func TestABlankSlotSignsInTheApplyThatMakesItsToken(t *testing.T) {
	beside(t, func(blank *hsmtest.Blank, b *bench) {
		b.t.Setenv("HSM_SO_PIN", blank.SOPIN)
		const waits = "depends_on = [hsm_token.hydra]"
		factories := b.factories()
		factories["echo"] = echoprovider.NewProviderServer()
		b.needs = knowsEphemeral
		config := b.config(
			"resource \"hsm_token\" \"hydra\" {\n  label = \"hydra\"\n  pin_wo_version = 1\n"+
				"  deletion_policy = \"erase\"\n}\n",
			ecPair(`label = "web"`, `key_id = "6b31"`, waits),
			ephemeralBlock("hsm_jwt", "k", "public_key_pem = hsm_ec_keypair.k.public_key_pem", `claims = "{}"`),
			ephemeralBlock("hsm_random", "k", "bytes = 8", waits),
			echoed("{ token = ephemeral.hsm_jwt.k.token, kid = ephemeral.hsm_jwt.k.kid, "+
				"hex = ephemeral.hsm_random.k.hex }"))
		at := func(name string) tfjsonpath.Path { return tfjsonpath.New("data").AtMapKey(name) }
		b.testWith(factories, turn{resource.TestStep{Config: config, ConfigStateChecks: []statecheck.StateCheck{
			statecheck.ExpectKnownValue("echo.seen", at("kid"), knownvalue.StringExact("k1")),
			statecheck.ExpectKnownValue("echo.seen", at("token"), knownvalue.NotNull()),
			statecheck.ExpectKnownValue("echo.seen", at("hex"), knownvalue.NotNull()),
		}}, []remark{warns(notChecked)}})
	})
}
