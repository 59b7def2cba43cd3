package provider_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/querycheck"
	"github.com/hashicorp/terraform-plugin-testing/querycheck/queryfilter"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

const secretKey = "hsm_secret_key.k"

// secretBlock is the block of the secret key hsm_secret_key.NAME: an AES key that encrypts and decrypts, with the policy
// "delete", where the lines say nothing of that.
func secretBlock(name string, lines ...string) string {
	return keyPairBlock("hsm_secret_key", name, map[string]string{
		"type": `"aes"`, "bits": "256", "usage": `["encrypt", "decrypt"]`, "deletion_policy": `"delete"`,
	}, lines)
}

// aes is the block of hsm_secret_key.k, labelled "box" and of the ID 6b31 where the lines say nothing of that.
func aes(lines ...string) string {
	for name, line := range hsmtest.InOrder(map[string]string{"label": `label = "box"`, "key_id": `key_id = "6b31"`}) {
		if !strings.Contains(strings.Join(lines, "\n"), name+" ") {
			lines = append(lines, line)
		}
	}
	return secretBlock("k", lines...)
}

// secretHalf is a secret key as pkcs11-tool is to list it.
func secretHalf(label, id, usage string) half {
	return half{"Secret Key", label, id, usage, "sensitive, always sensitive, never extractable, local"}
}

const secretClass = cryptoki.CKO_SECRET_KEY

// checkValueOf is the check value of an AES key, as pkcs11-tool has the token encrypt a block of zeros.
func (b *bench) checkValueOf(id string) string {
	b.t.Helper()
	dir := b.t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	if err := os.WriteFile(in, make([]byte, 16), 0o600); err != nil {
		b.t.Fatal(err)
	}
	b.Tool(b.t, "--encrypt", "--mechanism", "AES-ECB", "--id", id, "--input-file", in, "--output-file", out)
	sealed, err := os.ReadFile(out)
	if err != nil {
		b.t.Fatal(err)
	}
	return hex.EncodeToString(sealed[:3])
}

// knownKey writes an AES key of a value that everyone knows on the token, which may encrypt and decrypt, and gives its
// check value as openssl computes it.
func (b *bench) knownKey(label, id string, value []byte) string {
	b.t.Helper()
	dir := b.t.TempDir()
	key, zeros := filepath.Join(dir, "key"), filepath.Join(dir, "zeros")
	for file, content := range hsmtest.InOrder(map[string][]byte{key: value, zeros: make([]byte, 16)}) {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
	b.Tool(b.t, "--write-object", key, "--type", "secrkey", "--key-type", fmt.Sprintf("AES:%d", len(value)), "--id", id, "--label", label, "--usage-decrypt", "--sensitive", "--private")
	sealed := b.Command(b.t, "openssl", "enc", fmt.Sprintf("-aes-%d-ecb", 8*len(value)), "-nopad", "-K", hex.EncodeToString(value), "-in", zeros)
	return hex.EncodeToString([]byte(sealed[:3]))
}

// secretIs checks the attributes of a secret key.
func secretIs(address string, values map[string]any) statecheck.StateCheck {
	return attributes{address, func(state map[string]any) error {
		for name, want := range values {
			if fmt.Sprint(state[name]) != fmt.Sprint(want) {
				return fmt.Errorf("%s of %s is %v, not %v", name, address, state[name], want)
			}
		}
		return nil
	}}
}

// secretWillBe checks what is planned for the secret key k.
func secretWillBe(action plancheck.ResourceActionType, more ...plancheck.PlanCheck) resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: append(more, plancheck.ExpectResourceAction(secretKey, action))}
}

