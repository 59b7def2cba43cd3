package hsm_test

import (
	"context"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

func TestPairsOfUnsupportedKindsAreListed(t *testing.T) {
	k := hsmtest.New(t)
	for id, label := range hsmtest.InOrder(map[string]string{"61": "b", "62": "a", "63": "half"}) {
		k.Tool(t, "--keypairgen", "--key-type", "EC:secp224r1", "--usage-sign", "--label", label, "--id", id)
	}
	k.Tool(t, "--delete-object", "--type", "pubkey", "--id", "63")
	ctx := context.Background()
	token := open(t, k)
	generate(t, token, small("supported", "a"))
	for id, want := range hsmtest.InOrder(map[string]string{"": "a b ", "a": "a ", "c": "", "d": ""}) {
		var of []byte
		if id != "" {
			of = []byte(id)
		}
		pairs, err := unsupported(ctx, token, of)
		have := ""
		for _, pair := range pairs {
			have += string(pair.ID) + " "
		}
		if err != nil || have != want {
			t.Errorf("of the ID %q there are %v, %v", id, pairs, err)
		}
	}
	if pairs, err := keyPairs(ctx, token); err != nil || len(pairs) != 1 || string(pairs[0].ID) != "supported" {
		t.Errorf("the others are %v, %v", pairs, err)
	}
}
