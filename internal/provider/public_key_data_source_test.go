package provider_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/compare"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

func publicKey(name string, lines ...string) string {
	return fmt.Sprintf("data \"hsm_public_key\" %q {\n  %s\n}\n", name, strings.Join(lines, "\n  "))
}

// shows checks every form of a public key against the witnesses: pkcs11-tool reads it from the token, openssl and
// ssh-keygen make of it what they would.
func (b *bench) shows(name, keyID string) statecheck.StateCheck {
	return attributes{"data.hsm_public_key." + name, func(state map[string]any) error {
		der := b.spki(keyID)
		dir := b.t.TempDir()
		file := filepath.Join(dir, "key.pem")
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
			return err
		}
		line := strings.TrimSpace(b.Command(b.t, "ssh-keygen", "-i", "-m", "PKCS8", "-f", file))
		ssh := filepath.Join(dir, "key.pub")
		if err := os.WriteFile(ssh, []byte(line+"\n"), 0o600); err != nil {
			return err
		}
		print := strings.Fields(b.Command(b.t, "ssh-keygen", "-l", "-f", ssh)) // such as: 2048 SHA256:... no comment (RSA)
		for attribute, want := range hsmtest.InOrder(map[string]string{
			"public_key_pem":                 b.Command(b.t, "openssl", "pkey", "-pubin", "-in", file),
			"public_key_openssh":             line,
			"public_key_fingerprint_sha256":  b.fingerprintOf(keyID),
			"public_key_fingerprint_openssh": print[1],
			"bits":                           map[bool]string{true: print[0], false: "<nil>"}[state["curve"] == nil],
		}) {
			if have := fmt.Sprint(state[attribute]); have != want {
				return fmt.Errorf("%s: %s is %q, and the witness says %q", name, attribute, have, want)
			}
		}
		return nil
	}}
}

func TestPublicKeysAreShownInEveryForm(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	// A public key of someone else's, imported to verify with: SoftHSM gives it no flag that pkcs11-tool does not ask for.
	dir := t.TempDir()
	secret, imported := filepath.Join(dir, "key.pem"), filepath.Join(dir, "key.der")
	b.Command(t, "openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072", "-out", secret)
	b.Command(t, "openssl", "pkey", "-in", secret, "-pubout", "-outform", "DER", "-out", imported)
	b.Tool(t, "--keypairgen", "--key-type", "EC:secp521r1", "--usage-sign", "--label", "curve", "--id", "ff02")
	b.Tool(t, "--keypairgen", "--key-type", "EC:edwards25519", "--usage-sign", "--label", "edwards", "--id", "ff03")
	b.Tool(t, "--write-object", imported, "--type", "pubkey", "--label", "partner", "--id", "ff01", "--usage-sign")

	same := func(attribute string) statecheck.StateCheck {
		return statecheck.CompareValuePairs(key, tfjsonpath.New(attribute), "data.hsm_public_key.uri", tfjsonpath.New(attribute), compare.ValuesSame())
	}
	is := func(name, attribute string, want knownvalue.Check) statecheck.StateCheck {
		return statecheck.ExpectKnownValue("data.hsm_public_key."+name, tfjsonpath.New(attribute), want)
	}
	words := func(words ...string) knownvalue.Check {
		list := []knownvalue.Check{}
		for _, w := range words {
			list = append(list, knownvalue.StringExact(w))
		}
		return knownvalue.ListExact(list)
	}
	b.test(turn{TestStep: resource.TestStep{
		Config: b.config(pair("k", `label = "web"`, `key_id = "6b31"`, `usage = ["sign", "decrypt"]`),
			publicKey("uri", "uri = hsm_rsa_keypair.k.uri"), publicKey("label", `label = "web"`, "depends_on = [hsm_rsa_keypair.k]"),
			publicKey("key_id", `key_id = "FF01"`), publicKey("part", `uri = "pkcs11:object=partner"`), publicKey("curve", `label = "curve"`), publicKey("edwards", `label = "edwards"`)),
		ConfigStateChecks: []statecheck.StateCheck{
			b.shows("uri", "6b31"), b.shows("label", "6b31"), b.shows("key_id", "ff01"), b.shows("part", "ff01"), b.shows("curve", "ff02"),
			is("curve", "type", knownvalue.StringExact("EC")), is("curve", "curve", knownvalue.StringExact("P-521")),
			is("edwards", "type", knownvalue.StringExact("EC")), is("edwards", "curve", knownvalue.StringExact("Ed25519")), is("edwards", "bits", knownvalue.Null()),
			is("edwards", "public_key_openssh", knownvalue.StringRegexp(regexp.MustCompile("^ssh-ed25519 "))),
			same("uri"), same("key_id"), same("label"), same("kid"), same("jwk"), same("public_key_pem"), same("public_key_openssh"), same(fingerprint),
			same("local"), same("always_sensitive"), same("never_extractable"),
			is("uri", "has_private_key", knownvalue.Bool(true)), is("uri", "usage", words("decrypt", "sign")), is("uri", "public_usage", words("encrypt", "verify")),
			is("uri", "type", knownvalue.StringExact("RSA")), is("uri", "curve", knownvalue.Null()),
			is("label", "key_id", knownvalue.StringExact("6b31")),
			is("key_id", "has_private_key", knownvalue.Bool(false)), is("key_id", "usage", knownvalue.Null()), is("key_id", "label", knownvalue.StringExact("partner")),
			is("key_id", "key_id", knownvalue.StringExact("FF01")), is("key_id", "kid", knownvalue.StringExact("ff01")), is("key_id", "local", knownvalue.Bool(false)),
			is("key_id", "public_usage", knownvalue.ListPartial(map[int]knownvalue.Check{})),
			is("part", "uri", knownvalue.StringExact("pkcs11:object=partner")),
			attributes{"data.hsm_public_key.key_id", func(state map[string]any) error {
				var jwk map[string]string
				if err := json.Unmarshal([]byte(state["jwk"].(string)), &jwk); err != nil {
					return err
				}
				if jwk["kid"] != "ff01" || jwk["use"] != "sig" || jwk["alg"] != "RS256" || !strings.Contains(fmt.Sprint(state["public_usage"]), "verify") {
					return fmt.Errorf("the JWK is %v, and the usage %v", jwk, state["public_usage"])
				}
				return nil
			}},
		},
	}})
}

