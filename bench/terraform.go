package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Kinds of configurations, each of as many resources as the token has pairs, but for the data source.
const (
	ofHSM  = "hsm_ec_keypair"
	ofData = "terraform_data"
	ofTLS  = "tls_private_key"
	ofJWKS = "hsm_jwks"

	ofRequests    = "hsm_cert_request"
	ofTLSRequests = "tls_cert_request"
	ofCerts       = "hsm_locally_signed_cert"
	ofTLSCerts    = "tls_locally_signed_cert"
)

// requests and certs are certificates' resources of this provider or of the tls provider, which name the key otherwise.
func requests(provider, source, key string) string {
	return source + `
resource "` + provider + `_cert_request" "k" {
  count     = %d
  ` + key + `_key_pem = file("key.pem")
  dns_names = [format("key-%%05d.example.org", count.index)]

  subject {
    common_name  = format("key-%%05d.example.org", count.index)
    organization = "Example"
  }
}
`
}

func certs(provider, source, key string) string {
	return source + `
resource "` + provider + `_self_signed_cert" "ca" {
  ` + key + `_key_pem       = file("key.pem")
  is_ca_certificate     = true
  validity_period_hours = 87600
  allowed_uses          = ["cert_signing", "crl_signing"]

  subject {
    common_name = "Example CA"
  }
}

resource "` + provider + `_cert_request" "r" {
  ` + key + `_key_pem = file("key.pem")
  dns_names = ["www.example.org"]

  subject {
    common_name = "www.example.org"
  }
}

resource "` + provider + `_locally_signed_cert" "k" {
  count                 = %d
  ca_` + key + `_key_pem    = file("key.pem")
  ca_cert_pem           = ` + provider + `_self_signed_cert.ca.cert_pem
  cert_request_pem      = ` + provider + `_cert_request.r.cert_request_pem
  validity_period_hours = 43800
  allowed_uses          = ["digital_signature", "server_auth"]
}
`
}

const tlsSource = `terraform {
  required_providers {
    tls = { source = "registry.terraform.io/hashicorp/tls" }
  }
}
`

const hsmSource = `terraform {
  required_providers {
    hsm = { source = "registry.terraform.io/terraform-provider-hsm/hsm" }
  }
}
`

var configurations = map[string]string{
	ofHSM: hsmSource + `
resource "hsm_ec_keypair" "k" {
  count           = %d
  label           = format("key-%%05d", count.index)
  curve           = "P-256"
  deletion_policy = "abandon"
}
`,
	ofData: `
resource "terraform_data" "k" {
  count = %d
  input = "${format("key-%%05d", count.index)} ${join("", [for i in range(64) : "0123456789"])}"
}
`,
	ofRequests:    requests("hsm", hsmSource, "public"),
	ofTLSRequests: requests("tls", tlsSource, "private"),
	ofCerts:       certs("hsm", hsmSource, "public"),
	ofTLSCerts:    certs("tls", tlsSource, "private"),
	ofTLS: tlsSource + `
resource "tls_private_key" "k" {
  count       = %d
  algorithm   = "ECDSA"
  ecdsa_curve = "P256"
}
`,
	ofJWKS: hsmSource + `
data "hsm_jwks" "all" {} # of %d pairs
`,
}

// workspace is a folder with a configuration and a state that needs no change.
type workspace struct {
	s            *stand
	kind, folder string
}

// workspace gives the configuration of a kind with its state, which is kept in the cache once it is made.
func (s *stand) workspace(ctx context.Context, kind string) (*workspace, error) {
	w := &workspace{s: s, kind: kind, folder: filepath.Join(s.folder, kind)}
	if _, err := os.Stat(w.folder); err == nil {
		return w, nil
	}
	if err := os.MkdirAll(w.folder, 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(w.folder, "main.tf"), fmt.Appendf(nil, configurations[kind], s.pairs), 0o600); err != nil {
		return nil, err
	}
	// Providers are taken from where they were built, without init.
	overrides := fmt.Sprintf("provider_installation {\n  dev_overrides {\n    \"registry.terraform.io/terraform-provider-hsm/hsm\" = %q\n    \"registry.terraform.io/hashicorp/tls\" = %q\n  }\n}\n",
		filepath.Dir(s.b.provider), filepath.Dir(s.b.tls))
	if err := os.WriteFile(w.cli(), []byte(overrides), 0o600); err != nil {
		return nil, err
	}
	if kind == ofData {
		return w, w.adopt()
	}
	if err := w.writeKey(ctx); err != nil {
		return nil, err
	}
	cached := filepath.Join(s.b.cache, fmt.Sprintf("%s-%d.tfstate", kind, s.pairs))
	if state, err := os.ReadFile(cached); err == nil {
		return w, os.WriteFile(w.state(), state, 0o600)
	}
	s.b.say("making the state of %d %s, to be kept in the cache", s.pairs, kind)
	args := []string{"apply", "-auto-approve"}
	if kind == ofHSM {
		if err := w.adopt(); err != nil {
			return nil, err
		}
		args = append(args, "-refresh-only")
	}
	if _, err := w.run(ctx, args...); err != nil {
		return nil, err
	}
	state, err := os.ReadFile(w.state())
	if err != nil {
		return nil, err
	}
	return w, os.WriteFile(cached, state, 0o600)
}

