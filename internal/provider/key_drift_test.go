package provider_test

import (
	"fmt"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// drifting is what differs between resources whose keys drift.
type drifting struct {
	resourceType string
	otherwise    map[string]string // what blocks say of which a case says nothing
	// reused are the attributes that make of a half that signs one that has the resource's other usage.
	reusedPrivate, reusedPublic []cryptoki.Attribute
	// more is a flag more on one half, with the usage that it is.
	morePrivate, morePublic cryptoki.Attribute
	privateUsage, pairUsage string
	// swap has pkcs11-tool make another key, to which SoftHSM gives every usage; what is done about it, and what it is then,
	// as the tool lists it.
	swap                    []string
	swapUsage               string // in the configuration
	swapAction              plancheck.ResourceActionType
	swapPrivate, swapPublic string
}

var driftingResources = []drifting{
	{
		resourceType: "hsm_rsa_keypair", otherwise: map[string]string{"modulus_bits": "2048", "deletion_policy": `"delete"`},
		reusedPrivate: []cryptoki.Attribute{cryptoki.Bool(cryptoki.CKA_SIGN, false), cryptoki.Bool(cryptoki.CKA_DECRYPT, true)},
		reusedPublic:  []cryptoki.Attribute{cryptoki.Bool(cryptoki.CKA_VERIFY, false), cryptoki.Bool(cryptoki.CKA_ENCRYPT, true)},
		morePrivate:   cryptoki.Bool(cryptoki.CKA_UNWRAP, true), morePublic: cryptoki.Bool(cryptoki.CKA_ENCRYPT, true),
		privateUsage: "sign, unwrap", pairUsage: "decrypt, sign",
		swap: []string{"--key-type", "rsa:2048"}, swapUsage: `["decrypt", "sign", "unwrap"]`,
		swapAction: plancheck.ResourceActionNoop, swapPrivate: "decrypt, sign, unwrap", swapPublic: "encrypt, verify, wrap",
	},
	{
		resourceType: "hsm_ec_keypair", otherwise: map[string]string{"curve": `"P-256"`, "deletion_policy": `"delete"`},
		reusedPrivate: []cryptoki.Attribute{cryptoki.Bool(cryptoki.CKA_SIGN, false), cryptoki.Bool(cryptoki.CKA_DERIVE, true)},
		reusedPublic:  []cryptoki.Attribute{cryptoki.Bool(cryptoki.CKA_VERIFY, false), cryptoki.Bool(cryptoki.CKA_DERIVE, true)},
		morePrivate:   cryptoki.Bool(cryptoki.CKA_DERIVE, true), morePublic: cryptoki.Bool(cryptoki.CKA_DERIVE, true),
		privateUsage: "derive, sign", pairUsage: "derive, sign",
		swap: []string{"--key-type", "EC:prime256v1"}, swapUsage: `["sign"]`,
		swapAction: plancheck.ResourceActionUpdate, swapPrivate: "sign", swapPublic: "verify",
	},
}

func TestDriftIsSeenAndMadeGood(t *testing.T) {
	t.Parallel()
	hsmtest.Needs(t, hsmtest.OtherEyes, hsmtest.KeptIn) // of keys that pkcs11-tool makes
	for _, d := range driftingResources {
		t.Run(d.resourceType, func(t *testing.T) {
			t.Parallel()
			d.test(t)
		})
	}
}

// test has all of these keys drift at once, each in a way of its own, and one apply make good what can be made good.
func (d drifting) test(t *testing.T) {
	if d.resourceType == "hsm_ec_keypair" {
		hsmtest.NeedsCurves(t, "P-256")
	}
	b := newBench(t)
	renamed := cryptoki.Bytes(cryptoki.CKA_LABEL, []byte("renamed"))
	before := map[string]string{} // fingerprints by address
	other := ""                   // of the key that took the place of one
	cases := []struct {
		name, id string // the resource's name is the label too
		lines    []string
		drift    func(id string)
		action   plancheck.ResourceActionType
		newKey   bool
		says     []remark
	}{
		{
			name: "label", id: "01", action: plancheck.ResourceActionUpdate,
			drift: func(id string) {
				b.alter(privateHalf, id, renamed)
				b.alter(publicHalf, id, renamed)
			},
		},
		{
			name: "usage", id: "02", action: plancheck.ResourceActionUpdate,
			drift: func(id string) {
				b.alter(privateHalf, id, d.reusedPrivate...)
				b.alter(publicHalf, id, d.reusedPublic...)
			},
		},
		{
			name: "public_label", id: "03", action: plancheck.ResourceActionUpdate,
			drift: func(id string) { b.alter(publicHalf, id, renamed) },
			says:  []remark{warns("The Two Halves Of A Key Pair Differ", `the key "public_label" (key_id 03)`, `the public half is labelled "renamed"`)},
		},
		{
			name: "private_label", id: "04", action: plancheck.ResourceActionUpdate,
			drift: func(id string) { b.alter(privateHalf, id, renamed) },
			says:  []remark{warns("The Two Halves Of A Key Pair Differ", `the key "renamed" (key_id 04)`, `the public half is labelled "private_label"`)},
		},
		{
			name: "public_usage", id: "05", action: plancheck.ResourceActionUpdate,
			drift: func(id string) { b.alter(publicHalf, id, d.morePublic) },
			says:  []remark{warns("The Two Halves Of A Key Pair Differ", `the key "public_usage" (key_id 05)`, "the private half has the usage sign, ", "the counterparts of "+d.pairUsage)},
		},
		{
			name: "private_usage", id: "06", action: plancheck.ResourceActionUpdate,
			drift: func(id string) { b.alter(privateHalf, id, d.morePrivate) },
			says:  []remark{warns("The Two Halves Of A Key Pair Differ", `the key "private_usage" (key_id 06)`, "the private half has the usage "+d.privateUsage, "the counterparts of sign. ")},
		},
		{
			name: "extractable", id: "07", lines: []string{"extractable = true"}, action: plancheck.ResourceActionDestroyBeforeCreate, newKey: true,
			drift: func(id string) { b.alter(privateHalf, id, cryptoki.Bool(cryptoki.CKA_EXTRACTABLE, false)) },
			says:  []remark{underOldID},
		},
		{
			name: "swapped", id: "08", lines: []string{"usage = " + d.swapUsage}, action: d.swapAction, newKey: true,
			drift: func(id string) {
				b.destroy(id, "privkey", "pubkey")
				b.Tool(t, append([]string{"--keypairgen", "--usage-sign", "--label", "swapped", "--id", id}, d.swap...)...)
				other = b.fingerprintOf(id)
			},
			says: []remark{
				warns("Another Key Behind The Same ID", `The key "swapped" (key_id 08)`),
				warns("Usage The Key Cannot Have", `the key "swapped" (key_id 08)`).maybe(), // as the token's default is
			},
		},
		{
			name: "gone_and_deletable", id: "09", action: plancheck.ResourceActionCreate, newKey: true,
			drift: func(id string) { b.destroy(id, "privkey", "pubkey") },
			says:  []remark{warns("Key Not On The Token", `The key "gone_and_deletable" (key_id 09)`, b.Label, `deletion_policy is "delete"`)},
		},
		{
			name: "gone_and_abandoned", id: "0a", lines: []string{`deletion_policy = "abandon"`}, action: plancheck.ResourceActionCreate, newKey: true,
			drift: func(id string) { b.destroy(id, "privkey", "pubkey") },
			says:  []remark{warns("Key Not On The Token", `The key "gone_and_abandoned" (key_id 0a)`, b.Label, `deletion_policy is "abandon"`)},
		},
	}

	var blocks []string
	var made, repaired []statecheck.StateCheck
	var seen []plancheck.PlanCheck
	var says []remark
	var whole []half
	for _, c := range cases {
		address := d.resourceType + "." + c.name
		blocks = append(blocks, keyPairBlock(d.resourceType, c.name, d.otherwise, append([]string{fmt.Sprintf("label = %q", c.name), fmt.Sprintf("key_id = %q", c.id)}, c.lines...)))
		made = append(made, attributes{address, func(state map[string]any) error {
			before[address] = state[fingerprint].(string)
			return nil
		}})
		seen = append(seen, plancheck.ExpectResourceAction(address, c.action))
		says = append(says, c.says...)
		repaired = append(repaired,
			statecheck.ExpectKnownValue(address, tfjsonpath.New("label"), knownvalue.StringExact(c.name)),
			statecheck.ExpectKnownValue(address, tfjsonpath.New("key_id"), knownvalue.StringExact(c.id)),
			attributes{address, func(state map[string]any) error {
				have, was := state[fingerprint].(string), before[address]
				if token := b.fingerprintOf(c.id); have != token || (have != was) != c.newKey {
					return fmt.Errorf("%s: the fingerprint was %s, is %s in the state and %s on the token", c.name, was, have, token)
				}
				return nil
			}})
		switch c.name {
		case "extractable":
			whole = append(whole, half{"Private Key", c.name, c.id, "sign", "sensitive, always sensitive, extractable, local"}, public(c.name, c.id, "verify"))
		case "swapped":
			whole = append(whole, private(c.name, c.id, d.swapPrivate), public(c.name, c.id, d.swapPublic))
		default:
			whole = append(whole, signing(c.name, c.id)...)
		}
	}
	b.test(
		turn{TestStep: resource.TestStep{Config: b.config(blocks...), ConfigStateChecks: made}},
		turn{TestStep: resource.TestStep{
			PreConfig: func() {
				for _, c := range cases {
					c.drift(c.id)
				}
			},
			Config:           b.config(blocks...),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: seen},
			ConfigStateChecks: append(repaired, b.holding(whole...), holds(func() error {
				if !b.said(warns("Another Key Behind The Same ID", before[d.resourceType+".swapped"], other)) {
					return fmt.Errorf("no warning names both %s and %s", before[d.resourceType+".swapped"], other)
				}
				return nil
			})),
		}, says: says},
	)
}

