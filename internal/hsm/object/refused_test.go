package object

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

// names are the attributes of a template, with their values in hex.
func names(attributes []cryptoki.Attribute) map[string]string {
	all := map[string]string{}
	for _, a := range attributes {
		all[a.Type.String()] = fmt.Sprintf("%x", a.Value)
	}
	return all
}

var (
	rsaTemplate  = Template{Type: RSA, ModulusBits: 2048, PublicExponent: 65537, Usage: Sign, ID: []byte("i"), Label: "l"}
	edTemplate   = Template{Type: EC, Curve: "Ed25519", Usage: Sign, ID: []byte("i"), Label: "l"}
	hmacTemplate = Template{Type: Secret, Kind: Generic, Bits: 256, Usage: Sign | Verify, ID: []byte("i"), Label: "l"}
	kms          = &quirk.Algorithms{Attribute: 0x80000101, Known: []quirk.Algorithm{
		{Name: "RSA_2048_A", Number: 1, Type: "RSA", Bits: 2048, Usage: "sign"},
		{Name: "RSA_2048_B", Number: 2, Type: "RSA", Bits: 2048, Usage: "sign"},
		{Name: "RSA_2048_D", Number: 3, Type: "RSA", Bits: 2048, Usage: "decrypt"},
		{Name: "EC_P384", Number: 4, Type: "EC", Curve: "P-384", Usage: "sign"},
		{Name: "MAC", Number: 5, Type: "generic", Bits: 256, Usage: "sign"},
		{Name: "CIPHER", Number: 6, Type: "aes", Bits: 256, Usage: "encrypt"},
	}}
)

func TestTemplatesAreAsTheMakeTakesThem(t *testing.T) {
	plainPublic, plainPrivate := rsaTemplate.Attributes(mustSpec(t, rsaTemplate), quirk.Differences{})
	for _, c := range []struct {
		name    string
		tmpl    Template
		d       quirk.Differences
		public  map[string]string // what is there, "" for what is not
		private map[string]string
		only    bool // nothing else is there
	}{
		{"a public half that is private", rsaTemplate, quirk.Differences{PublicPrivate: quirk.WrittenTrue},
			map[string]string{"CKA_PRIVATE": "01"}, map[string]string{"CKA_PRIVATE": "01"}, false},
		{"a public half of which nothing is said", rsaTemplate, quirk.Differences{PublicPrivate: quirk.Unwritten},
			map[string]string{"CKA_PRIVATE": ""}, map[string]string{"CKA_PRIVATE": "01"}, false},
		{"a public half that derives nothing", Template{Type: EC, Curve: "P-256", Usage: Sign | Derive},
			quirk.Differences{NoPublicDerive: true},
			map[string]string{"CKA_DERIVE": "00", "CKA_VERIFY": "01"}, map[string]string{"CKA_DERIVE": "01"}, false},
		{"what is left out", rsaTemplate,
			quirk.Differences{Omits: []cryptoki.AttributeType{cryptoki.CKA_DERIVE, cryptoki.CKA_SENSITIVE}},
			map[string]string{"CKA_DERIVE": "", "CKA_VERIFY": "01"},
			map[string]string{"CKA_DERIVE": "", "CKA_SENSITIVE": "", "CKA_SIGN": "01"}, false},
		{"an ID that the token chooses", rsaTemplate, quirk.Differences{IDs: quirk.Names{Assigned: true}},
			map[string]string{"CKA_ID": "", "CKA_LABEL": "6c"}, map[string]string{"CKA_ID": "", "CKA_LABEL": "6c"}, false},
		{"little more than an algorithm", rsaTemplate,
			quirk.Differences{Only: []cryptoki.AttributeType{cryptoki.CKA_LABEL}, Algorithms: kms},
			map[string]string{}, map[string]string{"CKA_LABEL": "6c", "attribute 0x80000101": "0100000000000000"}, true},
		{"an algorithm by its name", func() Template {
			tmpl := rsaTemplate
			tmpl.Algorithm = "RSA_2048_B"
			return tmpl
		}(), quirk.Differences{Only: []cryptoki.AttributeType{}, Algorithms: kms},
			map[string]string{}, map[string]string{"attribute 0x80000101": "0200000000000000"}, true},
		{"Ed25519 by its OID", edTemplate, quirk.Differences{Ed25519: quirk.EdwardsOID},
			map[string]string{"CKA_EC_PARAMS": "06032b6570"}, nil, false},
		{"Ed25519 by its older OID", edTemplate, quirk.Differences{Ed25519: quirk.EdwardsGNU},
			map[string]string{"CKA_EC_PARAMS": "06092b06010401da470f01"}, nil, false},
		{"Ed25519 by its name", edTemplate, quirk.Differences{},
			map[string]string{"CKA_EC_PARAMS": "130c656477617264733235353139"}, nil, false},
		{"a key for one HMAC", hmacTemplate, quirk.Differences{HMAC: &quirk.HMAC{KeyType: cryptoki.CKK_SHA256_HMAC}}, nil,
			map[string]string{"CKA_CLASS": "0400000000000000", "CKA_KEY_TYPE": "2b00000000000000",
				"CKA_VALUE_LEN": "2000000000000000"}, false},
		{"a key for one HMAC without its length", hmacTemplate, quirk.Differences{HMAC: &quirk.HMAC{NoLength: true}}, nil,
			map[string]string{"CKA_CLASS": "", "CKA_KEY_TYPE": "", "CKA_VALUE_LEN": ""}, false},
	} {
		public, private := c.tmpl.Attributes(mustSpec(t, c.tmpl), c.d)
		for half, want := range map[*[]cryptoki.Attribute]map[string]string{&public: c.public, &private: c.private} {
			have := names(*half)
			for name, value := range want {
				if have[name] != value {
					t.Errorf("%s: %s is %q, not %q", c.name, name, have[name], value)
				}
			}
			if c.only && len(have) != len(want) {
				t.Errorf("%s: there are %v", c.name, slices.Sorted(maps.Keys(have)))
			}
		}
	}
	if names(plainPublic)["CKA_PRIVATE"] != "00" || names(plainPrivate)["CKA_DERIVE"] != "00" {
		t.Errorf("without a difference it is %v, %v", names(plainPublic), names(plainPrivate))
	}
}