func TestASecretKeysLife(t *testing.T) {
	t.Parallel()
	hsmtest.Needs(t, hsmtest.SecretKeys, hsmtest.OtherEyes)
	b := newBench(t)
	const mac = "hsm_secret_key.mac"
	hmac := func(lines ...string) string {
		return secretBlock("mac", append(lines, `type = "generic"`, "bits = 384", `key_id = "6b3a"`)...)
	}
	before := ""
	// known is the key check value as the token gives it to others, and the same as before.
	known := func(id string) statecheck.StateCheck {
		return attributes{secretKey, func(state map[string]any) error {
			if have, want := state["key_check_value"], b.checkValueOf(id); have != want || before != "" && have != before {
				return fmt.Errorf("the check value was %q, is %s, and pkcs11-tool's %s", before, have, want)
			}
			before = state["key_check_value"].(string)
			return nil
		}}
	}
	b.test(
		turn{TestStep: resource.TestStep{
			Config:           b.config(aes(), hmac(`label = "mac"`, `usage = ["sign", "verify"]`)),
			ConfigPlanChecks: secretWillBe(plancheck.ResourceActionCreate, plancheck.ExpectUnknownValue(secretKey, tfjsonpath.New("uri"))),
			ConfigStateChecks: []statecheck.StateCheck{
				secretIs(secretKey, map[string]any{
					"label": "box", "key_id": "6b31", "type": "aes", "bits": 256, "usage": "[decrypt encrypt]", "extractable": false, "deletion_policy": "delete",
					"uri":   "pkcs11:token=" + b.Label + ";id=%6B%31;type=secret-key",
					"local": hsmtest.Has(t, hsmtest.Local), "always_sensitive": true, "never_extractable": true,
				}),
				secretIs(mac, map[string]any{"type": "generic", "bits": 384, "usage": "[sign verify]", "local": hsmtest.Has(t, hsmtest.Local)}),
				known("6b31"),
				b.holding(secretHalf("box", "6b31", "encrypt, decrypt"), secretHalf("mac", "6b3a", "verify")),
			},
		}},
		turn{TestStep: resource.TestStep{
			Config: b.config(aes(), hmac(`label = "mac"`, `usage = ["sign", "verify"]`)), ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}},
		}},
		// In place: the label, the usage and the ID.
		turn{TestStep: resource.TestStep{
			Config: b.config(aes(`label = "chest"`, `usage = ["decrypt", "encrypt", "unwrap", "wrap"]`), hmac(`label = "hmac"`, `usage = ["verify"]`)),
			ConfigPlanChecks: secretWillBe(plancheck.ResourceActionUpdate,
				plancheck.ExpectKnownValue(secretKey, tfjsonpath.New("uri"), knownvalue.NotNull()),
				plancheck.ExpectKnownValue(secretKey, tfjsonpath.New("key_check_value"), knownvalue.NotNull())),
			ConfigStateChecks: []statecheck.StateCheck{
				known("6b31"), b.holding(secretHalf("chest", "6b31", "encrypt, decrypt, wrap, unwrap"), secretHalf("hmac", "6b3a", "verify")),
			},
		}},
		turn{TestStep: resource.TestStep{
			Config: b.config(aes(`key_id = "6b32"`), hmac(`label = "hmac"`, `usage = ["verify"]`)), ConfigPlanChecks: secretWillBe(plancheck.ResourceActionUpdate),
			ConfigStateChecks: []statecheck.StateCheck{
				known("6b32"), secretIs(secretKey, map[string]any{"uri": "pkcs11:token=" + b.Label + ";id=%6B%32;type=secret-key"}),
				b.holding(secretHalf("box", "6b32", "encrypt, decrypt"), secretHalf("hmac", "6b3a", "verify")),
			},
		}, says: []remark{warns("Key ID Changes", "6b32").without("kid").pointing("key_id")}},
		turn{TestStep: resource.TestStep{
			Config: b.config(aes(`key_id = "6b32"`)), ResourceName: secretKey, ImportState: true, ImportStateId: "box/6b32",
			ImportStateVerify: true, ImportStateVerifyIdentifierAttribute: "key_id", ImportStateVerifyIgnore: []string{"deletion_policy"},
		}},
		// What is replaced is another key.
		turn{TestStep: resource.TestStep{
			Config: b.config(aes(`key_id = "6b32"`, "bits = 128", "extractable = true")), ConfigPlanChecks: secretWillBe(plancheck.ResourceActionDestroyBeforeCreate),
			ConfigStateChecks: []statecheck.StateCheck{
				secretIs(secretKey, map[string]any{"bits": 128, "never_extractable": false}),
				b.holding(half{"Secret Key", "box", "6b32", "encrypt, decrypt", "sensitive, always sensitive, extractable, local"}),
				attributes{secretKey, func(state map[string]any) error {
					if state["key_check_value"] == before {
						return fmt.Errorf("the check value is still %s", before)
					}
					before = ""
					return nil
				}},
			},
		}, says: []remark{underOldID.without("kid")}},
		// True becomes false in place.
		turn{TestStep: resource.TestStep{
			Config: b.config(aes(`key_id = "6b32"`, "bits = 128")), ConfigPlanChecks: secretWillBe(plancheck.ResourceActionUpdate),
			ConfigStateChecks: []statecheck.StateCheck{known("6b32"), b.holding(half{"Secret Key", "box", "6b32", "encrypt, decrypt", "sensitive, always sensitive, local"})},
		}},
		turn{TestStep: resource.TestStep{
			Config: b.config(aes(`key_id = "6b32"`, `type = "generic"`, `usage = ["sign"]`)), ConfigPlanChecks: secretWillBe(plancheck.ResourceActionDestroyBeforeCreate),
			ConfigStateChecks: []statecheck.StateCheck{secretIs(secretKey, map[string]any{"type": "generic", "bits": 256, "usage": "[sign]"})},
		}, says: []remark{underOldID}},
	)
	b.expect()
}

