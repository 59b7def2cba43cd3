package provider

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// certificatesAt reads the certificates of a key ID. Most keys have none: then the search for their values is saved.
func (r *keyResource) certificatesAt(ctx context.Context, token *hsm.Token, a *keyAttributes) (*certificateList,
	error) {
	beside, err := r.client.certificates(ctx, token, a.id())
	if err != nil || len(beside) == 0 {
		return nil, err
	}
	found, err := token.Certificates(ctx, a.id())
	return &certificateList{id: object.FormatID(a.id()), all: found, command: token.Command}, err
}

// certificateList is the certificates of one ID, and what there is to say of them. A nil one says nothing.
type certificateList struct {
	id      string
	all     []object.Certificate
	command func(...string) string // see hsm.Token
}

// those are the certificates of the list for which something holds.
func (l *certificateList) those(holds func(object.Certificate) bool) []object.Certificate {
	return certificatesWhere(l.all, holds)
}

func certificatesWhere(all []object.Certificate, holds func(object.Certificate) bool) []object.Certificate {
	return slices.DeleteFunc(slices.Clone(all), func(c object.Certificate) bool { return !holds(c) })
}

// label picks one of some certificates for a command: the first whose label no other certificate of the ID has, since
// pkcs11-tool tells certificates of one ID apart by nothing else.
func (l *certificateList) label(some []object.Certificate) (label string, ok bool) {
	for _, c := range some {
		alike := func(o object.Certificate) bool { return o.Label == c.Label }
		if len(l.those(alike)) == len(certificatesWhere(some, alike)) {
			return c.Label, true
		}
	}
	return "", false
}

// noLabel stands where label finds none.
const noLabel = "(no command can be given here: pkcs11-tool finds a certificate by its label, and others of this ID " +
	"have the same one)"

// do is a command that does something to one of some certificates.
func (l *certificateList) do(some []object.Certificate, args ...string) string {
	label, ok := l.label(some)
	if !ok {
		return noLabel
	}
	return l.command(append(args, "--type", "cert", "--id", l.id, "--label", label)...)
}

