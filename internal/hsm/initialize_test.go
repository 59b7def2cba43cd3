package hsm_test

import (
	"context"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// setup is what a token of the label is to become.
func setup(b *hsmtest.Blank, label string) hsm.Setup {
	return hsm.Setup{Label: label, OfficerPIN: hsm.NewPIN(b.SOPIN), PIN: hsm.NewPIN(b.PIN)}
}

func TestABlankSlotBecomesAToken(t *testing.T) {
	t.Parallel()
	hsmtest.Alone(t, func(t *testing.T, b *hsmtest.Blank) {
		ctx := context.Background()
		info, err := hsm.Initialize(ctx, b.Config(), setup(b, "hydra"))
		if err != nil {
			t.Fatal(err)
		}
		if info.Label != "hydra" || !info.Initialised() || !info.PINInitialised() || info.Serial == "" {
			t.Errorf("got %s, %+v", info, info)
		}
		generate(t, open(t, b.Token("hydra")), small("1", "a key"))
		if n := len(b.Folders(t)); n != 1 {
			t.Errorf("there are %d tokens", n)
		}
		if seen := b.Token("hydra").Tool(t, "--list-objects"); strings.Count(seen, "a key") != 2 {
			t.Errorf("another program sees:\n%s", seen)
		}
	})
}