func TestPublicKeyRefusesWhatNamesNotOne(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.make("web", "6b31")
	b.make("web", "6b32")
	b.make("half", "6b33")
	b.destroy("6b33", "pubkey")
	const miss = "Unable to Read Public Key: Not One Public Key"
	cases := []struct {
		name string // a sentence
		line string
		says []remark
	}{
		{"a label of two keys", `label = "web"`, []remark{fails(miss, "2 keys match", `RSA public key "web" (ID 6b31)`, `RSA public key "web" (ID 6b32)`, b.fingerprintOf("6b31"), "key_id").pointing("label")}},
		{"an ID that no key has", `key_id = "6b39"`, []remark{
			fails(miss, "No public key matches; the token holds", `RSA public key "web" (ID 6b31)`, `RSA private key "half" (ID 6b33)`, "depends_on", b.Label).pointing("key_id"),
		}},
		{"a URI of another token", `uri = "pkcs11:token=elsewhere;id=6b31"`, []remark{
			fails(miss, "No public key matches", "write a % before each byte: id=%6B%31. Otherwise correct the "+
				"name").pointing("uri"),
		}},
		{"a private half alone", `label = "half"`, []remark{
			fails("Unable to Read Public Key: Half A Key Pair", "the public key is missing", "look for the ID 6b33", "--list-objects").without(".NAME"),
		}},
		{"two names", "label = \"web\"\n  key_id = \"6b31\"", []remark{fails("Invalid Combination Of Arguments", "Exactly one of uri, key_id and label").pointing("uri")}},
		{"no name", "", []remark{fails("Invalid Combination Of Arguments", "Exactly one of uri, key_id and label").pointing("uri")}},
	}
	var turns []turn
	for i, c := range cases {
		t.Logf("step %d: %s", i+1, c.name)
		turn := refused(b, remark{}, publicKey("x", c.line))
		turn.says = c.says
		turns = append(turns, turn)
	}
	b.test(turns...)
}