// certificateLines is a line for each of some certificates: its label, and why it is not one that follows the key.
func certificateLines(some []object.Certificate, fingerprint string) string {
	var lines []string
	for _, c := range some {
		line, why := fmt.Sprintf("  - %q", c.Label), []string(nil)
		if foreign := c.Foreign(fingerprint); foreign != nil {
			why = append(why, foreign.Error())
		}
		if c.Fixed() {
			why = append(why, "the token lets nobody change it (its CKA_MODIFIABLE is false)")
		}
		if len(why) > 0 {
			line += ": " + strings.Join(why, ", and ")
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// stayBehind warns of the certificates that keep a key's old ID, where another is planned for the key.
func (r *keyResource) stayBehind(ctx context.Context, token *hsm.Token, plan, state keyModel) (diag.Diagnostic, error) {
	from, to := state.common(), plan.common()
	found, err := r.certificatesAt(ctx, token, from)
	if err != nil {
		return nil, err
	}
	return found.stay(keyName(from), state.fingerprint(), newIDFor(to), plan.movesCertificates()), nil
}

// stay warns of what stays where a key moves to another ID. Only certificates with the key's own public key are to have
// that: under it, programs would take others for the key's.
func (l *certificateList) stay(name, fingerprint, to string, moves bool) diag.Diagnostic {
	if l == nil {
		return nil
	}
	own := func(c object.Certificate) bool { return c.Foreign(fingerprint) == nil }
	follows := func(c object.Certificate) bool { return own(c) && !c.Fixed() }
	left := l.those(func(c object.Certificate) bool { return !moves || !follows(c) })
	if len(left) == 0 {
		return nil
	}
	text := fmt.Sprintf("The key %s is to get another key_id. These certificates keep the old one:\n\n%s", name,
		certificateLines(left, fingerprint))
	if len(l.those(own)) < len(l.all) {
		text += "\n\nOnly a certificate with the key's own public key belongs to the key. Leave the others as they are."
	}
	movable, fixed := l.those(follows), l.those(func(c object.Certificate) bool { return own(c) && c.Fixed() })
	if len(fixed) > 0 || !moves && len(movable) > 0 {
		text += "\n\nPrograms find the certificate of a key by its ID. Java's keytool -list, for one, does not show a " +
			"key without one."
	}
	if !moves && len(movable) > 0 {
		text += "\n\nTo let the certificates of the key change with it, set move_certificates = true. Or change each by " +
			"hand after the apply, by its label:\n\n  " + l.do(movable, "--set-id", to) +
			"\n\nLeave a certificate that has a resource hsm_certificate to that: without key_id, it follows the key."
	}
	if len(fixed) > 0 {
		text += "\n\nA certificate that nobody can change cannot follow the key. If you know it and need it, make a copy " +
			"of it under the new ID after the apply:\n\n  " + l.copyTo(to, fixed)
	}
	return diag.NewAttributeWarningDiagnostic(path.Root("key_id"), "Certificates Keep The Old Key ID", text)
}

// copyTo is the commands that copy one of some certificates to another ID.
func (l *certificateList) copyTo(to string, some []object.Certificate) string {
	label, ok := l.label(some)
	if !ok {
		return noLabel
	}
	const file = "certificate.der"
	read := l.command("--read-object", "--type", "cert", "--id", l.id, "--label", label, "--output-file", file)
	return read + "\n  " + l.command("--write-object", file, "--type", "cert", "--id", to, "--label", label)
}

// newIDFor is a planned ID as commands have it.
func newIDFor(a *keyAttributes) string {
	if id := a.id(); id != nil {
		return object.FormatID(id)
	}
	return "NEW_ID"
}

// leftWithout warns of the certificates of a key that is to be destroyed.
func (r *keyResource) leftWithout(ctx context.Context, token *hsm.Token, state keyModel) (diag.Diagnostic, error) {
	found, err := r.certificatesAt(ctx, token, state.common())
	if err != nil {
		return nil, err
	}
	return found.left(keyName(state.common()), state.fingerprint()), nil
}

// left warns of what stays of a destroyed key. Certificates of other keys that have its ID lose nothing.
func (l *certificateList) left(name, fingerprint string) diag.Diagnostic {
	if l == nil {
		return nil
	}
	own := l.those(func(c object.Certificate) bool { return c.Foreign(fingerprint) == nil })
	if len(own) == 0 {
		return nil
	}
	return diag.NewWarningDiagnostic("Certificates Of A Destroyed Key", fmt.Sprintf(
		"The key %s is to be destroyed for ever. The token keeps these certificates, which have its ID and its "+
			"public key:\n\n%s\n\nUnless there is a copy of the key, nothing can be signed or decrypted for them any "+
			"more.\n\n"+
			"What to do: leave a certificate that has a resource hsm_certificate to that. If you do not need another "+
			"one, destroy it after the apply, by its label:\n\n  %s", name, certificateLines(own, fingerprint),
		l.do(own, "--delete-object")))
}

// already warns of certificates that have the ID that a key is to get.
func (r *keyResource) already(ctx context.Context, token *hsm.Token, plan keyModel, own string) (diag.Diagnostic,
	error) {
	found, err := r.certificatesAt(ctx, token, plan.common())
	if err != nil {
		return nil, err
	}
	return found.before(plan.common().Label.ValueString(), own), nil
}

// before warns of what has an ID before the key gets it. The key's own certificates may have it already.
func (l *certificateList) before(label, fingerprint string) diag.Diagnostic {
	if l == nil {
		return nil
	}
	foreign := l.those(func(c object.Certificate) bool { return c.Foreign(fingerprint) != nil })
	if len(foreign) == 0 {
		return nil
	}
	var commands string
	movable := slices.DeleteFunc(slices.Clone(foreign), object.Certificate.Fixed)
	if len(movable) > 0 {
		commands = "\n\nTo give one another ID:\n\n  " + l.do(movable, "--set-id", "NEW_ID")
	}
	return diag.NewAttributeWarningDiagnostic(path.Root("key_id"), "Certificates Already Have The Key ID", fmt.Sprintf(
		"The key %q is to get the key_id %s. The token already holds certificates with this ID that are not the key's:\n\n"+
			"%s\n\nPrograms find the certificate of a key by its ID, and would show them as those of this key.\n\n"+
			"What to do: choose another key_id, or give them another ID, or destroy them.%s\n\nTo destroy one:\n\n  %s", label, l.id,
		certificateLines(foreign, fingerprint), commands, l.do(foreign, "--delete-object")))
}
