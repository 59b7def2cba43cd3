package hsm_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// lived are the keys of hsmtest.KeyKinds, with another usage that each can have.
var lived = map[string]struct {
	template object.Template
	other    object.Usage
}{
	"RSA": {object.Template{Type: object.RSA, ModulusBits: 2048, PublicExponent: 65537, Usage: object.Sign},
		object.Decrypt},
	"P-256": {
		object.Template{Type: object.EC, Curve: publickey.P256, Usage: object.Sign}, object.Sign | object.Derive,
	},
	"P-384": {
		object.Template{Type: object.EC, Curve: publickey.P384, Usage: object.Sign}, object.Sign | object.Derive,
	},
	"Ed25519": {object.Template{Type: object.EC, Curve: publickey.Ed25519, Usage: object.Sign}, object.Sign},
	"AES": {
		object.Template{Type: object.Secret, Kind: object.AES, Bits: 256, Usage: object.Encrypt | object.Decrypt},
		object.Decrypt,
	},
	"HMAC": {
		object.Template{Type: object.Secret, Kind: object.Generic, Bits: 256, Usage: object.Sign | object.Verify},
		object.Verify,
	},
}

// course is the life of one key on a played make.
type course struct {
	t     *testing.T
	make  quirk.Make
	kind  string
	stage *hsmtest.Stage
	token *hsm.Token
	ref   object.Ref
	key   object.Key
	// planted: other means than the provider made the key.
	planted bool
}

// TestLivesOnEveryMake lives the life of each kind of key on each make that is played, and holds it to hsmtest.Lives.
func TestLivesOnEveryMake(t *testing.T) {
	onSoftHSM(t)
	for _, p := range slices.Concat(hsmtest.Players, []hsmtest.Player{hsmtest.NoRow}) {
		t.Run(p.Make, func(t *testing.T) {
			m := rowOf(p.Make)
			k := hsmtest.New(t)
			stage := hsmtest.Play(t, p.Make, k)
			token, err := hsm.Open(context.Background(), stage.Config(t))
			if err != nil {
				t.Fatal(err)
			}
			for _, kind := range hsmtest.KeyKinds {
				l := &course{t: t, make: m, kind: kind, stage: stage, token: token}
				l.plant(k)
				for _, step := range hsmtest.KeySteps {
					l.live(step)
				}
			}
			l := &course{t: t, make: m, stage: stage, token: token}
			l.live(hsmtest.Throttled)
			if err := token.Close(); err != nil {
				t.Error(err)
			}
			l.live(hsmtest.WrongPIN)
		})
	}
}

// rowOf is the make of that name. Other tests make up makes of their own, which nobody plays.
func rowOf(name string) quirk.Make {
	i := slices.IndexFunc(quirk.Makes, func(m quirk.Make) bool { return m.Name == name })
	if i < 0 {
		return quirk.Make{Name: name}
	}
	return quirk.Makes[i]
}

// live takes one step, and compares what came of it with the table.
func (l *course) live(step hsmtest.Step) {
	l.t.Helper()
	want := hsmtest.Life(l.make, l.kind, step)
	if want.How == hsmtest.Absent {
		return
	}
	err := l.take(step)
	got := hsmtest.Works
	var refused *object.RefusedError // before the token was asked, as a plan refuses it
	switch {
	case errors.As(err, &refused) && want.Says != "" && strings.Contains(refused.Problem+refused.Way, want.Says):
		got = hsmtest.Refused
	case err != nil:
		got = hsmtest.Cannot
	}
	if got != want.How {
		l.t.Errorf("%s: %s: %s, and not %s: %v", l.kind, step, got, want.How, err)
	}
}

// name gives a key's ID and label of the make's form; n is 1, 2 ... for the keys of a life.
func (l *course) name(n int) (id []byte, label string) {
	text := fmt.Sprintf("life-%s-%d", l.kind, n)
	switch {
	case l.make.IDs.Assigned:
		return nil, text
	case l.make.IDs.Most == 1:
		return []byte{byte(3*slices.Index(hsmtest.KeyKinds, l.kind) + n)}, text
	case l.make.LabelIsID:
		return []byte(text), text
	}
	return []byte(text), "label of " + text
}

