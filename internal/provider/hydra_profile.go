package provider

import (
	"cmp"
	"crypto"
	"crypto/rsa"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/jwk"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// profileHydra is the value of hsm_jwks' profile for Ory Hydra, whose key sets are each all pairs with one label.
const profileHydra = "hydra"

// hydraAlgs are the algs that Hydra gives to keys, whatever their use, by curve, or "RSA". It takes no other keys.
var hydraAlgs = map[string]string{"RSA": "RS256", publickey.P256: "ES256", publickey.P521: "ES512"}

// hydraSigners are the key sets that Hydra signs with, of access tokens and of ID tokens. HSM_KEY_SET_PREFIX may stand
// before them.
var hydraSigners = []string{"hydra.jwt.access-token", "hydra.openid.id-token"}

const hydraLeastBits = 4096 // of RSA moduli, outside Hydra's development mode

func hydraKind(pub crypto.PublicKey) string { return cmp.Or(jwkKind(pub), jwk.Kty(pub)) }

// hydraKey is a key of a set as Hydra publishes it.
func hydraKey(pair object.Key) jwk.Key {
	key := jwk.Key{PublicKey: pair.PublicKey, KID: string(pair.ID), Use: jwk.Sig, Alg: hydraAlgs[hydraKind(pair.PublicKey)]}
	if pair.Usage.Has(object.Decrypt) {
		key.Use = jwk.Enc
	}
	return key
}

// hydraSets are the key sets of Hydra that the selected keys belong to.
type hydraSets struct {
	labels map[string]bool
	ids    map[string]int // how many of the selected keys have the ID
}

// hydraRules are what Hydra wants of the selected keys, and of those that are not selected. A reason is "" where a
// key keeps to the rule.
var hydraRules = []struct {
	selected bool
	reason   func(candidate, hydraSets) string
	cure     string
}{
	{true, func(k candidate, _ hydraSets) string { return hydraRefuses(k) },
		"Replace it by a key that Hydra takes: RSA with modulus_bits = 4096, or one on P-256 or P-521."},
	{true, func(k candidate, _ hydraSets) string {
		if k.Usage.Has(object.Sign | object.Decrypt) {
			return "it may sign and decrypt, but Hydra publishes every key that may decrypt as an encryption key"
		}
		return ""
	}, `Set its usage to ["sign"], which changes in place. If the key is in no configuration yet, import it for that.`},
	{true, func(k candidate, _ hydraSets) string {
		if !k.Usage.Has(object.Sign) && !k.Usage.Has(object.Decrypt) {
			return "it may not sign, but Hydra publishes it as a signing key"
		}
		return ""
	}, `Set its usage to ["sign"], which changes in place. If the key is in no configuration yet, import it for that.`},
	{true, func(k candidate, _ hydraSets) string {
		if alg := hydraAlgs[hydraKind(k.PublicKey)]; k.Usage.Has(object.Sign) && alg != "" && !k.AllowsAlg(alg) {
			return "its CKA_ALLOWED_MECHANISMS do not let it sign by " + alg + ", as Hydra would"
		}
		return ""
	}, "Replace it by a key without that limit."},
	{true, func(k candidate, _ hydraSets) string {
		if jwk.KID(k.ID) != string(k.ID) || len(k.ID) == 0 {
			return "its ID is not printable UTF-8 text in Unicode's normal form C, so Hydra would give it another kid than " +
				"this set"
		}
		return ""
	}, `Give it a key_id that is made of a text, such as provider::hsm::key_id("id-token-1").`},
	{true, func(k candidate, sets hydraSets) string {
		if sets.ids[string(k.ID)] > 1 {
			return "another selected key has the same ID, so verifiers could not tell them apart"
		}
		return ""
	}, "Give one of them another key_id, or select only one of them."},
	{true, func(k candidate, _ hydraSets) string {
		if k.Label != k.PublicLabel {
			return fmt.Sprintf("its public half is labelled %q, but Hydra looks for two halves with the same label",
				k.PublicLabel)
		}
		return ""
	}, "terraform apply writes both labels. If the key is in no configuration yet, import it for that."},
	{false, func(k candidate, sets hydraSets) string {
		if k.problem != nil && sets.have(k) {
			return fmt.Sprintf("it has the label of a selected key, so it belongs to Hydra's key set, and it makes no sense: %v",
				k.problem)
		}
		return ""
	}, "Mend it, give it another label, or destroy it."},
	{false, func(k candidate, sets hydraSets) string {
		if refused := hydraRefuses(k); refused != "" && sets.have(k) {
			return "it has the label of a selected key, and one key that Hydra refuses makes it refuse all keys with that " +
				"label: " + refused
		}
		return ""
	}, "Give it another label, or destroy it."},
	{false, func(k candidate, sets hydraSets) string {
		if hydraRefuses(k) == "" && k.problem == nil && sets.have(k) {
			return "it is not selected, but it has the label of a selected key, and Hydra publishes all keys with that label " +
				"and signs with any of them"
		}
		return ""
	}, "Select it as well, give it another label, or destroy it."},
}

// have says whether Hydra finds the key in one of the sets. It skips keys without an ID.
func (s hydraSets) have(k candidate) bool { return s.labels[k.Label] && len(k.ID) > 0 }

// hydraRefuses says why Hydra refuses such a key, and every set that holds one; "" where it does not.
func hydraRefuses(k candidate) string {
	if k.problem != nil {
		return ""
	}
	kind := cmp.Or(k.unknown, hydraKind(k.PublicKey))
	if hydraAlgs[kind] == "" {
		return fmt.Sprintf("it is of the kind %s, but Hydra takes only RSA keys and keys on P-256 or P-521", kind)
	}
	if pub, ok := k.PublicKey.(*rsa.PublicKey); ok && pub.N.BitLen() < hydraLeastBits {
		return fmt.Sprintf("its modulus has %d bits, but Hydra takes only RSA keys of %d bits or more, except in its "+
			"development mode", pub.N.BitLen(), hydraLeastBits)
	}
	return ""
}

// notForHydra is one error that lists every key for which Hydra would not serve the set as it is, and a warning of each
// key set that Hydra signs with and that has several keys.
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
				fmt.Fprintf(&offences, "\n\n  - The key %s: %s. %s", k.name(), reason, rule.cure)
			}
		}
	}
	if offences.Len() > 0 {
		diags.AddAttributeError(path.Root("profile"), "Not Fit For Hydra", fmt.Sprintf("Hydra would not serve the "+
			"selected keys as this set has them, on the token in %s.\n\nWhat to do about each of these keys:%s", token, offences.String()))
		return diags
	}
	signing := map[string][]string{}
	for _, k := range all {
		signs := func(set string) bool { return strings.HasSuffix(k.Label, set) }
		if k.selected && slices.ContainsFunc(hydraSigners, signs) {
			signing[k.Label] = append(signing[k.Label], "  - "+k.name())
		}
	}
	for _, label := range slices.Sorted(maps.Keys(signing)) {
		if len(signing[label]) > 1 {
			diags.AddAttributeWarning(path.Root("profile"), "Hydra Signs With Any Of Several Keys", fmt.Sprintf(
				"Several keys have the label %q on the token in %s:\n\n%s\n\nHydra signs with the one that the token "+
					"lists first. That can change whenever Hydra restarts, or a key changes.\n\nWhat to do: nothing, "+
					"in the middle of a rotation. Otherwise leave the label to one key, and give the others a label "+
					"that Hydra only publishes, in its webfinger.jwks.broadcast_keys.", label, token,
				strings.Join(signing[label], "\n")))
		}
	}
	return diags
}
