// Package diagnose turns failures into diagnostics that say what happened, what the token holds now, and what to do.
//
//	failure := diagnose.Failure{Doing: diagnose.Create, Kind: &kind, Err: err, Token: token, KeyID: "6b31"}
//	resp.Diagnostics.Append(failure.Diagnostic())
//
// What to do is a table of remedies, one row for each kind of failure that the user can do something about; each
// row's name ends the diagnostic's summary, and has a section in the guide "When something goes wrong".
package diagnose

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// What can be done to a Kind of key.
const (
	Create = "Create"
	Read   = "Read"
	Update = "Update"
	Delete = "Delete"
	Import = "Import"
	Plan   = "Plan"
	List   = "List"
)

// Certificate is the Noun of the Kind of certificates.
const Certificate = "certificate"

// Kind is what diagnostics say of the keys of one resource.
type Kind struct {
	Resource    string         // the resource's type in configurations: "hsm_rsa_keypair"
	Type        object.KeyType // "" of rings, which hold keys of several types, and have no key_id
	Noun, Title string         // "key pair", "Key Pair"
	Parts       []string       // the objects that such a key is made of, in pkcs11-tool's words
}

// ResourceOf is the resource of each type of key.
var ResourceOf = map[object.KeyType]string{
	object.RSA: "hsm_rsa_keypair", object.EC: "hsm_ec_keypair", object.MLDSA: "hsm_ml_dsa_keypair",
	object.Secret: "hsm_secret_key",
}

// Doing is such as "Create Key Pair" or "List Key Pairs".
func (k Kind) Doing(what string) string {
	if what == List {
		return what + " " + k.Title + "s"
	}
	return what + " " + k.Title
}

// Named is the noun with what kind of pair it is: "RSA key pair", "secret key".
func (k Kind) Named() string {
	if k.Type == object.Secret {
		return k.Noun
	}
	return string(k.Type) + " " + k.Noun
}

// AnotherID says under which ID a new key is to take the place of a lost pair, with a blank behind it. It is "" for secret
// keys, which have no kid.
func (k Kind) AnotherID() string {
	if k.Type == object.Secret {
		return ""
	}
	return "If the configuration says key_id, give it another one: verifiers keep public keys by their kid, which follows " +
		"key_id, and would go on using the old one for the new key. "
}

// Provider is what diagnostics say of the provider's configuration.
type Provider struct {
	Library  string              // path of the PKCS#11 module
	Selected []string            // what selects the token, and where each came from: `label "web" (from token_label)`
	PINFrom  string              // where the PIN came from: "HSM_PIN"; "" where there is none
	User     string              // who logs in: `user_type = "so"`; "" where it is the normal user
	Foreign  func(string) string // gives a text of others, or a note in its place where it has the PIN in it
	First    func(string) bool   // says whether this run tells of something for the first time; nil: it always does
}

// Failure is a failed operation, and what is known around it.
type Failure struct {
	Err      error
	Doing    string     // one of the constants, of the Kind; where there is no Kind, the whole phrase: "Read Keys"
	Kind     *Kind      // nil in data sources
	Token    *hsm.Token // nil where it could not be opened
	Provider Provider
	KeyID    string // hexadecimal; "" where it is not known
	Label    string // "" where it is not known
	Managed  bool   // a resource of this run has a key with that ID
	Advice   string // a full sentence, before the others on what to do; "" for none
}

// existing says that the failure is about a key that the state has.
func (f Failure) existing() bool {
	return f.Kind != nil && (f.Doing == Read || f.Doing == Update || f.Doing == Delete)
}

// Diagnostic says what happened, what the token holds now, and what to do. It points at the attribute at fault, where
// there is one.
func (f Failure) Diagnostic() diag.Diagnostic {
	remedy := remedyFor(f.Err)
	detail := []string{f.what()}
	if operation, ok := errors.AsType[*hsm.OperationError](f.Err); ok {
		detail = append(detail, "On the token: "+operation.Holds.String())
	}
	if standing, ok := errors.AsType[*hsm.StandingError](f.Err); ok {
		detail = append(detail, "On the token: "+standing.Stands.String())
	}
	next := remedy.next(f)
	if f.Advice != "" {
		next = f.Advice + " Otherwise " + next
	}
	if standing, ok := errors.AsType[*hsm.StandingError](f.Err); ok &&
		standing.Stands == hsm.StandsPerhapsNewOfficerPIN {
		next += "\n\nThe next apply sends the old SO PIN, from HSM_SO_PIN or HSM_SO_PIN_FILE. If the token refuses " +
			"it, give the new one there: the token has it already."
	}
	detail = append(detail, "What to do: "+next)
	if told := f.report(); told != "" {
		detail = append(detail, told)
	}
	text := strings.Join(detail, "\n\n")
	if strings.Contains(text, ".NAME") && !strings.Contains(text, whatNAMEIs) {
		text += "\n\n" + whatNAMEIs
	}
	attribute := remedy.attribute
	if refused, ok := errors.AsType[*object.RefusedError](f.Err); ok {
		attribute = refused.Attribute
	}
	if f.certificate() && attribute != "key_id" {
		attribute = ""
	}
	if attribute != "" && f.Kind != nil &&
		(f.certificate() || f.Kind.Type != "" || slices.Contains(ringAttributes, attribute)) {
		return diag.NewAttributeErrorDiagnostic(path.Root(attribute), f.Summary(), text)
	}
	return diag.NewErrorDiagnostic(f.Summary(), text)
}

