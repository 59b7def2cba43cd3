package hsm_test

import (
	"crypto"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// TestAStrangerKeepsNobodyFromSigning by what takes no PIN, before the signer is asked for and between its signatures:
// the pair signs, with its own key, and nothing of the stranger's does.
func TestAStrangerKeepsNobodyFromSigning(t *testing.T) {
	onSoftHSM(t)
	message := []byte("what is signed")
	for name, act := range hsmtest.InOrder(map[string]func(s *hsmtest.Stranger, id string){
		"a public half beside ours": func(s *hsmtest.Stranger, id string) {
			s.MakesPublicHalf(t, hsmtest.StrangerP256, "ours", id)
		},
		"a public half of another type": func(s *hsmtest.Stranger, id string) {
			s.MakesPublicHalf(t, hsmtest.StrangerRSA, "ours", id)
		},
		"a pair of our ID": func(s *hsmtest.Stranger, id string) {
			s.MakesPair(t, hsmtest.StrangerP256, "ours", id)
		},
		"a pair of our ID, of another type": func(s *hsmtest.Stranger, id string) {
			s.MakesPair(t, hsmtest.StrangerRSA, "ours", id)
		},
		"a public half that makes no sense": func(s *hsmtest.Stranger, id string) { s.PlantsMalformed(t, "ours", id) },
		"a public half with a long label": func(s *hsmtest.Stranger, id string) {
			s.PlantsLong(t, hsmtest.StrangerP256, id)
		},
		"a secret key of our ID": func(s *hsmtest.Stranger, id string) { s.MakesSecret(t, "ours", id) },
		"all of it": func(s *hsmtest.Stranger, id string) {
			s.MakesPublicHalf(t, hsmtest.StrangerP256, "ours", id)
			s.MakesPair(t, hsmtest.StrangerP256, "ours", id)
			s.MakesPair(t, hsmtest.StrangerRSA, "ours", id)
			s.PlantsMalformed(t, "ours", id)
			s.PlantsLong(t, hsmtest.StrangerP256, id)
		},
	}) {
		for _, always := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", with the PIN for each use"}[always], func(t *testing.T) {
				k := hsmtest.New(t)
				stranger := hsmtest.NewStranger(t, k)
				var before *hsm.Signer
				id := "6f757273"
				if always {
					id = "01"
					eachUse(t, k, "EC:prime256v1")
					before = alwaysAuth(t, k)
				} else {
					before = signerOf(t, open(t, k),
						generate(t, open(t, k), onCurve("P-256", "ours", "ours")).PublicKey)
				}
				pub := before.Public()
				act(stranger, id)
				after, err := open(t, k).Signer(t.Context(), pub)
				if err != nil {
					t.Fatal(err)
				}
				for _, signer := range []*hsm.Signer{before, after} {
					sig, err := signer.SignMessage(nil, message, crypto.SHA256)
					if err != nil || !verifies(pub, crypto.SHA256, message, sig) ||
						hex.EncodeToString(signer.Key().ID) != id ||
						signer.Key().Unprotected() {
						t.Errorf("%x, %v", sig, err)
					}
				}
				// A certificate finds its key too, where a proof takes no PIN.
				if pair, found, err := open(t, k).PairOf(t.Context(), pub, time.Time{}); !always &&
					(!found || hex.EncodeToString(pair.ID) != id) {
					t.Errorf("the pair is not found: %v", err)
				}
			})
		}
	}
}

// TestWhatAStrangerTakesSignsNothing: without its public half, there is no pair. The error says what is there instead.
func TestWhatAStrangerTakesSignsNothing(t *testing.T) {
	onSoftHSM(t)
	k := hsmtest.New(t)
	stranger := hsmtest.NewStranger(t, k)
	token := open(t, k)
	made := generate(t, token, onCurve("P-256", "ours", "ours"))
	stranger.MakesPublicHalf(t, hsmtest.StrangerP256, "ours", hex.EncodeToString(made.ID))
	stranger.MakesPublicHalf(t, hsmtest.StrangerP256, "ours", hex.EncodeToString(made.ID))
	stranger.TakesPublicHalf(t, "ours", hex.EncodeToString(made.ID))
	var none *hsm.NoSignerError
	if _, err := open(t, k).Signer(t.Context(), made.PublicKey); !errors.As(err, &none) {
		t.Errorf("got %v", err)
	}
}