func TestAWrongTokenIsNoReasonToMakeNewKeys(t *testing.T) {
	t.Parallel()
	b, wrong := newBench(t), newBench(t)
	keys := func(policy string) string { return policyPair(`deletion_policy = "` + policy + `"`) }
	b.test(
		create(b, keys("prevent")),
		turn{
			TestStep: resource.TestStep{Config: wrong.config(keys("prevent")), PlanOnly: true},
			says: []remark{fails("Unable to Read Key Pair: Not On The Token", `the key "web" (key_id 6b31)`, "the state is kept, and no new key is made",
				fmt.Sprintf("label %q", wrong.Label), "terraform state rm hsm_rsa_keypair.NAME")},
		},
		turn{TestStep: resource.TestStep{Config: b.config(keys("prevent")), PlanOnly: true}},
		turn{TestStep: resource.TestStep{Config: b.config(keys("delete"))}},
	)
	b.expect()
	wrong.expect()
}

func TestHalfAPairAndAMovedKeyAreErrorsThatKeepTheState(t *testing.T) {
	t.Parallel()
	hsmtest.Needs(t, hsmtest.OtherEyes)
	b := newBench(t)
	named := func(name, id string) string {
		return pair(name, fmt.Sprintf("label = %q", name), fmt.Sprintf("key_id = %q", id))
	}
	config := b.config(named("no_private", "01"), named("no_public", "02"), named("moved", "03"), named("apart", "04"))
	noPrivate := fails("Unable to Read Key Pair: Half A Key Pair", "Of the key pair 01 the private key is missing", `RSA public key "no_private" (ID 01)`, "--delete-object --type pubkey --id 01",
		"terraform state rm hsm_rsa_keypair.NAME")
	noPublic := fails("Unable to Read Key Pair: Half A Key Pair", "Of the key pair 02 the public key is missing", `RSA private key "no_public" (ID 02)`, "terraform state show -no-color hsm_rsa_keypair.NAME",
		"--write-object public.der --type pubkey --id 02 --label no_public")
	b.test(
		turn{TestStep: resource.TestStep{Config: config}},
		turn{
			TestStep: resource.TestStep{
				PreConfig: func() {
					b.destroy("01", "privkey")
					b.destroy("02", "pubkey")
					for _, half := range []string{"pubkey", "privkey"} {
						b.Tool(t, "--type", half, "--id", "03", "--set-id", "33")
					}
					b.Tool(t, "--type", "pubkey", "--id", "04", "--set-id", "44")
				},
				Config: config, PlanOnly: true,
			},
			says: []remark{
				noPrivate, noPublic,
				fails("Unable to Read Key Pair: Key ID Changed On The Token", "under the ID 33 (label \"moved\")", "terraform import hsm_rsa_keypair.NAME 33",
					"--id 33 --type pubkey --set-id 03", "--id 33 --type privkey --set-id 03").pointing("key_id"),
				fails("Unable to Read Key Pair: Half A Key Pair", "the public key is missing",
					"its other half has another ID", "--id 44 --type pubkey --set-id 04"),
			},
		},
		turn{
			// What was advised makes it good, and the state still knows all four.
			TestStep: resource.TestStep{
				PreConfig: func() {
					for _, half := range []string{"pubkey", "privkey"} {
						b.Tool(t, "--type", half, "--id", "33", "--set-id", "03")
					}
					b.Tool(t, "--type", "pubkey", "--id", "44", "--set-id", "04")
				},
				RefreshState: true,
			},
			says: []remark{noPrivate, noPublic},
		},
	)
	b.expect() // what is left of each was destroyed with its resource
}

