package hsm_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

// certificateOf is a certificate in DER for a new key, which signs itself.
func certificateOf(t testing.TB, name string) []byte {
	t.Helper()
	ca, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	subject := pkix.Name{CommonName: name, Organization: []string{"Example"}}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: subject, Issuer: subject,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &ca.PublicKey, ca)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// certificateOrder is what is done to a certificate: it is written, changed where there is a Ref, or destroyed.
type certificateOrder struct {
	Ref      object.CertificateRef
	Template object.CertificateTemplate
}

func (o certificateOrder) run(ctx context.Context, token *hsm.Token) (err error) {
	switch {
	case o.Ref.SHA256 == "":
		_, err = token.WriteCertificate(ctx, o.Template)
	case o.Template.DER == nil:
		err = token.DestroyCertificate(ctx, o.Ref)
	default:
		_, err = token.ChangeCertificate(ctx, o.Ref, o.Template)
	}
	return err
}

// certificateStep is something that is done to a certificate, from one state of the token to another.
type certificateStep struct {
	name   string
	before []object.CertificateTemplate // what the token holds, besides a stranger's
	order  certificateOrder
	after  []object.CertificateTemplate
	// between: what the token may hold of ours after a failure, besides before and after.
	between [][]object.CertificateTemplate
}

// certificateSteps are all of them, with a certificate of somebody else's that is under the ID.
func certificateSteps(t testing.TB) (steps []certificateStep, strangers object.CertificateTemplate) {
	id, other := []byte("the ID"), []byte("another ID")
	first, second := certificateOf(t, "first"), certificateOf(t, "first")
	label := "web" // where a token takes that
	if oneSubjectALabel() {
		label = "strange"
	}
	strangers = object.CertificateTemplate{ID: id, Label: label, DER: certificateOf(t, "stranger")}
	old := object.CertificateTemplate{ID: id, Label: "web", DER: first}
	relabelled := object.CertificateTemplate{ID: id, Label: "www", DER: first}
	moved := object.CertificateTemplate{ID: other, Label: "www", DER: first}
	renewed := object.CertificateTemplate{ID: id, Label: "web", DER: second}
	ref := object.NewCertificateRef(id, "web", first)
	list := func(all ...object.CertificateTemplate) []object.CertificateTemplate { return all }
	return []certificateStep{
		{"write", nil, certificateOrder{Template: old}, list(old), nil},
		{"relabel", list(old), certificateOrder{ref, relabelled}, list(relabelled),
			[][]object.CertificateTemplate{list(old, relabelled)}},
		{"move", list(old), certificateOrder{ref, moved}, list(moved),
			[][]object.CertificateTemplate{list(old, moved)}},
		{"renew", list(old), certificateOrder{ref, renewed}, list(renewed),
			[][]object.CertificateTemplate{list(old, renewed)}},
		{"destroy", list(old), certificateOrder{Ref: ref}, nil, nil},
	}, strangers
}