// template is that of a key by its n-th name. Where the make fixes usages, it has those that the provider knows.
func (l *course) template(n int) object.Template {
	tmpl := lived[l.kind].template
	tmpl.ID, tmpl.Label = l.name(n)
	word := map[string]string{"RSA": "RSA", "Ed25519": "Edwards", "AES": "aes", "HMAC": "generic"}[l.kind]
	if usage, err := object.ParseUsage(l.make.Usages[cmp.Or(word, "EC")]); err != nil {
		l.t.Fatal(err)
	} else if usage != 0 {
		tmpl.Usage = usage & tmpl.MayUse()
	}
	return tmpl
}

// plant makes the key by other means, on a make on which the provider makes none.
func (l *course) plant(k *hsmtest.Token) {
	l.t.Helper()
	if want := hsmtest.Life(l.make, l.kind, hsmtest.ToRead); l.make.Name != "YubiKey PIV" ||
		want.How == hsmtest.Absent {
		return
	}
	plain, err := hsm.Open(context.Background(), k.Config())
	if err != nil {
		l.t.Fatal(err)
	}
	defer func() { _ = plain.Close() }()
	if l.key, err = plain.Generate(context.Background(), l.template(1)); err != nil {
		l.t.Fatal(err)
	}
	l.ref, l.planted = refOf(l.key), true
}

var (
	errUnlike = errors.New("the token holds something else")
	errNoKey  = errors.New("no key was made")
)

// take does what the step says.
func (l *course) take(step hsmtest.Step) (err error) {
	ctx := context.Background()
	if slices.Contains(hsmtest.KeySteps, step) && step != hsmtest.ToMake && l.key.Private == nil {
		return errNoKey
	}
	switch step {
	case hsmtest.ToMake:
		n := 1
		if l.planted {
			n = 2
		}
		return l.generate(ctx, n)
	case hsmtest.ToRead:
		label := l.key.Label
		return l.shows(ctx, l.token, func(key object.Key) bool {
			l.key = key
			return key.Label == label || l.planted
		})
	case hsmtest.ToPublish:
		return l.token.Published(ctx, []object.Key{l.key})
	case hsmtest.ToSign:
		return l.sign(ctx)
	case hsmtest.ToImport:
		other, err := hsm.Open(ctx, l.stage.Again(l.t, l.make.Name).Config(l.t))
		if err != nil {
			return err
		}
		defer func() { _ = other.Close() }()
		l.ref.Fingerprint = ""
		return l.shows(ctx, other, func(key object.Key) bool { return key.Fingerprint() == l.key.Fingerprint() })
	case hsmtest.ToRelabel:
		label := l.key.Label + ", changed"
		return l.change(ctx, object.Change{Label: &label}, func(key object.Key) bool {
			return key.Label == label && key.PublicLabel == label
		})
	case hsmtest.ToRenumber:
		id, label := l.name(2)
		change := object.Change{ID: []byte(cmp.Or(string(id), "another"))}
		if l.make.LabelIsID {
			change.Label = &label
		}
		return l.change(ctx, change, func(key object.Key) bool { return string(key.ID) == string(id) })
	case hsmtest.ToReuse:
		usage := lived[l.kind].other
		if usage == l.key.Usage {
			usage = lived[l.kind].template.Usage
		}
		return l.change(ctx, object.Change{Usage: &usage}, func(key object.Key) bool { return key.Usage == usage })
	case hsmtest.ToRotate:
		return l.rotate(ctx)
	case hsmtest.ToDestroy:
		return l.destroy(ctx, l.ref)
	case hsmtest.Throttled:
		return l.throttled(ctx)
	default:
		return l.wrongPIN(ctx)
	}
}

// generate makes the key that goes by the n-th name.
func (l *course) generate(ctx context.Context, n int) error {
	made, err := l.token.Generate(ctx, l.template(n))
	if err == nil {
		l.key, l.ref = made, refOf(made)
	}
	return err
}

func refOf(key object.Key) object.Ref {
	return object.Ref{Type: key.Type, ID: key.ID, Fingerprint: key.Fingerprint()}
}

// shows says that the token shows the key, as it is to be.
func (l *course) shows(ctx context.Context, token *hsm.Token, good func(object.Key) bool) error {
	key, err := token.Key(ctx, l.ref)
	if err == nil && !good(key) {
		err = fmt.Errorf("%w: %s", errUnlike, describe(key))
	}
	return err
}