func TestASecretKeyThatDriftsIsSeenAndMadeGood(t *testing.T) {
	t.Parallel()
	hsmtest.Needs(t, hsmtest.SecretKeys, hsmtest.OtherEyes)
	b := newBench(t)
	var blocks []string
	var made, repaired []statecheck.StateCheck
	var seen []plancheck.PlanCheck
	var whole []half
	var says []remark
	before := map[string]string{}
	cases := []struct {
		name, id string
		drift    func(id string)
		action   plancheck.ResourceActionType
		newKey   bool
		says     []remark
	}{
		{"label", "01", func(id string) { b.alter(secretClass, id, cryptoki.Bytes(cryptoki.CKA_LABEL, []byte("renamed"))) }, plancheck.ResourceActionUpdate, false, nil},
		{"usage", "02", func(id string) {
			b.alter(secretClass, id, cryptoki.Bool(cryptoki.CKA_ENCRYPT, false), cryptoki.Bool(cryptoki.CKA_SIGN, true), cryptoki.Bool(cryptoki.CKA_DERIVE, true))
		}, plancheck.ResourceActionUpdate, false, []remark{warns("Usage The Key Cannot Have", `the key "usage" (key_id 02)`, "derive (CKA_DERIVE)")}},
		{"swapped", "03", func(id string) {
			b.destroy(id, "secrkey")
			b.Tool(t, "--keygen", "--key-type", "AES:32", "--sensitive", "--private", "--usage-decrypt", "--label", "swapped", "--id", id)
		}, plancheck.ResourceActionUpdate, true, []remark{warns("Another Key Behind The Same ID", `The key "swapped" (key_id 03)`, "it has the check value")}}, // SoftHSM lets such a key do more
		{"longer", "05", func(id string) {
			b.destroy(id, "secrkey")
			b.Tool(t, "--keygen", "--key-type", "AES:16", "--sensitive", "--private", "--usage-decrypt", "--label", "longer", "--id", id)
		}, plancheck.ResourceActionReplace, true, []remark{
			warns("Another Key Behind The Same ID", `The key "longer" (key_id 05)`, "it is of the type", "aes (128 bits)", "aes (256 bits)"),
			underOldID.without("kid"),
		}},
		{"other", "06", func(id string) {
			b.destroy(id, "secrkey")
			b.Tool(t, "--keygen", "--key-type", "GENERIC:32", "--sensitive", "--private", "--usage-sign", "--label", "other", "--id", id)
		}, plancheck.ResourceActionReplace, true, []remark{
			warns("Another Key Behind The Same ID", `The key "other" (key_id 06)`, "it is of the type", "generic (256 bits)", "aes (256 bits)"),
			underOldID,
			warns("Usage The Key Cannot Have", `the key "other" (key_id 06)`).maybe(), // as the token's default is
		}},
		{"gone", "04", func(id string) { b.destroy(id, "secrkey") }, plancheck.ResourceActionCreate, true, []remark{warns("Key Not On The Token", `The key "gone" (key_id 04)`)}},
	}
	for _, c := range cases {
		address := "hsm_secret_key." + c.name
		blocks = append(blocks, secretBlock(c.name, fmt.Sprintf("label = %q", c.name), fmt.Sprintf("key_id = %q", c.id)))
		made = append(made, attributes{address, func(state map[string]any) error {
			before[address] = state["key_check_value"].(string)
			return nil
		}})
		seen = append(seen, plancheck.ExpectResourceAction(address, c.action))
		says = append(says, c.says...)
		repaired = append(repaired, attributes{address, func(state map[string]any) error {
			have := state["key_check_value"]
			if have != b.checkValueOf(c.id) || (have != before[address]) != c.newKey || state["label"] != c.name {
				return fmt.Errorf("%s: the check value was %s and is %s", c.name, before[address], have)
			}
			return nil
		}})
		whole = append(whole, secretHalf(c.name, c.id, "encrypt, decrypt"))
	}
	b.test(
		turn{TestStep: resource.TestStep{Config: b.config(blocks...), ConfigStateChecks: made}},
		turn{TestStep: resource.TestStep{
			PreConfig: func() {
				for _, c := range cases {
					c.drift(c.id)
				}
			},
			Config: b.config(blocks...), ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: seen}, ConfigStateChecks: append(repaired, b.holding(whole...)),
		}, says: says},
	)
	b.expect()
}

