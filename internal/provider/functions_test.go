package provider_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider"
)

// A public key of openssl's making goes through Terraform to a JWK and back, and an argument that is not known before
// the apply makes a result that is not. No token and no configuration is needed for it.
func TestFunctionsInTerraform(t *testing.T) {
	t.Parallel()
	if os.Getenv(resource.EnvTfAcc) == "" {
		t.Skip("runs Terraform: scripts/acceptance go test ./internal/provider")
	}
	dir := t.TempDir()
	checks := []statecheck.StateCheck{
		statecheck.ExpectKnownOutputValue("late_key_id", knownvalue.StringExact("6c617465")),
		statecheck.ExpectKnownOutputValue("late_set", knownvalue.StringExact(`{"keys":[]}`)),
		statecheck.ExpectKnownOutputValue("foreign",
			knownvalue.StringExact(`{"keys":[{"kty":"AKP","kid":"","alg":"SLH-DSA-SHA2-128s","pub":"AA"}]}`)),
	}
	config := `
		terraform {
		  required_providers {
		    hsm = { source = "hashicorp/hsm" }
		  }
		}
		resource "terraform_data" "late" { input = "late" }
		resource "terraform_data" "set" { input = jsonencode({ keys = [] }) }
		output "late_key_id" { value = provider::hsm::key_id(terraform_data.late.output) }
		output "foreign" { value = provider::hsm::jwks([jsonencode({ alg = "SLH-DSA-SHA2-128s", kid = "", kty = "AKP",
			pub = "AA" })]) }
		output "late_set" { value = provider::hsm::jwks([jsonencode({ keys = [] }), terraform_data.set.output], true) }
	`
	for kind, options := range hsmtest.InOrder(map[string][]string{
		"rsa":       {"-algorithm", "RSA"},
		"p521":      {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"},
		"secp256k1": {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"},
		"ed25519":   {"-algorithm", "ED25519"},
	}) {
		private, public := filepath.Join(dir, kind+".key"), filepath.Join(dir, kind+".pem")
		openssl(t, append([]string{"genpkey", "-out", private}, options...)...)
		text := openssl(t, "pkey", "-in", private, "-pubout")
		write(t, public, text)
		config += fmt.Sprintf("output %q { value = provider::hsm::jwk_to_pem(provider::hsm::pem_to_jwk(file(%q), %q)) }\n", kind, public, kind)
		checks = append(checks, statecheck.ExpectKnownOutputValue(kind, knownvalue.StringExact(text)))
		// The kid of Kubernetes, of a certificate that crypto/x509 refuses.
		certificate := filepath.Join(dir, kind+".crt")
		write(t, certificate, "\ufeff"+openssl(t, "req", "-x509", "-new", "-key", private, "-subj", "/CN=test",
			"-set_serial", "-5"))
		config += fmt.Sprintf(`
			output "%s_kid" { value = provider::hsm::jwk_spki_sha256(provider::hsm::pem_to_jwk(file(%q), "")) }
		`, kind, certificate)
		digest := sha256.Sum256([]byte(openssl(t, "pkey", "-in", private, "-pubout", "-outform", "DER")))
		checks = append(checks, statecheck.ExpectKnownOutputValue(kind+"_kid",
			knownvalue.StringExact(base64.RawURLEncoding.EncodeToString(digest[:]))))
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: map[string]func() (tfprotov6.ProviderServer, error){"hsm": served},
		Steps: []resource.TestStep{
			{
				Config:      config + `output "wrong" { value = provider::hsm::jwks([jsonencode({ kty = "oct", k = "SECRET" })]) }`,
				ExpectError: wrapped(`Invalid value for "texts" parameter: texts[0]: it has a member of a private or symmetric key; only public keys belong here.`),
			},
			{
				Config:      config + `output "none" { value = provider::hsm::jwks([]) }`,
				ExpectError: wrapped(`Invalid value for "texts" parameter: there is no key in it`),
			},
			{Config: config, ConfigStateChecks: checks},
		},
	})
}

func openssl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("openssl", args...).Output()
	if err != nil {
		t.Fatalf("openssl %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}

// served is the provider as its binary serves it.
func served() (tfprotov6.ProviderServer, error) {
	return servedWith()
}

// servedWith is served, with more hooks around the calls into a module.
func servedWith(hooks ...hsm.Hook) (tfprotov6.ProviderServer, error) {
	return provider.NewServer(provider.New("test", provider.WithHooks(append(hooks, hsmtest.KeepApart)...)))(), nil
}

// call calls a function of the provider as Terraform does, and with the zero value as OpenTofu does with null.
func call(t *testing.T, name string, arguments ...tftypes.Value) (string, *tfprotov6.FunctionError) {
	t.Helper()
	server, _ := served()
	req := &tfprotov6.CallFunctionRequest{Name: name}
	for _, argument := range arguments {
		if argument.Type() == nil {
			req.Arguments = append(req.Arguments, &tfprotov6.DynamicValue{})
			continue
		}
		value, err := tfprotov6.NewDynamicValue(argument.Type(), argument)
		if err != nil {
			t.Fatal(err)
		}
		req.Arguments = append(req.Arguments, &value)
	}
	resp, err := server.CallFunction(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Error != nil {
		return "", resp.Error
	}
	value, err := resp.Result.Unmarshal(tftypes.String)
	if err != nil {
		t.Fatal(err)
	}
	var result string
	if err := value.As(&result); err != nil {
		t.Fatal(err)
	}
	return result, nil
}

func text(s any) tftypes.Value { return tftypes.NewValue(tftypes.String, s) }

func yes(b any) tftypes.Value { return tftypes.NewValue(tftypes.Bool, b) }

func texts(elements ...any) tftypes.Value {
	values := make([]tftypes.Value, len(elements))
	for i, element := range elements {
		values[i] = text(element)
	}
	return tftypes.NewValue(tftypes.List{ElementType: tftypes.String}, values)
}

func TestAFunctionsErrorPointsAtItsArgument(t *testing.T) {
	t.Parallel()
	const (
		public = "-----BEGIN PUBLIC KEY-----\n" +
			"MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n"
		ed           = `"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
		secret       = `{"d":"SECRET",` + ed
		noPrivatePEM = "the text holds a private key; only its public half belongs here, which " +
			"`openssl pkey -in FILE -pubout` writes"
		noPrivate = "it has a member of a private or symmetric key; only public keys belong here"
		noKey     = "there is no key in it, and an empty set that is published by accident stops every verifier; if the set " +
			"may be empty, say so with true as the last argument, as in jwks(texts, true)"
	)
	for _, test := range []struct {
		name      string // a sentence
		function  string
		arguments []tftypes.Value
		at        int64
		says      string
	}{
		{"a text of no bytes is no key ID", "key_id", []tftypes.Value{text("")}, 0,
			"a key ID has at least one byte, but the text is empty"},
		{"a text of 256 bytes is none either", "key_id", []tftypes.Value{text(strings.Repeat("é", 128))}, 0,
			"a key ID has at most 255 bytes, but the text has 256"},
		{"a key ID is hex", "kid", []tftypes.Value{text("6b3g")}, 0,
			"a key ID is written in hex, and 'g' is not a hex digit"},
		{"a private JWK has no thumbprint", "jwk_thumbprint", []tftypes.Value{text(secret)}, 0, noPrivate},
		{"a private JWK is made no PEM", "jwk_to_pem", []tftypes.Value{text(secret)}, 0, noPrivate},
		{"a set is no JWK", "jwk_to_pem", []tftypes.Value{text(`{"keys":[]}`)}, 0, "it is a JWK Set, and not a JWK; give one of its keys"},
		{"a private key is made no JWK", "pem_to_jwk",
			[]tftypes.Value{text("-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----\n"), text("k")}, 0,
			noPrivatePEM},
		{"nor is one behind a public key", "pem_to_jwk", []tftypes.Value{text(public +
			"-----BEGIN EC PRIVATE KEY-----\nSECRET"), text("k")}, 0,
			noPrivatePEM},
		{"one PEM block is one key", "pem_to_jwk", []tftypes.Value{text(public + public), text("k")}, 0,
			"the text holds more than one PEM block; give the one whose key is meant, of a chain usually the first"},
		{"what stands behind it is refused", "pem_to_jwk", []tftypes.Value{text(public + "SECRET"), text("k")}, 0, "the text holds more than the PEM block; leave the rest out"},
		{"a file's name is no PEM", "pem_to_jwk", []tftypes.Value{text("key.pem"), text("k")}, 0,
			`the text holds no PEM block; if it is the name of a file, give the file's text, as in file("key.pem")`},
		{"PEM is no JWK", "jwks", []tftypes.Value{texts(public)}, 0,
			"texts[0]: it is PEM, and not a JWK; the function pem_to_jwk makes a JWK of a public key"},
		{"a private JWK has no SPKI", "jwk_spki_sha256", []tftypes.Value{text(secret)}, 0, noPrivate},
		{"an element that is null", "jwks", []tftypes.Value{texts("{"+ed, nil)}, 0, "texts[1] is null; leave it out"},
		{"a set of nothing", "jwks", []tftypes.Value{texts()}, 0, noKey},
		{"a set of empty sets", "jwks", []tftypes.Value{texts(`{"keys":[]}`, `{"keys":[]}`), yes(false)}, 0, noKey},
		{"an empty set that is neither allowed nor refused", "jwks", []tftypes.Value{texts(), yes(nil)}, 0, noKey},
		{"an empty set where OpenTofu leaves null out", "jwks", []tftypes.Value{texts(), {}}, 0, noKey},
		{"an empty set that is allowed twice", "jwks", []tftypes.Value{texts(), yes(true), yes(true)}, 2,
			"allow_empty is given more than once; true or false is enough"},
		{"a private key beside an empty set that is allowed", "jwks", []tftypes.Value{texts(secret), yes(true)}, 0,
			"texts[0]: " + noPrivate},
		{"an element that holds a private key", "jwks", []tftypes.Value{texts(`{"keys":[]}`, `{"keys":[{`+ed+`,`+secret+`]}`)}, 0, "texts[1].keys[1]: " + noPrivate},
		{"a private key of an unknown kind", "jwks",
			[]tftypes.Value{texts(`{"kty":"AKP","alg":"SLH-DSA-SHA2-128s","pub":"AA","a":[{"x-seed":"SECRET"}]}`)}, 0,
			`texts[0]: the name of a member has "seed" in it, as in private and symmetric keys; only public keys belong here`},
		{"two keys of one kid", "jwks", []tftypes.Value{texts(`{"kid":"a",`+ed, `{"kid":"a",`+strings.Replace(ed,
			"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "wJNmNDr6Imp2sGvvXsxWoGiJoGISxww7byH4WQGIpcw", 1))}, 0,
			`texts[1]: the kid "a" is also that of texts[0], which is another key. Verifiers could not tell them ` +
				"apart: give each an alg of its own, or give one of them another kid, as another kid_format of hsm_jwks or another " +
				"key_id does"},
	} {
		t.Run(test.name, func(t *testing.T) {
			result, err := call(t, test.function, test.arguments...)
			if err == nil || err.Text != test.says || err.FunctionArgument == nil || *err.FunctionArgument != test.at {
				t.Errorf("it gives %q and says %v; want %q at argument %d", result, err, test.says, test.at)
			}
		})
	}
	for _, null := range []tftypes.Value{text(nil), text(""), {}} {
		if got, err := call(t, "pem_to_jwk", text(public), null); err != nil || got != "{"+ed {
			t.Errorf("without a kid (%s) it is %q, %v", null, got, err)
		}
	}
	if got, err := call(t, "jwks", texts(), yes(true)); err != nil || got != `{"keys":[]}` {
		t.Errorf("an empty set that is allowed is %q, %v", got, err)
	}
}
