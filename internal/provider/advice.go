package provider

import (
	"errors"
	"fmt"
	"strings"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
)

// The longer ways out that adviceTable names.

func noLibraryGiven(err error) bool {
	var library *hsm.LibraryError
	return errors.As(err, &library) && library.Path == ""
}

func nextNoLibrary(problem) string {
	return "name the token's PKCS#11 module by the provider's argument library or the environment variable HSM_LIBRARY. " + foundModules()
}

func nextLibrary(problem) string {
	return "check the path, that the file is a PKCS#11 module for this machine, and that the libraries it needs are installed. " + foundModules()
}

func foundModules() string {
	modules := hsm.FindModules()
	if len(modules) == 0 {
		return "None was found in the usual places of this machine."
	}
	return "Found in the usual places of this machine:\n\n  " + strings.Join(modules, "\n  ")
}

func nextInitialise(p problem) string {
	module := "MODULE"
	if p.client != nil && p.client.configuration.token.Library != "" {
		module = p.client.configuration.token.Library
	}
	return "initialise it, which destroys what it may hold, then set its user PIN:\n\n" +
		"  pkcs11-tool --module " + module + " --slot SLOT --init-token --label LABEL\n" +
		"  pkcs11-tool --module " + module + " --slot SLOT --login --login-type so --init-pin"
}

func nextNoToken(p problem) string {
	var e *hsm.TokenError
	if errors.As(p.err, &e) && e.Matches > 1 {
		return "name one of the tokens listed above by more of token_label, token_serial and slot."
	}
	if errors.As(p.err, &e) && len(e.Tokens) == 0 {
		return "plug the token in, or check the module's own configuration (for SoftHSM the file that SOFTHSM2_CONF names)."
	}
	return "name one of the tokens listed above by token_label, token_serial or slot, or by HSM_TOKEN_LABEL, HSM_TOKEN_SERIAL or HSM_SLOT."
}

func nextLocked(p problem) string {
	return "the token takes no PIN any more. The security officer sets a new one:\n\n  " + p.command("--login-type", "so", "--init-pin")
}

// importAdvice is how a key that is on the token comes into the state.
func importAdvice(resourceType, keyID string) string {
	return fmt.Sprintf("  terraform import %s.NAME %s\n\nor, in the configuration:\n\n  import {\n    to = %s.NAME\n    id = %q\n  }\n\n"+
		"(NAME is the resource's name in your configuration, with its module's address in front; a provider is not told it.)", resourceType, keyID, resourceType, keyID)
}

func nextExists(p problem) string {
	var e *hsm.ExistsError
	if !errors.As(p.err, &e) {
		return otherwise.next(p)
	}
	id := hsm.FormatID(e.ID)
	if p.doing == doingUpdate {
		return "the key keeps its old ID. Choose another key_id for it, or set key_id back; or first free the ID that is taken, by giving what bears it another one. To see it, " +
			p.listing(id)
	}
	if p.kind != nil && e.Whole == p.kind.keyType {
		return fmt.Sprintf("if the %s that bears the ID is the one you want, adopt it:\n\n%s\n\nElse choose another key_id, or leave it out to get a random one.",
			p.kind.noun, importAdvice(p.resourceType, id))
	}
	return "what bears the ID is no whole key of this resource's type, so it cannot be imported: choose another key_id, or leave it out to get a " +
		"random one. To see it, " + p.listing(id)
}

// listing is how to see what bears an ID. pkcs11-tool lists all objects, whatever ID it is given.
func (p problem) listing(id string) string {
	return "list the token's objects and look for the ID " + id + ":\n\n  " + p.command("--list-objects")
}

func nextAmbiguous(p problem) string {
	const next = "give all but one of them another CKA_ID, or destroy what is not wanted. To see them, "
	if e, ok := errors.AsType[*hsm.AmbiguousError](p.err); ok {
		return next + p.listing(hsm.FormatID(e.ID))
	}
	return next + p.listing(p.id())
}

// objectTypes are pkcs11-tool's words for the halves of a pair.
var objectTypes = map[string]string{"private key": "privkey", "public key": "pubkey"}

