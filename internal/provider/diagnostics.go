package provider

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// problem is a failure together with what was being done, so that it can be told with a way out.
type problem struct {
	doing        string   // "Create", of a kind of key; "Read Keys"
	kind         *keyKind // nil where it is not about one
	err          error
	token        *hsm.Token // nil where it could not be opened
	client       *client
	resourceType string // "hsm_rsa_keypair"
	keyID        string // hex; "" where it is not known
	label        string
}

// diagnostic tells the problem: what happened, what the token holds now, and what to do next. It points at the
// attribute at fault where there is one.
func (p problem) diagnostic() diag.Diagnostic {
	row := adviceFor(p.err)
	detail := []string{p.what()}
	if holds, ok := p.holds(); ok {
		detail = append(detail, "On the token: "+holds)
	}
	if next := row.next(p); next != "" {
		detail = append(detail, "What to do: "+next)
	}
	summary := "Unable to " + p.doing
	if p.kind != nil {
		summary = "Unable to " + p.kind.doing(p.doing)
	}
	if row.name != "" {
		summary += ": " + row.name
	}
	text := strings.Join(detail, "\n\n")
	if row.attribute != "" && p.resourceType != "" {
		return diag.NewAttributeErrorDiagnostic(path.Root(row.attribute), summary, text)
	}
	return diag.NewErrorDiagnostic(summary, text)
}

// what says what happened. An operation's error has what the token holds in it, which is said apart.
func (p problem) what() string {
	err := p.err
	subject := p.subject()
	if operation, ok := errors.AsType[*hsm.OperationError](err); ok {
		err = operation.Err
		p.label, p.keyID = cmp.Or(operation.Label, p.label), hsm.FormatID(operation.ID)
		subject = p.subject()
	}
	text := sentence(p.client.redact(err.Error()))
	if subject != "" {
		text += "\n\nThis was about " + subject + "."
	}
	if p.token != nil && hsm.IsPINError(err) {
		text += fmt.Sprintf("\n\nThe token is in %s.", p.token.Info())
	}
	if p.client != nil && errors.Is(err, hsm.ErrNoToken) && len(p.client.selected) > 0 {
		text += "\n\nThe token is selected by " + strings.Join(p.client.selected, " and ") + "."
	}
	return text
}

func (p problem) subject() string {
	switch {
	case p.label != "" && p.keyID != "":
		return fmt.Sprintf("the key %q (key_id %s)", p.label, p.keyID)
	case p.label != "":
		return fmt.Sprintf("the key %q", p.label)
	case p.keyID != "":
		return fmt.Sprintf("the key with key_id %s", p.keyID)
	}
	return ""
}

func (p problem) holds() (string, bool) {
	var operation *hsm.OperationError
	if !errors.As(p.err, &operation) {
		return "", false
	}
	return operation.Holds.String(), true
}

// id is the key's ID as the failure itself has it, which may be one that was made up on the way.
func (p problem) id() string {
	var operation *hsm.OperationError
	if errors.As(p.err, &operation) && len(operation.ID) > 0 {
		return hsm.FormatID(operation.ID)
	}
	return p.keyID
}

// command is a pkcs11-tool command line for the token. Where the token was never opened there is none.
func (p problem) command(args ...string) string {
	if p.token == nil {
		return strings.Join(append([]string{"pkcs11-tool"}, args...), " ")
	}
	return p.token.Command(args...)
}

// sentence makes a sentence of an error text: errors are fragments in lower case, details are read as prose.
func sentence(text string) string {
	text = strings.ReplaceAll(text, "cryptoki: ", "")
	if text == "" {
		return text
	}
	if !strings.HasPrefix(text, "key_") && !strings.HasPrefix(text, "pkcs11:") {
		first, size := utf8.DecodeRuneInString(text)
		text = string(unicode.ToUpper(first)) + text[size:]
	}
	if strings.HasSuffix(text, ".") || strings.Contains(text, "\n  - ") {
		return text
	}
	return text + "."
}

// advice is what is told beside a failure of one kind.
type advice struct {
	is        func(error) bool
	name      string               // ends the summary: "Unable to Create Key Pair: PIN Locked"
	attribute string               // of the resource, where one is at fault
	next      func(problem) string // what to do next
}