func mustSpec(t *testing.T, tmpl Template) *Spec {
	t.Helper()
	spec, err := tmpl.Spec()
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

func TestMechanismsAreInTheMakesOrder(t *testing.T) {
	for _, c := range []struct {
		tmpl Template
		d    quirk.Differences
		want string
	}{
		{rsaTemplate, quirk.Differences{}, "[CKM_RSA_PKCS_KEY_PAIR_GEN CKM_RSA_X9_31_KEY_PAIR_GEN]"},
		{rsaTemplate, quirk.Differences{Generating: map[cryptoki.MechanismType][]cryptoki.MechanismType{
			cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN: {0x80000142, cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN},
		}}, "[0x80000142 CKM_RSA_PKCS_KEY_PAIR_GEN]"},
		{edTemplate, quirk.Differences{}, "[CKM_EC_EDWARDS_KEY_PAIR_GEN]"},
		{hmacTemplate, quirk.Differences{}, "[CKM_GENERIC_SECRET_KEY_GEN]"},
		{hmacTemplate, quirk.Differences{HMAC: &quirk.HMAC{Mechanism: 0x8002}}, "[0x00008002]"},
		{Template{Type: Secret, Kind: AES, Bits: 128}, quirk.Differences{HMAC: &quirk.HMAC{Mechanism: 0x8002}},
			"[CKM_AES_KEY_GEN]"},
	} {
		if have := fmt.Sprint(mustSpec(t, c.tmpl).Mechanisms(c.d)); have != c.want {
			t.Errorf("%v: %s, not %s", c.tmpl, have, c.want)
		}
	}
}

func TestWhatAMakeRefusesOfNewKeys(t *testing.T) {
	with := func(tmpl Template, change func(*Template)) Template {
		change(&tmpl)
		return tmpl
	}
	aes := Template{Type: Secret, Kind: AES, Bits: 256, Usage: Encrypt | Decrypt, Label: "l"}
	none := func(rule quirk.NoKey) quirk.Differences {
		rule.Attribute, rule.Says = "here", "The card does not."
		return quirk.Differences{NoKeys: []quirk.NoKey{rule}}
	}
	named := func(ids, labels quirk.Names) quirk.Differences { return quirk.Differences{IDs: ids, Labels: labels} }
	for _, c := range []struct {
		name string
		tmpl Template
		d    quirk.Differences
		at   string // the attribute; "" where nothing is refused
		says string
	}{
		{"nothing is known", rsaTemplate, quirk.Differences{}, "", ""},
		{"a type", rsaTemplate, none(quirk.NoKey{Type: "RSA"}), "here", "The card does not."},
		{"another type", edTemplate, none(quirk.NoKey{Type: "RSA"}), "", ""},
		{"a curve", edTemplate, none(quirk.NoKey{Curve: "Ed25519"}), "here", ""},
		{"another curve", edTemplate, none(quirk.NoKey{Curve: "P-256"}), "", ""},
		{"exactly a usage", rsaTemplate, none(quirk.NoKey{Type: "RSA", Exactly: []string{"sign"}}), "here", ""},
		{"more than that usage", with(rsaTemplate, func(t *Template) { t.Usage |= Decrypt }),
			none(quirk.NoKey{Exactly: []string{"sign"}}), "", ""},
		{"two usages in any order", with(rsaTemplate, func(t *Template) { t.Usage |= Decrypt }),
			none(quirk.NoKey{Exactly: []string{"sign", "decrypt"}}), "here", ""},
		{"one of some usages", with(rsaTemplate, func(t *Template) { t.Usage |= Unwrap }),
			none(quirk.NoKey{With: []string{"unwrap", "derive"}}), "here", ""},
		{"none of some usages", rsaTemplate, none(quirk.NoKey{With: []string{"unwrap", "derive"}}), "", ""},
		{"an extractable key", with(rsaTemplate, func(t *Template) { t.Extractable = true }),
			none(quirk.NoKey{Extractable: true}), "here", ""},
		{"a key that stays", rsaTemplate, none(quirk.NoKey{Extractable: true}), "", ""},
		{"another exponent", with(rsaTemplate, func(t *Template) { t.PublicExponent = 65539 }),
			none(quirk.NoKey{Exponent: true}), "here", ""},
		{"the usual exponent", rsaTemplate, none(quirk.NoKey{Exponent: true}), "", ""},
		{"no exponent at all", edTemplate, none(quirk.NoKey{Exponent: true}), "", ""},

		{"an ID that the token chooses", rsaTemplate, named(quirk.Names{Assigned: true}, quirk.Names{}), "key_id",
			"leave key_id out"},
		{"no ID where the token chooses it", with(rsaTemplate, func(t *Template) { t.ID = nil }),
			named(quirk.Names{Assigned: true}, quirk.Names{}), "", ""},
		{"a short ID", rsaTemplate, named(quirk.Names{Least: 2, Says: "IDs have two bytes."}, quirk.Names{}), "key_id",
			"IDs have two bytes."},
		{"a long ID", with(rsaTemplate, func(t *Template) { t.ID = []byte("abc") }),
			named(quirk.Names{Most: 2}, quirk.Names{}), "key_id", "616263"},
		{"an ID of other letters", rsaTemplate, named(quirk.Names{Alphabet: "[0-9]+"}, quirk.Names{}), "key_id", ""},
		{"an ID that fits", rsaTemplate, named(quirk.Names{Least: 1, Most: 1, Alphabet: "[a-z]+"}, quirk.Names{}), "", ""},
		{"part of an ID that fits", with(rsaTemplate, func(t *Template) { t.ID = []byte("1a\n") }),
			named(quirk.Names{Alphabet: "[0-9]+|a"}, quirk.Names{}), "key_id", ""},
		{"bytes", with(rsaTemplate, func(t *Template) { t.ID = []byte{25} }),
			named(quirk.Names{Alphabet: `[\x01-\x19]`}, quirk.Names{}), "", ""},
		{"a label that the token chooses", rsaTemplate, named(quirk.Names{}, quirk.Names{Assigned: true}), "label", ""},
		{"a label with a dot", with(rsaTemplate, func(t *Template) { t.Label = "a.b" }),
			named(quirk.Names{}, quirk.Names{Alphabet: "[a-z]*", Says: "No dots."}), "label", "No dots."},
		{"a label that is not the ID", rsaTemplate, quirk.Differences{LabelIsID: true}, "label", `write label = "i"`},
		{"a label that is the ID", with(rsaTemplate, func(t *Template) { t.Label = "i" }),
			quirk.Differences{LabelIsID: true}, "", ""},
		{"a label that cannot be an ID", with(rsaTemplate, func(t *Template) { t.ID = nil }),
			quirk.Differences{LabelIsID: true, IDs: quirk.Names{Least: 2}}, "label", ""},

		{"another usage than the token's", rsaTemplate, quirk.Differences{
			Usages: map[string][]string{"RSA": {"sign", "decrypt"}}}, "usage", `usage = ["decrypt", "sign"]`},
		{"the token's usage", with(rsaTemplate, func(t *Template) { t.Usage |= Decrypt }), quirk.Differences{
			Usages: map[string][]string{"RSA": {"sign", "decrypt"}}}, "", ""},
		{"a usage that such keys cannot have", edTemplate, quirk.Differences{
			Usages: map[string][]string{"Edwards": {"sign", "derive"}}}, "", ""},

		{"an algorithm on a token without", with(rsaTemplate, func(t *Template) { t.Algorithm = "X" }),
			quirk.Differences{}, "algorithm", "leave algorithm out"},
		{"an unknown algorithm", with(rsaTemplate, func(t *Template) { t.Algorithm = "X" }),
			quirk.Differences{Algorithms: kms}, "algorithm", `RSA_2048_D (2048 bits, usage ["decrypt"])`},
		{"an algorithm of another size", with(rsaTemplate, func(t *Template) {
			t.Algorithm, t.ModulusBits = "RSA_2048_A",
				3072
		}),
			quirk.Differences{Algorithms: kms}, "algorithm", ""},
		{"no algorithm for the usage", with(rsaTemplate, func(t *Template) { t.Usage |= Decrypt }),
			quirk.Differences{Algorithms: kms}, "algorithm", ""},
		{"no algorithm for the type", edTemplate, quirk.Differences{Algorithms: kms}, "algorithm", "has none for Edwards"},
		{"an algorithm that fits", rsaTemplate, quirk.Differences{Algorithms: kms}, "", ""},
		{"a secret key in both directions", hmacTemplate, quirk.Differences{Algorithms: kms}, "", ""},
		{"a secret key in one direction", with(hmacTemplate, func(t *Template) { t.Usage = Sign }),
			quirk.Differences{Algorithms: kms}, "algorithm", `MAC (256 bits, usage ["sign", "verify"])`},
		{"a cipher", aes, quirk.Differences{Algorithms: kms}, "", ""},
	} {
		err := c.tmpl.Refused(mustSpec(t, c.tmpl), c.d)
		refused, _ := errors.AsType[*RefusedError](err)
		switch {
		case c.at == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.at != "" && (refused == nil || refused.Attribute != c.at):
			t.Errorf("%s: %+v", c.name, err)
		case refused != nil && !strings.Contains(refused.Problem+refused.Way, c.says):
			t.Errorf("%s: %q", c.name, refused.Problem+" / "+refused.Way)
		}
	}
	if fits := rsaTemplate.Algorithms(quirk.Differences{Algorithms: kms}); fmt.Sprint(fits) != "[RSA_2048_A RSA_2048_B]" {
		t.Errorf("what fits is %v", fits)
	}
}

// rsaKey is a whole key with these flags on the private half.
func rsaKey(t *testing.T, d quirk.Differences, private, public cryptoki.Attributes) []Object {
	t.Helper()
	no, yes := []byte{0}, []byte{1}
	number := func(n uint) []byte { return cryptoki.ULong(0, n).Value }
	modulus := append([]byte{0x80}, make([]byte, 255)...)
	modulus[255] = 1
	of := func(class uint, flags cryptoki.Attributes, more cryptoki.Attributes) Object {
		a := cryptoki.Attributes{
			cryptoki.CKA_CLASS: number(class), cryptoki.CKA_KEY_TYPE: number(cryptoki.CKK_RSA), cryptoki.CKA_ID: []byte("i"),
			cryptoki.CKA_LABEL: []byte("l"), cryptoki.CKA_TOKEN: yes, cryptoki.CKA_MODULUS: modulus,
			cryptoki.CKA_PUBLIC_EXPONENT: {1, 0, 1},
		}
		maps.Copy(a, flags)
		maps.Copy(a, more)
		for name, value := range more {
			if value == nil {
				delete(a, name)
			}
		}
		o := Decode(1, a, d)
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		return o
	}
	return []Object{
		of(cryptoki.CKO_PRIVATE_KEY, cryptoki.Attributes{
			cryptoki.CKA_PRIVATE: yes, cryptoki.CKA_SENSITIVE: yes, cryptoki.CKA_EXTRACTABLE: no, cryptoki.CKA_SIGN: yes,
			cryptoki.CKA_DECRYPT: no, cryptoki.CKA_UNWRAP: no, cryptoki.CKA_DERIVE: no,
		}, private),
		of(cryptoki.CKO_PUBLIC_KEY, cryptoki.Attributes{cryptoki.CKA_PRIVATE: no, cryptoki.CKA_VERIFY: yes}, public),
	}
}

func TestANewKeyIsHeldToWhatItsTemplateWrites(t *testing.T) {
	no, yes := []byte{0}, []byte{1}
	type has = cryptoki.Attributes
	omits := func(types ...cryptoki.AttributeType) quirk.Differences { return quirk.Differences{Omits: types} }
	fixed := quirk.Differences{Usages: map[string][]string{"RSA": {"sign", "decrypt"}}}
	kmsOnly := quirk.Differences{
		Only: []cryptoki.AttributeType{cryptoki.CKA_LABEL}, Algorithms: kms, IDs: quirk.Names{Assigned: true},
	}
	for _, c := range []struct {
		name            string
		d               quirk.Differences
		private, public cryptoki.Attributes
		problem         string // "" where the key is good
	}{
		{"as it was asked for", quirk.Differences{}, nil, nil, ""},
		{"a private half that is not private", quirk.Differences{}, has{cryptoki.CKA_PRIVATE: no}, nil,
			"CKA_PRIVATE of the private"},
		{"a public half that is private", quirk.Differences{}, nil, has{cryptoki.CKA_PRIVATE: yes},
			"CKA_PRIVATE of the public"},
		{"a public half that is to be private", quirk.Differences{PublicPrivate: quirk.WrittenTrue}, nil,
			has{cryptoki.CKA_PRIVATE: yes}, ""},
		{"a public half that is not, and is to be", quirk.Differences{PublicPrivate: quirk.WrittenTrue}, nil, nil,
			"CKA_PRIVATE of the public"},
		{"a public half of which nothing was said", quirk.Differences{PublicPrivate: quirk.Unwritten}, nil,
			has{cryptoki.CKA_PRIVATE: yes}, ""},
		{"a flag that is not told", quirk.Differences{}, has{cryptoki.CKA_DERIVE: nil}, nil, "does not tell CKA_DERIVE"},
		{"a flag that was left out is not told", omits(cryptoki.CKA_DERIVE), has{cryptoki.CKA_DERIVE: nil}, nil, ""},
		{"a flag that was left out is true", omits(cryptoki.CKA_DERIVE), has{cryptoki.CKA_DERIVE: yes}, nil, ""},
		{"a value that is readable all the same", omits(cryptoki.CKA_SENSITIVE), has{cryptoki.CKA_SENSITIVE: no}, nil,
			"CKA_SENSITIVE"},
		{"a value of which nothing is told", omits(cryptoki.CKA_SENSITIVE), has{cryptoki.CKA_SENSITIVE: nil}, nil, ""},
		{"a key that may leave all the same", kmsOnly, has{cryptoki.CKA_EXTRACTABLE: yes}, nil, "CKA_EXTRACTABLE"},
		{"usages that are not obeyed", fixed, has{cryptoki.CKA_DECRYPT: yes}, has{cryptoki.CKA_ENCRYPT: yes}, ""},
		{"usages that are", quirk.Differences{}, has{cryptoki.CKA_DECRYPT: yes}, nil, "CKA_DECRYPT"},
		{"a make that says little", kmsOnly, has{cryptoki.CKA_PRIVATE: no, cryptoki.CKA_SIGN: nil,
			cryptoki.CKA_ID: []byte("theirs")},
			has{cryptoki.CKA_LABEL: []byte("other"), cryptoki.CKA_ID: []byte("theirs"), cryptoki.CKA_PRIVATE: yes}, ""},
		{"two IDs of the token's choice", kmsOnly, has{cryptoki.CKA_ID: []byte("theirs")}, nil, "CKA_ID of the public key"},
		{"no ID", kmsOnly, has{cryptoki.CKA_ID: {}}, has{cryptoki.CKA_ID: {}}, "CKA_ID of the private key"},
		{"another label", kmsOnly, has{cryptoki.CKA_LABEL: []byte("other")}, nil, "CKA_LABEL of the private key"},
		{"a session object", kmsOnly, has{cryptoki.CKA_TOKEN: no}, nil, "session object"},
		{"no word of the token", kmsOnly, has{cryptoki.CKA_TOKEN: nil}, nil, ""},
		{"no word of the token, which was asked", quirk.Differences{}, has{cryptoki.CKA_TOKEN: nil}, nil, "session object"},
		{"a token that nobody logs in to", quirk.Differences{NoLogin: true}, has{cryptoki.CKA_PRIVATE: no}, nil, ""},
		{"made elsewhere, it says", quirk.Differences{}, has{cryptoki.CKA_LOCAL: no}, nil, ""},
	} {
		tmpl := rsaTemplate
		if c.d.IDs.Assigned {
			tmpl.ID = nil
		}
		key, problems := tmpl.Read(mustSpec(t, tmpl), c.d, rsaKey(t, c.d, c.private, c.public))
		if text := strings.Join(problems, "; "); (c.problem == "") != (text == "") || !strings.Contains(text, c.problem) {
			t.Errorf("%s: %q", c.name, text)
		}
		if c.d.NoLogin && key.Unprotected() {
			t.Errorf("%s: the key passes for unprotected", c.name)
		}
	}
}

func TestWhatAMakeRefusesOfChanges(t *testing.T) {
	label, same, usage, now, yes, no := "new", "l", Sign|Decrypt, Sign, true, false
	refuses := func(asks ...quirk.Ask) quirk.Differences {
		d := quirk.Differences{Refuses: map[quirk.Ask]string{}}
		for _, ask := range asks {
			d.Refuses[ask] = "Use the vendor's tool."
		}
		return d
	}
	every := refuses(quirk.ChangeID, quirk.ChangeLabel, quirk.ChangeUsage, quirk.ChangeSecrecy)
	for _, c := range []struct {
		name   string
		change Change
		d      quirk.Differences
		at     string
		says   string
	}{
		{"nothing is known", Change{Label: &label, Usage: &usage, ID: []byte("x")}, quirk.Differences{}, "", ""},
		{"a label", Change{Label: &label}, every, "label", `write label = "` + same + `", as the key has it. Use the vendor's tool.`},
		{"an ID", Change{ID: []byte("x")}, every, "key_id", `write key_id = "69", as the key has it. Use the vendor's tool.`},
		{"a usage", Change{Usage: &usage}, every, "usage", `write usage = ` + quoted(now.Words()) + `, as the key has it. Use the vendor's tool.`},
		{"extractable", Change{Extractable: &yes}, every, "extractable", "take the change back in the configuration. Use the vendor's tool."},
		{"sensitive", Change{Sensitive: &no}, every, "sensitive", "Use the vendor's tool."},
		{"what the key has already", Change{ID: []byte("i"), Label: &same, Usage: &now, Extractable: &no, Sensitive: &yes},
			every, "", ""},
		{"a label where only the ID is fixed", Change{Label: &label}, refuses(quirk.ChangeID), "", ""},
		{"a usage that no template decides", Change{Usage: &usage}, quirk.Differences{
			Usages: map[string][]string{"RSA": {"sign"}}}, "usage", `["sign"]`},
		{"an ID that the token does not take", Change{ID: []byte("xyz")}, quirk.Differences{IDs: quirk.Names{Most: 2}},
			"key_id", ""},
		{"an ID where the token chooses it", Change{ID: []byte("x")}, quirk.Differences{IDs: quirk.Names{Assigned: true}},
			"key_id", ""},
		{"a label that the token does not take", Change{Label: &label}, quirk.Differences{Labels: quirk.Names{Most: 2}},
			"label", ""},
		{"an ID beside a label that the token would not take", Change{ID: []byte("x")},
			quirk.Differences{Labels: quirk.Names{Least: 2}}, "", ""},
		{"a label that is the ID", Change{Label: &label}, quirk.Differences{LabelIsID: true}, "label", ""},
		{"an ID without its label", Change{ID: []byte("x")}, quirk.Differences{LabelIsID: true}, "label", `label = "x"`},
		{"an ID with its label", Change{ID: []byte("new"), Label: &label}, func() quirk.Differences {
			d := refuses(quirk.ChangeLabel)
			d.LabelIsID = true
			return d
		}(), "", ""},
	} {
		objects := rsaKey(t, c.d, nil, nil)
		key, err := NewKey(SpecOf(cryptoki.CKK_RSA), &objects[0], &objects[1])
		if err != nil {
			t.Fatal(err)
		}
		err = c.change.Refused(key, c.d)
		refused, _ := errors.AsType[*RefusedError](err)
		switch {
		case c.at == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.at != "" && (refused == nil || refused.Attribute != c.at):
			t.Errorf("%s: %+v", c.name, err)
		case refused != nil && !strings.Contains(refused.Problem+refused.Way, c.says):
			t.Errorf("%s: %q", c.name, refused.Problem+" / "+refused.Way)
		}
	}
}

// TestWhatIsNotWritten: a change writes no attribute that the make refuses or that follows from another.
func TestWhatIsNotWritten(t *testing.T) {
	label, usage := "l", Sign
	change := Change{ID: []byte("x"), Label: &label, Usage: &usage}
	for _, c := range []struct {
		name            string
		d               quirk.Differences
		private, public string
	}{
		{"nothing is known", quirk.Differences{}, "ID LABEL DECRYPT", "ID LABEL ENCRYPT"},
		{"usages are fixed", quirk.Differences{Refuses: map[quirk.Ask]string{quirk.ChangeUsage: ""}}, "ID LABEL", "ID LABEL"},
		{"usages are not obeyed", quirk.Differences{Usages: map[string][]string{"RSA": {"sign"}}}, "ID LABEL", "ID LABEL"},
		{"labels are fixed", quirk.Differences{Refuses: map[quirk.Ask]string{quirk.ChangeLabel: ""}}, "ID DECRYPT",
			"ID ENCRYPT"},
		{"the label is the ID", quirk.Differences{LabelIsID: true}, "ID DECRYPT", "ID ENCRYPT"},
		{"the public half follows", quirk.Differences{Follows: true}, "ID LABEL DECRYPT", "ENCRYPT"},
	} {
		objects := rsaKey(t, c.d, nil, nil)
		key, err := NewKey(SpecOf(cryptoki.CKK_RSA), &objects[0], &objects[1])
		if err != nil {
			t.Fatal(err)
		}
		w := change.Without(key, c.d).Wanted(key.Spec(), c.d)
		for i, have := range []map[string]string{names(w.Private), names(w.Written())} {
			want := strings.Fields([]string{c.private, c.public}[i])
			for _, name := range []string{"ID", "LABEL", "DECRYPT", "ENCRYPT"} {
				if _, is := have["CKA_"+name]; is != slices.Contains(want, name) {
					t.Errorf("%s: %s is written: %t", c.name, name, is)
				}
			}
		}
	}
}

func TestKeysForOneHMACAreGenericKeys(t *testing.T) {
	number := func(n uint) []byte { return cryptoki.ULong(0, n).Value }
	for _, ckk := range []uint{
		cryptoki.CKK_MD5_HMAC, cryptoki.CKK_SHA_1_HMAC, cryptoki.CKK_SHA224_HMAC, cryptoki.CKK_SHA256_HMAC,
		cryptoki.CKK_SHA384_HMAC, cryptoki.CKK_SHA512_HMAC,
	} {
		o := Decode(1, cryptoki.Attributes{
			cryptoki.CKA_CLASS: number(cryptoki.CKO_SECRET_KEY), cryptoki.CKA_KEY_TYPE: number(ckk),
			cryptoki.CKA_ID: []byte("i"), cryptoki.CKA_LABEL: []byte("l"), cryptoki.CKA_TOKEN: {1},
			cryptoki.CKA_VALUE_LEN: number(32), cryptoki.CKA_SIGN: {1},
		}, quirk.Differences{})
		key, err := Choose([]Object{o}, Ref{Type: Secret, Kind: Generic, Bits: 256, ID: []byte("i")}, nil)
		if err != nil || key.Kind != Generic || key.Bits != 256 || key.Usage != Sign || key.Private.CKK != ckk ||
			o.Name().Type != "generic" {
			t.Errorf("0x%x is %+v, %v", ckk, key, err)
		}
	}
}
