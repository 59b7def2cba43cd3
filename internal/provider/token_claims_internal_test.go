package provider

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/types"
)

func claimOf(mark, label, serial string, leaves bool) tokenClaim {
	return tokenClaim{
		mark: mark, token: tokenResourceModel{Label: types.StringValue(label), Serial: types.StringValue(serial)},
		leaves: leaves,
	}
}

func TestTokenClaims(t *testing.T) {
	hold := func(own tokenClaim) func(*tokenClaims) error {
		return func(c *tokenClaims) error { return c.hold(own) }
	}
	want := func(mark, label string) func(*tokenClaims) error {
		return func(c *tokenClaims) error { return c.want(mark, label) }
	}
	create := func(c *tokenClaims) error { return c.make("hydra") }
	destroy := func(c *tokenClaims) error { return c.destroying("hydra") }
	hydra := hold(claimOf("a", "hydra", "1f", false))
	for name, c := range map[string]struct {
		first, second func(*tokenClaims) error
		refused       bool // the second
	}{
		"two of one token":                       {hydra, hold(claimOf("b", "hydra", "1f", false)), true},
		"the same one again":                     {hydra, hydra, false},
		"two of one label":                       {hydra, hold(claimOf("b", "hydra", "2f", false)), false},
		"two of one label, one without number":   {hydra, hold(claimOf("b", "hydra", "", false)), true},
		"two of one number":                      {hydra, hold(claimOf("b", "shop", "1f", false)), false},
		"one that leaves, then another":          {hold(claimOf("b", "hydra", "1f", true)), hydra, false},
		"one, then another that leaves":          {hydra, hold(claimOf("b", "hydra", "1f", true)), false},
		"a new one, then one of the state":       {want("", "hydra"), hydra, true},
		"a new one, then one that leaves":        {want("", "hydra"), hold(claimOf("a", "hydra", "1f", true)), false},
		"one of the state, then a new one":       {hydra, want("", "hydra"), true},
		"one that leaves, then a new one":        {hold(claimOf("a", "hydra", "1f", true)), want("", "hydra"), false},
		"one of the state, then its replacement": {hydra, want("a", "hydra"), false},
		"another label":                          {hydra, want("", "shop"), false},
		"two new ones":                           {want("", "hydra"), want("", "hydra"), true},
		"one is made twice":                      {create, create, true},
		"one is made and destroyed":              {create, destroy, true},
		"one is destroyed and made":              {destroy, create, false},
	} {
		claims := &tokenClaims{}
		if err := c.first(claims); err != nil {
			t.Errorf("%s: the first: %v", name, err)
		}
		if err := c.second(claims); (err != nil) != c.refused {
			t.Errorf("%s: the second: %v", name, err)
		}
	}
}

func TestWhichTokenIsReplaced(t *testing.T) {
	claims := &tokenClaims{}
	replaced := func(mark, label string) string {
		old, ok := claims.replacedBy(mark, label)
		if !ok {
			return ""
		}
		return old.mark
	}
	claims.met(claimOf("a", "hydra", "1f", false))
	if is := replaced("", "hydra"); is != "a" {
		t.Errorf("a tainted one: %q", is)
	}
	if is := replaced("", "shop") + replaced("b", "hydra"); is != "" {
		t.Errorf("another label, and another mark: %q", is)
	}
	if err := claims.hold(claimOf("a", "hydra", "1f", false)); err != nil {
		t.Error(err)
	}
	if is := replaced("a", "hydra"); is != "a" {
		t.Errorf("one whose state was planned: %q", is)
	}
	if is := replaced("", "hydra"); is != "" { // it stays, so that the new one is in no place of it
		t.Errorf("a new one beside it: %q", is)
	}
}