// heldCertificates are the certificates on the token, a line each.
func heldCertificates(t testing.TB, k *hsmtest.Token) (lines []string) {
	t.Helper()
	err := k.Session(func(ctx context.Context, s *cryptoki.Session) error {
		objects, err := s.FindObjects(ctx, nil)
		for _, o := range objects {
			a, failure := s.GetAttributeValue(ctx, o, object.CertificateAttributes)
			if _, long := errors.AsType[*cryptoki.LongError](failure); !long {
				err = errors.Join(err, failure)
			}
			if c, is := object.DecodeCertificate(o, a); is {
				lines = append(lines, certificateLine(c.ID, c.Label, c.DER()))
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return lines
}

func certificateLine(id []byte, label string, der []byte) string {
	return fmt.Sprintf("%s %s %s", id, label, object.CertificateSHA256(der))
}

func linesOf(all ...object.CertificateTemplate) (lines []string) {
	for _, c := range all {
		lines = append(lines, certificateLine(c.ID, c.Label, c.DER))
	}
	slices.Sort(lines)
	return lines
}

// holdCertificates brings the token to hold these certificates and no others.
func holdCertificates(t testing.TB, k *hsmtest.Token, all ...object.CertificateTemplate) {
	t.Helper()
	if slices.Equal(heldCertificates(t, k), linesOf(all...)) {
		return
	}
	err := k.Session(func(ctx context.Context, s *cryptoki.Session) error {
		objects, err := s.FindObjects(ctx,
			[]cryptoki.Attribute{cryptoki.ULong(cryptoki.CKA_CLASS, object.CertificateClass)})
		for _, o := range objects {
			err = errors.Join(err, s.DestroyObject(ctx, o))
		}
		for _, c := range all {
			attributes, failure := c.Attributes(1, quirk.Differences{})
			if failure == nil {
				_, failure = s.CreateObject(ctx, attributes)
			}
			err = errors.Join(err, failure)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestEveryMakeWritesCertificates does each step on the token, twice: what is done already is no failure.
func TestEveryMakeWritesCertificates(t *testing.T) {
	k := hsmtest.New(t)
	steps, strangers := certificateSteps(t)
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			holdCertificates(t, k, append(slices.Clone(step.before), strangers)...)
			token := open(t, k)
			if err := step.order.run(t.Context(), token); err != nil {
				t.Fatal(err)
			}
			want := linesOf(append(slices.Clone(step.after), strangers)...)
			if have := heldCertificates(t, k); !slices.Equal(have, want) {
				t.Fatalf("the token holds %v, not %v", have, want)
			}
			for _, c := range step.after {
				found, err := token.Certificate(t.Context(), object.NewCertificateRef(c.ID, c.Label, c.DER))
				if err != nil || !c.Made(found) {
					t.Errorf("%v: %v", found.Name(), err)
				}
			}
		})
	}
}

// TestACertificateHasAllItsAttributes reads them as other programs do.
func TestACertificateHasAllItsAttributes(t *testing.T) {
	k := hsmtest.New(t)
	token := open(t, k)
	der := certificateOf(t, "web")
	tmpl := object.CertificateTemplate{ID: []byte("the ID"), Label: "web", DER: der}
	made, err := token.WriteCertificate(t.Context(), tmpl)
	if err != nil {
		t.Fatal(err)
	}
	want, err := tmpl.Attributes(0, quirk.Differences{})
	if err != nil || !tmpl.Made(made) {
		t.Fatal(made.Name(), err)
	}
	err = k.Session(func(ctx context.Context, s *cryptoki.Session) error {
		found, err := s.FindObjects(ctx, []cryptoki.Attribute{cryptoki.Bytes(cryptoki.CKA_VALUE, der)})
		if err != nil || len(found) != 1 {
			t.Fatalf("%d objects, %v", len(found), err)
		}
		for _, a := range want {
			read, err := s.GetAttributeValue(ctx, found[0], []cryptoki.AttributeType{a.Type})
			if err != nil {
				return err
			}
			optional := slices.Contains([]cryptoki.AttributeType{
				cryptoki.CKA_CHECK_VALUE, cryptoki.CKA_START_DATE, cryptoki.CKA_END_DATE, // which not every make keeps
			}, a.Type)
			if !bytes.Equal(read[a.Type], a.Value) && (!optional || len(read[a.Type]) > 0) {
				t.Errorf("%s is %x, not %x", a.Type, read[a.Type], a.Value)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestACertificatesEveryCallFails has each call of each step fail in each way, before and after it took effect. No
// certificate is lost, none is doubled, a stranger's stays, the error says what the token holds, and the next run goes
// on.
func TestACertificatesEveryCallFails(t *testing.T) {
	extent := hsmtest.ThisExtent(t)
	every := map[hsmtest.Extent]int{hsmtest.Sample: 60, hsmtest.Matrix: 1, hsmtest.All: 1}[extent]
	steps, strangers := certificateSteps(t)
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			t.Parallel()
			k := hsmtest.New(t)
			faults := &hsmtest.Faults{}
			run := func() error {
				token, err := hsm.Open(context.Background(), k.Config(faults.Hook))
				if err != nil {
					return err
				}
				defer token.Close()
				return step.order.run(context.Background(), token)
			}
			before := append(slices.Clone(step.before), strangers)
			holdCertificates(t, k, before...)
			if err := run(); err != nil {
				t.Fatal(err)
			}
			counts := map[string]int{}
			for _, function := range faults.Calls() {
				counts[function]++
			}
			picker := hsmtest.Pick(t, every)
			injected := 0
			for _, function := range slices.Sorted(maps.Keys(counts)) {
				for nth := 1; nth <= counts[function]; nth++ {
					for _, code := range codes {
						for _, way := range []hsmtest.Fault{{}, {After: true}, {Onwards: true},
							{After: true, Onwards: true}} {
							if !picker.Takes() {
								continue
							}
							fault := hsmtest.Fault{Function: function, Nth: nth, Code: code, After: way.After,
								Onwards: way.Onwards}
							holdCertificates(t, k, before...)
							faults.Clear()
							faults.Inject(fault)
							err := run()
							injected += faults.Injected()
							step.heldAfter(t, k, strangers, err)
							faults.Clear()
							if err := run(); err != nil {
								t.Errorf("the next run: %v", err)
							}
							step.heldAfter(t, k, strangers, nil)
							if t.Failed() {
								t.Fatalf("%s number %d answers %s (after the call: %t, and so from then on: %t), "+
									"which gave: %v",
									function, nth, code, way.After, way.Onwards, err)
							}
						}
					}
				}
			}
			if t.Logf("%d faults", injected); injected == 0 {
				t.Error("no fault was injected")
			}
		})
	}
}

// heldAfter checks what the token holds after the step has ended so.
func (step certificateStep) heldAfter(t *testing.T, k *hsmtest.Token, strangers object.CertificateTemplate, err error) {
	t.Helper()
	have := heldCertificates(t, k)
	is := func(all []object.CertificateTemplate) bool {
		return slices.Equal(have, linesOf(append(slices.Clone(all), strangers)...))
	}
	if err == nil {
		if !is(step.after) {
			t.Errorf("the token holds %v", have)
		}
		return
	}
	failed, ok := errors.AsType[*hsm.OperationError](err)
	if !ok { // the token was never opened
		if !is(step.before) {
			t.Errorf("%v, and the token holds %v", err, have)
		}
		return
	}
	between := slices.ContainsFunc(step.between, is)
	held := false
	switch failed.Holds {
	case hsm.HoldsUntouched, hsm.HoldsNoCertificate, hsm.HoldsCertificate:
		held = is(step.before)
	case hsm.HoldsBothCertificates:
		held = between || is(step.after) // it is not known whether the old one is gone
	case hsm.HoldsCertificatePerhaps:
		held = is(step.before) || is(step.after) || between
	}
	if !failed.Certificate || !held {
		t.Errorf("%v, and the token holds %v", err, have)
	}
}

// oneSubjectALabel says that the token of this run takes no label for certificates of two subjects.
func oneSubjectALabel() bool { return strings.HasPrefix(os.Getenv("HSMTEST_MAKE"), "nss") }

// TestALabelIsForOneSubject on the make that has it so: that is said before the token is asked.
func TestALabelIsForOneSubject(t *testing.T) {
	k := hsmtest.New(t)
	token := open(t, k)
	id := []byte("the ID")
	if _, err := token.WriteCertificate(t.Context(),
		object.CertificateTemplate{ID: id, Label: "web", DER: certificateOf(t, "a")}); err != nil {
		t.Fatal(err)
	}
	_, err := token.WriteCertificate(t.Context(),
		object.CertificateTemplate{ID: id, Label: "web", DER: certificateOf(t, "b")})
	refused, is := errors.AsType[*object.RefusedError](err)
	if is != oneSubjectALabel() || is && refused.Attribute != "label" || !is && err != nil {
		t.Errorf("got %v", err)
	}
}

// TestACertificatesProcessIsKilledAtEveryCall kills a process before and after each call that it makes. The token holds
// the certificate as it was or as it was to be, or both, and the next run goes on.
func TestACertificatesProcessIsKilledAtEveryCall(t *testing.T) {
	extent := hsmtest.ThisExtent(t)
	every := map[hsmtest.Extent]int{hsmtest.Sample: 20, hsmtest.Matrix: 1, hsmtest.All: 1}[extent]
	steps, strangers := certificateSteps(t)
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			t.Parallel()
			k := hsmtest.New(t)
			before := append(slices.Clone(step.before), strangers)
			run := func(crash hsmtest.Crash) ([]byte, error) {
				holdCertificates(t, k, before...)
				return command(order{Token: *k, Kind: kinds[0].name, Certificate: &step.order,
					Crash: crash}).CombinedOutput()
			}
			out, err := run(hsmtest.Crash{})
			calls, parsed := strconv.Atoi(strings.TrimSpace(string(out)))
			if err != nil || parsed != nil || calls == 0 {
				t.Fatalf("%v: %s", err, out)
			}
			picker, crashes := hsmtest.Pick(t, every), 0
			for nth := 1; nth <= calls; nth++ {
				for _, after := range []bool{false, true} {
					if !picker.Takes() {
						continue
					}
					crash := hsmtest.Crash{Nth: nth, After: after}
					out, err := run(crash)
					if made, parsed := strconv.Atoi(strings.TrimSpace(string(out))); err == nil && parsed == nil &&
						endedBefore(made, crash) {
						step.heldAfter(t, k, strangers, nil)
						continue
					}
					if !wasKilled(err) {
						t.Fatalf("%s: %v: %s", crash, err, out)
					}
					crashes++
					have := heldCertificates(t, k)
					if !slices.ContainsFunc(append(slices.Clone(step.between), step.before, step.after),
						func(all []object.CertificateTemplate) bool {
							return slices.Equal(have, linesOf(append(slices.Clone(all), strangers)...))
						}) {
						t.Errorf("the token holds %v", have)
					}
					if err := step.order.run(t.Context(), open(t, k)); err != nil {
						t.Errorf("the next run: %v", err)
					}
					if step.heldAfter(t, k, strangers, nil); t.Failed() {
						t.Fatal(crash)
					}
				}
			}
			if t.Logf("%d crashes", crashes); crashes == 0 {
				t.Error("no process was killed")
			}
		})
	}
}

// TestADestructionOfACertificateThatDoesNothingIsSeen, though the token says that it was done.
func TestADestructionOfACertificateThatDoesNothingIsSeen(t *testing.T) {
	onSoftHSM(t)
	k, faults := hsmtest.New(t), &hsmtest.Faults{}
	token := openHooked(t, k, faults.Hook)
	tmpl := object.CertificateTemplate{ID: []byte{1}, Label: "web", DER: certificateOf(t, "web")}
	if _, err := token.WriteCertificate(t.Context(), tmpl); err != nil {
		t.Fatal(err)
	}
	nothing := func(context.Context, *cryptoki.Call, func() error) error { return nil }
	faults.Inject(hsmtest.Fault{Function: "C_DestroyObject", Do: nothing})
	ref := object.NewCertificateRef(tmpl.ID, tmpl.Label, tmpl.DER)
	err := token.DestroyCertificate(t.Context(), ref)
	if failed, is := errors.AsType[*hsm.OperationError](err); !is || failed.Holds != hsm.HoldsCertificate {
		t.Errorf("got %v", err)
	}
	faults.Clear()
	if err := token.DestroyCertificate(t.Context(), ref); err != nil || len(heldCertificates(t, k)) != 0 {
		t.Errorf("the next run: %v", err)
	}
}

// TestACertificateIsSoughtWithItsKey, under whose ID it may be by now. What is not found is not said to be absent where
// the token shows late what others do.
func TestACertificateIsSoughtWithItsKey(t *testing.T) {
	onSoftHSM(t)
	k := hsmtest.New(t)
	token := open(t, k)
	pair := generate(t, token, onCurve("P-256", "new", "web"))
	ca, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "web"}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, pair.PublicKey, ca)
	if err != nil {
		t.Fatal(err)
	}
	ref := object.NewCertificateRef([]byte("old"), "web", der)
	var unseen *hsm.UnseenError
	if _, err := openHooked(t, k, makeLate).Certificate(t.Context(), ref); !errors.As(err, &unseen) {
		t.Errorf("on a token that shows late what others do: %v", err)
	}
	if _, err := token.Certificate(t.Context(), ref); !errors.Is(err, object.ErrNoCertificate) {
		t.Errorf("before it is there: %v", err)
	}
	holdCertificates(t, k, object.CertificateTemplate{ID: []byte("new"), Label: "web", DER: der})
	if found, err := open(t, k).Certificate(t.Context(), ref); err != nil || string(found.ID) != "new" {
		t.Errorf("it is %v, %v", found.Name(), err)
	}
}

// TestNoCertificateIsWrittenToATokenThatIsReadOnly: nothing is tried.
func TestNoCertificateIsWrittenToATokenThatIsReadOnly(t *testing.T) {
	onSoftHSM(t)
	faults := &hsmtest.Faults{}
	readOnly := func(_ context.Context, c *cryptoki.Call, next func() error) error {
		err := next()
		if info, ok := c.Result.(*cryptoki.TokenInfo); ok {
			info.Flags |= cryptoki.CKF_WRITE_PROTECTED
		}
		return err
	}
	token := openHooked(t, hsmtest.New(t), faults.Hook, readOnly)
	tmpl := object.CertificateTemplate{ID: []byte{1}, Label: "web", DER: certificateOf(t, "web")}
	if _, err := token.WriteCertificate(t.Context(), tmpl); !errors.Is(err, hsm.ErrReadOnly) {
		t.Errorf("written: %v", err)
	}
	ref := object.NewCertificateRef(tmpl.ID, tmpl.Label, tmpl.DER)
	if err := token.DestroyCertificate(t.Context(), ref); !errors.Is(err, hsm.ErrReadOnly) {
		t.Errorf("destroyed: %v", err)
	}
	if faults.Count("C_CreateObject")+faults.Count("C_DestroyObject") > 0 {
		t.Errorf("the calls are %v", faults.Calls())
	}
}

// TestAChangeGoesOnWhereTheCertificateHasItsIDAlready, as after a run that ended in between, whatever its label.
func TestAChangeGoesOnWhereTheCertificateHasItsIDAlready(t *testing.T) {
	onSoftHSM(t)
	k := hsmtest.New(t)
	first, second := certificateOf(t, "web"), certificateOf(t, "web")
	ref := object.NewCertificateRef([]byte("old"), "web", first)
	for _, der := range [][]byte{first, second} {
		holdCertificates(t, k, object.CertificateTemplate{ID: []byte("new"), Label: "web", DER: first})
		tmpl := object.CertificateTemplate{ID: []byte("new"), Label: "www", DER: der}
		changed, err := open(t, k).ChangeCertificate(t.Context(), ref, tmpl)
		if have := heldCertificates(t, k); err != nil || !tmpl.Made(changed) || !slices.Equal(have, linesOf(tmpl)) {
			t.Errorf("%v, and the token holds %v", err, have)
		}
	}
}
