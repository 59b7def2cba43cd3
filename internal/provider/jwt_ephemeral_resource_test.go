package provider_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/jwk"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// signedJWT is a token with the set that its readers have.
type signedJWT struct{ alg, kid, token, set string }

// signedJWTs are what a configuration shows of each of its tokens.
func signedJWTs(data any) (all []signedJWT) {
	for _, row := range data.([]any) {
		row := row.(map[string]any)
		text := func(name string) string { s, _ := row[name].(string); return s }
		all = append(all, signedJWT{text("alg"), text("kid"), text("token"), text("set")})
	}
	return all
}

// parts are the header and the claims.
func (s signedJWT) parts() (header, claims string) {
	parts := strings.Split(s.token, ".")
	if len(parts) != 3 {
		return "", ""
	}
	decode := func(part string) string {
		octets, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil {
			return err.Error()
		}
		return string(octets)
	}
	return decode(parts[0]), decode(parts[1])
}

// forged is the token with other claims.
func (s signedJWT) forged() string {
	parts := strings.Split(s.token, ".")
	return parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"someone else"}`)) + "." + parts[2]
}

// verifiesByGoJose is nil where go-jose verifies the token by the set, and not a forged one. It knows neither secp256k1
// nor, in this Go, ML-DSA.
func (s signedJWT) verifiesByGoJose() error {
	if s.alg == "ES256K" || s.alg == "Ed25519" || strings.HasPrefix(s.alg, "ML-DSA") {
		return nil
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(s.set), &set); err != nil {
		return err
	}
	keys := set.Key(s.kid)
	if len(keys) != 1 || keys[0].Algorithm != s.alg {
		return fmt.Errorf("%s: the set has not the key %q", s.alg, s.kid)
	}
	verify := func(token string) error {
		parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(s.alg)})
		if err != nil {
			return err
		}
		_, err = parsed.Verify(keys[0])
		return err
	}
	if err := verify(s.token); err != nil {
		return fmt.Errorf("%s: %w", s.alg, err)
	}
	if verify(s.forged()) == nil {
		return fmt.Errorf("%s: a forged token verifies", s.alg)
	}
	return nil
}

// verifiesByNode is nil where the npm package jose verifies the token by the set, and not a forged one.
func (s signedJWT) verifiesByNode(folder string) error {
	type row struct {
		Alg   string `json:"alg"`
		Token string `json:"token"`
	}
	input, err := json.Marshal(map[string]any{
		"jwks": json.RawMessage(s.set), "tokens": []row{{s.alg, s.token}, {s.alg, s.forged()}},
	})
	if err != nil {
		return err
	}
	cmd := exec.Command("node", filepath.Join(folder, "verify.mjs"))
	cmd.Stdin = strings.NewReader(string(input))
	out, err := cmd.CombinedOutput()
	want := "verified " + s.kid + "\nrefused ERR_JWS_SIGNATURE_VERIFICATION_FAILED"
	if got := strings.TrimSpace(string(out)); err != nil || got != want {
		return fmt.Errorf("%s: node: %w: %s", s.alg, err, got)
	}
	return nil
}

// jwtRows shows the tokens of an ephemeral resource with count, with the set of each.
func jwtRows(name string) string {
	return fmt.Sprintf("[for i, j in ephemeral.hsm_jwt.%s : { alg = j.algorithm, kid = j.kid, token = j.token, set = "+
		"data.hsm_jwks.%[1]s[i].json }]", name)
}

// TestJWTsOfEveryAlgorithmVerifyByTheSet makes the keys, their set and the tokens in one apply: the plan knows none of
// them.
func TestJWTsOfEveryAlgorithmVerifyByTheSet(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t)
	b := newBench(t)
	folder := filepath.Join("..", "..", ".cache", "jose")
	_, noNode := os.Stat(filepath.Join(folder, "node_modules", "jose"))
	before := time.Now().Add(-time.Minute).Unix()
	algs := []string{
		"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "ES256K", "EdDSA", "Ed25519",
	}
	check := func(data any) error {
		var signed []string
		for _, s := range signedJWTs(data) {
			signed = append(signed, s.alg)
			header, claims := s.parts()
			if want := fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"JWT"}`, s.alg, s.kid); header != want {
				return fmt.Errorf("the header is %s, not %s", header, want)
			}
			var said struct {
				Sub           string
				Iat, Nbf, Exp int64
			}
			if err := json.Unmarshal([]byte(claims), &said); err != nil || said.Sub != "somebody" {
				return fmt.Errorf("the claims are %s", claims)
			}
			if after := time.Now().Add(-time.Minute).Unix(); said.Iat < before || said.Iat > after ||
				said.Nbf != said.Iat ||
				said.Exp != said.Iat+600 {
				return fmt.Errorf("the claims are %s, between %d and %d", claims, before, after)
			}
			if err := s.verifiesByGoJose(); err != nil {
				return err
			}
			var set struct{ Keys []json.RawMessage }
			if err := json.Unmarshal([]byte(s.set), &set); err != nil || len(set.Keys) != 1 {
				return fmt.Errorf("the set is %s", s.set)
			}
			key, err := jwk.Parse(string(set.Keys[0]))
			if err != nil || jwk.VerifyJWT(s.token, s.alg, key.PublicKey, []byte(claims)) != nil {
				return fmt.Errorf("%s does not verify", s.alg)
			}
			if noNode == nil && s.alg != "Ed25519" { // which that version does not know
				if err := s.verifiesByNode(folder); err != nil {
					return err
				}
			}
		}
		slices.Sort(signed)
		if want := slices.Sorted(slices.Values(algs)); !slices.Equal(signed, want) {
			return fmt.Errorf("tokens of %q, not of %q", signed, want)
		}
		return nil
	}
	const claims, lasts = `claims = jsonencode({ sub = "somebody" })`, `expires_in = "10m"`
	b.testEphemeral(b.applied(check, pair("k", `label = "rsa"`, `key_id = "06"`), onEveryCurve(`label = "web"`),
		`locals { rsa = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] }`,
		jwks("rsa", "count = length(local.rsa)", "uris = [hsm_rsa_keypair.k.uri]",
			"algorithms = { RSA = local.rsa[count.index] }"),
		jwks("ec", "count = length(local.curves)", "uris = [hsm_ec_keypair.k[count.index].uri]"),
		jwks("named", "count = 1", "uris = [hsm_ec_keypair.k[4].uri]", `algorithms = { OKP = "Ed25519" }`),
		ephemeralBlock("hsm_jwt", "rsa", "count = length(local.rsa)",
			"public_key_pem = hsm_rsa_keypair.k.public_key_pem",
			"algorithm = local.rsa[count.index]", claims, lasts),
		ephemeralBlock("hsm_jwt", "ec", "count = length(local.curves)",
			"public_key_pem = hsm_ec_keypair.k[count.index].public_key_pem", claims, lasts),
		ephemeralBlock("hsm_jwt", "named", "count = 1", "public_key_pem = hsm_ec_keypair.k[4].public_key_pem",
			`algorithm = "Ed25519"`, claims, lasts),
		echoed("concat("+jwtRows("rsa")+", "+jwtRows("ec")+", "+jwtRows("named")+")"),
	))
}