func TestASecretKeyIsProtected(t *testing.T) {
	t.Parallel()
	hsmtest.Needs(t, hsmtest.SecretKeys, hsmtest.OtherEyes)
	b, wrong := newBench(t), newBench(t)
	const prevent = `deletion_policy = "prevent"`
	taken := fails("Key ID Of Another Resource", `hsm_secret_key, label "box", key_id 6b31`,
		`label "other"`).pointing("key_id")
	// Terraform may plan the new key before it has told the provider of the one that has the ID.
	unseen := warns("Key ID Already On The Token", "6b31").pointing("key_id").maybe()
	lost := fails("Unable to Read Secret Key: Not On The Token", `the key "box" (key_id 6b31)`, "the state is kept", "terraform state rm hsm_secret_key.NAME")
	moved := fails("Unable to Read Secret Key: Key ID Changed On The Token", "No secret key has the key ID 6b31 any more", "under the ID 6b33",
		"terraform import hsm_secret_key.NAME 6b33", "--id 6b33 --type secrkey --set-id 6b31").pointing("key_id").without("pubkey", "privkey")
	b.test(
		turn{TestStep: resource.TestStep{Config: b.config(aes(prevent)), ConfigStateChecks: []statecheck.StateCheck{b.holding(secretHalf("box", "6b31", "encrypt, decrypt"))}}},
		refused(b, fails("Key Is Protected From Replacement", `the key "box" (key_id 6b31)`, "into the configuration: bits = 256").pointing("bits"), aes(prevent, "bits = 128")),
		refused(b, fails("Key Is Protected From Replacement", `into the configuration: type = "aes"`).pointing("type"), aes(prevent, `type = "generic"`, `usage = ["sign"]`)),
		refused(b, fails("Key Is Protected From Replacement", "into the configuration: extractable = false").pointing("extractable"), aes(prevent, "extractable = true")),
		refused(b, fails("Key Is Protected From Destruction", `the key "box" (key_id 6b31)`)),
		// A key keeps its ID: no other secret key, and no pair, can take it.
		refused(b, taken, aes(prevent), secretBlock("l", `label = "other"`, `key_id = "6b31"`)).besides(unseen),
		refused(b, taken, aes(prevent), pair("l", `label = "other"`, `key_id = "6b31"`)).besides(unseen),
		turn{TestStep: resource.TestStep{
			PreConfig: func() { b.Tool(t, "--type", "secrkey", "--id", "6b31", "--set-id", "6b33") },
			Config:    b.config(aes(prevent)), PlanOnly: true,
		}, says: []remark{moved}},
		turn{TestStep: resource.TestStep{
			PreConfig: func() { b.Tool(t, "--type", "secrkey", "--id", "6b33", "--set-id", "6b31") },
			Config:    wrong.config(aes(prevent)), PlanOnly: true,
		}, says: []remark{lost}},
		turn{TestStep: resource.TestStep{Config: b.config("removed {\n  from = " + secretKey + "\n  lifecycle { destroy = false }\n}")}},
	)
	b.expect(secretHalf("box", "6b31", "encrypt, decrypt"))
	wrong.expect()
}