// ringAttributes are those at which a diagnostic may point that is about a ring.
var ringAttributes = []string{
	"label", "standby_label", "retired_label", "key_id_prefix", "retired", "curve", "extractable", "deletion_policy",
}

// report is what to report of a token's answer on a make that this provider was never run on, "" for all else.
func (f Failure) report() string {
	if f.Token == nil || !f.Token.Unknown() && f.Token.NeverRunOn() == "" || hsm.IsPINError(f.Err) {
		return ""
	}
	asked := f.Token.AskedOf(f.Err)
	if asked == "" && !as[*hsm.VerifyError](f.Err) && hsm.CauseOf(f.Err) != hsm.CauseTokenDoesNotAnswer {
		return ""
	}
	if asked != "" {
		asked = "The call that failed: " + asked + ". It has no PIN, ID or label.\n\n"
	}
	known := "This provider knows nothing of this make of HSM, and treats it as the PKCS#11 specification says: to have that mended"
	if name := f.Token.NeverRunOn(); name != "" {
		known = "This provider knows " + name + " from documents, and was never run on one: if it should know better"
	}
	return asked + known + ", report this text with the text of the data source hsm_report."
}

// Summary is that of the Diagnostic, such as "Unable to Create Key Pair: PIN Locked".
func (f Failure) Summary() string {
	summary := "Unable to " + f.Doing
	if f.Kind != nil {
		summary = "Unable to " + f.Kind.Doing(f.Doing)
	}
	if name := remedyFor(f.Err).name; name != "" {
		summary += ": " + name
	}
	return summary
}

// what says what happened. It leaves out what an operation's error says of the token, which has a paragraph of its
// own.
func (f Failure) what() string {
	err := f.Err
	if operation, ok := errors.AsType[*hsm.OperationError](err); ok {
		err = operation.Err
		f.Label, f.KeyID = cmp.Or(operation.Label, f.Label), object.FormatID(operation.ID)
	}
	if standing, ok := errors.AsType[*hsm.StandingError](err); ok {
		err = standing.Err
	}
	text := err.Error()
	if missing, ok := errors.AsType[*hsm.TokenError](err); ok && len(f.Provider.Selected) > 0 {
		text = missing.Told(strings.Join(f.Provider.Selected, " and "))
	}
	if errors.Is(err, hsm.ErrLibrary) && !noLibraryGiven(err) && f.Provider.Foreign != nil {
		text = f.Provider.Foreign(text) // the loader's words; no other error has words that are not ours
	}
	text = Sentence(text)
	if key := f.key(); key != "" && (f.Label != "" || !strings.Contains(text, f.KeyID)) {
		text += "\n\nThis was about " + key + "."
	}
	if f.Token != nil && hsm.IsPINError(err) {
		text += fmt.Sprintf("\n\nThe token is in %s.", f.Token.Info())
	}
	return text
}

// key names the key, by what is known of it.
func (f Failure) key() string {
	switch {
	case f.certificate() && f.Label != "" && f.KeyID != "":
		return fmt.Sprintf("the certificate %q (key_id %s)", f.Label, f.KeyID)
	case f.certificate() && f.KeyID != "":
		return fmt.Sprintf("the certificate with key_id %s", f.KeyID)
	case f.Label != "" && f.KeyID != "":
		return fmt.Sprintf("the key %q (key_id %s)", f.Label, f.KeyID)
	case f.Label != "" && f.Kind != nil && f.Kind.Type == "":
		return fmt.Sprintf("the %s %q", f.Kind.Noun, f.Label)
	case f.Label != "":
		return fmt.Sprintf("the key %q", f.Label)
	case f.KeyID != "":
		return fmt.Sprintf("the key with key_id %s", f.KeyID)
	}
	return ""
}

func (f Failure) certificate() bool { return f.Kind != nil && f.Kind.Noun == Certificate }

// id is the key's ID as the failure itself has it: the operation may have made it up.
func (f Failure) id() string {
	if operation, ok := errors.AsType[*hsm.OperationError](f.Err); ok && len(operation.ID) > 0 {
		return object.FormatID(operation.ID)
	}
	return f.KeyID
}

// command is a pkcs11-tool command line for the token. Where the token was never opened, LABEL stands for its label.
func (f Failure) command(args ...string) string {
	if f.Token == nil {
		return hsm.Command(append([]string{"pkcs11-tool", "--module", f.module(), "--token-label", "LABEL", "--login"}, args...)...)
	}
	return f.Token.Command(args...)
}

// module is the path of the PKCS#11 module, or a word in its place.
func (f Failure) module() string { return cmp.Or(f.Provider.Library, "MODULE") }

// resourceType is the resource's type in configurations, "" in data sources.
func (f Failure) resourceType() string {
	if f.Kind == nil {
		return ""
	}
	return f.Kind.Resource
}

// Sentence makes a sentence of an error's text: errors are fragments in lower case, and users read sentences. A name
// that an error begins with (key_id, pkcs11:id=%01, a file's) stays as it is.
func Sentence(text string) string {
	text = strings.ReplaceAll(text, "cryptoki: ", "")
	if text == "" {
		return text
	}
	if begin, _, _ := strings.Cut(text, " "); isWord(strings.TrimRight(begin, ",:;.\n")) {
		first, size := utf8.DecodeRuneInString(text)
		text = string(unicode.ToUpper(first)) + text[size:]
	}
	if strings.HasSuffix(text, ".") || strings.Contains(text, "\n  - ") {
		return text
	}
	return text + "."
}

// isWord says that a text is one word of a language.
func isWord(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && r != '-' && r != '\'' })
}
