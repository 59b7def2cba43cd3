package provider_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// joseSignatures are the algorithms of JWS (RFC 7518, 8037, 8812) as pkcs11-tool has a token make them. ECDSA signs a
// digest that was made before.
var joseSignatures = map[string]struct{ mechanism, digest string }{
	"RS256": {"SHA256-RSA-PKCS", ""}, "PS256": {"SHA256-RSA-PKCS-PSS", ""},
	"ES256": {"ECDSA", "-sha256"}, "ES384": {"ECDSA", "-sha384"}, "ES512": {"ECDSA", "-sha512"}, "ES256K": {"ECDSA", "-sha256"},
	"EdDSA": {"EDDSA", ""},
}

// jwt is a JSON Web Token that the token signs with the key of that ID.
func (b *bench) jwt(keyID, kid, alg string) string {
	b.t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	input := encode(fmt.Appendf(nil, `{"typ":"JWT","alg":%q,"kid":%q}`, alg, kid)) + "." + encode([]byte(`{"sub":"signed in the token"}`))
	dir := b.t.TempDir()
	file, signed, how := filepath.Join(dir, "input"), filepath.Join(dir, "signature"), joseSignatures[alg]
	write(b.t, file, input)
	if how.digest != "" {
		digest := filepath.Join(dir, "digest")
		b.Command(b.t, "openssl", "dgst", how.digest, "-binary", "-out", digest, file)
		file = digest
	}
	b.Tool(b.t, "--sign", "--mechanism", how.mechanism, "--id", keyID, "--input-file", file, "--output-file", signed)
	signature, err := os.ReadFile(signed)
	if err != nil {
		b.t.Fatal(err)
	}
	return input + "." + encode(signature)
}

// nodeVerifies says that a JSON Web Token of each key of a set, signed in the token, verifies with the set by the npm
// package jose, and that the same token does not once its claims are others.
func (b *bench) nodeVerifies(name, folder string, algs ...string) statecheck.StateCheck {
	return attributes{"data.hsm_jwks." + name, func(state map[string]any) error {
		type signed struct {
			Alg   string `json:"alg"`
			Token string `json:"token"`
		}
		var tokens []signed
		var want, have []string
		for _, row := range state["keys"].([]any) {
			k := row.(map[string]any)
			kid, alg := k["kid"].(string), k["alg"].(string)
			token := b.jwt(k["key_id"].(string), kid, alg)
			parts := strings.Split(token, ".")
			forged := parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"someone else"}`)) + "." + parts[2]
			tokens = append(tokens, signed{alg, token}, signed{alg, forged})
			want = append(want, "verified "+kid, "refused ERR_JWS_SIGNATURE_VERIFICATION_FAILED")
			have = append(have, alg)
		}
		slices.Sort(have)
		if !slices.Equal(have, algs) {
			return fmt.Errorf("%s has keys for %q, not for %q", name, have, algs)
		}
		input, err := json.Marshal(map[string]any{"jwks": json.RawMessage(state["json"].(string)), "tokens": tokens})
		if err != nil {
			return err
		}
		cmd := exec.Command("node", filepath.Join(folder, "verify.mjs"))
		cmd.Stdin = strings.NewReader(string(input))
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("node: %w: %s", err, out)
		}
		if got := strings.TrimSpace(string(out)); got != strings.Join(want, "\n") {
			return fmt.Errorf("%s: jose says\n%s\nand not\n%s", name, got, strings.Join(want, "\n"))
		}
		return nil
	}}
}

func TestAnotherLanguageVerifiesWhatTheTokenSigns(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t)
	hsmtest.Needs(t, hsmtest.HashedRSA)
	b := newBench(t)
	folder := filepath.Join("..", "..", ".cache", "jose")
	if _, err := os.Stat(filepath.Join(folder, "node_modules", "jose")); err != nil {
		t.Skip("the npm package jose is not installed: scripts/jose installs it where there is Node")
	}
	b.test(turn{TestStep: resource.TestStep{
		Config: b.config(pair("k", `label = "rsa"`, `key_id = "06"`), onEveryCurve(`label = "web"`),
			jwks("all", "uris = concat([hsm_rsa_keypair.k.uri], hsm_ec_keypair.k[*].uri)"),
			jwks("pss", "uris = [hsm_rsa_keypair.k.uri]", `algorithms = { RSA = "PS256" }`)),
		ConfigStateChecks: []statecheck.StateCheck{
			b.nodeVerifies("all", folder, "ES256", "ES256K", "ES384", "ES512", "EdDSA", "RS256"), b.nodeVerifies("pss", folder, "PS256"),
		},
	}})
}
