package provider

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/path"
)

func TestNames(t *testing.T) {
	for want, paths := range map[string][]path.Path{
		"":           nil,
		"a":          {path.Root("a")},
		"a and b":    {path.Root("a"), path.Root("b")},
		"a, b and c": {path.Root("a"), path.Root("b"), path.Root("c")},
	} {
		if have := names(paths); have != want {
			t.Errorf("%v are called %q", paths, have)
		}
	}
}