func nextHalfPair(p problem) string {
	var e *hsm.HalfPairError
	if !errors.As(p.err, &e) {
		return otherwise.next(p)
	}
	id := hsm.FormatID(e.ID)
	if p.resourceType == "" { // a data source, which has no state to restore the key from
		return "bring the missing half back, from the token's backup or with the tool that made the key, and run Terraform again. To see what the token holds of it, " +
			p.listing(id)
	}
	if e.Twin != nil {
		return "the two halves are there, under two IDs, as an interrupted change of key_id leaves them. Bring them together again:\n\n  " +
			p.command("--id", hsm.FormatID(e.Twin.ID), "--type", objectTypes[e.Twin.Class], "--set-id", id) +
			"\n\nthen run terraform plan. No new key is made in the meantime."
	}
	if e.Missing == "private key" {
		return "the key pair cannot sign or decrypt any more. Bring the private half back from the token's backup if there is one. If the key is lost, remove what is left of it " +
			"and forget it, after which terraform apply makes a new one:\n\n  " +
			p.command("--delete-object", "--type", "pubkey", "--id", id) + "\n  terraform state rm " + p.resourceType + ".NAME"
	}
	return "the private half still works, but nobody can look its public half up. Bring that back from the token's backup, or write it anew from the public key that the state " +
		"has:\n\n  terraform state show -no-color " + p.resourceType + ".NAME | sed -n '/BEGIN PUBLIC/,/END PUBLIC/s/^ *//p' > public.pem\n  openssl pkey -pubin -in public.pem -outform DER -out public.der\n  " +
		p.command("--write-object", "public.der", "--type", "pubkey", "--id", id, "--label", e.Present.Label)
}

// movedError says that a key that is known by its fingerprint is on the token under another ID than the state's.
type movedError struct {
	from, to string // hex
	label    string
	noun     string // "key pair"
	doubtful bool   // a check value is too short to tell for certain
}

func (e *movedError) Error() string {
	which := "the same key"
	if e.doubtful {
		which = "a key with the same check value, which may be another one,"
	}
	return fmt.Sprintf("no %s bears the key ID %s any more; %s is on the token under the ID %s (label %q)", e.noun, e.from, which, e.to, e.label)
}

// Unwrap lets it match as what it is besides: not found.
func (e *movedError) Unwrap() error { return hsm.ErrNotFound }

func nextMoved(p problem) string {
	var e *movedError
	if !errors.As(p.err, &e) {
		return otherwise.next(p)
	}
	var text strings.Builder
	text.WriteString("the state is kept, and no new key is made. Let the state follow the key (this touches the state only):\n\n" +
		"  terraform state rm " + p.resourceType + ".NAME\n  terraform import " + p.resourceType + ".NAME " + e.to +
		"\n\nor give the key its old ID back:\n")
	for _, part := range p.kind.parts {
		text.WriteString("\n  " + p.command("--id", e.to, "--type", part, "--set-id", e.from))
	}
	return text.String()
}

func nextNotFound(p problem) string {
	if p.doing == doingImport {
		return "nothing was imported. Check the key ID and that this is the token meant" + onToken(p) + ". To see what it holds:\n\n  " + p.command("--list-objects")
	}
	return "the state is kept, and no new key is made, since a wrong token or partition, or a replica that lags behind, looks just like this. If it was looked for in the wrong place" + onToken(p) +
		", correct the provider's configuration. If the key is lost for good, forget it, after which terraform apply makes a new one:\n\n" +
		"  terraform state rm " + p.resourceType + ".NAME\n\n" +
		"(A key with deletion_policy = \"delete\" is planned anew without this step.)"
}

func nextNoMatch(p problem) string {
	var e *hsm.MatchError
	if errors.As(p.err, &e) && len(e.Found) > 0 {
		return "name one of them by more: its key_id, or a uri with both its label and its ID."
	}
	return "correct the name, or, where the key is made by the same configuration, refer to the resource's uri, or add depends_on, so that it is read after the key is made. To see what the token holds" +
		onToken(p) + ":\n\n  " + p.command("--list-objects")
}

func nextUnchangeable(p problem) string {
	if p.doing != doingUpdate {
		return otherwise.next(p)
	}
	return "this token does not change that in place. Take the change back in the configuration, or have a new key made in the place of this one: allow it by deletion_policy, " +
		"apply that, then run terraform apply -replace=" + p.resourceType + ".NAME"
}

// labelError says that an import named another label than the token shows.
type labelError struct{ asked, found string }

func (e *labelError) Error() string {
	return fmt.Sprintf("the import ID says label %q, and the key on the token is labelled %q", e.asked, e.found)
}

// selectionError says that an import's URI is not the name of one key.
type selectionError struct {
	uri   string
	noun  string // "key pair"
	found []hsm.WholeKey
}

func (e *selectionError) Error() string {
	if len(e.found) == 0 {
		return fmt.Sprintf("%s names no %s of this type on this token", e.uri, e.noun)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s names %d %ss:", e.uri, len(e.found), e.noun)
	for _, k := range e.found {
		fmt.Fprintf(&text, "\n  - %q, key_id %s", k.Label, hsm.FormatID(k.ID))
	}
	return text.String()
}

// onToken is " (slot ...)" where the token was opened.
func onToken(p problem) string {
	if p.token == nil {
		return ""
	}
	return fmt.Sprintf(" (%s)", p.token.Info())
}

func nextDifferentKey(p problem) string {
	return "nothing was changed, since the key on the token is not the one in the state. Run terraform plan, which tells of it and takes the key on the token into the state; " +
		"if that key is not this configuration's to change or destroy, make Terraform forget it instead:\n\n  terraform state rm " + p.resourceType + ".NAME"
}
