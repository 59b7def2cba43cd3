package jwk

import (
	"strings"
	"testing"

	"github.com/cloudflare/circl/sign/mldsa/mldsa44"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// TestAKPIsAsInTheRFC writes and reads the key whose seed is all zeros. RFC 9964, which shows it, has its thumbprint as
// its kid.
func TestAKPIsAsInTheRFC(t *testing.T) {
	const thumbprint = "T4xl70S7MT6Zeq6r9V9fPJGVn76wfnXJ21-gyo0Gu6o"
	public, _ := mldsa44.NewKeyFromSeed(new([32]byte))
	pub, err := publickey.NewMLDSA(publickey.MLDSA44, public.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Thumbprint(pub); err != nil || got != thumbprint {
		t.Errorf("the thumbprint is %s, error %v", got, err)
	}
	member := encode(public.Bytes())
	if !strings.HasPrefix(member, "unH59k4Ru") || !strings.HasSuffix(member, "DZgbTP07e7gEWzw4MFRrndjbDQ") {
		t.Errorf("pub is not that of the RFC: %.20s...", member)
	}
	for _, c := range []struct {
		name string
		key  Key
		want string
	}{
		{"all members", Key{pub, "a", Sig, publickey.MLDSA44},
			`{"use":"sig","kty":"AKP","kid":"a","alg":"ML-DSA-44","pub":"` + member + `"}`},
		{"the alg that is a part of the key", Key{PublicKey: pub}, `{"kty":"AKP","alg":"ML-DSA-44","pub":"` + member + `"}`},
		{"no other alg", Key{PublicKey: pub, Alg: "ML-DSA-65"}, `{"kty":"AKP","alg":"ML-DSA-44","pub":"` + member + `"}`},
	} {
		r, err := c.key.Render()
		if err != nil || r.Text != c.want {
			t.Errorf("%s: error %v, %.80s...", c.name, err, r.Text)
		}
		if r.Member("pub") != member || r.Member("alg") != "ML-DSA-44" || r.Member("crv") != "" {
			t.Errorf("%s: its members are others", c.name)
		}
		read, err := Parse(r.Text)
		if err != nil || !publickey.Equal(read.PublicKey, pub) || read.Alg != publickey.MLDSA44 {
			t.Errorf("%s: it is read as %s, error %v", c.name, read.Alg, err)
		}
		if got, err := ThumbprintJSON(r.Text); err != nil || got != thumbprint {
			t.Errorf("%s: the thumbprint is %s, error %v", c.name, got, err)
		}
		if set, err := Merge([]string{r.Text}); err != nil || set != `{"keys":[`+c.want+`]}` {
			t.Errorf("%s: in a set: error %v, %.80s...", c.name, err, set)
		}
	}
}
