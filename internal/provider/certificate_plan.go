package provider

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// stayBehind warns of the certificates that keep a key's old ID, where another is planned for the key.
func (r *keyResource) stayBehind(ctx context.Context, token *hsm.Token, plan, state keyModel) (diag.Diagnostic, error) {
	from, to := state.common(), plan.common()
	if beside, err := r.client.certificates(ctx, token, from.id()); err != nil || len(beside) == 0 {
		return nil, err // most keys have none, and the search for their values is saved
	}
	found, err := token.Certificates(ctx, from.id())
	if err != nil {
		return nil, err
	}
	var lines []string
	moves := plan.movesCertificates()
	for _, c := range found {
		line, foreign := fmt.Sprintf("  - %q", c.Label), c.Foreign(state.fingerprint())
		switch {
		case foreign != nil:
			line += ", which belongs to no key that the provider knows: " + foreign.Error()
		case moves:
			continue
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		return nil, nil
	}
	advice := "To let the certificates of the key change with it, set move_certificates = true. Or change each by hand " +
		"after the apply"
	if moves {
		advice = "move_certificates = true moves only certificates with the key's own public key. To change another by hand"
	}
	return diag.NewAttributeWarningDiagnostic(path.Root("key_id"), "Certificates Keep The Old Key ID", fmt.Sprintf(
		"The key %s is to get another key_id. These certificates keep the old one:\n\n%s\n\nPrograms find the "+
			"certificate of "+
			"a key by its ID. Java's keytool -list, for one, would not show the key any more. %s, by its label:\n\n  %s",
		keyName(from), strings.Join(lines, "\n"), advice, token.Command("--id", object.FormatID(from.id()), "--label",
			found[0].Label, "--type", "cert", "--set-id", newIDFor(to)))), nil
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
	a := state.common()
	beside, err := r.client.certificates(ctx, token, a.id())
	if err != nil || len(beside) == 0 {
		return nil, err
	}
	return diag.NewWarningDiagnostic("Certificates Of A Destroyed Key", fmt.Sprintf(
		"The key %s is to be destroyed for ever. The token keeps these certificates, which have its ID:\n\n%s\n\n"+
			"Nothing can be signed or decrypted for them any more. If you do not need one, destroy it after the apply:\n\n  %s",
		keyName(a), labels(beside), token.Command("--delete-object", "--type", "cert", "--id", object.FormatID(a.id()),
			"--label", beside[0].Label))), nil
}

// already warns of certificates that have the ID that a key is to get.
func (r *keyResource) already(ctx context.Context, token *hsm.Token, plan keyModel, own string) (diag.Diagnostic,
	error) {
	a := plan.common()
	if beside, err := r.client.certificates(ctx, token, a.id()); err != nil || len(beside) == 0 {
		return nil, err
	}
	found, err := token.Certificates(ctx, a.id())
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, c := range found {
		if c.Foreign(own) != nil { // the key's own may be there already
			lines = append(lines, fmt.Sprintf("  - %q", c.Label))
		}
	}
	if len(lines) == 0 {
		return nil, nil
	}
	id := object.FormatID(a.id())
	return diag.NewAttributeWarningDiagnostic(path.Root("key_id"), "Certificates Already Have The Key ID", fmt.Sprintf(
		"The key %q is to get the key_id %s. The token already holds certificates with this ID, and their public key is "+
			"another one:\n\n%s\n\nPrograms find the certificate of a key by its ID, and would show them as those of this key. "+
			"Choose another key_id, or give them another ID, or destroy them:\n\n  %s\n  %s",
		a.Label.ValueString(), id, strings.Join(lines, "\n"),
		token.Command("--id", id, "--type", "cert", "--set-id", "NEW_ID"),
		token.Command("--delete-object", "--type", "cert", "--id", id))), nil
}

func labels(certificates []object.Object) string {
	var lines []string
	for _, c := range certificates {
		lines = append(lines, fmt.Sprintf("  - %q", c.Label))
	}
	return strings.Join(lines, "\n")
}
