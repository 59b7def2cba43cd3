package provider_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

var (
	strictMake = hsmtest.Differ(quirk.Differences{
		NoKeys: []quirk.NoKey{
			{Type: "RSA", With: []string{"unwrap"}, Attribute: "usage", Says: "The card unwraps nothing."},
			{Extractable: true, Attribute: "extractable", Says: "Keys stay on the card."},
		},
		IDs:    quirk.Names{Most: 8, Says: "IDs have eight bytes at most."},
		Labels: quirk.Names{Alphabet: "[a-z-]+", Says: "Labels have no dots."},
		Usages: map[string][]string{"RSA": {"sign", "decrypt"}},
		Refuses: map[quirk.Ask]string{
			quirk.ChangeLabel: "The card's own tool renames keys.", quirk.Destroy: "The card's own tool destroys keys.",
		},
	})
	cloudMake = hsmtest.Differ(quirk.Differences{
		IDs: quirk.Names{Assigned: true}, Labels: quirk.Names{Unique: true},
		Algorithms: &quirk.Algorithms{Attribute: 0x80000101, Known: []quirk.Algorithm{
			{Name: "EC_A", Number: 1, Type: "EC", Curve: "P-256", Usage: "sign"},
			{Name: "EC_B", Number: 2, Type: "EC", Curve: "P-256", Usage: "sign"},
		}},
	})
	namingMake = hsmtest.Differ(quirk.Differences{LabelIsID: true})
	fixedMake  = hsmtest.Differ(quirk.Differences{
		Labels:  quirk.Names{Assigned: true},
		Refuses: map[quirk.Ask]string{quirk.ChangeLabel: "It never changes.", quirk.ChangeUsage: "It never changes."},
	})
)

const unmade = "Unable to Plan Key Pair: Not Done By This Make"

// TestThePlanTellsWhatAMakeDoesNotDo: at the attribute, with the vendor's own way.
func TestThePlanTellsWhatAMakeDoesNotDo(t *testing.T) {
	b := newBench(t)
	b.hooks = append(b.hooks, strictMake, func(_ context.Context, c *cryptoki.Call, next func() error) error {
		err := next() // RSA keys decrypt, whatever they were asked for
		if answer, ok := c.Result.(*cryptoki.Reading); ok && len(answer.Attributes[cryptoki.CKA_MODULUS]) > 0 {
			for _, flag := range []cryptoki.AttributeType{cryptoki.CKA_DECRYPT, cryptoki.CKA_ENCRYPT} {
				if _, shown := answer.Attributes[flag]; shown {
					answer.Attributes[flag] = []byte{1}
				}
			}
		}
		return err
	})
	ec := func(name string, lines ...string) string {
		return keyPairBlock("hsm_ec_keypair", name, map[string]string{"curve": `"P-256"`, "label": `"l"`}, lines)
	}
	k := func(lines ...string) string { return b.config(pair("k", append(lines, `key_id = "01"`)...)) }
	b.test(
		turn{TestStep: resource.TestStep{PlanOnly: true, Config: b.config(
			pair("unwraps", `label = "l"`, `usage = ["sign", "unwrap"]`), pair("signs", `label = "l"`, `usage = ["sign"]`),
			ec("leaves", `extractable = true`), ec("long", `key_id = "010203040506070809"`), ec("dotted", `label = "a.b"`),
			ec("cloudy", `algorithm = "EC_A"`),
			"resource \"hsm_key_ring\" \"r\" {\n  label = \"ring\"\n  generation = 1\n  curve = \"P-256\"\n"+
				"  standby_label = \"standby\"\n  retired_label = \"retired\"\n}\n")}, says: []remark{
			fails(unmade, "The card unwraps nothing.").pointing("usage"),
			fails(unmade, "whatever is asked for", `write usage = ["decrypt", "sign"].`).pointing("usage"),
			fails(unmade, "Keys stay on the card.").pointing("extractable"),
			fails(unmade, "IDs have eight bytes at most.").pointing("key_id"),
			fails(unmade, `takes no label "a.b". Labels have no dots.`).pointing("label"),
			fails(unmade, "leave algorithm out").pointing("algorithm"),
			fails("Unable to Plan Key Ring: Not Done By This Make", "rotate by new ones").pointing("label"),
		}},
		turn{TestStep: resource.TestStep{Config: k(`label = "k"`), ConfigStateChecks: []statecheck.StateCheck{
			statecheck.ExpectKnownValue(key, tfjsonpath.New("usage"), knownvalue.SetExact([]knownvalue.Check{
				knownvalue.StringExact("decrypt"), knownvalue.StringExact("sign")})),
		}}},
		turn{TestStep: resource.TestStep{PlanOnly: true, Config: k(`label = "new"`)}, says: []remark{
			fails(unmade, "does not change the label", "The card's own tool renames keys.").pointing("label"),
		}},
		turn{TestStep: resource.TestStep{PlanOnly: true, Config: k(`label = "k"`, `usage = ["sign"]`)}, says: []remark{
			fails(unmade, `write usage = ["decrypt", "sign"].`).pointing("usage"),
		}},
		turn{TestStep: resource.TestStep{PlanOnly: true, Config: k(`label = "k"`, `modulus_bits = 3072`)}, says: []remark{
			fails(unmade, "does not destroy keys", `deletion_policy = "abandon"`, "The card's own tool destroys keys.").
				pointing("deletion_policy"),
			warns("New Key Under An Old ID").pointing("key_id"),
		}},
		turn{TestStep: resource.TestStep{Config: k(`label = "k"`, `deletion_policy = "abandon"`)}},
	)
}

