package provider_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// What Hydra signs with.
const (
	accessTokens = "hydra.jwt.access-token"
	idTokens     = "hydra.openid.id-token"
)

// hydraProgram is the environment variable with the path of Ory Hydra's program, which make test-hydra sets.
const hydraProgram = "HSMTEST_HYDRA"

// newHydraBench is a bench for a test with a real Hydra.
func newHydraBench(t *testing.T) *bench {
	t.Helper()
	if os.Getenv(hydraProgram) == "" {
		t.Skip("runs Ory Hydra: make test-hydra")
	}
	return newBench(t)
}

// hydraServer is a running Ory Hydra that signs on the bench's token. It is not in its development mode: it believes
// that a proxy ends TLS before it.
type hydraServer struct {
	b             *bench
	public, admin string // its addresses
	client        string // the ID of an OAuth 2.0 client
	process       *exec.Cmd
	ended         chan struct{}
	log           string // the path of what it says
}

const (
	hydraClientSecret = "the secret of a client in a test"
	hydraStarts       = 5 // another process may take a port that was free
	hydraStart        = 2 * time.Minute
)

// hydra starts one that publishes key sets besides those that it signs with. It ends with the test.
func (b *bench) hydra(sets ...string) *hydraServer {
	b.t.Helper()
	var h *hydraServer
	for try := 1; h == nil; try++ {
		// It logs in, so nobody may look at the tokens.
		if err := hsmtest.Apart(func() (err error) {
			h, err = b.startHydra(sets)
			return err
		}); err != nil && try == hydraStarts {
			b.t.Fatal(err)
		}
	}
	var made struct {
		ClientID string `json:"client_id"`
	}
	request := `{"grant_types":["client_credentials"],"token_endpoint_auth_method":"client_secret_post",` +
		`"client_secret":"` + hydraClientSecret + `"}`
	if err := h.answer("POST", h.admin+"/admin/clients", "application/json", request, &made); err != nil {
		b.t.Fatal(err)
	}
	h.client = made.ClientID
	return h
}

func (b *bench) startHydra(sets []string) (*hydraServer, error) {
	b.t.Helper()
	dir := b.t.TempDir()
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	server := func(port int) map[string]any { return map[string]any{"host": "127.0.0.1", "port": port} }
	config, err := json.Marshal(map[string]any{
		"dsn":        "memory",
		"secrets":    map[string]any{"system": []string{"the secret of a Hydra in a test"}},
		"strategies": map[string]any{"access_token": "jwt"},
		"webfinger":  map[string]any{"jwks": map[string]any{"broadcast_keys": sets}},
		"urls":       map[string]any{"self": map[string]any{"issuer": "https://hydra.test"}},
		"oauth2": map[string]any{"hashers": map[string]any{ // a quick one
			"algorithm": "pbkdf2", "pbkdf2": map[string]any{"iterations": 1},
		}},
		"serve": map[string]any{
			"tls":    map[string]any{"enabled": false, "allow_termination_from": []string{"127.0.0.0/8"}},
			"public": server(ports[0]), "admin": server(ports[1]),
		},
		"log": map[string]any{"level": "warn", "format": "json"},
	})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "hydra.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "hydra.log"))
	if err != nil {
		return nil, err
	}
	h := &hydraServer{
		b: b, ended: make(chan struct{}), log: log.Name(),
		process: exec.Command(os.Getenv(hydraProgram), "serve", "all", "--sqa-opt-out", "-c", file),
		public:  fmt.Sprintf("http://127.0.0.1:%d", ports[0]), admin: fmt.Sprintf("http://127.0.0.1:%d", ports[1]),
	}
	h.process.Env = append(os.Environ(), "HSM_ENABLED=true", "HSM_LIBRARY="+b.ToolLibrary(),
		"HSM_TOKEN_LABEL="+b.Label, "HSM_PIN="+b.PIN)
	h.process.Stdout, h.process.Stderr = log, log
	if err := h.process.Start(); err != nil {
		return nil, err
	}
	b.t.Cleanup(func() {
		h.stop()
		_ = log.Close()
		if said, err := os.ReadFile(log.Name()); err == nil && b.t.Failed() {
			lines := strings.Split(strings.ReplaceAll(string(said), b.PIN, "(the PIN)"), "\n")
			b.t.Logf("Hydra said at the end:\n%s", strings.Join(lines[max(0, len(lines)-50):], "\n"))
		}
	})
	go func() {
		_ = h.process.Wait()
		close(h.ended)
	}()
	for end := time.Now().Add(hydraStart); time.Now().Before(end); {
		select {
		case <-h.ended:
			return nil, errors.New("Hydra has ended before it was ready")
		case <-time.After(50 * time.Millisecond):
		}
		if h.answer("GET", h.admin+"/health/ready", "", "", nil) == nil {
			return h, nil
		}
	}
	h.stop()
	return nil, errors.New("Hydra is not ready in time")
}

// stop ends it.
func (h *hydraServer) stop() {
	_ = h.process.Process.Kill()
	<-h.ended
}

func freePorts(n int) (ports []int, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// hydraClient is an HTTP client whose requests say that they came through TLS.
var hydraClient = &http.Client{Transport: throughTLS{&http.Transport{MaxIdleConnsPerHost: 16}}, Timeout: time.Minute}

type throughTLS struct{ http.RoundTripper }

func (t throughTLS) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Header.Set("X-Forwarded-Proto", "https")
	return t.RoundTripper.RoundTrip(r)
}

// answer asks for something, and reads it from JSON where v is not nil.
func (h *hydraServer) answer(method, address, contentType, body string, v any) error {
	req, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := hydraClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("Hydra answers %s: %s", resp.Status, text)
	}
	if v == nil {
		return nil
	}
	return json.Unmarshal(text, v)
}

// jwks is the set that it serves, in JSON.
func (h *hydraServer) jwks() (set string, err error) {
	var raw json.RawMessage
	err = h.answer("GET", h.public+"/.well-known/jwks.json", "", "", &raw)
	return string(raw), err
}

// accessToken is a new JWT.
func (h *hydraServer) accessToken() (string, error) {
	var token struct {
		AccessToken string `json:"access_token"`
	}
	form := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {h.client}, "client_secret": {hydraClientSecret},
	}
	err := h.answer("POST", h.public+"/oauth2/token", "application/x-www-form-urlencoded", form.Encode(), &token)
	return token.AccessToken, err
}

// keysOf are the keys of a set in JSON, each in JSON whose members are in order, and the keys too.
func keysOf(set string) (keys []string, err error) {
	var parsed struct{ Keys []map[string]any }
	if err := json.Unmarshal([]byte(set), &parsed); err != nil {
		return nil, err
	}
	for _, key := range parsed.Keys {
		text, err := json.Marshal(key)
		if err != nil {
			return nil, err
		}
		keys = append(keys, string(text))
	}
	slices.Sort(keys)
	return keys, nil
}
