package provider_test

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// certificatesHeld are the certificates on the token, a line each.
func (b *bench) certificatesHeld() (lines []string) {
	b.t.Helper()
	token, err := hsm.Open(context.Background(), b.Config())
	if err != nil {
		b.t.Fatal(err)
	}
	defer token.Close()
	all, err := token.AllCertificates(context.Background())
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range all {
		lines = append(lines, fmt.Sprintf("%s %s %s", object.FormatID(c.ID), c.Label, c.SHA256()))
	}
	slices.Sort(lines)
	return lines
}

// TestACertificateOutlivesFaults has calls fail in applies that write, change, renew, move and destroy a certificate,
// before and after they took effect, once and from then on. There is never more than the old one and the new one, and
// the next applies lead to what is configured. A stranger's certificate under the same ID and label is never touched.
func TestACertificateOutlivesFaults(t *testing.T) {
	t.Parallel()
	w := newRingWire(t)
	b := w.bench
	ca, stranger := newAuthority(t, "CA"), newAuthority(t, "Stranger").cert
	first, second := ca.leaf("web", &ca.key.PublicKey, time.Hour), ca.leaf("web", &ca.key.PublicKey, time.Minute)
	b.writeCertificate(stranger, "6b31", "web")
	is := func(id, label, sum string) string { return fmt.Sprintf("%s %s %s", id, label, sum) }
	old := words{"certificate_pem": pemOf(first), "label": "web", "key_id": "6b31"}
	with := func(argument, value string) words {
		changed := maps.Clone(old)
		changed[argument] = value
		return changed
	}
	lines := func(config words, sum string) []string {
		if config == nil {
			return nil
		}
		return []string{is(config["key_id"].(string), config["label"].(string), sum)}
	}
	kept := is("6b31", "web", sumOf(stranger))
	injected, picker := 0, hsmtest.Pick(t,
		map[hsmtest.Extent]int{hsmtest.Sample: 4, hsmtest.Matrix: 1, hsmtest.All: 1}[hsmtest.ThisExtent(t)])
	for name, c := range hsmtest.InOrder(map[string]struct {
		from, to       words
		fromSum, toSum string
		functions      []string
	}{
		"write": {nil, old, "", sumOf(first), []string{"C_CreateObject", "C_GetAttributeValue", "C_FindObjects"}},
		"relabel": {old, with("label", "www"), sumOf(first), sumOf(first),
			[]string{"C_SetAttributeValue", "C_FindObjectsInit"}},
		"move": {old, with("key_id", "6b32"), sumOf(first), sumOf(first), []string{"C_SetAttributeValue"}},
		"renew": {old, with("certificate_pem", pemOf(second)), sumOf(first), sumOf(second),
			[]string{"C_CreateObject", "C_DestroyObject", "C_FindObjects"}},
		"destroy": {old, nil, sumOf(first), "", []string{"C_DestroyObject", "C_GetAttributeValue"}},
	}) {
		for _, function := range c.functions {
			for _, fault := range []hsmtest.Fault{
				{Nth: 1}, {Nth: 1, After: true}, {Nth: 1, Onwards: true}, {Nth: 1, After: true, Onwards: true},
				{Nth: 2, Onwards: true},
			} {
				for _, code := range []cryptoki.RV{cryptoki.CKR_DEVICE_ERROR, cryptoki.CKR_SESSION_HANDLE_INVALID,
					cryptoki.CKR_ATTRIBUTE_READ_ONLY} {
					if !picker.Takes() {
						continue
					}
					fault.Function, fault.Code = function, code
					r := &wired{typeName: "hsm_certificate", config: c.from}
					if c.from != nil {
						if said, _ := w.applied(nil, r); said.failed() {
							t.Fatalf("%s: %s", name, said)
						}
					}
					faults := &hsmtest.Faults{}
					faults.Inject(fault)
					r.config = c.to
					w.applied([]hsm.Hook{faults.Hook}, r)
					injected += faults.Injected()
					before, after := append(lines(c.from, c.fromSum), kept), append(lines(c.to, c.toSum), kept)
					both := append(lines(c.from, c.fromSum), after...)
					for _, all := range [][]string{before, after, both} {
						slices.Sort(all)
					}
					have := b.certificatesHeld()
					if !slices.Equal(have, before) && !slices.Equal(have, after) &&
						(!slices.Equal(have, both) || c.from == nil || c.to == nil) {
						t.Errorf("the token holds %v", have)
					}
					for range 2 { // a refresh may find first that the state is behind
						if said, _ := w.applied(nil, r); said.failed() {
							t.Errorf("the next apply: %s", said)
						}
					}
					if said, changed := w.applied(nil, r); changed || said.failed() {
						t.Errorf("there is more to do: %s", said)
					}
					if have := b.certificatesHeld(); !slices.Equal(have, after) {
						t.Errorf("in the end the token holds %v, not %v", have, after)
					}
					if t.Failed() {
						t.Fatalf("%s: %+v", name, fault)
					}
					r.config = nil
					if said, _ := w.applied(nil, r); said.failed() ||
						!slices.Equal(b.certificatesHeld(), []string{kept}) {
						t.Fatalf("%s: the end: %s, %v", name, said, b.certificatesHeld())
					}
					r.state = tftypes.Value{}
				}
			}
		}
	}
	if t.Logf("%d faults", injected); injected < 20 {
		t.Error("too few faults were injected")
	}
}

