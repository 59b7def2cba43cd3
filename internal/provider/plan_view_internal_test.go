package provider

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// TestAKeyHasASuccessorOfItsTypeAndLabel: a new key of another type or label is in nobody's place.
func TestAKeyHasASuccessorOfItsTypeAndLabel(t *testing.T) {
	c := newClient(configuration{})
	if _, was := c.view.noteMade(object.Key{Type: object.EC, ID: []byte("k1"), Label: "web"}); was {
		t.Error("nothing was destroyed")
	}
	for _, k := range []struct {
		keyType object.KeyType
		label   string
		want    bool
	}{{object.EC, "web", true}, {object.RSA, "web", false}, {object.EC, "mail", false}} {
		if got := c.succeeded(k.keyType, &keyAttributes{Label: types.StringValue(k.label)}); got != k.want {
			t.Errorf("%s %s: %t", k.keyType, k.label, got)
		}
	}
}