// TestJWTsOfMLDSAVerify plays ML-DSA over SoftHSM; TestEveryMakeSignsJWTs has real ones.
func TestJWTsOfMLDSAVerify(t *testing.T) {
	t.Parallel()
	playsMLDSA(t)
	for _, set := range publickey.ParameterSets() {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.hooks = append(b.hooks, hsmtest.PlayMLDSA)
			b.testEphemeral(b.applied(func(data any) error {
				s := signedJWTs(data)[0]
				_, claims := s.parts()
				pub, err := publickey.ParsePEM(s.set)
				if err != nil || s.alg != set || s.kid != "k1" {
					return fmt.Errorf("the token has the alg %s and the kid %s, error %w", s.alg, s.kid, err)
				}
				if jwk.VerifyJWT(s.token, set, pub, []byte(claims)) != nil || jwk.VerifyJWT(s.forged(), set, pub,
					[]byte(`{"sub":"someone else"}`)) == nil {
					return errors.New("it does not verify, or a forged one does")
				}
				return nil
			}, mlDSAPair(set, "web"),
				ephemeralBlock("hsm_jwt", "k", "public_key_pem = "+mlDSA+".public_key_pem", `claims = "{}"`),
				echoed(`[{ alg = ephemeral.hsm_jwt.k.algorithm, kid = ephemeral.hsm_jwt.k.kid, token = ephemeral.hsm_jwt.k.token, set = `+
					mlDSA+`.public_key_pem }]`)))
		})
	}
}

