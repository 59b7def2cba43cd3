package diagnose

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
)

func noLibraryGiven(err error) bool {
	library, ok := errors.AsType[*hsm.LibraryError](err)
	return ok && library.Path == ""
}

func nextNoLibrary(Failure) string {
	return "give the path of the token's PKCS#11 module in the provider's argument library or in the environment " +
		"variable HSM_LIBRARY. " + emptyProvider + " " + foundModules()
}

// emptyProvider is for a configuration that lacks everything: it may be another one than was written.
const emptyProvider = "If a provider block with an alias says it already, name that block: in a resource, write " +
	"provider = hsm.ALIAS, and in a module block providers = { hsm = hsm.ALIAS }. Otherwise Terraform takes an empty " +
	"provider block."

func nextLibrary(f Failure) string {
	next := "check the path. The file must be a PKCS#11 module for this machine, and the libraries that it needs must " +
		"be installed. "
	if library := f.Provider.Library; library != "" && !filepath.IsAbs(library) {
		next = "give the whole path of the module. A bare name is not searched for in the folders of " +
			"libraries, and ~ is not expanded. "
	}
	return next + foundModules()
}

func nextConfiguration(f Failure) string {
	e, ok := errors.AsType[*hsm.ModuleConfigurationError](f.Err)
	if !ok {
		return otherwise.next(f)
	}
	if e.Variable != "" {
		return "let the environment variable " + e.Variable + " name the module's configuration file, with its whole " +
			"path, and " +
			"let the user who runs Terraform read it. Or unset the variable: then the module takes its usual file."
	}
	return "let the user who runs Terraform read the file, or let the environment variable " +
		hsm.ConfigurationVariable + " name another one."
}

func nextTokenFolder(f Failure) string {
	e, ok := errors.AsType[*hsm.TokenFolderError](f.Err)
	if !ok {
		return otherwise.next(f)
	}
	folder, correct := e.Folder, ""
	if rest, ok := strings.CutPrefix(folder, "~/"); ok {
		correct = hsm.HomeRule
		if home, err := os.UserHomeDir(); err == nil {
			folder = filepath.Join(home, rest)
		}
	}
	if real, err := filepath.Abs(folder); err == nil && !filepath.IsAbs(folder) {
		folder, correct = real, hsm.PathRule
	}
	if correct != "" {
		correct += fmt.Sprintf("Write its whole path into the configuration file, such as directories.tokendir = %s. ",
			folder)
	}
	if errors.Is(e.Problem, fs.ErrNotExist) {
		return correct + "Make the folder, if it is not there:\n\n  " + hsm.Command(makeFolder(folder)...) +
			"\n\nIf you have made a token already, it is in another folder: name that one instead."
	}
	return correct + "Let directories.tokendir name a folder that the user who runs Terraform can read and write. If " +
		"the file is not yours, write one of your own, and let the environment variable " + hsm.ConfigurationVariable + " name it."
}

// makeFolder makes the folders above as well, which on Windows needs no word.
func makeFolder(folder string) (command []string) {
	if runtime.GOOS == "windows" {
		return []string{"mkdir", filepath.Clean(folder)}
	}
	return []string{"mkdir", "-p", folder}
}

func foundModules() string {
	modules := hsm.FindModules()
	if len(modules) == 0 {
		return "No module was found in the usual places of this machine."
	}
	for i, path := range modules {
		modules[i] = hsm.Command(path) // as one word of a command
	}
	return "Found in the usual places of this machine:\n\n  " + strings.Join(modules, "\n  ")
}

func nextInitialise(f Failure) string {
	if f.existing() {
		return "find the token with the key: " + anotherToken
	}
	slot := "SLOT"
	if blank, ok := errors.AsType[*hsm.BlankTokenError](f.Err); ok {
		slot = fmt.Sprint(blank.Slot)
	}
	return "initialise the token, then set its user PIN. " + byResource + f.initialise(slot, "LABEL") +
		"\n\nThen select the token by its label (token_label or HSM_TOKEN_LABEL), not by its slot."
}

// byResource is for what a resource does, or else the commands that follow.
const byResource = "The resource hsm_token does both: whatever uses the token then needs depends_on with its " +
	"address. Or do it by hand. "

// byVersion is for a PIN that a resource sets, or else the command that follows.
const byVersion = "If an hsm_token manages this token, change its pin_wo_version, give the SO PIN in HSM_SO_PIN, and " +
	"run terraform apply. Otherwise:\n\n  "

