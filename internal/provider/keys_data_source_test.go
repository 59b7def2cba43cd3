package provider_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// asInt is a number of a state.
func asInt(v any) int64 {
	n, err := v.(json.Number).Int64()
	if err != nil {
		panic(err)
	}
	return n
}

// keyList checks the keys of a list: each as "label key_id class type size usage twin_missing", in order.
func keyList(name string, want ...string) statecheck.StateCheck {
	return attributes{"data.hsm_keys." + name, func(state map[string]any) error {
		var have []string
		for _, row := range state["keys"].([]any) {
			k := row.(map[string]any)
			size := k["bits"]
			if size == nil {
				size = k["curve"]
			}
			have = append(have, fmt.Sprint(k["label"], " ", k["key_id"], " ", k["class"], " ", k["type"], " ", size, " ", k["usage"], " ", k["twin_missing"]))
		}
		if !slices.Equal(have, want) || asInt(state["unreadable"]) != 0 {
			return fmt.Errorf("%s holds\n%s\nand not\n%s\n(%v unreadable)", name, strings.Join(have, "\n"), strings.Join(want, "\n"), state["unreadable"])
		}
		return nil
	}}
}

// asSeen says that the list data.hsm_keys.NAME has just what pkcs11-tool lists.
func (b *bench) asSeen(name string) statecheck.StateCheck {
	return attributes{"data.hsm_keys." + name, func(state map[string]any) error {
		classes := map[string]string{"private": "Private Key", "public": "Public Key", "secret": "Secret Key"}
		var have, want []string
		for _, row := range state["keys"].([]any) {
			k := row.(map[string]any)
			access := []string{}
			for _, claim := range []struct{ attribute, words string }{
				{"sensitive", "sensitive"}, {"always_sensitive", "always sensitive"}, {"extractable", "extractable"}, {"never_extractable", "never extractable"}, {"local", "local"},
			} {
				if k[claim.attribute] == true {
					access = append(access, claim.words)
				}
			}
			usage := []string{}
			for _, word := range k["usage"].([]any) {
				// pkcs11-tool shows neither signing of secret keys nor, in every version, recovery of the message.
				if (k["class"] != "secret" || word != "sign") && !strings.HasSuffix(word.(string), "_recover") {
					usage = append(usage, word.(string))
				}
			}
			slices.Sort(access)
			have = append(have, fmt.Sprint(classes[k["class"].(string)], k["label"], k["key_id"], usage, access))
			if uri := k["uri"].(string); !strings.HasPrefix(uri, "pkcs11:token="+b.Label+";id=%") || k["problem"] != nil {
				return fmt.Errorf("the key is %v", k)
			}
		}
		for _, h := range b.halves() {
			usage := slices.DeleteFunc(strings.Split(h.usage, ", "), func(word string) bool { return strings.HasSuffix(word, "Recover") || word == "none" })
			access := slices.DeleteFunc(strings.Split(h.access, ", "), func(word string) bool { return word == "none" })
			slices.Sort(usage)
			slices.Sort(access)
			want = append(want, fmt.Sprint(h.class, h.label, h.id, usage, access))
		}
		slices.Sort(have)
		slices.Sort(want)
		if !slices.Equal(have, want) {
			return fmt.Errorf("%s holds\n%s\nand pkcs11-tool lists\n%s", name, strings.Join(have, "\n"), strings.Join(want, "\n"))
		}
		return nil
	}}
}

func keysBlock(name string, lines ...string) string {
	return fmt.Sprintf("data \"hsm_keys\" %q {\n  %s\n}\n", name, strings.Join(lines, "\n  "))
}