// TestAJWTSaysWhatItsArgumentsSay changes the arguments of a token by a key that is there.
func TestAJWTSaysWhatItsArgumentsSay(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t, "P-256")
	b := newBench(t)
	b.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign", "--label", "web", "--id", "6b31")
	pem := pemLine(b.pemOf("6b31"))
	var turns []turn
	for i, row := range []struct {
		lines          []string
		header, claims string
	}{
		{[]string{`claims = "{}"`}, `{"alg":"ES256","kid":"k1","typ":"JWT"}`, "{}"},
		{[]string{`claims = "{}"`, `kid = "other"`, `type = "at+jwt"`},
			`{"alg":"ES256","kid":"other","typ":"at+jwt"}`, "{}"},
		{[]string{`claims = "{}"`, `kid = ""`, `type = ""`}, `{"alg":"ES256"}`, "{}"},
		{[]string{`claims = "{ \"n\": 12345678901234567890123, \"exp\": 4102444800 }"`,
			`header = jsonencode({ "x5t#S256" = "abc" })`},
			`{"alg":"ES256","kid":"k1","typ":"JWT","x5t#S256":"abc"}`,
			`{"n":12345678901234567890123,"exp":4102444800}`},
	} {
		name := fmt.Sprintf("j%d", i)
		turns = append(turns, b.applied(func(data any) error {
			if header, claims := (signedJWT{token: data.(string)}).parts(); header != row.header ||
				claims != row.claims {
				return fmt.Errorf("%q makes\n%s\n%s", row.lines, header, claims)
			}
			return nil
		}, ephemeralBlock("hsm_jwt", name, append(row.lines, pem)...),
			strings.ReplaceAll(echoed("ephemeral.hsm_jwt."+name+".token"), `"seen"`, fmt.Sprintf(`"seen%d"`, i))))
		turns[i].ConfigStateChecks[0] = attributes{fmt.Sprintf("echo.seen%d", i),
			turns[i].ConfigStateChecks[0].(attributes).check}
	}
	b.testEphemeral(turns...)
}

// TestAJWTThatMakesNoSenseIsRefusedInThePlan points at the argument at fault. No token is asked.
func TestAJWTThatMakesNoSenseIsRefusedInThePlan(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	pem := pemLine(somebodysPEM(t))
	var turns []turn
	for _, row := range []struct {
		says  remark
		lines []string
	}{
		{fails("Invalid Public Key", "no PEM block").pointing("public_key_pem"),
			[]string{`public_key_pem = "key"`, `claims = "{}"`}},
		{fails("Invalid Public Key", "private key").pointing("public_key_pem"),
			[]string{`public_key_pem = "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----"`,
				`claims = "{}"`}},
		{fails("Invalid Claims", "not an object").pointing("claims"), []string{pem, `claims = "[]"`}},
		{fails("Invalid Claims", "names a member twice").pointing("claims"),
			[]string{pem, `claims = "{\"a\":1,\"a\":2}"`}},
		{fails("Invalid Claims", "exp is not a number").pointing("claims"),
			[]string{pem, `claims = "{\"exp\":\"soon\"}"`}},
		{fails("Invalid Claims", "It has the claim iat",
			"leave expires_in out").without("Correct the JSON").pointing("claims"),
			[]string{pem, `claims = "{\"iat\":1}"`, `expires_in = "10m"`}},
		{fails("Invalid Header", "alg", "argument of its own").pointing("header"),
			[]string{pem, `claims = "{}"`, `header = "{\"alg\":\"none\"}"`}},
		{fails("Invalid Header", "jwk").pointing("header"), []string{pem, `claims = "{}"`, `header = "{\"JWK\":{}}"`}},
		{fails("Algorithm Does Not Fit",
			`"RS256" does not fit an EC P-256 key of use sig; these do: ES256`).pointing("algorithm"),
			[]string{pem, `claims = "{}"`, `algorithm = "RS256"`}},
		{fails("Unknown Word", "none").pointing("algorithm"), []string{pem, `claims = "{}"`, `algorithm = "none"`}},
		{fails("Invalid Length Of Time", `is "1m"`, "more than 1m").pointing("expires_in"),
			[]string{pem, `claims = "{}"`, `expires_in = "1m"`}},
		{fails("Invalid Length Of Time", `is "60500ms"`, "whole seconds").pointing("expires_in"),
			[]string{pem, `claims = "{}"`, `expires_in = "60500ms"`}},
		{fails("Invalid Claims", "milliseconds").pointing("claims"),
			[]string{pem, `claims = jsonencode({ exp = 1795993349000 })`}},
		{fails("Invalid Length Of Time", `is "600"`).pointing("expires_in"),
			[]string{pem, `claims = "{}"`, `expires_in = "600"`}},
	} {
		turns = append(turns, b.refused(row.says, ephemeralBlock("hsm_jwt", "k", row.lines...)))
	}
	b.testEphemeral(turns...)
	if n := b.faults.Count(""); n > 0 {
		t.Errorf("%d calls into the module were made", n)
	}
}