func TestASecretKeyIsAbandoned(t *testing.T) {
	t.Parallel()
	hsmtest.Needs(t, hsmtest.SecretKeys)
	b := newBench(t)
	b.test(turn{TestStep: resource.TestStep{Config: b.config(aes(`deletion_policy = "abandon"`))}})
	b.expect(secretHalf("box", "6b31", "encrypt, decrypt"))
}

func TestSecretKeysRefuseWhatThereIsNot(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.test(
		refused(b, fails("Usage Does Not Fit The Type", `Keys of the type "generic" are for sign, verify, not for encrypt`).pointing("usage"), aes(`type = "generic"`, `usage = ["encrypt", "sign"]`)),
		refused(b, fails("Invalid Key Length", "AES keys have 128, 192 or 256 bits, not 32. If bytes are meant, 32 bytes "+
			"are 256 bits.").
			pointing("bits"), aes("bits = 32")),
		refused(b, fails("Invalid Key Length", "whole bytes, from 128 to 4096 bits, not 130 "+
			"bits").without("If bytes").pointing("bits"), aes(`type = "generic"`, "bits = 130", `usage = ["sign"]`)),
		refused(b, fails("Unknown Word", `type is "des". It must be "aes" or "generic".`).pointing("type"), aes(`type = "des"`)),
		refused(b, fails("Unknown Word", `"derive"`).pointing("usage[{{String []} derive}]"), aes(`usage = ["derive"]`)),
		turn{TestStep: resource.TestStep{
			Config:   b.config(`resource "hsm_secret_key" "k" { label = "box" }`),
			PlanOnly: true, ExpectError: wrapped(`The argument "usage" is required`),
		}},
	)
	b.expect()
}

// A key of a value that is known comes in by each form, with the check value that openssl computes; what is done with it
// puts its value nowhere.
func TestImportAdoptsASecretKey(t *testing.T) {
	t.Parallel()
	hsmtest.Needs(t, hsmtest.SecretKeys, hsmtest.OtherEyes, hsmtest.SameID)
	b := newBench(t)
	want := b.knownKey("team/box", "6b31", bytes.Repeat([]byte{0x5a}, 32))
	b.make("pair", "6b32")
	b.knownKey("twins", "6b33", bytes.Repeat([]byte{1}, 32))
	b.knownKey("twins", "6b33", bytes.Repeat([]byte{2}, 32))
	// SoftHSM lets such a key do all.
	adopted := func(policy string) string {
		return b.config(aes(`label = "team/box"`, `usage = ["decrypt", "encrypt", "sign", "unwrap", "verify", "wrap"]`, `deletion_policy = "`+policy+`"`))
	}
	config := adopted("prevent")
	by := func(kind resource.ImportStateKind, id string) turn {
		return turn{TestStep: resource.TestStep{
			Config: config, ResourceName: secretKey, ImportState: true, ImportStateKind: kind, ImportStateId: id,
			ImportStateVerify: kind == resource.ImportCommandWithID, ImportStateVerifyIdentifierAttribute: "key_id", ImportStateVerifyIgnore: []string{"deletion_policy"},
		}}
	}
	refused := func(id string, says remark) turn {
		return turn{TestStep: resource.TestStep{Config: config, ResourceName: secretKey, ImportState: true, ImportStateId: id}, says: []remark{says}}
	}
	persisted := by(resource.ImportCommandWithID, "6b31")
	persisted.ImportStatePersist, persisted.ImportStateVerify = true, false
	b.test(
		persisted,
		turn{TestStep: resource.TestStep{Config: config, ConfigStateChecks: []statecheck.StateCheck{
			secretIs(secretKey, map[string]any{"key_check_value": want, "bits": 256, "type": "aes", "local": false, "always_sensitive": false, "extractable": false}),
		}}},
		by(resource.ImportCommandWithID, "team/box/6b31"),
		by(resource.ImportCommandWithID, "pkcs11:object=team%2Fbox"),
		by(resource.ImportBlockWithID, "pkcs11:token="+b.Label+";object=team%2Fbox;id=%6B%31;type=secret-key"),
		refused("pkcs11:object=team%2Fbox;type=private", fails("Unable to Import Secret Key: Not One Key", "names no secret key of this type on this token")),
		refused("6b32", fails("Unable to Import Secret Key: Key Of Another Type", "terraform import hsm_rsa_keypair.NAME 6b32")),
		refused("6b33", fails("Unable to Import Secret Key: Several Keys With One ID", `AES secret key "twins" (ID 6b33)`).pointing("key_id")),
		refused("box/6b31", fails("Unable to Import Secret Key: Label Differs", `says label "box"`, `labelled "team/box"`)),
		turn{TestStep: resource.TestStep{Config: adopted("abandon")}},
	)
}

