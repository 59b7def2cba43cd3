package provider_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// Everything is done on the token that the guide makes. A server of the test's own stands where GitHub and the
// authorisation server are, and verifies what it is sent as they do.
func TestTheGuideJWTsWithoutAStoredKey(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t, "P-256")
	s := newReader(t, "jwts-without-a-stored-key/tokens")
	needsEphemeral(t, shell{t: t, dir: t.TempDir(), env: s.env, ran: new(int)})

	var mu sync.Mutex
	got := map[string][]string{} // by what a token is for
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		switch r.URL.Path {
		case "/app":
			got["github"] = append(got["github"], strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		case "/token":
			if r.PostFormValue("grant_type") == "client_credentials" &&
				r.PostFormValue("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
				got["oauth"] = append(got["oauth"], r.PostFormValue("client_assertion"))
			}
		}
	}))
	t.Cleanup(server.Close)

	folder := t.TempDir() // beside the folder that is searched
	handing := map[string]string{}
	for _, name := range []string{"vault", "google", "azure"} {
		handing[name] = "ephemeral.hsm_jwt." + name + ".token"
	}
	s.write(filepath.Join(s.dir, "hands.tf"), hands(folder, handing)+
		"output \"github\" { value = data.hsm_public_key.github.public_key_pem }\n"+
		"output \"azure\" { value = hsm_rsa_keypair.azure.public_key_pem }\n")
	certificate := certificateOf(t)
	s.write(filepath.Join(s.dir, "azure.der"), string(certificate))
	s = s.with("TF_VAR_github_api="+server.URL, "TF_VAR_token_url="+server.URL+"/token")
	s.does(true, "sh", "-ec", `. ./token.sh; openssl genrsa -out github.pem 2048; . ./import.sh
		test ! -e github.pem; terraform init; terraform apply -auto-approve; terraform plan -detailed-exitcode
		terraform apply -auto-approve -replace=terraform_data.oauth -replace=terraform_data.github`)

	output := func(name string) string {
		return s.does(true, "sh", "-ec", ". ./token.sh >token.log; terraform output -raw "+name)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(output("jwks")), &set); err != nil {
		t.Fatal(err)
	}
	key := func(name string) any {
		pub, err := publickey.ParsePEM(output(name))
		if err != nil {
			t.Fatal(err)
		}
		return pub
	}
	for name := range handing {
		got[name] = []string{handed(t, folder, name)}
	}
	digest := sha256.Sum256(certificate)
	var secrets []string
	for name, want := range hsmtest.InOrder(map[string]struct {
		times    int
		key      any
		alg      jose.SignatureAlgorithm
		kid      string
		claims   jwt.Claims
		lifetime time.Duration
		jti      bool
		thumb    string // x5t#S256
	}{
		"github": {times: 2, key: key("github"), alg: jose.RS256, kid: "github-1", claims: jwt.Claims{Issuer: "123456"},
			lifetime: 10 * time.Minute},
		"oauth": {
			times: 2, key: &set, alg: jose.ES256, kid: "client-1", lifetime: 5 * time.Minute, jti: true,
			claims: jwt.Claims{Issuer: "my-client", Subject: "my-client",
				Audience: jwt.Audience{server.URL + "/token"}},
		},
		"vault": {
			times: 1, key: key("pem"), alg: jose.ES256, kid: "client-1", lifetime: 5 * time.Minute,
			claims: jwt.Claims{Issuer: "terraform", Subject: "deployer",
				Audience: jwt.Audience{"https://vault.example.com"}},
		},
		"google": {
			times: 1, key: &set, alg: jose.ES256, kid: "client-1", lifetime: time.Hour,
			claims: jwt.Claims{Issuer: "https://keys.example.com", Subject: "deployer", Audience: jwt.Audience{
				"https://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/on-premises/providers/hsm",
			}},
		},
		"azure": {
			times: 1, key: key("azure"), alg: jose.PS256, lifetime: 10 * time.Minute, jti: true,
			claims: jwt.Claims{Issuer: "11111111-1111-1111-1111-111111111111", Audience: jwt.Audience{
				"https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000/oauth2/v2.0/token",
			}},
			thumb: base64.RawURLEncoding.EncodeToString(digest[:]),
		},
	}) {
		var ids []string
		for _, token := range got[name] {
			parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{want.alg})
			if err != nil {
				t.Fatalf("%s: %q: %v", name, token, err)
			}
			var claims jwt.Claims
			if err := parsed.Claims(want.key, &claims); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			err = claims.Validate(jwt.Expected{Issuer: want.claims.Issuer, Subject: want.claims.Subject,
				AnyAudience: want.claims.Audience})
			if err != nil || claims.Expiry.Time().Sub(claims.IssuedAt.Time()) != want.lifetime {
				t.Errorf("%s: the claims are %+v: %v", name, claims, err)
			}
			header := parsed.Headers[0]
			if thumb, _ := header.ExtraHeaders["x5t#S256"].(string); header.KeyID != want.kid || thumb != want.thumb {
				t.Errorf("%s: the header is %+v", name, header)
			}
			if want.jti {
				ids = append(ids, claims.ID)
			}
			secrets = append(secrets, token)
		}
		slices.Sort(ids)
		if len(got[name]) != want.times || want.jti && (len(slices.Compact(ids)) != want.times || len(ids[0]) != 32) {
			t.Errorf("%s: %d tokens came, with the IDs %q", name, len(got[name]), ids)
		}
	}
	s.does(true, "rm", "-r", ".terraform") // which has nothing but the provider, behind a link
	s.innocent(secrets...)
}

// certificateOf is a certificate in DER.
func certificateOf(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
