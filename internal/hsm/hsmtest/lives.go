package hsmtest

import (
	"slices"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

// Step is something in the life of a key.
type Step string

// The steps of a life, in its order.
const (
	ToMake     Step = "make"
	ToRead     Step = "read"
	ToPublish  Step = "publish"
	ToSign     Step = "sign"
	ToImport   Step = "import"
	ToRelabel  Step = "change label"
	ToRenumber Step = "change key_id"
	ToReuse    Step = "change usage"
	ToRotate   Step = "rotate by hand"
	ToDestroy  Step = "destroy"
	WrongPIN   Step = "notice a wrong PIN"
	Throttled  Step = "wait when throttled"
)

// KeySteps are the steps of each key, and TokenSteps are the token's.
var (
	KeySteps = []Step{
		ToMake, ToRead, ToPublish, ToSign, ToImport, ToRelabel, ToRenumber, ToReuse, ToRotate, ToDestroy,
	}
	TokenSteps = []Step{WrongPIN, Throttled}
)

// KeyKinds are the kinds of key whose lives are lived.
var KeyKinds = []string{"RSA", "P-256", "P-384", "Ed25519", "AES", "HMAC"}

// How a step ends.
type How string

// How steps end.
const (
	Works   How = "works"
	Refused How = "refused in the plan"
	Cannot  How = "cannot"
	Absent  How = "" // there is nothing to do
)

// Outcome is how a step ends with one kind of key on one make.
type Outcome struct {
	How   How
	Says  string // what the plan says, of a step that it refuses
	Guess bool   // nothing but a guess says so
}

// Exception is what is not as with other makes, where every step works.
type Exception struct {
	Kinds []string // nil: all
	Steps []Step
	How   How
	Ask   quirk.Ask // of what is refused; "": the row says that there are no such keys
	Guess bool
}

// Every life: a pair on Ed25519 only signs, so that its usage does not change, and a secret key has nothing to publish,
// and signs nothing here.
var everyLife = []Exception{
	{Kinds: []string{"Ed25519"}, Steps: []Step{ToReuse}},
	{Kinds: []string{"AES", "HMAC"}, Steps: []Step{ToPublish, ToSign}},
}

// What exceptions have in common.
var (
	changing   = []Step{ToRelabel, ToRenumber, ToReuse}
	unthrottle = Exception{Steps: []Step{Throttled}}
	guessed    = Exception{Steps: changing, How: Works, Guess: true}
	allGuessed = Exception{Steps: slices.Concat(KeySteps, []Step{WrongPIN}), How: Works, Guess: true}
)

// cannotChange has the plan refuse changes.
func cannotChange(asks ...quirk.Ask) (exceptions []Exception) {
	steps := map[quirk.Ask]Step{quirk.ChangeLabel: ToRelabel, quirk.ChangeID: ToRenumber, quirk.ChangeUsage: ToReuse}
	for _, ask := range asks {
		exceptions = append(exceptions, Exception{Steps: []Step{steps[ask]}, How: Refused, Ask: ask})
	}
	return exceptions
}

// noSuchKeys has the plan refuse to make keys of these kinds, so that there is none whose life goes on.
func noSuchKeys(kinds ...string) []Exception {
	return []Exception{
		{Kinds: kinds, Steps: KeySteps},
		{Kinds: kinds, Steps: []Step{ToMake}, How: Refused},
	}
}

// Lives are the exceptions of each of quirk.Makes. The last one that fits counts.
var Lives = map[string][]Exception{
	"Thales Luna":     {guessed, unthrottle},
	"Entrust nShield": {guessed, unthrottle},
	"AWS CloudHSM": append(cannotChange(quirk.ChangeLabel, quirk.ChangeID, quirk.ChangeUsage),
		Exception{
			Kinds: []string{"Ed25519"}, Steps: []Step{ToMake, ToRead, ToPublish, ToSign, ToImport, ToRotate, ToDestroy},
			How: Works, Guess: true,
		}),
	"YubiHSM 2": append(cannotChange(quirk.ChangeUsage), unthrottle),
	"Google Cloud KMS": slices.Concat(cannotChange(quirk.ChangeLabel, quirk.ChangeID, quirk.ChangeUsage),
		noSuchKeys("Ed25519"), []Exception{unthrottle, {Steps: []Step{WrongPIN}}}),
	"Utimaco":          {guessed, unthrottle},
	"Securosys Primus": {guessed, unthrottle},
	"Nitrokey NetHSM": slices.Concat(cannotChange(quirk.ChangeLabel, quirk.ChangeUsage), noSuchKeys("AES", "HMAC"),
		[]Exception{unthrottle, {Steps: []Step{WrongPIN}}}),
	"SmartCard-HSM": slices.Concat(cannotChange(quirk.ChangeUsage), noSuchKeys("Ed25519", "AES", "HMAC"),
		[]Exception{unthrottle}),
	"YubiKey PIV": slices.Concat(cannotChange(quirk.ChangeLabel, quirk.ChangeID, quirk.ChangeUsage), []Exception{
		{Steps: []Step{ToMake, ToRotate}, How: Refused}, {Steps: []Step{ToDestroy}, How: Refused, Ask: quirk.Destroy},
		unthrottle,
	}, noSuchKeys("AES", "HMAC")),
	"Azure Cloud HSM": {
		allGuessed, {Steps: []Step{WrongPIN}, How: Cannot}, {Steps: []Step{Throttled}, How: Works, Guess: true},
	},
	"Fortanix DSM":    {allGuessed, unthrottle},
	"IBM HPCS (EP11)": append(cannotChange(quirk.ChangeLabel, quirk.ChangeID), unthrottle),
	"Kryoptic":        {allGuessed, unthrottle},
	NoRow.Make:        {unthrottle},
}

// Life is how a step ends with a kind of key on a make; the kind is "" for the token's steps.
func Life(m quirk.Make, kind string, step Step) Outcome {
	outcome := Outcome{How: Works}
	for _, e := range slices.Concat(Lives[m.Name], everyLife) {
		if e.Kinds != nil && !slices.Contains(e.Kinds, kind) || !slices.Contains(e.Steps, step) {
			continue
		}
		outcome = Outcome{How: e.How, Guess: e.Guess}
		if e.How == Refused {
			outcome.Says = m.Refuses[e.Ask]
			if e.Ask == "" {
				outcome.Says = noKey(m, kind)
			}
		}
	}
	return outcome
}

// noKey is what the make's row says of a kind of key that there is none.
func noKey(m quirk.Make, kind string) string {
	of := map[string]quirk.NoKey{
		"RSA": {Type: "RSA"}, "P-256": {Type: "EC", Curve: "P-256"}, "P-384": {Type: "EC", Curve: "P-384"},
		"Ed25519": {Type: "Edwards", Curve: "Ed25519"}, "AES": {Type: "aes"}, "HMAC": {Type: "generic"},
	}[kind]
	for _, no := range m.NoKeys {
		whole := no.Exactly == nil && no.With == nil && !no.Extractable && !no.Exponent
		if whole && (no.Type == "" || no.Type == of.Type) && (no.Curve == "" || no.Curve == of.Curve) {
			return no.Says
		}
	}
	return ""
}
