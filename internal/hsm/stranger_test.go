package hsm_test

import (
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// TestWhatAStrangerCanDo shows that the stranger of the other tests does what it says, without a PIN.
func TestWhatAStrangerCanDo(t *testing.T) {
	k := hsmtest.New(t)
	s := hsmtest.NewStranger(t, k)
	mine := generate(t, open(t, k), onCurve("P-256", "x", "mine"))
	s.MakesPair(t, hsmtest.StrangerRSA, "theirs", "01")
	s.MakesPair(t, hsmtest.StrangerP256, "nameless", hsmtest.NoID)
	s.MakesSecret(t, "secret", "02")
	s.MakesPublicHalf(t, hsmtest.StrangerP256, "half", "03")
	s.SwapsPublicHalf(t, hsmtest.StrangerP256, "mine", "78")
	s.TakesPublicHalf(t, "half", "03")
	keys, err := wholeKeys(t.Context(), open(t, k))
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, key := range keys {
		line := key.Label + " " + object.FormatID(key.ID)
		if key.Unprotected() {
			line += " unprotected"
		}
		if key.Fingerprint() == mine.Fingerprint() {
			line += " mine"
		}
		have = append(have, line)
	}
	want := "nameless  unprotected, theirs 01 unprotected, secret 02 unprotected, mine 78"
	if got := strings.Join(have, ", "); got != want {
		t.Error(got)
	}
}
