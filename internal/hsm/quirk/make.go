package quirk

import (
	"slices"
	"strings"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// Make is a make of HSM: how it is recognised, what it does differently, and how that is known.
type Make struct {
	Name     string
	Versions string // those that the evidence is about
	Marks    []Mark // it is recognised by any of these
	Differences
	Evidence []Evidence
	Setup    Setup
}

// Mark is what a module and a token say of themselves: all that is set fits. A text fits what begins with it, in capital
// letters or small ones.
type Mark struct {
	Module, Description string // manufacturer and description of the module (C_GetInfo)
	Token, Model        string // manufacturer and model of the token (C_GetTokenInfo)
}

// Evidence is how one difference is known.
type Evidence struct {
	Of     string // the field of Differences, "Marks", or of what Setup has: "Library", "Commands" of the vendor's
	Seen   string // what the make does
	Kind   Kind
	Source string // the document, file or report
}

// Kind is how well something is known.
type Kind string

// How well something is known.
const (
	Ran      Kind = "run"      // on the software itself, by this project
	Document Kind = "document" // of the vendor
	Source   Kind = "source"   // the module's own code, or that of a program that works with it
	Report   Kind = "report"   // by users
	Guess    Kind = "guess"    // to be tried
)

// Setup is what the guide says of a make's configuration.
type Setup struct {
	Library     string   // where the vendor puts the module
	Environment []string // "NAME: what it is for"
	PIN         string   // its form; "" where it is the vendor's usual one
	Argument    string   // of the provider, that chooses the token; "": token_label
	Selector    string   // what else there is to know of that choice: a full sentence
	Notes       []string // full sentences
}

// Makes are the makes that no test can have, and that tests play: a file each.
var Makes = []Make{
	luna, nShield, cloudHSM, yubiHSM, cloudKMS, utimaco, primus, netHSM, smartCardHSM, yubiKey, azure, fortanix, hpcs,
	kryoptic,
}

// MakeOf gives the make of a token that is reached through a module; nil for one that has no row.
func MakeOf(module cryptoki.Info, token cryptoki.TokenInfo) *Make {
	for i := range Makes {
		if slices.ContainsFunc(Makes[i].Marks, func(m Mark) bool { return m.fits(module, token) }) {
			return &Makes[i]
		}
	}
	return nil
}

func (m Mark) fits(module cryptoki.Info, token cryptoki.TokenInfo) bool {
	for _, of := range [][2]string{
		{m.Module, module.Manufacturer}, {m.Description, module.Description},
		{m.Token, token.Manufacturer}, {m.Model, token.Model},
	} {
		if !strings.HasPrefix(strings.ToLower(of[1]), strings.ToLower(of[0])) {
			return false
		}
	}
	return m != Mark{}
}