// TestAKeyWhoseIDAndAlgorithmAreTheTokens: the ID is known after the apply, and the algorithm is never chosen silently.
func TestAKeyWhoseIDAndAlgorithmAreTheTokens(t *testing.T) {
	b := newBench(t)
	var mu sync.Mutex
	var numbers []byte
	b.hooks = append(b.hooks, cloudMake, func(_ context.Context, c *cryptoki.Call, next func() error) error {
		if c.Function != "C_GenerateKeyPair" {
			return next()
		}
		mu.Lock()
		defer mu.Unlock()
		c.Template, c.Public = slices.Clone(c.Template), slices.Clone(c.Public)
		c.Template = slices.DeleteFunc(c.Template, func(a cryptoki.Attribute) bool {
			if a.Type == 0x80000101 {
				numbers = append(numbers, a.Value[0])
			}
			return a.Type == 0x80000101
		})
		id := cryptoki.Bytes(cryptoki.CKA_ID, fmt.Appendf(nil, "version/%d", len(numbers)))
		c.Template, c.Public = append(c.Template, id), append(c.Public, id)
		return next()
	})
	of := func(lines ...string) string { return b.config(ecPair(append(lines, `label = "k"`)...)) }
	at := func(id string) []statecheck.StateCheck {
		return []statecheck.StateCheck{statecheck.ExpectKnownValue("hsm_ec_keypair.k", tfjsonpath.New("key_id"),
			knownvalue.StringExact(fmt.Sprintf("%x", id)))}
	}
	b.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "there", "--id", "01")
	b.test(
		turn{TestStep: resource.TestStep{PlanOnly: true, Config: b.config(ecPair(`label = "there"`, `algorithm = "EC_A"`))},
			says: []remark{fails(unmade, "takes no label twice").pointing("label")}},
		turn{TestStep: resource.TestStep{Config: of(), ConfigStateChecks: at("version/1"),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectUnknownValue("hsm_ec_keypair.k", tfjsonpath.New("key_id"))}},
		}, says: []remark{warns("Algorithm Not Chosen", "EC_A, EC_B", `algorithm = "EC_A"`)}},
		turn{TestStep: resource.TestStep{Config: of(`algorithm = "EC_A"`), ConfigStateChecks: at("version/1")}},
		turn{TestStep: resource.TestStep{Config: of(`algorithm = "EC_B"`), ConfigStateChecks: at("version/2")}},
		turn{TestStep: resource.TestStep{PlanOnly: true, Config: of(`algorithm = "EC_C"`)},
			says: []remark{fails(unmade, "EC_A (P-256").pointing("algorithm")}},
	)
	if !bytes.Equal(numbers, []byte{1, 2}) {
		t.Errorf("the algorithms were %v", numbers)
	}
}

// TestAKeyWhoseLabelIsItsID: the plan shows the ID that follows from the label, and both change together.
func TestAKeyWhoseLabelIsItsID(t *testing.T) {
	b := newBench(t)
	b.hooks = append(b.hooks, namingMake, func(_ context.Context, c *cryptoki.Call, next func() error) error {
		err := next()
		if answer, ok := c.Result.(*cryptoki.Reading); ok && answer.Attributes[cryptoki.CKA_ID] != nil {
			answer.Attributes[cryptoki.CKA_LABEL] = bytes.Clone(answer.Attributes[cryptoki.CKA_ID])
		}
		return err
	})
	of := func(label, id string, says ...remark) turn {
		return turn{TestStep: resource.TestStep{Config: b.config(ecPair(line("label", label))),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectKnownValue("hsm_ec_keypair.k", tfjsonpath.New("key_id"), knownvalue.StringExact(id))}},
		}, says: says}
	}
	b.test(of("web", "776562"), of("mail", "6d61696c", warns("Key ID Changes", "6d61696c").pointing("key_id")))
}

// TestHalvesWithLabelsOfTheTokensOwnDifferInNothing: a key that is imported from a token which names each half by itself is
// told what to write, and no plan warns of halves that differ.
func TestHalvesWithLabelsOfTheTokensOwnDifferInNothing(t *testing.T) {
	b := newBench(t)
	made := b.config(ecPair(line("label", "private"), line("key_id", "01")))
	there := func(lines ...string) string { return b.config(ecPair(append(lines, line("key_id", "01"))...)) }
	b.test(
		turn{TestStep: resource.TestStep{Config: made}},
		turn{TestStep: resource.TestStep{PreConfig: func() {
			b.alter(publicHalf, "01", cryptoki.Bytes(cryptoki.CKA_LABEL, []byte("public")))
			b.hooks = append(b.hooks, fixedMake)
		}, PlanOnly: true, Config: there(line("label", "mine"))}, says: []remark{
			fails(unmade, `write label = "private", as the key has it. It never changes.`).pointing("label"),
		}},
		turn{TestStep: resource.TestStep{PlanOnly: true, Config: there(line("label", "private"))}},
	)
}
