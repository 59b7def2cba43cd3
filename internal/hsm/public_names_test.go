package hsm_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/pkcs11uri"
)

// TestALookUpByAPublicHalfsLabelSaysThatPairsGoByTheOther relabels the public half of a pair, as other tools leave
// them.
func TestALookUpByAPublicHalfsLabelSaysThatPairsGoByTheOther(t *testing.T) {
	k := hsmtest.New(t)
	token := open(t, k)
	generate(t, token, small("x", "private"))
	err := k.Session(func(ctx context.Context, s *cryptoki.Session) error {
		found, err := s.FindObjects(ctx, []cryptoki.Attribute{cryptoki.ULong(cryptoki.CKA_CLASS, cryptoki.CKO_PUBLIC_KEY)})
		if err != nil {
			return err
		}
		return s.SetAttributeValue(ctx, found[0], []cryptoki.Attribute{cryptoki.Bytes(cryptoki.CKA_LABEL, []byte("public"))})
	})
	if err != nil {
		t.Fatal(err)
	}
	label, other := "public", "other"
	_, err = open(t, k).PublicKey(context.Background(), pkcs11uri.URI{Object: &label})
	miss, ok := errors.AsType[*object.MatchError](err)
	half := `RSA public key "public" (ID 78), whose private half is labelled "private"`
	if !ok || !slices.Equal(miss.Halves, []string{half}) || !strings.Contains(err.Error(),
		"goes by the label of its private half") {
		t.Errorf("got %v", err)
	}
	_, err = open(t, k).PublicKey(context.Background(), pkcs11uri.URI{Object: &other})
	if text := err.Error(); !strings.Contains(text, `RSA public key "private" (ID 78)`) || strings.Contains(text,
		`"public"`) {
		t.Errorf("the list has a name by which nobody finds the pair: %v", err)
	}
}

// TestALookUpOfASecretKeySaysWhatItIs by its ID and by its label.
func TestALookUpOfASecretKeySaysWhatItIs(t *testing.T) {
	hsmtest.Needs(t, hsmtest.SecretKeys)
	k := hsmtest.New(t)
	token := open(t, k)
	generate(t, token, object.Template{
		Type: object.Secret, Kind: object.Generic, Bits: 256, ID: []byte("s"), Label: "mac", Usage: object.Sign | object.Verify,
	})
	generate(t, token, small("x", "pair"))
	label := "mac"
	for _, want := range []pkcs11uri.URI{{ID: []byte("s")}, {Object: &label, Type: "secret-key"}} {
		_, err := open(t, k).PublicKey(context.Background(), want)
		const what = `generic secret key "mac" (ID 73)`
		if miss, ok := errors.AsType[*object.MatchError](err); !ok || !slices.Equal(miss.Secrets, []string{what}) {
			t.Errorf("got %v", err)
		}
	}
}
