package hsm_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// Labels of certificates: the key's own, and one of another key.
const ownCertificate, foreignCertificate = "own", "foreign"

func moveAll(kind) object.Change { return object.Change{ID: newID, Certificates: true} }

// certify writes a certificate for a public key under an ID, as others do: by openssl and pkcs11-tool.
func certify(t *testing.T, k *hsmtest.Token, key object.Key, id []byte, label string) {
	t.Helper()
	text, err := publickey.PEM(key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(t.TempDir(), name) }
	pem, ca, der := at("public.pem"), at("ca.pem"), at("certificate.der")
	if err := os.WriteFile(pem, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	k.Command(t, "openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", ca)
	k.Command(t, "openssl", "x509", "-new", "-key", ca, "-subj", "/CN=test", "-days", "9", "-outform", "DER",
		"-force_pubkey", pem, "-out", der)
	k.Tool(t, "--write-object", der, "--type", "cert", "--id", object.FormatID(id), "--label", label)
}

// withCertificates is withKey with two certificates of the key's ID: its own, and one of another key.
func withCertificates(w *world) {
	w.id = []byte("the ID")
	if keys := w.keys(); len(keys) == 1 && keys[0].Fingerprint() == w.certified {
		w.giveAll(w.id)
		w.key = w.keys()[0]
		return
	}
	w.destroyCertificates()
	withKey(w)
	other := generate(w.t, w.witness, w.kind.template("other", "other"))
	certify(w.t, w.token, other, w.id, foreignCertificate)
	if _, err := w.witness.Destroy(context.Background(), object.Ref{Type: other.Type, ID: other.ID}); err != nil {
		w.t.Fatal(err)
	}
	certify(w.t, w.token, w.key, w.id, ownCertificate)
	w.certified = w.key.Fingerprint()
}

// eachObject does something to each object on the token.
func (w *world) eachObject(do func(context.Context, *cryptoki.Session, cryptoki.Object) error) {
	w.t.Helper()
	err := w.token.Session(func(ctx context.Context, s *cryptoki.Session) error {
		objects, err := s.FindObjects(ctx, nil)
		for _, o := range objects {
			err = errors.Join(err, do(ctx, s, o))
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) giveAll(id []byte) {
	w.eachObject(func(ctx context.Context, s *cryptoki.Session, o cryptoki.Object) error {
		return s.SetAttributeValue(ctx, o, []cryptoki.Attribute{cryptoki.Bytes(cryptoki.CKA_ID, id)})
	})
}

func (w *world) destroyCertificates() {
	w.eachObject(func(ctx context.Context, s *cryptoki.Session, o cryptoki.Object) error {
		a, err := s.GetAttributeValue(ctx, o, object.CertificateAttributes)
		if _, is := object.DecodeCertificate(o, a); err != nil || !is {
			return err
		}
		return s.DestroyObject(ctx, o)
	})
}

// certificatesAre says that the key's certificate and the other key's have these IDs.
func (w *world) certificatesAre(own, foreign []byte) bool {
	w.t.Helper()
	var have []string
	w.eachObject(func(ctx context.Context, s *cryptoki.Session, o cryptoki.Object) error {
		a, err := s.GetAttributeValue(ctx, o, object.CertificateAttributes)
		if c, is := object.DecodeCertificate(o, a); is {
			have = append(have, c.Name().String())
		}
		return err
	})
	want := []string{
		object.Name{Class: "certificate", Type: "X.509", ID: own, Label: ownCertificate}.String(),
		object.Name{Class: "certificate", Type: "X.509", ID: foreign, Label: foreignCertificate}.String(),
	}
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		w.t.Logf("the certificates are %v", have)
		return false
	}
	return true
}

func movedWithCertificates(w *world, token *hsm.Token) {
	changed(moveAll)(w, token)
	if !w.certificatesAre(newID, w.id) {
		w.t.Error("the certificates are not where they belong")
	}
}

// TestACertificateMovesWithItsKey moves what is the key's own, and nothing else: a certificate of another key under the
// same ID stays.
func TestACertificateMovesWithItsKey(t *testing.T) {
	for _, name := range []string{"RSA", "P-256"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kindNamed(name).needs(t)
			k := hsmtest.New(t)
			w := &world{t: t, kind: kindNamed(name), token: k, witness: open(t, k)}
			withCertificates(w)
			ctx := context.Background()
			if _, err := w.witness.Change(ctx, w.ref(), move(w.kind)); err != nil || !w.certificatesAre(w.id, w.id) {
				t.Fatalf("a change that does not ask for it moves certificates, or fails: %v", err)
			}
			w.giveAll(w.id)
			pair, err := open(t, k).Change(ctx, w.ref(), moveAll(w.kind))
			if err != nil || string(pair.ID) != string(newID) || !w.certificatesAre(newID, w.id) {
				t.Fatalf("%s: %v", describe(pair), err)
			}
			back := object.Change{ID: w.id, Certificates: true}
			ref := w.ref()
			ref.ID = newID
			if _, err := open(t, k).Change(ctx, ref, back); err != nil || !w.certificatesAre(w.id, w.id) {
				t.Fatalf("the way back: %v", err)
			}
		})
	}
}

// TestWhereACertificateCannotMoveTheKeyStays has the token refuse to change certificates, at the first and at the
// second of two, and the key after both.
func TestWhereACertificateCannotMoveTheKeyStays(t *testing.T) {
	k := hsmtest.New(t)
	w := &world{t: t, kind: kinds[0], token: k, witness: open(t, k)}
	withCertificates(w)
	certify(t, k, w.key, w.id, "second")
	certify(t, k, w.key, newID, "there before")
	for nth, what := range []string{"the first certificate", "the second certificate", "the private half",
		"the public half"} {
		t.Run(what, func(t *testing.T) {
			faults := &hsmtest.Faults{}
			token := openWith(t, k, k.PIN, faults)
			faults.Inject(hsmtest.Fault{Function: "C_SetAttributeValue", Nth: nth + 1, Code: cryptoki.CKR_ATTRIBUTE_READ_ONLY})
			_, err := token.Change(context.Background(), w.ref(), moveAll(w.kind))
			failed, ok := errors.AsType[*hsm.OperationError](err)
			if !ok || failed.Holds != hsm.HoldsAsBefore || !errors.Is(err, cryptoki.CKR_ATTRIBUTE_READ_ONLY) {
				t.Errorf("got %v", err)
			}
			if names := strings.Contains(err.Error(), `X.509 certificate "`); names != (nth < 2) {
				t.Errorf("the error names a certificate: %v: %v", names, err)
			}
			found, err := w.witness.Certificates(context.Background(), w.id)
			if err != nil || len(found) != 3 {
				t.Errorf("%d certificates have the old ID: %v", len(found), err)
			}
			found, err = w.witness.Certificates(context.Background(), newID)
			if err != nil || len(found) != 1 || found[0].Label != "there before" {
				t.Errorf("under the new ID there are %v, %v", found, err)
			}
		})
	}
	t.Run("a certificate that cannot go back", func(t *testing.T) {
		faults := &hsmtest.Faults{}
		token := openWith(t, k, k.PIN, faults)
		faults.Inject(hsmtest.Fault{Function: "C_SetAttributeValue", Nth: 2, Onwards: true,
			Code: cryptoki.CKR_ATTRIBUTE_READ_ONLY})
		_, err := token.Change(context.Background(), w.ref(), moveAll(w.kind))
		failed, ok := errors.AsType[*hsm.OperationError](err)
		if !ok || failed.Holds != hsm.HoldsMixed || !strings.Contains(err.Error(),
			"not every certificate of the key has its old CKA_ID") {
			t.Errorf("got %v", err)
		}
		if pair, err := open(t, k).Change(context.Background(), w.ref(), moveAll(w.kind)); err != nil {
			t.Errorf("the next run fails on %s: %v", describe(pair), err)
		}
		if left, err := open(t, k).Certificates(context.Background(), w.id); err != nil || len(left) != 1 {
			t.Errorf("%d certificates are left under the old ID: %v", len(left), err)
		}
	})
}

// TestACertificateThatNobodyCanChangeStaysBehind has a stranger make one with the key's own public key and ID: it must
// not keep the key from moving.
func TestACertificateThatNobodyCanChangeStaysBehind(t *testing.T) {
	k := hsmtest.New(t)
	stranger := hsmtest.NewStranger(t, k)
	w := &world{t: t, kind: kindNamed("P-256"), token: k, witness: open(t, k)}
	withKey(w)
	certify(t, k, w.key, w.key.ID, ownCertificate)
	stranger.FreezesCertificate(t, ownCertificate, "frozen", object.FormatID(w.key.ID))
	labels := func(id []byte) (text string) {
		found, err := w.witness.Certificates(context.Background(), id)
		for _, c := range found {
			text += c.Label
			if c.Fixed() != (c.Label == "frozen") || c.Foreign(w.key.Fingerprint()) != nil || err != nil {
				t.Errorf("%s: fixed %v, %v, %v", c.Name(), c.Fixed(), c.Foreign(w.key.Fingerprint()), err)
			}
		}
		return text
	}
	if _, err := open(t, k).Change(context.Background(), w.ref(), moveAll(w.kind)); err != nil {
		t.Errorf("the key does not move: %v", err)
	}
	if old, now := labels(w.key.ID), labels(newID); old != "frozen" || now != ownCertificate {
		t.Errorf("the old ID has %q, the new one %q", old, now)
	}
}

// TestAHandleThatMeansAnotherObjectIsNotWrittenTo shows another label in the session that is about to write, as after a
// new login the handle may be another certificate's.
func TestAHandleThatMeansAnotherObjectIsNotWrittenTo(t *testing.T) {
	k := hsmtest.New(t)
	w := &world{t: t, kind: kinds[0], token: k, witness: open(t, k)}
	withCertificates(w)
	faults := &hsmtest.Faults{}
	token := openWith(t, k, k.PIN, faults)
	reads, lied := 0, 0
	faults.Inject(hsmtest.Fault{Function: "C_GetAttributeValue", Do: func(_ context.Context, c *cryptoki.Call,
		next func() error) error {
		err := next()
		reading, ok := c.Result.(*cryptoki.Reading)
		if !ok || reading.Attributes[cryptoki.CKA_VALUE] == nil { // the search for the key reads certificates without it
			return err
		}
		if reads++; reads == 3 { // the two that have the ID were listed
			reading.Attributes[cryptoki.CKA_LABEL] = []byte("another one")
			lied = faults.Count("")
		}
		return err
	}})
	if _, err := token.Change(context.Background(), w.ref(), moveAll(w.kind)); err != nil || !w.certificatesAre(newID,
		w.id) {
		t.Errorf("the second try fails: %v", err)
	}
	if calls := faults.Calls(); lied == 0 || calls[lied] == "C_SetAttributeValue" {
		t.Errorf("it was written to: call %d of %v", lied, calls)
	}
}