func adviceFor(err error) advice {
	for _, row := range adviceTable {
		if row.is(err) {
			return row
		}
	}
	return otherwise
}

func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func as[T error](err error) bool {
	var target T
	return errors.As(err, &target)
}

func say(text string) func(problem) string {
	return func(problem) string { return text }
}

// adviceTable has a row for each kind of failure that callers can tell apart. The first that matches is taken, so
// what is more special stands further up: a failed login inside a failed creation is told as the failed login.
var adviceTable = []advice{
	{is: is(errNotConfigured), name: "Provider Not Configured", next: say("this is a bug in the hsm provider. Please report it.")},
	{is: is(errDisabled), name: "HSM Switched Off", next: say("unset HSM_ENABLED, or set it to true, and run Terraform again.")},
	{is: as[*unknownError], name: "Provider Configuration Not Known Yet", next: say(
		"make what these attributes refer to exist first (terraform apply -target=...), or give them as variables or through the environment. " +
			"A plan that does not need the token goes on without them; this one needs it.")},
	{is: func(err error) bool { return errors.Is(err, errNoLibrary) || noLibraryGiven(err) }, name: "No PKCS#11 Module", next: nextNoLibrary},
	{is: is(hsm.ErrLibrary), name: "PKCS#11 Module Not Usable", next: nextLibrary},
	{is: is(hsm.ErrTokenNotInitialized), name: "Token Not Initialised", next: nextInitialise},
	{is: is(hsm.ErrNoToken), name: "Token Not Found", next: nextNoToken},

	{is: is(hsm.ErrNoPIN), name: "No PIN", next: say("give the token's user PIN: the provider's argument pin, the environment variable HSM_PIN, or HSM_PIN_FILE, which names a file whose first line is the PIN.")},
	{is: is(hsm.ErrPINLocked), name: "PIN Locked", next: nextLocked},
	{is: is(hsm.ErrPINFinalTry), name: "Final PIN Try", next: func(p problem) string {
		return "one more wrong PIN would lock the token, so this provider sends none. Log in once by hand with the right PIN, which sets the count back, " +
			"and run Terraform again:\n\n  " + p.command("--list-objects")
	}},
	{is: is(hsm.ErrPINExpired), name: "PIN Must Be Changed", next: func(p problem) string {
		return "the token takes this PIN only to change it. Change it, and give the provider the new one:\n\n  " + p.command("--change-pin")
	}},
	{is: is(hsm.ErrPINNotSet), name: "No User PIN On The Token", next: func(p problem) string {
		return "the token is initialised, but its user PIN was never set. The security officer sets it:\n\n  " + p.command("--login-type", "so", "--init-pin")
	}},
	{is: is(hsm.ErrPINIncorrect), name: "PIN Refused", next: say(
		"check the PIN (pin, HSM_PIN or HSM_PIN_FILE) and that the token is the one meant. It was sent once and is not sent again in this run; each " +
			"further run sends it once more, and a token locks after a few wrong ones. The state is untouched.")},

	{is: is(hsm.ErrExists), name: "Key ID Taken", attribute: "key_id", next: nextExists},
	{is: is(hsm.ErrAmbiguous), name: "Several Keys Of One ID", attribute: "key_id", next: nextAmbiguous},
	{is: is(hsm.ErrHalfPair), name: "Half A Key Pair", next: nextHalfPair},
	{is: as[*hsm.DifferentKeyError], name: "Another Key Behind The Same ID", next: nextDifferentKey},
	{is: as[*movedError], name: "Key ID Changed On The Token", attribute: "key_id", next: nextMoved},
	{is: is(hsm.ErrNotFound), name: "Not On The Token", next: nextNotFound},
	{is: is(hsm.ErrMalformed), name: "Malformed Object On The Token", next: func(p problem) string {
		if e, ok := errors.AsType[*hsm.MalformedError](p.err); ok && e.Unreadable() {
			return "nothing was made of it, and the state is kept. The token does not tell what it is: pkcs11-tool lists it as a data object without a label, and cannot destroy it. If it was part of a key, " +
				"bring that back from the token's backup; no new key is made under its ID in the meantime. To see what is left of the key:\n\n  " + p.command("--list-objects")
		}
		return "nothing was made of it. Look at the object with another tool; if it is not wanted, destroy it there:\n\n  " + p.command("--list-objects")
	}},
	{is: as[*labelError], name: "Label Differs", next: say("import by the key ID alone, or by the label that the token shows.")},
	{is: as[*serialError], name: "Another Token", next: say("nothing was imported. If the provider's token is the right one, as a replica may be, leave token_serial out of the identity; else correct the provider's configuration.")},
	{is: as[*selectionError], name: "Not One Key", next: say("name exactly one key of this type: import by its key ID.")},

	{is: is(hsm.ErrNoMatch), name: "Not One Public Key", next: nextNoMatch},

	{is: is(hsm.ErrUnfit), name: "Size Or Usage Does Not Fit", next: say("no token makes or keeps such a key. Correct the size or the usage in the configuration, or, where its value comes from " +
		"elsewhere, there; then run Terraform again.")},
	{is: is(hsm.ErrMechanism), name: "Not Offered By The Token", next: say("choose what the token offers, or another token.")},
	{is: is(cryptoki.CKR_CURVE_NOT_SUPPORTED), name: "Not Offered By The Token", next: say("choose a curve that the token offers, or another token.")},
	{is: is(cryptoki.CKR_DOMAIN_PARAMS_INVALID), name: "Not Offered By The Token", next: say("choose a curve that the token offers, or another token.")},
	{is: is(hsm.ErrReadOnly), name: "Token Is Read-Only", next: say("the token or the slot is write-protected: have it opened for writing, then run Terraform again.")},
	{is: is(cryptoki.CKR_ATTRIBUTE_READ_ONLY), name: "Not Changeable In Place", next: nextUnchangeable},
	{is: is(cryptoki.CKR_ACTION_PROHIBITED), name: "Not Changeable In Place", next: nextUnchangeable},
	{is: is(cryptoki.CKR_FUNCTION_NOT_SUPPORTED), name: "Not Supported By The Token", next: nextUnchangeable},
	{is: is(cryptoki.CKR_DEVICE_MEMORY), name: "Token Full", next: func(p problem) string {
		return "the token has no room for another object. Destroy what is not wanted, then run Terraform again. To see what it holds:\n\n  " + p.command("--list-objects")
	}},
	{is: is(cryptoki.CKR_SESSION_COUNT), name: "Too Many Sessions", next: say("the token has no session left: lower max_sessions, or end what else uses the token, then run Terraform again.")},
	{is: func(err error) bool {
		return errors.Is(err, cryptoki.CKR_TOKEN_NOT_PRESENT) || errors.Is(err, cryptoki.CKR_DEVICE_REMOVED)
	}, name: "Token Removed", next: say("the token went away. Make it reachable again, then run terraform plan.")},
	{is: as[*cryptoki.HangError], name: "Token Does Not Answer", next: func(p problem) string {
		if p.resourceType == "" {
			return "check that the token answers, then run Terraform again. To ask the token:\n\n  " + p.command("--list-objects")
		}
		if p.doing == doingRead || p.doing == doingImport {
			return "check that the token answers, then run terraform plan again. A longer time is given by the resource's argument timeouts. To ask the token:\n\n  " + p.command("--list-objects")
		}
		return "the call may still take effect. Check that the token answers, then run terraform plan, which compares the token with the state. A longer time is given " +
			"by the resource's argument timeouts. To ask the token:\n\n  " + p.command("--list-objects")
	}},
	{is: is(context.Canceled), name: "Interrupted", next: say("run terraform plan, which compares the token with the state.")},
	{is: is(context.DeadlineExceeded), name: "Timed Out", next: func(p problem) string {
		if p.resourceType == "" {
			return "check that the token answers, then run Terraform again."
		}
		return "check that the token answers; a longer time is given by the resource's argument timeouts."
	}},
	{is: as[*hsm.VerifyError], name: "Not What Was Asked For", next: say("what does not match was not kept. The token or its PKCS#11 module does something else than it was told: look into its documentation or configuration (a policy, a FIPS mode) for the attributes named above.")},
}

// otherwise is for a failure that has no row: the token's own, by its code.
var otherwise = advice{next: func(p problem) string {
	return "look into the token's own log for this time. When the cause is mended, run terraform plan, which compares the token with the state. To see what the token holds:\n\n  " +
		p.command("--list-objects")
}}
