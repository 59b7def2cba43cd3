package hsm

import "github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"

// quirks are the ways in which a make of module departs from the specification, as far as keys are concerned.
type quirks struct {
	manufacturer string // of the module, as C_GetInfo names it
	token        string // its tokens' manufacturer instead, as C_GetTokenInfo names it, where modules may pass them on
	// publicUsage: the usage flags of a public half are crossed with those of the private half, and a template that
	// has them is refused. They are neither written nor read.
	publicUsage bool
	// oneSession: calls in several sessions at a time corrupt the module's memory, so there is one session.
	oneSession bool
	// torn: a call that looks at an object while another writes it may read half of it. The process then does not see the
	// object any more, or what is written lacks attributes.
	torn bool
	// blanks: a generation that fails leaves an object that is no key.
	blanks bool
}

// knownQuirks has a row for each make that needs one.
var knownQuirks = []quirks{
	// tpm2-pkcs11 1.9: CKA_VERIFY wants the private half to decrypt, CKA_ENCRYPT wants it to sign.
	{manufacturer: "tpm2-software.github.io", publicUsage: true},
	// openCryptoki 3.8.1: C_DestroyObject crashes the process where another session destroys too; objects that are
	// made at the same time are shown twice.
	{manufacturer: "IBM", oneSession: true},
	// SoftHSM 2.6.1: an object's file is locked against other processes, but not against the process's other threads, and
	// every search reads all files that changed. A generation writes objects that have no attributes but the defaults before
	// it gives them their own, which it may fail to do beside other calls. They stay, as session objects in the token's files.
	{token: "SoftHSM project", torn: true, blanks: true},
}

func quirksOf(module cryptoki.Info, token TokenInfo) quirks {
	for _, q := range knownQuirks {
		if q.manufacturer != "" && q.manufacturer == module.Manufacturer || q.token != "" && q.token == token.Manufacturer {
			return q
		}
	}
	return quirks{}
}

// forget takes out of a reading what the quirks make meaningless.
func (q quirks) forget(o object) object {
	if q.publicUsage && o.class == cryptoki.CKO_PUBLIC_KEY {
		for _, row := range usages {
			o.known &^= flagBits[row.public]
		}
	}
	return o
}

// template takes out of a public half's template what the quirks make harmful.
func (q quirks) template(public []cryptoki.Attribute) []cryptoki.Attribute {
	if !q.publicUsage {
		return public
	}
	var kept []cryptoki.Attribute
	for _, a := range public {
		usage := false
		for _, row := range usages {
			usage = usage || a.Type == row.public
		}
		if !usage {
			kept = append(kept, a)
		}
	}
	return kept
}