func (l *course) change(ctx context.Context, change object.Change, good func(object.Key) bool) error {
	changed, err := l.token.Change(ctx, l.ref, change)
	if err != nil {
		return err
	}
	l.key, l.ref = changed, refOf(changed)
	return l.shows(ctx, l.token, good)
}

// sign has the pair make every signature that it may. What it may not, it refuses for a reason.
func (l *course) sign(ctx context.Context) error {
	signer, err := l.token.Signer(ctx, l.key.PublicKey)
	if err != nil {
		return err
	}
	message, made := []byte("what is signed"), 0
	for _, s := range signaturesOf(signer.Public()) {
		var cannot *hsm.CannotSignError
		sig, err := signer.SignMessage(nil, message, s.opts)
		switch {
		case errors.As(err, &cannot):
		case err != nil:
			return fmt.Errorf("%s: %w", s.name, err)
		case !verifies(signer.Public(), s.opts, message, sig):
			return fmt.Errorf("%w: %s does not verify", errUnlike, s.name)
		default:
			made++
		}
	}
	if made == 0 {
		return fmt.Errorf("%w: it makes no signature", errUnlike)
	}
	return nil
}

// rotate makes the next key beside this one, and destroys this one.
func (l *course) rotate(ctx context.Context) error {
	old := l.ref
	if err := l.generate(ctx, 3); err != nil {
		return err
	}
	if err := l.destroy(ctx, old); err != nil {
		return err
	}
	return l.shows(ctx, l.token, func(key object.Key) bool { return key.Fingerprint() == l.key.Fingerprint() })
}

// destroy destroys a key, and looks with the eyes of another process that nothing is left.
func (l *course) destroy(ctx context.Context, ref object.Ref) error {
	left, err := l.token.Destroy(ctx, ref)
	if err != nil {
		return err
	}
	other, err := hsm.Open(ctx, l.stage.Again(l.t, l.make.Name).Config(l.t))
	if err != nil {
		return err
	}
	defer func() { _ = other.Close() }()
	var unseen *hsm.UnseenError // what the token does not show need not be gone
	_, err = other.Key(ctx, ref)
	if gone := errors.Is(err, object.ErrNotFound); len(left) == 0 && (gone || l.make.Late && errors.As(err, &unseen)) {
		return nil
	}
	return fmt.Errorf("%w: %v is left: %w", errUnlike, left, err)
}

// throttled reads a key again and again while the make asks for patience.
func (l *course) throttled(ctx context.Context) error {
	p := &course{t: l.t, make: l.make, kind: "P-256", stage: l.stage, token: l.token}
	if err := p.generate(ctx, 2); err != nil {
		return err
	}
	l.stage.Throttle(true)
	defer l.stage.Throttle(false)
	for range 3 {
		fresh, err := hsm.Open(ctx, l.stage.Config(l.t)) // one that remembers nothing
		if err != nil {
			return err
		}
		err = p.shows(ctx, fresh, func(object.Key) bool { return true })
		if err := errors.Join(err, fresh.Close()); err != nil {
			return err
		}
	}
	if l.stage.Throttled() == 0 {
		return fmt.Errorf("%w: nobody asked for patience", errUnlike)
	}
	return nil
}

// wrongPIN logs in with a PIN of the make's form that is not the token's.
func (l *course) wrongPIN(ctx context.Context) error {
	faults := &hsmtest.Faults{}
	c := l.stage.Again(l.t, l.make.Name).Config(l.t)
	c.Hooks = append(c.Hooks, faults.Hook)
	c.PIN = hsm.NewPIN(l.stage.WrongPIN())
	token, err := hsm.Open(ctx, c)
	if err != nil {
		return err
	}
	defer func() { _ = token.Close() }()
	for range 2 {
		_, err = token.Key(ctx, object.Ref{ID: []byte("nobody's")})
	}
	if sent := faults.Count("C_Login"); !errors.Is(err, hsm.ErrPINIncorrect) || sent != 1 {
		return fmt.Errorf("%w: it was sent %d times: %w", errUnlike, sent, err)
	}
	return nil
}