// initialise says by what commands a token is initialised. What follows finds it by its label: some modules give
// the slot another number.
func (f Failure) initialise(slot, label string) string {
	tool := []string{"pkcs11-tool", "--module", f.module()}
	return "Initialising destroys whatever the token holds, and some modules then give its slot another number:\n\n  " +
		hsm.Command(append(tool, "--slot", slot, "--init-token", "--label", label)...) + "\n  " +
		hsm.Command(append(tool, "--token-label", label, "--login", "--login-type", "so", "--init-pin")...) +
		"\n\nThe first command asks for a new PIN of the security officer (SO PIN). The second asks for that one, and then " +
		"for a new user PIN, which is the one that the provider needs (HSM_PIN)."
}

// anotherToken is for a key of the state: its token is initialised, and a new one would not have the key.
const anotherToken = "the state has a key that is on another token. Check the provider's token_label, token_serial " +
	"and slot, or HSM_TOKEN_LABEL, HSM_TOKEN_SERIAL and HSM_SLOT (some modules change the IDs of their slots), and the " +
	"module's own configuration (" + hsm.OwnConfiguration + "). Do not initialise a token for this."

func severalTokens(err error) bool {
	e, ok := errors.AsType[*hsm.TokenError](err)
	return ok && e.Matches > 1
}

func nextSeveralTokens(f Failure) string {
	next := "say which of the tokens above you mean, " + byWhat
	if e, ok := errors.AsType[*hsm.TokenError](f.Err); ok && e.Selector == (hsm.Selector{}) {
		next += " " + emptyProvider
	}
	return next
}

// byWhat names what selects a token.
const byWhat = "with token_label, token_serial or slot, or with HSM_TOKEN_LABEL, HSM_TOKEN_SERIAL or HSM_SLOT."

func nextNoToken(f Failure) string {
	e, ok := errors.AsType[*hsm.TokenError](f.Err)
	if !ok { // another token is in the slot than was opened
		return "put the token back, or run Terraform again to take the one that is there."
	}
	slot, blank := e.Blank()
	label := "LABEL"
	if e.Selector.Label != nil && *e.Selector.Label != "" {
		label = *e.Selector.Label
	}
	switch {
	case len(e.Skipped) > 0: // the token may be there
		next := "find out why not every slot answers: the token may be in one that does not. Then run Terraform " +
			"again. Do not initialise a token for this."
		if !f.existing() && !e.AllBlank() {
			next += " Or, if the token that you mean is shown above, choose it " + byWhat
		}
		return next
	case len(e.Tokens) == 0:
		return "plug the token in, or check the module's own configuration (" + hsm.OwnConfiguration + ")."
	case f.existing():
		return "find the token with the key: " + anotherToken
	case e.AllBlank():
		return fmt.Sprintf("make sure that this is the module that you mean, and that its configuration is right (%s). "+
			"If so, no token is initialised yet: initialise the one in slot %d, then set its user PIN. %s\n\nThen select "+
			"the token by its label alone (token_label or HSM_TOKEN_LABEL).", hsm.OwnConfiguration, slot,
			byResource+f.initialise(fmt.Sprint(slot), label))
	case blank && e.Selector.Serial == nil && e.Selector.Label != nil:
		return fmt.Sprintf("choose one of the tokens above %s\n\nOr, to make a token of that label, initialise the one in "+
			"slot %d, then set its user PIN. %s", byWhat, slot, byResource+f.initialise(fmt.Sprint(slot), label))
	}
	return "choose one of the tokens above " + byWhat
}

func nextToCome(f Failure) string {
	if f.existing() {
		return "find the token with the key: " + anotherToken
	}
	return "write depends_on with the address of the hsm_token into what fails here, so that it waits. Or make the " +
		"token first, with terraform apply -target=ADDRESS, where ADDRESS is the hsm_token's."
}

