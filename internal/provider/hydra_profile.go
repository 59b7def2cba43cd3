package provider

import (
	"cmp"
	"crypto"
	"crypto/rsa"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/jwk"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// profileHydra is the value of hsm_jwks' profile for Ory Hydra: a key set of Hydra is all pairs of one label.
const profileHydra = "hydra"

// hydraAlgs are the algs that Hydra gives the keys that it takes, whatever their use, by curve, or "RSA".
var hydraAlgs = map[string]string{"RSA": "RS256", publickey.P256: "ES256", publickey.P521: "ES512"}

const hydraLeastBits = 4096 // of RSA moduli, outside Hydra's development mode

func hydraKind(pub crypto.PublicKey) string { return cmp.Or(publickey.Curve(pub), jwk.Kty(pub)) }

// hydraKey is a key of a set as Hydra publishes it.
func hydraKey(pair hsm.WholeKey) jwk.Key {
	key := jwk.Key{PublicKey: pair.PublicKey, KID: string(pair.ID), Use: jwk.Sig, Alg: hydraAlgs[hydraKind(pair.PublicKey)]}
	if pair.Usage.Has(hsm.Decrypt) {
		key.Use = jwk.Enc
	}
	return key
}

// hydraSets are the key sets that the selected keys are of.
type hydraSets struct {
	labels map[string]bool
	ids    map[string]int // how many of the selected keys bear the ID
}

// hydraRules are what Hydra asks of the keys that are selected, and of those that are not. A reason is "" where a key
// is as it should be.
var hydraRules = []struct {
	selected bool
	reason   func(candidate, hydraSets) string
	cure     string
}{
	{true, func(k candidate, _ hydraSets) string { return hydraRefuses(k) },
		"Make a key in its place that Hydra takes: RSA with modulus_bits = 4096, or one on P-256 or P-521."},
	{true, func(k candidate, _ hydraSets) string {
		if k.Usage.Has(hsm.Sign | hsm.Decrypt) {
			return "it may sign and decrypt, and Hydra publishes every key that may decrypt as one for encryption"
		}
		return ""
	}, `Set its usage to ["sign"], which changes in place; a key that is not in a configuration yet is imported for it.`},
	{true, func(k candidate, _ hydraSets) string {
		if !k.Usage.Has(hsm.Sign) && !k.Usage.Has(hsm.Decrypt) {
			return "it may not sign, and Hydra publishes it as one for signatures"
		}
		return ""
	}, `Set its usage to ["sign"], which changes in place; a key that is not in a configuration yet is imported for it.`},
	{true, func(k candidate, _ hydraSets) string {
		if jwk.KID(k.ID) != string(k.ID) || len(k.ID) == 0 {
			return "its ID is no printable UTF-8 text in Unicode's normal form C, and Hydra would make another kid of it than this set has"
		}
		return ""
	}, `Give it a key_id that is a text's, such as provider::hsm::key_id("id-token-1").`},
	{true, func(k candidate, sets hydraSets) string {
		if sets.ids[string(k.ID)] > 1 {
			return "another selected key bears the same ID, and verifiers could not tell them apart"
		}
		return ""
	}, "Give one of them another key_id, or select just one."},
	{true, func(k candidate, _ hydraSets) string {
		if k.Label != k.PublicLabel {
			return fmt.Sprintf("its public half is labelled %q, and Hydra looks for two halves of one label", k.PublicLabel)
		}
		return ""
	}, "Have terraform apply write both; a key that is not in a configuration yet is imported for it."},
	{false, func(k candidate, sets hydraSets) string {
		if refused := hydraRefuses(k); refused != "" && sets.have(k) {
			return "it bears the label of a selected key, and Hydra refuses all keys of a label for one: " + refused
		}
		return ""
	}, "Give it another label, or destroy it."},
	{false, func(k candidate, sets hydraSets) string {
		if hydraRefuses(k) == "" && sets.have(k) {
			return "it is not selected and bears the label of a selected key, and Hydra publishes and signs with any key of a label"
		}
		return ""
	}, "Select it as well, give it another label, or destroy it."},
}

// have says that Hydra finds the key in one of the sets: it passes over those without an ID.
func (s hydraSets) have(k candidate) bool { return s.labels[k.Label] && len(k.ID) > 0 }

// hydraRefuses says why Hydra takes no such key, and none that is in a set with it; "" where it does.
func hydraRefuses(k candidate) string {
	kind := cmp.Or(k.unknown, hydraKind(k.PublicKey))
	if hydraAlgs[kind] == "" {
		return fmt.Sprintf("it is of the kind %s, and Hydra takes RSA keys and those on P-256 and P-521", kind)
	}
	if pub, ok := k.PublicKey.(*rsa.PublicKey); ok && pub.N.BitLen() < hydraLeastBits {
		return fmt.Sprintf("its modulus has %d bits, and Hydra takes RSA keys of %d bits or more, except in its development mode", pub.N.BitLen(), hydraLeastBits)
	}
	return ""
}

// notForHydra is one error about all keys that Hydra would not serve as the set of those that are selected says.
func notForHydra(all []candidate, token hsm.TokenInfo) (diags diag.Diagnostics) {
	sets := hydraSets{labels: map[string]bool{}, ids: map[string]int{}}
	for _, k := range all {
		if k.selected {
			sets.labels[k.Label] = true
			sets.ids[string(k.ID)]++
		}
	}
	var offences strings.Builder
	for _, k := range all {
		for _, rule := range hydraRules {
			if rule.selected != k.selected {
				continue
			}
			if reason := rule.reason(k, sets); reason != "" {
				fmt.Fprintf(&offences, "\n\n  - The key %q (key_id %s): %s. %s", k.Label, hsm.FormatID(k.ID), reason, rule.cure)
			}
		}
	}
	if offences.Len() > 0 {
		diags.AddAttributeError(path.Root("profile"), "Not Fit For Hydra", fmt.Sprintf("Hydra would not serve the selected keys on %s as this set has them:%s", token, offences.String()))
	}
	return diags
}