func TestKeysAreListedWithTheirStrays(t *testing.T) {
	t.Parallel()
	hsmtest.Needs(t, hsmtest.SameID)
	b := newBench(t)
	b.make("web", "6b31")
	b.make("shop.half", "6b32")
	b.destroy("6b32", "privkey")
	b.make("shop.other_half", "6b33")
	b.destroy("6b33", "pubkey")
	b.Tool(t, "--keypairgen", "--key-type", "EC:secp384r1", "--usage-sign", "--label", "curve", "--id", "6b34")
	b.Tool(t, "--keygen", "--key-type", "AES:32", "--sensitive", "--usage-decrypt", "--label", "shop.aes", "--id", "6b35")
	b.Tool(t, "--keygen", "--key-type", "GENERIC:20", "--sensitive", "--extractable", "--usage-sign", "--label", "hmac", "--id", "6b35")

	config := b.config(keysBlock("all"), keysBlock("private", `class = "private"`), keysBlock("shop", `label_prefix = "shop."`), keysBlock("public_rsa", `class = "public"`, `type = "RSA"`),
		keysBlock("none", `class = "secret"`, `type = "EC"`),
		keysBlock("aes", `type = "aes"`))
	const (
		webPrivate  = "web 6b31 private RSA 2048 [decrypt sign sign_recover unwrap] false"
		webPublic   = "web 6b31 public RSA 2048 [encrypt verify verify_recover wrap] false"
		lonePublic  = "shop.half 6b32 public RSA 2048 [encrypt verify verify_recover wrap] true"
		lonePrivate = "shop.other_half 6b33 private RSA 2048 [decrypt sign sign_recover unwrap] true"
	)
	// A secret key's type is that of hsm_secret_key.
	const boxed = "shop.aes 6b35 secret aes 256 [decrypt encrypt sign unwrap verify wrap] <nil>"
	size := func(state map[string]any) error {
		kinds := map[string]int{}
		for _, row := range state["keys"].([]any) {
			k := row.(map[string]any)
			kinds[fmt.Sprint(k["type"], " ", k["class"], " ", k["bits"], " ", k["curve"], " ", k["twin_missing"])]++
		}
		want := map[string]int{
			"RSA private 2048 <nil> false": 1, "RSA public 2048 <nil> false": 1, "RSA public 2048 <nil> true": 1, "RSA private 2048 <nil> true": 1,
			"EC private <nil> P-384 false": 1, "EC public <nil> P-384 false": 1, "aes secret 256 <nil> <nil>": 1, "generic secret 160 <nil> <nil>": 1,
		}
		if !maps.Equal(kinds, want) {
			return fmt.Errorf("the list has %v", kinds)
		}
		return nil
	}
	b.test(
		turn{
			TestStep: resource.TestStep{Config: b.config(keysBlock("all", `type = "rsa"`)), PlanOnly: true},
			says:     []remark{fails("Unknown Word", `"RSA"`).pointing("type")},
		},
		turn{TestStep: resource.TestStep{
			PreConfig: func() {
				b.faults.Inject(hsmtest.Fault{Function: "C_FindObjects", Nth: 1, Code: cryptoki.CKR_DEVICE_ERROR})
				b.faults.Inject(hsmtest.Fault{Function: "C_GetAttributeValue", Nth: 3, Code: cryptoki.CKR_DEVICE_ERROR})
			},
			Config: config,
			ConfigStateChecks: []statecheck.StateCheck{
				b.asSeen("all"), attributes{"data.hsm_keys.all", size},
				keyList("private", webPrivate, lonePrivate, "curve 6b34 private EC P-384 [decrypt sign sign_recover unwrap] false"),
				keyList("shop", lonePublic, lonePrivate, boxed),
				keyList("public_rsa", webPublic, lonePublic), keyList("none"), keyList("aes", boxed),
				holds(func() error {
					if n := b.faults.Injected(); n != 2 {
						return fmt.Errorf("%d calls were made to fail", n)
					}
					return nil
				}),
			},
		}},
		turn{
			TestStep: resource.TestStep{
				PreConfig: func() {
					b.closeProviders()
					b.faults.Clear()
					b.faults.Inject(hsmtest.Fault{Function: "C_GetAttributeValue", Nth: 3, Onwards: true, Code: cryptoki.CKR_DEVICE_ERROR})
				},
				Config: b.config(keysBlock("all")), PlanOnly: true,
			},
			says: []remark{fails("Unable to Read Keys", "C_GetAttributeValue: CKR_DEVICE_ERROR (0x30)")},
		},
	)
}