func TestTheValueOfASecretKeyIsNowhere(t *testing.T) {
	t.Parallel()
	hsmtest.Needs(t, hsmtest.SecretKeys, hsmtest.OwnToken)
	b := newBench(t)
	value := []byte("0123456789abcdefTHE SECRET VALUE") // which any file would show as it is
	b.knownKey("box", "6b31", value)
	s := newShell(t, b, ephemeralPIN+aes(`deletion_policy = "abandon"`)+secretBlock("new", `label = "new"`, "extractable = true")+
		"import {\n  to = "+secretKey+"\n  id = \"6b31\"\n}\n").with("HSM_PIN=" + b.PIN)
	s.terraform(false, "plan", "-out=first.plan")
	s.terraform(false, "apply", "first.plan")
	s.terraform(false, "plan", "-out=second.plan", "-detailed-exitcode")
	s.terraform(false, "show", "-json", "second.plan")
	state, err := os.ReadFile(filepath.Join(s.dir, "terraform.tfstate"))
	if err != nil || !strings.Contains(string(state), `"key_check_value"`) {
		t.Fatalf("the state is %s, %v", state, err)
	}
	s.innocent(b.PIN, string(value), hex.EncodeToString(value), strings.ToUpper(hex.EncodeToString(value)), base64.StdEncoding.EncodeToString(value))
}

func TestASecretKeyIsInNoKeySet(t *testing.T) {
	t.Parallel()
	hsmtest.Needs(t, hsmtest.SecretKeys, hsmtest.SameID)
	b := newBench(t)
	both := b.config(aes(), pair("k", `label = "box"`, `key_id = "6b32"`),
		jwks("all", "depends_on = [hsm_secret_key.k, hsm_rsa_keypair.k]"),
		jwks("label", `labels = ["box"]`, "depends_on = [hsm_secret_key.k, hsm_rsa_keypair.k]"))
	one := func(name string) statecheck.StateCheck {
		return statecheck.ExpectKnownValue("data.hsm_jwks."+name, tfjsonpath.New("keys"), knownvalue.ListSizeExact(1))
	}
	secret := func(at string) remark {
		return fails("No JWK For A Secret Key", `the secret key "box" (key_id 6b31)`, "no public key").pointing(at)
	}
	b.test(
		turn{TestStep: resource.TestStep{Config: both, ConfigStateChecks: []statecheck.StateCheck{one("all"), one("label")}}},
		turn{TestStep: resource.TestStep{Config: b.config(aes(), jwks("id", `key_ids = ["6b31"]`))}, says: []remark{secret("key_ids[0]")}},
		turn{
			TestStep: resource.TestStep{
				PreConfig: func() {
					for range 2 {
						b.Tool(t, "--keygen", "--key-type", "AES:16", "--label", "twins", "--id", "6b39")
					}
				},
				Config: b.config(aes(), jwks("id", `key_ids = ["6b39"]`)),
			},
			says: []remark{fails("No JWK For A Secret Key", "(key_id 6b39)").pointing("key_ids[0]")},
		},
		turn{
			TestStep: resource.TestStep{
				PreConfig: func() { b.destroy("6b39", "secrkey", "secrkey") },
				Config:    b.config(aes(), `data "hsm_public_key" "k" { uri = hsm_secret_key.k.uri }`),
			},
			says: []remark{fails("Unable to Read Public Key: Not One Public Key", "No public key matches").pointing("uri")},
		},
		turn{TestStep: resource.TestStep{Config: b.config(aes(), jwks("label", `labels = ["box"]`))}, says: []remark{secret("labels[0]")}},
		turn{TestStep: resource.TestStep{Config: b.config(aes(), jwks("uri", "uris = [hsm_secret_key.k.uri]"))}, says: []remark{secret("uris[0]")}},
		turn{TestStep: resource.TestStep{Config: b.config(aes(), jwks("all"))}, says: []remark{fails("Empty JSON Web Key Set")}},
		turn{TestStep: resource.TestStep{Config: b.config(aes(), keysBlock("all", "depends_on = [hsm_secret_key.k]")), ConfigStateChecks: []statecheck.StateCheck{
			statecheck.ExpectKnownValue("data.hsm_keys.all", tfjsonpath.New("keys").AtSliceIndex(0).AtMapKey("uri"), knownvalue.StringExact("pkcs11:token="+b.Label+";id=%6B%31;type=secret-key")),
		}}},
	)
	b.expect()
}

