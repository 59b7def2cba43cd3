package provider_test

import (
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// What the configuration that made a key publishes of it is proven by each plan that reads the set, also by one that does
// not refresh the key.
func TestAStrangersPublicHalfIsInNoPlan(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	stranger := hsmtest.NewStranger(t, b.Token)
	s := newShell(t, b, ecPair(`label = "web"`, `key_id = "6b31"`)+
		jwks("x", "uris = [hsm_ec_keypair.k.uri]")+publicKey("x", "uri = hsm_ec_keypair.k.uri")+
		"output \"set\" { value = data.hsm_jwks.x.json }\noutput \"key\" { value = data.hsm_public_key.x.public_key_pem }\n",
	).with("HSM_PIN="+b.PIN, "TF_LOG=")
	s.run("apply", "-auto-approve")
	genuine := s.run("output")
	stranger.SwapsPublicHalf(t, hsmtest.StrangerP256, "web", "6b31")
	for _, c := range []struct {
		args   []string
		errors int // how many say so
	}{
		{[]string{"plan"}, 1}, // the key's own refresh, before anything reads the set
		{[]string{"plan", "-refresh=false"}, 2},
		{[]string{"apply", "-auto-approve", "-refresh=false"}, 2},
	} {
		out, ok := s.try(c.args...)
		if n := strings.Count(out, "Halves Of Different Keys"); ok || n != c.errors {
			t.Errorf("terraform %v ends well (%t), and %d errors say why it does not:\n%s", c.args, ok, n, out)
		}
	}
	if now := s.run("output"); now != genuine {
		t.Errorf("it is published:\n%s\nand not\n%s", now, genuine)
	}
}

// Keys without an ID, as pkcs11-tool makes them without --id, are published by their URI, and no resource takes them before
// they are given an ID as the error says.
func TestAKeyWithoutAnIDIsAdoptedAsTheErrorSays(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, label := range []string{"key1", "key2"} {
		b.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign", "--label", label)
	}
	config := b.config(ecPair(`label = "key1"`, `usage = ["sign", "derive"]`), jwks("x", `uris = ["pkcs11:object=key1;type=private"]`))
	by := func(id string, says ...remark) turn {
		return turn{TestStep: resource.TestStep{Config: config, ResourceName: "hsm_ec_keypair.k", ImportState: true, ImportStateId: id}, says: says}
	}
	named := by("6b31", warns("Usage The Key Cannot Have").maybe()) // as the token's default is
	named.PreConfig = func() {
		for _, part := range []string{"privkey", "pubkey"} {
			b.Tool(t, "--type", part, "--label", "key1", "--set-id", "6b31")
		}
	}
	b.test(
		by("pkcs11:object=key1", fails("Unable to Import Key Pair: Key Without An ID", `The key pair "key1" has no ID`, "First make sure",
			"--type privkey --label key1 --set-id NEW_ID", "--type pubkey --label key1 --set-id NEW_ID")),
		named,
	)
}

// Public halves that anyone may put beside those of a managed key are named, and keep nobody from using or destroying
// the key.
func TestPlantedPublicHalvesAreNamed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	stranger := hsmtest.NewStranger(t, b.Token)
	config := func(label string) string {
		return b.config(ecPair(`label = "`+label+`"`, `key_id = "6b31"`, `deletion_policy = "delete"`))
	}
	plant := func() {
		stranger.MakesPublicHalf(t, hsmtest.StrangerP256, "stray", "6b31")
		stranger.PlantsMalformed(t, "spoilt", "6b31")
	}
	named := warns("Other Public Halves Beside The Key", `EC public key "stray" (ID 6b31), SHA-256 fingerprint `,
		`EC public key "spoilt" (ID 6b31), of which no public key can be made`, `the key "web"`)
	b.test(
		turn{TestStep: resource.TestStep{Config: config("web")}},
		turn{TestStep: resource.TestStep{PreConfig: plant, Config: config("web"), PlanOnly: true}, says: []remark{named}},
		turn{TestStep: resource.TestStep{Config: config("web"), Destroy: true}, says: []remark{named,
			warns("Others Use The Key ID", `EC public key "stray" (ID 6b31)`)}},
	)
}