// A key that took the ID of another one, which is gone, is not gone itself: nothing is made in its place.
func TestAKeyUnderTheIDOfAnotherIsNotGone(t *testing.T) {
	t.Parallel()
	hsmtest.Needs(t, hsmtest.OtherEyes)
	b := newBench(t)
	config := b.config(pair("moved", `label = "moved"`, `key_id = "01"`), pair("gone", `label = "gone"`, `key_id = "02"`))
	setID := func(from, to string) {
		for _, half := range []string{"pubkey", "privkey"} {
			b.Tool(t, "--type", half, "--id", from, "--set-id", to)
		}
	}
	b.test(
		turn{TestStep: resource.TestStep{Config: config}},
		turn{
			TestStep: resource.TestStep{
				PreConfig: func() {
					b.destroy("02", "privkey", "pubkey")
					setID("01", "02")
				},
				Config: config, PlanOnly: true,
			},
			says: []remark{
				fails("Unable to Read Key Pair: Key ID Changed On The Token", "under the ID 02").pointing("key_id"),
				warns("Another Key Behind The Same ID", `"moved" (key_id 02)`).maybe(),
			},
		},
		turn{
			TestStep: resource.TestStep{PreConfig: func() { setID("02", "01") }, Config: config},
			says:     []remark{warns("Key Not On The Token", `"gone" (key_id 02)`).maybe()},
		},
	)
	b.expect()
}
