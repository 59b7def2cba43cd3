package quirk

import (
	"regexp"
	"slices"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// Writes says that templates for new keys may have the attribute.
func (d Differences) Writes(t cryptoki.AttributeType) bool {
	switch {
	case t == cryptoki.CKA_ID && d.IDs.Assigned, t == cryptoki.CKA_LABEL && d.Labels.Assigned,
		slices.Contains(d.Omits, t):
		return false
	case d.Algorithms != nil && t == d.Algorithms.Attribute:
		return true
	}
	return d.Only == nil || slices.Contains(d.Only, t)
}

// Takes says that a name may be this ID or label.
func (n Names) Takes(name []byte) bool {
	fits := len(name) >= n.Least && (n.Most == 0 || len(name) <= n.Most)
	return fits && (n.Alphabet == "" || n.alphabet().Match(name))
}

func (n Names) alphabet() *regexp.Regexp { return regexp.MustCompile(`\A(?s:` + n.Alphabet + `)\z`) }