// TestManyCertificatesCostNoMoreThanTheirReading plans 100 unchanged certificates, each under an ID of its own or all
// under that of one key: a few calls each, and no search for each.
func TestManyCertificatesCostNoMoreThanTheirReading(t *testing.T) {
	t.Parallel()
	for name, own := range map[string]bool{"an ID each": true, "one ID": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRingWire(t)
			ca := newAuthority(t, "CA")
			var all []*wired
			for i := range 100 {
				c := ca.leaf(fmt.Sprintf("web %d", i), &ca.key.PublicKey, time.Hour)
				id := "6b31"
				if own {
					id = fmt.Sprintf("6b%02x", i)
				}
				all = append(all, &wired{typeName: "hsm_certificate", config: words{
					"certificate_pem": pemOf(c), "label": fmt.Sprint("web ", i), "key_id": id,
				}})
			}
			if said, _ := w.applied(nil, all...); said.failed() {
				t.Fatal(said)
			}
			faults := &hsmtest.Faults{}
			said := w.start(faults.Hook)
			for _, r := range all {
				said = append(said, w.refresh(r)...)
				planned, more := w.plan(r)
				said = append(said, more...)
				if said.failed() || !w.static(r, planned.PlannedState).Equal(w.stateOf(r)) {
					t.Fatalf("%s", said)
				}
			}
			if calls := faults.Count(""); calls > 2*len(all)+180 || faults.Count("C_FindObjectsInit") > 20 {
				t.Errorf("%d calls, %d searches", calls, faults.Count("C_FindObjectsInit"))
			} else {
				t.Logf("%d calls, %d searches", calls, faults.Count("C_FindObjectsInit"))
			}
		})
	}
}

// ownKey is the public key of a pair in a state.
func ownKey(t *testing.T, pair *wired) crypto.PublicKey {
	t.Helper()
	block, _ := pem.Decode([]byte(pair.attribute("public_key_pem")))
	if block == nil {
		t.Fatal("the state has no public key")
	}
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

// certifiedPair is a pair and its certificate, on the token.
func certifiedPair(t *testing.T, w ringWire) (pair, c *wired) {
	t.Helper()
	pair = ecKey(nil)
	if said, _ := w.applied(nil, pair); said.failed() {
		t.Fatal(said)
	}
	c = &wired{typeName: "hsm_certificate", config: words{
		"certificate_pem": pemOf(newAuthority(t, "CA").leaf("web", ownKey(t, pair), time.Hour)), "label": "web",
	}}
	if said, _ := w.applied(nil, pair, c); said.failed() {
		t.Fatal(said)
	}
	return pair, c
}

// TestACertificateNeedNotWaitForItsKey to get another ID: nothing in the configuration may say that it depends on it.
// An apply that comes to the certificate first gives what the plan said, and the next one has the certificate follow.
func TestACertificateNeedNotWaitForItsKey(t *testing.T) {
	t.Parallel()
	for name, order := range map[string][]int{"the certificate first": {1, 0}, "the pair first": {0, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRingWire(t)
			pair, c := certifiedPair(t, w)
			pair.says("key_id", "6b32")
			both := []*wired{pair, c}
			said, planned := w.looks(both...)
			if said.failed() {
				t.Fatal(said)
			}
			w.begins()
			for _, i := range order {
				if said := w.does(both[i], planned[i]); said.failed() {
					t.Fatal(said)
				}
			}
			if order[0] == 1 && c.attribute("key_id") == "6b31" {
				if said := w.applies(nil, both...); said.failed() {
					t.Fatal(said)
				}
			}
			w.settled(c)
			want := []string{"6b32 web " + c.attribute("fingerprint_sha256")}
			if have := w.bench.certificatesHeld(); !slices.Equal(have, want) {
				t.Errorf("the token holds %v, not %v", have, want)
			}
		})
	}
}

// TestACertificateIsReplacedUnderAnotherLabel by -replace or replace_triggered_by, for which Terraform plans twice, and
// where it is tainted: what is on the token is the resource's own.
func TestACertificateIsReplacedUnderAnotherLabel(t *testing.T) {
	t.Parallel()
	w := newRingWire(t)
	_, c := certifiedPair(t, w)
	c.says("label", "www")
	for _, tainted := range []bool{false, true} {
		w.begins()
		if said := w.refresh(c); said.failed() {
			t.Fatal(said)
		}
		again := wired{typeName: c.typeName, config: c.config}
		if !tainted {
			again.private = c.private
			if _, said := w.plan(c); said.failed() {
				t.Fatal(said)
			}
		}
		if _, said := w.plan(&again); len(said) > 0 {
			t.Errorf("tainted %t: %s", tainted, said)
		}
	}
	w.begins() // so begins the apply of create_before_destroy too
	_, said := w.plan(&wired{typeName: c.typeName, config: c.config})
	w.heard(said, fails("Unable to Plan Certificate: Certificate Already On The Token", "create_before_destroy"))
}

// TestACertificateWantsItsToken: one that is in the state is kept, and a new one is not planned, as long as the token
// is away.
func TestACertificateWantsItsToken(t *testing.T) {
	t.Parallel()
	w := newRingWire(t)
	_, c := certifiedPair(t, w)
	was := c.state
	w.block["token_label"] = "elsewhere"
	w.begins()
	w.heard(w.refresh(c), fails("Unable to Read Certificate: Token Not Found", "elsewhere"))
	if !c.state.Equal(was) {
		t.Error("the state has changed")
	}
	for _, detail := range []string{"elsewhere", "meets the same"} { // the first tells for all
		_, said := w.plan(&wired{typeName: c.typeName, config: c.config})
		w.heard(said, fails("Unable to Plan Certificate: Token Not Found", detail))
	}
	if _, said := w.plan(c); len(said) > 0 { // as with -refresh=false
		t.Error(said)
	}
	c.says("key_id", "6b39")
	planned, said := w.plan(c)
	if uri := fields(w.static(c, planned.PlannedState))["uri"]; len(said) > 0 || uri != "unknown" {
		t.Errorf("the URI of another ID is planned to be %v: %s", uri, said)
	}
}
