package object

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// party is somebody with a key, and a name to certify it under.
type party struct {
	name string
	key  *ecdsa.PrivateKey
}

// wall is the certificates that somebody has put on a token.
type wall struct {
	t   *testing.T
	now time.Time
	all map[string]Certificate
}

func (w *wall) party(name string) party {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	return party{name, key}
}

// put has an issuer certify a party, from so long ago until so far ahead.
func (w *wall) put(as string, of, by party, isCA bool, ago, ahead time.Duration) {
	w.t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		w.t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: of.name}, NotBefore: w.now.Add(-ago),
		NotAfter: w.now.Add(ahead),
		IsCA:     isCA, BasicConstraintsValid: true,
	}
	issuer := &x509.Certificate{Subject: pkix.Name{CommonName: by.name}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, issuer, &of.key.PublicKey, by.key)
	if err != nil {
		w.t.Fatal(err)
	}
	one, _ := DecodeCertificate(cryptoki.Object(len(w.all)+1), cryptoki.Attributes{
		cryptoki.CKA_CLASS: ulong(CertificateClass), cryptoki.CKA_ID: []byte(as), cryptoki.CKA_LABEL: []byte(as),
		cryptoki.CKA_VALUE: der,
	})
	w.all[as] = one
}

// TestAChainIsBuiltOfWhatIsSigned takes certificates off a wall on which anyone may put some.
func TestAChainIsBuiltOfWhatIsSigned(t *testing.T) {
	const h = time.Hour
	type names = []string
	for name, c := range map[string]struct {
		put     func(w *wall, web, ca, root, evil party)
		leaves  names
		want    names
		several int // of the error
		invalid int
	}{
		"a chain up to its root": {func(w *wall, web, ca, root, _ party) {
			w.put("root", root, root, true, h, h)
			w.put("ca", ca, root, true, h, h)
			w.put("web", web, ca, false, h, h)
		}, nil, names{"web", "ca", "root"}, 0, 0},
		"a leaf alone": {func(w *wall, web, ca, _, _ party) { w.put("web", web, ca, false, h, h) }, nil,
			names{"web"}, 0, 0},
		"one that signs itself": {func(w *wall, web, _, _, _ party) { w.put("web", web, web, false, h, h) }, nil,
			names{"web"}, 0, 0},
		"the latest renewal": {func(w *wall, web, ca, _, _ party) {
			w.put("ca", ca, ca, true, h, h)
			w.put("new", web, ca, false, h, h)
			w.put("old", web, ca, false, 2*h, h)
		}, nil, names{"new", "ca"}, 0, 0},
		"the latest that signs itself": {func(w *wall, web, _, _, _ party) {
			w.put("old", web, web, false, 2*h, h)
			w.put("new", web, web, false, h, h)
		}, nil, names{"new"}, 0, 0},
		"none that is over, or has not begun": {func(w *wall, web, ca, _, _ party) {
			w.put("over", web, ca, false, 2*h, -h)
			w.put("to come", web, ca, false, -h, 2*h)
		}, nil, nil, 0, 2},
		"nothing for the key": {func(w *wall, _, ca, _, _ party) { w.put("ca", ca, ca, true, h, h) }, nil, nil, 0, 0},
		"another issuer's certificate is no renewal": {func(w *wall, web, ca, _, evil party) {
			w.put("ca", ca, ca, true, h, h)
			w.put("evil CA", evil, evil, true, h, h)
			w.put("web", web, ca, false, 2*h, h)
			w.put("evil", web, evil, false, h, h)
		}, nil, nil, 2, 0},
		"nor is that of another key under the issuer's name": {func(w *wall, web, ca, _, evil party) {
			w.put("ca", ca, ca, true, h, h)
			w.put("web", web, ca, false, 2*h, h)
			w.put("evil", web, party{ca.name, evil.key}, false, h, h)
		}, nil, nil, 2, 0},
		"nor is one in another name": {func(w *wall, web, ca, _, _ party) {
			w.put("ca", ca, ca, true, h, h)
			w.put("web", web, ca, false, 2*h, h)
			w.put("alias", party{"alias", web.key}, ca, false, h, h)
		}, nil, nil, 2, 0},
		"nor are two whose issuer is not there": {func(w *wall, web, ca, _, _ party) {
			w.put("new", web, ca, false, h, h)
			w.put("old", web, ca, false, 2*h, h)
		}, nil, nil, 2, 0},
		"the one that is named": {func(w *wall, web, ca, _, evil party) {
			w.put("ca", ca, ca, true, h, h)
			w.put("web", web, ca, false, 2*h, h)
			w.put("evil", web, evil, false, h, h)
		}, names{"web"}, names{"web", "ca"}, 0, 0},
		"none but the one that is named": {func(w *wall, web, ca, _, evil party) {
			w.put("ca", ca, ca, true, h, h)
			w.put("evil", web, evil, false, h, h)
		}, names{"ca"}, nil, 0, 0},
		"no issuer that has not signed": {func(w *wall, web, ca, _, evil party) {
			w.put("web", web, ca, false, h, h)
			w.put("impostor", party{ca.name, evil.key}, evil, true, h, h)
		}, nil, names{"web"}, 0, 0},
		"no issuer that is over": {func(w *wall, web, ca, root, _ party) {
			w.put("web", web, ca, false, h, h)
			w.put("ca", ca, root, true, 2*h, -h)
		}, nil, names{"web"}, 0, 0},
		"no issuer that is no CA": {func(w *wall, web, ca, root, _ party) {
			w.put("web", web, ca, false, h, h)
			w.put("ca", ca, root, false, h, h)
		}, nil, names{"web"}, 0, 0},
		"of several issuers the one that signs itself": {func(w *wall, web, ca, root, _ party) {
			w.put("root", root, root, true, h, h)
			w.put("cross-signed", ca, root, true, h/2, h)
			w.put("ca", ca, ca, true, h, h)
			w.put("web", web, ca, false, h, h)
		}, nil, names{"web", "ca"}, 0, 0},
		"none where a stranger has certified the issuer": {func(w *wall, web, ca, root, evil party) {
			w.put("root", root, root, true, h, h)
			w.put("ca", ca, root, true, h, h)
			w.put("web", web, ca, false, h, h)
			w.put("evil root", evil, evil, true, h, h)
			w.put("evil ca", ca, evil, true, h/2, h)
		}, nil, nil, 2, 0},
		"of an issuer's certificates the one that is named": {func(w *wall, web, ca, root, evil party) {
			w.put("root", root, root, true, h, h)
			w.put("ca", ca, root, true, h, h)
			w.put("web", web, ca, false, h, h)
			w.put("evil root", evil, evil, true, h, h)
			w.put("evil ca", ca, evil, true, h/2, h)
		}, names{"web", "ca"}, names{"web", "ca", "root"}, 0, 0},
		"of an issuer's certificates the latest renewal": {func(w *wall, web, ca, root, _ party) {
			w.put("root", root, root, true, 2*h, h)
			w.put("old ca", ca, root, true, h, h)
			w.put("ca", ca, root, true, h/2, h)
			w.put("web", web, ca, false, h, h)
		}, nil, names{"web", "ca", "root"}, 0, 0},
		"none where a stranger's alone is not over": {func(w *wall, web, ca, _, evil party) {
			w.put("ca", ca, ca, true, 2*h, h)
			w.put("web", web, ca, false, 2*h, -h)
			w.put("evil", web, evil, false, h, h)
		}, nil, nil, 1, 1},
		"the one that is named, whatever is over": {func(w *wall, web, ca, _, evil party) {
			w.put("ca", ca, ca, true, 2*h, h)
			w.put("old", web, evil, false, 2*h, -h)
			w.put("web", web, ca, false, h, h)
		}, names{"web"}, names{"web", "ca"}, 0, 0},
		"the renewal of one that is over": {func(w *wall, web, ca, _, _ party) {
			w.put("ca", ca, ca, true, 2*h, h)
			w.put("old", web, ca, false, 2*h, -h)
			w.put("web", web, ca, false, h, h)
		}, nil, names{"web", "ca"}, 0, 0},
		"an end where two CAs certify each other": {func(w *wall, web, ca, root, _ party) {
			w.put("ca", ca, root, true, h, h)
			w.put("root", root, ca, true, h, h)
			w.put("web", web, ca, false, h, h)
		}, nil, names{"web", "ca", "root"}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := &wall{t: t, now: time.Now().Truncate(time.Second), all: map[string]Certificate{}}
			web := w.party("web")
			c.put(w, web, w.party("ca"), w.party("root"), w.party("evil"))
			var all []Certificate
			for _, one := range w.all { // in any order
				all = append(all, one, one)
			}
			leaves := []string(nil)
			for _, leaf := range c.leaves {
				leaves = append(leaves, w.all[leaf].SHA256())
			}
			fingerprint, err := publickey.Fingerprint(&web.key.PublicKey)
			if err != nil {
				t.Fatal(err)
			}
			chain, err := NewCertificatePool(all).Chain(fingerprint, leaves, w.now)
			var have names
			for _, link := range chain {
				for as, one := range w.all {
					if one.SHA256() == CertificateSHA256(link.Raw) {
						have = append(have, as)
					}
				}
			}
			if !slices.Equal(have, c.want) {
				t.Errorf("the chain is %v, not %v: %v", have, c.want, err)
			}
			failed, is := errors.AsType[*ChainError](err)
			if is != (c.want == nil) || is && (len(failed.Several) != c.several || len(failed.Invalid) != c.invalid) {
				t.Errorf("got %v", err)
			}
		})
	}
}
