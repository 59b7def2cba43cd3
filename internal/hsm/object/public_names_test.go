package object

import (
	"slices"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// TestNamesOfKeysWithoutAnIDGoByTheirLabels has halves without an ID: only those of one label may belong together.
func TestNamesOfKeysWithoutAnIDGoByTheirLabels(t *testing.T) {
	s := &shelf{t: t}
	s.pair("", "whole", false, both...).pair("", "private", false, cryptoki.CKO_PRIVATE_KEY).
		pair("", "public", false, cryptoki.CKO_PUBLIC_KEY)
	want := []string{
		`EC private key "private" (without an ID)`, `EC public key "public" (without an ID)`,
		`EC public key "whole" (without an ID)`,
	}
	if got := publicNames(s.objects); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if got := namedHalves(s.objects, func(o Object) bool { return o.Label == "public" }); len(got) != 0 {
		t.Errorf("a public half alone has a private one: %v", got)
	}
}