func nextPINRefused(f Failure) string {
	if f.Provider.First != nil && !f.Provider.First("PIN Refused") {
		return "do as another error of this run says, the one with \"check the PIN\". The PIN was sent once, and not " +
			"again for this."
	}
	from := "(pin, HSM_PIN or HSM_PIN_FILE)"
	if f.Provider.PINFrom != "" {
		from = "(from " + f.Provider.PINFrom + ")"
	}
	whose := ""
	if f.Provider.User != "" {
		whose = ", which is taken for the PIN of another user than the normal one (" + f.Provider.User + ")"
	}
	return "check the PIN " + from + whose + ", and check that this is the right token.\n\n" +
		"The PIN was sent once and is not sent again in this run. Each further run sends it once more, and a token locks " +
		"after a few wrong PINs. The state is unchanged."
}

// nextOtherUser is for what the token refuses as if nobody were logged in.
func nextOtherUser(f Failure) string {
	if f.Provider.User != "" {
		return "take out " + f.Provider.User + ", and give the normal user's PIN: on most tokens, no other user makes or uses " +
			"keys."
	}
	return "run terraform plan again: the token may have ended the login. If it answers the same, it wants another user for this. " +
		"The documentation of its maker says which one: give it in the provider's argument user_type, with that user's PIN."
}

func nextLabelTaken(f Failure) string {
	e, ok := errors.AsType[*hsm.LabelTakenError](f.Err)
	if !ok || len(e.Tokens) != 1 {
		return "choose a label that no token has."
	}
	token, first := e.Tokens[0], ""
	importID := token.Label
	if token.HasSerial() {
		importID = token.Serial
	}
	if e.Err != nil {
		first = "if an apply that was interrupted has left the token, check the user's PIN (pin_wo, pin, HSM_PIN or " +
			"HSM_PIN_FILE), log in once by hand with the right one, which resets the count of wrong ones, and run " +
			"terraform apply again:\n\n  " + hsm.Command("pkcs11-tool", "--module", f.module(), "--token-label",
			token.Label, "--login",
			"--list-objects") + "\n\nOtherwise, "
	}
	return first + "if it is the token that you mean, import it. It keeps its keys and PINs:\n\n  " +
		hsm.Command("terraform", "import", "hsm_token.NAME", importID) +
		"\n\nOr leave the hsm_token out: keys need none. If it is another one's token, choose another label. A token " +
		"that is initialised is never initialised again."
}

func nextInterrupted(f Failure) string {
	label := "LABEL"
	if e, ok := errors.AsType[*hsm.InterruptedError](f.Err); ok {
		label = e.Token.Label
	}
	maker, command := hsm.RemovalCommand(label)
	return "remove the token with the tools of its maker, then run terraform apply again. Nothing can be on it: " +
		"nobody could ever log in. For " + maker + ":\n\n  " + command
}

func nextFixedLabel(f Failure) string {
	e, ok := errors.AsType[*hsm.FixedLabelError](f.Err)
	if !ok {
		return otherwise.next(f)
	}
	return fmt.Sprintf("write label = %q, which the token has. Or have the module give it another one: %s.",
		e.Token.Label, hsm.OwnLabel)
}

func nextNoBlank(f Failure) string {
	e, ok := errors.AsType[*hsm.NoBlankTokenError](f.Err)
	switch {
	case ok && e.Slot == nil && len(e.Blank) > 1:
		return "say which of the tokens above to take, with slot."
	case ok && len(e.Skipped) > 0:
		return "find out why not every slot answers. Then run Terraform again."
	}
	return "if one of the tokens above is the one that you mean, import it by its serial number or label. Otherwise " +
		"plug in a token that is not initialised, or have the module make one, as the documentation of its maker " +
		"says. A token that is initialised is never initialised again, since that destroys its keys."
}

// whoReads is for objects that this user may not read.
const whoReads = "run Terraform as the user who owns the token's files, or make all files in the token's folder that " +
	"user's: " + hsm.OwnFiles + ". Then run terraform plan."

func nextErasure(f Failure) string {
	e, ok := errors.AsType[*hsm.ErasureError](f.Err)
	if _, hidden := errors.AsType[*hsm.UnreadableError](f.Err); hidden {
		return whoReads
	}
	if ok && e.Err != nil {
		return "give the provider the PIN of this token's user (pin, HSM_PIN or HSM_PIN_FILE), so that it can see " +
			"whether the token is empty. Or, to erase it whatever is on it, set erase_keys = true, run terraform " +
			"apply, then destroy the resource."
	}
	return "destroy what is on the token first, by the resources that manage it or with another tool. Or, to erase " +
		"it with all that, set erase_keys = true, run terraform apply, then destroy the resource. No key comes back."
}