// writeKey writes the key that certificates are of: the public half of the token's first pair, or a private key of its
// kind for the tls provider.
func (w *workspace) writeKey(ctx context.Context) error {
	block := &pem.Block{Type: "PUBLIC KEY"}
	switch w.kind {
	case ofRequests, ofCerts:
		_, out, err := w.s.measured(ctx, 0, nil, "", "pkcs11-tool", "--module", w.s.b.module,
			"--token-label", tokenLabel, "--read-object", "--type", "pubkey",
			"--id", hex.EncodeToString([]byte(keyID(0))))
		if err != nil {
			return err
		}
		block.Bytes = out
	case ofTLSRequests, ofTLSCerts:
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		if block.Bytes, err = x509.MarshalECPrivateKey(key); err != nil {
			return err
		}
		block.Type = "EC PRIVATE KEY"
	default:
		return nil
	}
	// The states that are kept in the cache have certificates of it.
	cached := filepath.Join(w.s.b.cache, fmt.Sprintf("%s-%d.pem", w.kind, w.s.pairs))
	text, err := os.ReadFile(cached)
	if errors.Is(err, fs.ErrNotExist) {
		text = pem.EncodeToMemory(block)
		err = os.WriteFile(cached, text, 0o600)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(w.folder, "key.pem"), text, 0o600)
}

func (w *workspace) cli() string   { return filepath.Join(w.folder, "cli.tfrc") }
func (w *workspace) state() string { return filepath.Join(w.folder, "terraform.tfstate") }

// adopt writes a state of as many resources as the token has pairs: of keys no more than a refresh needs to complete it.
// To make ten thousand takes Terraform many minutes.
func (w *workspace) adopt() error {
	type instance struct {
		Index      int            `json:"index_key"`
		Version    int            `json:"schema_version"`
		Attributes map[string]any `json:"attributes"`
	}
	instances := make([]instance, w.s.pairs)
	for i := range instances {
		instances[i] = instance{Index: i, Attributes: map[string]any{
			"key_id": hex.EncodeToString([]byte(keyID(i))), "label": keyID(i), "curve": "P-256", "deletion_policy": "abandon",
			"usage": []string{"sign"}, "extractable": false,
		}}
		if w.kind == ofData {
			input := map[string]any{"value": keyID(i) + " " + strings.Repeat("0123456789", 64), "type": "string"}
			instances[i].Attributes = map[string]any{"id": keyID(i), "input": input, "output": input, "triggers_replace": nil}
		}
	}
	provider := map[string]string{ofHSM: "registry.terraform.io/terraform-provider-hsm/hsm", ofData: "terraform.io/builtin/terraform"}[w.kind]
	text, err := json.Marshal(map[string]any{
		"version": 4, "serial": 1, "lineage": "5f1e63a1-8d3f-4c77-93a5-1e6a4ec1b7d0", "outputs": map[string]any{},
		"resources": []any{map[string]any{
			"mode": "managed", "type": w.kind, "name": "k", "provider": fmt.Sprintf("provider[%q]", provider), "instances": instances,
		}},
	})
	if err != nil {
		return err
	}
	return os.WriteFile(w.state(), text, 0o600)
}

// run runs Terraform. CPU and memory are those of the provider, where there is one.
func (w *workspace) run(ctx context.Context, args ...string) (sample, error) {
	command := append([]string{w.s.b.terraform, "-chdir=" + w.folder}, args...)
	command = append(command, "-input=false", "-no-color", "-lock=false")
	program := filepath.Base(w.s.b.provider)
	if strings.HasPrefix(w.kind, "tls_") {
		program = filepath.Base(w.s.b.tls)
	}
	cost, out, err := w.s.measured(ctx, 0, func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, "TF_CLI_CONFIG_FILE="+w.cli(), "CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1")
	}, program, command...)
	if err == nil && args[0] == "plan" && !strings.Contains(string(out), "No changes.") {
		err = fmt.Errorf("the plan is not empty: %s", lastLines(out))
	}
	return cost, err
}

func (w *workspace) plan(ctx context.Context) (sample, error) { return w.run(ctx, "plan") }