// hide has the module show nothing of secret keys.
func (b *bench) hide() {
	b.faults.Inject(hsmtest.Fault{Function: "C_GetAttributeValue", Do: func(_ context.Context, c *cryptoki.Call, next func() error) error {
		err := next()
		if reading, ok := c.Result.(*cryptoki.Reading); ok {
			delete(reading.Attributes, cryptoki.CKA_CHECK_VALUE)
		}
		return err
	}})
}

// On a token that does not show check values, one is had once the key may encrypt, and kept when it may not any more.
func TestACheckValueThatIsComputed(t *testing.T) {
	t.Parallel()
	hsmtest.Needs(t, hsmtest.SecretKeys, hsmtest.OtherEyes)
	b := newBench(t)
	b.hide()
	value := ""
	is := func(usage string, null bool) turn {
		config := b.config(aes("usage = " + usage))
		return turn{TestStep: resource.TestStep{Config: config, ConfigStateChecks: []statecheck.StateCheck{attributes{secretKey, func(state map[string]any) error {
			have, _ := state["key_check_value"].(string)
			if (have == "") != null || value != "" && have != value {
				return fmt.Errorf("the check value was %q and is %q", value, have)
			}
			value = have
			return nil
		}}}}}
	}
	b.test(is(`["sign", "verify"]`, true), is(`["decrypt", "encrypt"]`, false), is(`["decrypt"]`, false))
	b.expect()
}

func TestSecretKeysAreListed(t *testing.T) {
	t.Parallel()
	hsmtest.Needs(t, hsmtest.SecretKeys, hsmtest.OtherEyes)
	b := newBench(t)
	b.needs = knowsQueries
	serial := b.serial()
	b.make("team/pair", "6b30")
	want := b.knownKey("team/box", "6b31", bytes.Repeat([]byte{0x5a}, 32))
	b.Tool(t, "--keygen", "--key-type", "GENERIC:32", "--sensitive", "--private", "--usage-sign", "--label", "other", "--id", "6b32")
	list := func(name string, lines ...string) string {
		return strings.Replace(listing(name, lines...), "hsm_rsa_keypair", "hsm_secret_key", 1)
	}
	b.test(
		turn{TestStep: resource.TestStep{Config: b.config(aes(`key_id = "6b33"`, `label = "managed"`))}},
		turn{TestStep: resource.TestStep{
			Query: true, Config: list("all") + list("team", "include_resource = true", "config {\n    label_prefix = \"team/\"\n  }"),
			QueryResultChecks: []querycheck.QueryResultCheck{
				querycheck.ExpectLength("hsm_secret_key.all", 3),
				querycheck.ExpectIdentity("hsm_secret_key.all", identity(serial, "6b33")),
				querycheck.ExpectIdentity("hsm_secret_key.all", identity(serial, "6b32")),
				querycheck.ExpectLength("hsm_secret_key.team", 1),
				querycheck.ExpectResourceKnownValues("hsm_secret_key.team", queryfilter.ByResourceIdentity(identity(serial, "6b31")), []querycheck.KnownValueCheck{
					{Path: tfjsonpath.New("label"), KnownValue: knownvalue.StringExact("team/box")},
					{Path: tfjsonpath.New("bits"), KnownValue: knownvalue.Int64Exact(256)},
					{Path: tfjsonpath.New("key_check_value"), KnownValue: knownvalue.StringExact(want)},
					{Path: tfjsonpath.New("deletion_policy"), KnownValue: knownvalue.StringExact("prevent")},
				}),
			},
		}},
	)
}
