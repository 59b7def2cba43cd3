package hsm_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

// certificatesLike counts the certificates on the token that are so.
func certificatesLike(t testing.TB, k *hsmtest.Token, c object.CertificateTemplate) (n int) {
	t.Helper()
	for _, line := range heldCertificates(t, k) {
		if line == certificateLine(c.ID, c.Label, c.DER) {
			n++
		}
	}
	return n
}

// eachOfOurs does something to each certificate of a label that anyone can destroy, as those are that we write.
func eachOfOurs(t testing.TB, k *hsmtest.Token, label string,
	do func(context.Context, *cryptoki.Session, object.Certificate) error) {
	t.Helper()
	err := k.Session(func(ctx context.Context, s *cryptoki.Session) error {
		found, err := s.FindObjects(ctx, []cryptoki.Attribute{
			cryptoki.ULong(cryptoki.CKA_CLASS, object.CertificateClass), cryptoki.Bool(cryptoki.CKA_DESTROYABLE, true),
			cryptoki.Bool(cryptoki.CKA_MODIFIABLE, true), cryptoki.Bytes(cryptoki.CKA_LABEL, []byte(label)),
		})
		for _, o := range found {
			a, failure := s.GetAttributeValue(ctx, o, object.CertificateAttributes)
			if c, is := object.DecodeCertificate(o, a); is && failure == nil {
				failure = do(ctx, s, c)
			}
			if _, long := errors.AsType[*cryptoki.LongError](failure); !long {
				err = errors.Join(err, failure)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// oursLike counts the certificates of eachOfOurs that are so.
func oursLike(t testing.TB, k *hsmtest.Token, want object.CertificateTemplate) (n int) {
	eachOfOurs(t, k, want.Label, func(_ context.Context, _ *cryptoki.Session, c object.Certificate) error {
		if want.Made(c) {
			n++
		}
		return nil
	})
	return n
}

func destroyOurs(t testing.TB, k *hsmtest.Token, label string) {
	eachOfOurs(t, k, label, func(ctx context.Context, s *cryptoki.Session, c object.Certificate) error {
		return s.DestroyObject(ctx, c.Handle)
	})
}

// TestAStrangerKeepsNoCertificateFromItsEnd by copies, and by certificates that are none: each step ends, and leaves
// what it is to leave. Only where ours is gone and nobody can destroy the copy, a destruction fails.
func TestAStrangerKeepsNoCertificateFromItsEnd(t *testing.T) {
	onSoftHSM(t)
	k := hsmtest.New(t)
	k.Spoil() // with what nobody can destroy
	stranger := hsmtest.NewStranger(t, k)
	type place struct{ label, id, newLabel, newID string }
	gone := "ours is gone, and a copy is there that nobody can destroy"
	acts := hsmtest.InOrder(map[string]func(at place){
		"copies that nobody can destroy, and that nobody can change": func(at place) {
			stranger.NailsCertificate(t, at.label, at.label, at.id)
			stranger.FreezesCertificate(t, at.label, at.label, at.id)
		},
		"copies under the other ID and label": func(at place) {
			stranger.NailsCertificate(t, at.label, at.newLabel, at.newID)
			stranger.FreezesCertificate(t, at.label, at.newLabel, at.newID)
		},
		"copies under another label": func(at place) { stranger.NailsCertificate(t, at.label, "theirs", at.id) },
		"what is no certificate": func(at place) {
			for _, id := range []string{at.id, at.newID} {
				stranger.PlantsCertificate(t, hsmtest.StrangerGarbage, at.label, id)
				stranger.PlantsCertificate(t, hsmtest.StrangerLong, at.newLabel, id)
			}
		},
		gone: func(at place) {
			stranger.NailsCertificate(t, at.label, at.label, at.id)
			destroyOurs(t, k, at.label)
		},
	})
	n := byte(0)
	for name, act := range acts {
		for _, step := range []string{"relabel", "move", "renew", "destroy"} {
			t.Run(name+", "+step, func(t *testing.T) {
				n++
				at := place{fmt.Sprint("web ", n), hex.EncodeToString([]byte{n, 1}), fmt.Sprint("www ", n),
					hex.EncodeToString([]byte{n, 2})}
				old := object.CertificateTemplate{ID: []byte{n, 1}, Label: at.label, DER: certificateOf(t, at.label)}
				order := certificateOrder{object.NewCertificateRef(old.ID, old.Label, old.DER), old}
				switch step {
				case "relabel":
					order.Template.Label = at.newLabel
				case "move":
					order.Template.ID, order.Template.Label = []byte{n, 2}, at.newLabel
				case "renew":
					order.Template.DER = certificateOf(t, at.label)
				case "destroy":
					order.Template = object.CertificateTemplate{}
				}
				if _, err := open(t, k).WriteCertificate(t.Context(), old); err != nil {
					t.Fatal(err)
				}
				token := open(t, k)
				if _, err := token.Certificate(t.Context(), order.Ref); err != nil {
					t.Fatal(err)
				}
				act(at)
				if n := certificatesLike(t, k, old); n == 0 {
					t.Fatal("nothing is there")
				}
				err := order.run(t.Context(), token)
				if stays := name == gone && step == "destroy"; stays != (err != nil) ||
					stays != errors.Is(err, cryptoki.CKR_ACTION_PROHIBITED) {
					t.Errorf("got %v", err)
				}
				if step != "destroy" && certificatesLike(t, k, order.Template) == 0 {
					t.Error("the certificate is not there")
				}
				if err := order.run(t.Context(), open(t, k)); err != nil && step != "destroy" {
					t.Errorf("the next run: %v", err)
				}
				if left := oursLike(t, k, old); left != 0 {
					t.Errorf("%d of ours are left as they were", left)
				}
			})
		}
	}
}

// TestACopyThatNobodyCanChangeKeepsNoCertificateOut: one that somebody can change is an error, since an import makes it
// ours.
func TestACopyThatNobodyCanChangeKeepsNoCertificateOut(t *testing.T) {
	onSoftHSM(t)
	k := hsmtest.New(t)
	stranger := hsmtest.NewStranger(t, k)
	ours := object.CertificateTemplate{ID: []byte{1}, Label: "ours", DER: certificateOf(t, "ours")}
	other := object.CertificateTemplate{ID: []byte{1}, Label: "other", DER: certificateOf(t, "other")}
	holdCertificates(t, k, ours, other)
	stranger.FreezesCertificate(t, "ours", "frozen", "01")
	destroyOurs(t, k, "ours")
	if _, err := open(t, k).WriteCertificate(t.Context(), ours); err != nil || oursLike(t, k, ours) != 1 {
		t.Errorf("got %v", err)
	}
	copied := object.CertificateTemplate{ID: []byte{1}, Label: "copy", DER: other.DER}
	var exists *hsm.CertificateExistsError
	if _, err := open(t, k).WriteCertificate(t.Context(), copied); !errors.As(err, &exists) ||
		exists.Found.Label != "other" {
		t.Errorf("got %v", err)
	}
}

// TestAWrongHandleDestroysNothing: the token says that it wrote a certificate, and gives the handle of something else,
// of each sort. What the handle means stays, and so does what was written.
func TestAWrongHandleDestroysNothing(t *testing.T) {
	onSoftHSM(t)
	id := []byte("the ID")
	der, theirs := certificateOf(t, "ours"), certificateOf(t, "theirs")
	tmpl := object.CertificateTemplate{ID: id, Label: "ours", DER: der}
	certificate := func(c object.CertificateTemplate) []cryptoki.Attribute {
		attributes, err := c.Attributes(1, quirk.Differences{})
		if err != nil {
			t.Fatal(err)
		}
		return attributes
	}
	key := func(class uint) []cryptoki.Attribute {
		return []cryptoki.Attribute{cryptoki.ULong(cryptoki.CKA_CLASS, class), cryptoki.Bytes(cryptoki.CKA_ID, id)}
	}
	for name, wrong := range hsmtest.InOrder(map[string][]cryptoki.Attribute{
		"a private key of the ID": key(cryptoki.CKO_PRIVATE_KEY),
		"a public key of the ID":  key(cryptoki.CKO_PUBLIC_KEY),
		"another certificate of the ID": certificate(object.CertificateTemplate{ID: id, Label: "theirs",
			DER: theirs}),
		"another one with the label": certificate(object.CertificateTemplate{ID: id, Label: "ours",
			DER: theirs}),
		"the certificate under another ID": certificate(object.CertificateTemplate{ID: []byte("other"),
			Label: "ours", DER: der}),
		"the certificate without an ID": certificate(object.CertificateTemplate{Label: "ours", DER: der}),
		"a certificate that shares nothing with it": certificate(object.CertificateTemplate{ID: []byte("other"),
			Label: "theirs", DER: theirs}),
	}) {
		for _, makes := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, and the certificate is made: %t", name, makes), func(t *testing.T) {
				k, faults := hsmtest.New(t), &hsmtest.Faults{}
				generate(t, open(t, k), onCurve("P-256", string(id), "key"))
				var held cryptoki.Object
				err := k.Session(func(ctx context.Context, s *cryptoki.Session) error {
					if class := wrong[0]; bytes.Equal(class.Value, cryptoki.ULong(0, object.CertificateClass).Value) {
						_, err := s.CreateObject(ctx, wrong)
						return err
					}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				token := openHooked(t, k, faults.Hook)
				faults.Inject(hsmtest.Fault{Function: "C_CreateObject", Nth: 1,
					Do: func(ctx context.Context, c *cryptoki.Call, next func() error) error {
						found, err := c.Behind().FindObjects(ctx, wrong)
						if err != nil || len(found) != 1 {
							return fmt.Errorf("%d objects: %w", len(found), err)
						}
						held = found[0]
						if makes {
							err = next()
						}
						*c.Result.(*cryptoki.Object) = held
						return err
					}})
				_, err = token.WriteCertificate(t.Context(), tmpl)
				failed, is := errors.AsType[*hsm.OperationError](err)
				if makes != (err == nil) || is && failed.Holds != hsm.HoldsCertificatePerhaps {
					t.Errorf("got %v", err)
				}
				if faults.Injected() != 1 || held == 0 || faults.Count("C_DestroyObject") != 0 {
					t.Errorf("the calls are %v", faults.Calls())
				}
				if n := oursLike(t, k, tmpl); n != map[bool]int{true: 1}[makes] {
					t.Errorf("%d are written", n)
				}
			})
		}
	}
}

// TestADestructionSeesThatTheCertificateWasRenamed in the moment before it, by another process: it does not say that
// the certificate is gone, and the next run destroys it.
func TestADestructionSeesThatTheCertificateWasRenamed(t *testing.T) {
	onSoftHSM(t)
	for name, to := range map[string]cryptoki.Attribute{
		"label": cryptoki.Bytes(cryptoki.CKA_LABEL, []byte("renamed")),
		"ID":    cryptoki.Bytes(cryptoki.CKA_ID, []byte{2}),
	} {
		k, faults := hsmtest.New(t), &hsmtest.Faults{}
		tmpl := object.CertificateTemplate{ID: []byte{1}, Label: "ours", DER: certificateOf(t, "ours")}
		token := openHooked(t, k, faults.Hook)
		if _, err := token.WriteCertificate(t.Context(), tmpl); err != nil {
			t.Fatal(err)
		}
		ref := object.NewCertificateRef(tmpl.ID, tmpl.Label, tmpl.DER)
		faults.Clear()
		faults.Inject(hsmtest.Fault{Function: "C_GetAttributeValue", Nth: 1,
			Do: func(ctx context.Context, c *cryptoki.Call, next func() error) error {
				err := next() // the search has read it
				return errors.Join(err, c.Behind().SetAttributeValue(ctx, c.Object, []cryptoki.Attribute{to}))
			}})
		err := token.DestroyCertificate(t.Context(), ref)
		if failed, is := errors.AsType[*hsm.OperationError](err); !is || failed.Holds != hsm.HoldsRenamedCertificate ||
			len(heldCertificates(t, k)) != 1 {
			t.Errorf("%s: %v, and the token holds %v", name, err, heldCertificates(t, k))
		}
		if to.Type == cryptoki.CKA_ID {
			ref.ID = to.Value // as the refresh before the next run finds it by its key
		}
		if err := token.DestroyCertificate(t.Context(), ref); err != nil || len(heldCertificates(t, k)) != 0 {
			t.Errorf("%s, the next run: %v", name, err)
		}
	}
}
