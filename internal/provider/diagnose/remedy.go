package diagnose

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// remedy is what to do about one kind of failure.
type remedy struct {
	is        func(error) bool
	name      string               // ends the summary: "Unable to Create Key Pair: PIN Locked"
	attribute string               // of the resource, where one is at fault
	next      func(Failure) string // what to do; never ""
}

func remedyFor(err error) remedy {
	for _, row := range remedies {
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
	_, ok := errors.AsType[T](err)
	return ok
}

func cause(want hsm.Cause) func(error) bool {
	return func(err error) bool { return hsm.CauseOf(err) == want }
}

func say(text string) func(Failure) string {
	return func(Failure) string { return text }
}

// remedies has a row for each kind of failure that callers can tell apart. The first that matches is taken, so the
// special stands above the general: a failed login within a failed creation is told as the failed login.
var remedies = []remedy{
	{is: is(ErrNotConfigured), name: "Provider Not Configured", next: say("this is a bug in the hsm provider. Please " +
		"report it.")},
	{is: is(ErrDisabled), name: "HSM Switched Off", next: say("unset HSM_ENABLED, or set it to true, and run Terraform " +
		"again.")},
	{is: as[*UnknownError], name: "Provider Configuration Not Known Yet", next: say(
		"first make what these attributes refer to, with terraform apply -target=ADDRESS, where ADDRESS is that of what " +
			"they refer to. Or give their values as variables or through the environment. What is read here is on the token " +
			"already, so the provider needs them now; a plan of new keys alone does not.")},
	{is: noLibraryGiven, name: "No PKCS#11 Module", next: nextNoLibrary},
	{is: is(hsm.ErrLibrary), name: "PKCS#11 Module Not Usable", next: nextLibrary},
	{is: as[*hsm.ModuleConfigurationError], name: "Module Configuration Not Readable", next: nextConfiguration},
	{is: as[*hsm.TokenFolderError], name: "Token Folder Not Usable", next: nextTokenFolder},
	{is: is(hsm.ErrParameters), name: "Library Parameters Differ", next: say("give library_parameters the same value " +
		"wherever the provider's configuration names this module, or give them in HSM_LIBRARY_PARAMETERS alone. A process " +
		"initialises a module only once.")},
	{is: cause(hsm.CauseParameters), name: "Library Parameters Refused", next: say("give the provider's argument " +
		"library_parameters, or the environment variable HSM_LIBRARY_PARAMETERS, the text that this module wants. If the " +
		"text is given, correct it; if the module wants none, leave it out. The module's documentation says what belongs " +
		"in it.")},
	{is: as[*TokenLostError], name: "Token Of The State Not Found", next: say("check the provider's library, and " +
		"the module's own configuration (" + hsm.OwnConfiguration + "): the state is kept, and a " +
		"token that cannot be reached looks just like a lost one. If it is gone for ever, take it and the keys that " +
		"were on it out of the state: terraform state rm with their addresses.")},
	{is: as[*hsm.RelabelledError], name: "Token Has Another Label", next: say("look at what is on it, before " +
		"anything else. Somebody may have initialised it anew: then the keys that were on it are lost, unless this " +
		"is the wrong module. If it is the token that is meant from now on, take the resource out of the state " +
		"(terraform state rm with its address), write the new label into the configuration, and import the token.")},
	{is: as[*TokenErasedError], name: "Token Erased", next: say("keys that were on it are lost, unless this is the " +
		"wrong module or slot: then correct the provider's configuration. To initialise it anew, take it and the " +
		"keys out of the state (terraform state rm with their addresses), and run terraform apply.")},
	{is: as[*TokenImportError], name: "Not One Token", next: say("give the serial number or the label of one of the " +
		"tokens above. Where the serial number does not tell one token, import by an identity that has both.")},
	{is: as[*hsm.InterruptedError], name: "Initialisation Cut Off", next: nextInterrupted},
	{is: as[*hsm.LabelTakenError], name: "Token Label Taken", next: nextLabelTaken},
	{is: as[*TokenManagedError], name: "Token Has Another Resource", next: say("choose another label, or take one " +
		"of the two resources out of the configuration and, with terraform state rm, out of the state, which leaves " +
		"the token as it is. If the resource has a new name or index, tell Terraform the old address with a moved " +
		"block. If create_before_destroy has left a deposed object: take create_before_destroy out, run terraform " +
		"state rm with the resource's address, and import the token.")},
	{is: as[*hsm.FixedLabelError], name: "Token Has Its Own Label", next: nextFixedLabel},
	{is: as[*hsm.NoBlankTokenError], name: "No Token To Initialise", next: nextNoBlank},
	{is: as[*hsm.ErasureError], name: "Token Not Empty", next: nextErasure},
	{is: as[*hsm.NotHereError], name: "Not Done Through PKCS#11", next: func(f Failure) string {
		e, _ := errors.AsType[*hsm.NotHereError](f.Err)
		return "do it in the way that the token's maker has for it. " + e.Says + " Leave hsm_token out of the configuration, or do " +
			"not change it here, and select the token in the provider block, " + byWhat
	}},
	{is: is(hsm.ErrNoOfficer), name: "No Security Officer", next: say("use the tools of the token's maker for this. " +
		"With this make, the user changes the PIN, and nobody erases a token through PKCS#11.")},
	{is: is(hsm.ErrNoErasure), name: "Token Cannot Be Erased", next: say("set deletion_policy = \"abandon\", run " +
		"terraform apply, then destroy the resource: the token stays as it is. To make it a blank one again, use " +
		"the tools of its maker.")},
	{is: ofOfficer, name: "Not Supported By The Token", next: say("use the tools of the token's maker for this. " +
		"This module does not offer it, as many makes do not. Then leave " +
		"hsm_token out of the configuration, and select the token that is ready in the provider block, " + byWhat)},
	{is: is(hsm.ErrPINUnfit), name: "New PIN Not Taken", next: say("choose another PIN: this one is too short or " +
		"too long for the token, or has characters that it does not take, or is too simple for it. The " +
		"documentation of its maker says what it takes.")},
	{is: as[*TokenToComeError], name: "Token Still To Be Made", next: nextToCome},
	{is: is(hsm.ErrNoOfficerPIN), name: "No SO PIN", next: say("give the PIN of the token's security officer in " +
		"so_pin_wo, in the environment variable HSM_SO_PIN, or in a file that HSM_SO_PIN_FILE names (its first line " +
		"is the PIN).")},
	{is: is(hsm.ErrOfficerPINLocked), name: "SO PIN Locked", next: say("the token accepts no PIN of a security " +
		"officer any more. The documentation of its maker says how it can be reset, which destroys its keys. They " +
		"can still be used with the user's PIN.")},
	{is: is(hsm.ErrOfficerPINFinalTry), name: "Final SO PIN Try", next: func(f Failure) string {
		return "log in once by hand with the right SO PIN, which resets the count, then run Terraform again. One " +
			"more wrong one would lock it for good, so this provider sends none:\n\n  " +
			f.command("--login-type", "so", "--session-rw", "--list-objects")
	}},
	{is: is(hsm.ErrOfficerPINExpired), name: "SO PIN Must Be Changed", next: func(f Failure) string {
		return "change the SO PIN, and give the provider the new one:\n\n  " + f.command("--login-type", "so",
			"--change-pin")
	}},
	{is: is(hsm.ErrOfficerPINIncorrect), name: "SO PIN Refused", next: say("check the SO PIN (so_pin_wo, HSM_SO_PIN " +
		"or HSM_SO_PIN_FILE), and check that this is the right token.\n\nThe SO PIN was sent once and is not sent " +
		"again in this run. Each further run sends it once more, and many tokens lock for good after three wrong " +
		"ones.")},
	{is: is(ErrPINToCome), name: "PIN Still To Be Set", next: say("set the PIN first, with terraform apply " +
		"-target=ADDRESS, where ADDRESS is the hsm_token's. Or write depends_on with that address into what fails " +
		"here, so that it waits.")},
	{is: is(hsm.ErrTokenNotInitialized), name: "Token Not Initialised", next: nextInitialise},
	{is: severalTokens, name: "Several Tokens Match", next: nextSeveralTokens},
	{is: is(hsm.ErrNoToken), name: "Token Not Found", next: nextNoToken},

	{is: is(hsm.ErrNoPIN), name: "No PIN", next: say("give the token's user PIN in the environment variable HSM_PIN, " +
		"in a file that HSM_PIN_FILE names (its first line is the PIN), or in the provider's argument pin.")},
	{is: as[*hsm.PINFormError], name: "PIN Of Another Form", next: func(f Failure) string {
		return "correct the PIN (" + cmp.Or(f.Provider.PINFrom, "pin, HSM_PIN or HSM_PIN_FILE") + "). Nothing was sent to the " +
			"token, which counts wrong PINs."
	}},
	{is: is(hsm.ErrUserType), name: "User Type Refused", next: func(f Failure) string {
		return "take out " + cmp.Or(f.Provider.User, "user_type or HSM_USER_TYPE") + ", so that the normal user logs in. Or give " +
			"the number that the documentation of the token's maker has for the user whose PIN this is."
	}},
	{is: is(hsm.ErrPINLocked), name: "PIN Locked", next: func(f Failure) string {
		if f.Provider.User != "" {
			return "the token accepts no PIN of this user any more (" + f.Provider.User + "). The documentation of its maker says " +
				"whether that can be undone, and whether it destroys the keys."
		}
		return "the token accepts no PIN any more. The security officer must set a new one. " + byVersion +
			f.command("--login-type", "so", "--init-pin")
	}},
	{is: is(hsm.ErrPINFinalTry), name: "Final PIN Try", next: func(f Failure) string {
		return "log in once by hand with the right PIN, which resets the count, then run Terraform again. One more wrong " +
			"PIN would lock the token, so this provider sends none:\n\n  " + f.command("--list-objects")
	}},
	{is: is(hsm.ErrPINExpired), name: "PIN Must Be Changed", next: func(f Failure) string {
		return "change the PIN, and give the provider the new one. Until then the token allows nothing else:\n\n  " +
			f.command("--change-pin")
	}},
	{is: is(hsm.ErrPINNotSet), name: "No User PIN On The Token", next: func(f Failure) string {
		return "the token is initialised, but its user PIN was never set. The security officer must set it. " +
			byVersion +
			f.command("--login-type", "so", "--init-pin")
	}},
	{is: is(hsm.ErrPINIncorrect), name: "PIN Refused", next: nextPINRefused},

	{is: as[*RingExistsError], name: "Ring Already On The Token", attribute: "label", next: func(f Failure) string {
		e, _ := errors.AsType[*RingExistsError](f.Err)
		return "a ring never makes a pair beside them. If they are the ring's, left by an interrupted apply for " +
			"instance, import them. " + CheckFirst + " Then:\n\n" + HowToImport(f.resourceType(), e.Label) +
			"\n\nOtherwise choose another key_id_prefix or, if all of them are retired, a generation above theirs."
	}},
	{is: as[*RingImportError], name: "Not One Ring", next: say("nothing was imported. Give the label of the pair that " +
		"signs. Its ID must be the key_id_prefix and the number of its generation. Where several rings have the " +
		"label, import by an identity with the label and the key_id_prefix.")},
	{is: is(hsm.ErrTurnedElsewhere), name: "Ring Turned By Another Run", next: say("wait until the other run has ended, " +
		"then run terraform plan, and look at the generation that it is to have. This run has stopped before it took a " +
		"label from a pair. Let only one state have the ring.")},
	{is: as[*NoPairError], name: "No Key For The Certificate", attribute: "key_id", next: say("give key_id: any ID " +
		"will do for the certificate of a key that is not on this token, and programs find it by that. If the key is " +
		"to be on the token, make it first, or see to it that the certificate is the key's.")},
	{is: as[*hsm.CertificateExistsError], name: "Certificate Already On The Token", next: func(f Failure) string {
		e, _ := errors.AsType[*hsm.CertificateExistsError](f.Err)
		how := HowToImport(f.resourceType(), ImportID(e.Found.ID, e.Found.SHA256()))
		return "import it, which lets the next apply change the label:\n\n" + how + "\n\nOr give this one another " +
			"key_id. If create_before_destroy replaces the resource that has it, change the label in an apply that " +
			"does not replace it."
	}},
	{is: as[*CertificateImportError], name: "Not One Certificate", next: say("nothing was imported. Give the ID and " +
		"the SHA-256 fingerprint of one certificate (KEY_ID@FINGERPRINT), in hexadecimal. The data source " +
		"hsm_certificates lists them all. Where two of one fingerprint have different labels, put the label in " +
		"front: LABEL/KEY_ID@FINGERPRINT.")},
	{is: is(object.ErrNoCertificate), name: "Certificate Not On The Token", next: say("check that this is the right " +
		"token. If the certificate is lost, set deletion_policy = \"delete\", which lets Terraform write it again: " +
		"that takes effect in the state once it is applied with -refresh=false. Or take it out of the state: " +
		"terraform state rm with its address.")},
	{is: is(hsm.ErrRenamed), name: "Certificate Renamed Meanwhile", next: say("find out which program did that: on " +
		"many tokens it takes no PIN. Then run terraform plan, which finds the certificate under its new label, and " +
		"under a new ID if that is the ID of its key.")},
	{is: ofRing, name: "Pair Of The Ring Not Usable", next: nextRing},
	{is: is(object.ErrExists), name: "Key ID Taken", attribute: "key_id", next: nextExists},
	{is: as[*hsm.UnreadableError], name: "Keys That Cannot Be Read", attribute: "key_id", next: say(whoReads)},
	{is: as[*hsm.UnseenError], name: "Not Shown By The Token", attribute: "key_id", next: func(f Failure) string {
		e, _ := errors.AsType[*hsm.UnseenError](f.Err)
		return AwaitUnseen(e)
	}},
	{is: is(object.ErrAmbiguous), name: "Several Keys With One ID", attribute: "key_id", next: nextAmbiguous},
	{is: is(object.ErrHalfPair), name: "Half A Key Pair", next: nextHalfPair},
	{is: as[*object.DifferentKeyError], name: "Another Key Behind The Same ID", next: nextDifferentKey},
	{is: as[*MovedError], name: "Key ID Changed On The Token", attribute: "key_id", next: nextMoved},
	{is: is(object.ErrNotFound), name: "Not On The Token", next: nextNotFound},
	{is: unsupported, name: "Kind Of Key Not Supported", next: say("nothing is wrong with the key, but this provider does not " +
		"manage keys of its kind. Leave it to the tool that made it, or make a new key of a kind that the provider knows: " +
		"RSA, " + strings.Join(publickey.ParameterSets(), ", ") + ", or a key on " +
		strings.Join(publickey.Curves(), ", ") + ".")},
	{is: as[*UnprotectedError], name: "Key Not Protected By The PIN", next: nextUnprotected},
	{is: as[*hsm.NoSignerError], name: "No Key Pair With This Public Key", next: nextNoSigner},
	{is: as[*hsm.CannotSignError], name: "Key Does Not Sign This", next: nextCannotSign},
	{is: as[*hsm.UnprotectedSignerError], name: "Signing Key Not Protected By The PIN", next: nextUnprotectedSigner},
	{is: as[*hsm.SignatureError], name: "Signature Does Not Verify", next: nextWrongSignature},
	{is: as[*hsm.NoGeneratorError], name: "No Random Numbers", next: say("use another token. Or take random values " +
		"from elsewhere, such as from the ephemeral resource random_password of the provider hashicorp/random.")},
	{is: as[*hsm.DisprovedError], name: "Halves Of Different Keys", next: nextDisproved},
	{is: as[*hsm.UnprovenError], name: "Halves Not Proven To Be One Pair", next: nextUnproven},
	{is: is(object.ErrMalformed), name: "Malformed Object On The Token", next: nextMalformed},
	{is: as[*LabelError], name: "Label Differs", next: say("nothing was imported. " + CheckFirst +
		" Then import by the key ID alone, or by the label that the token shows.")},
	{is: as[*FingerprintError], name: "Fingerprint Differs", next: say("nothing was imported. Only one key of " +
		"this type has the ID, and somebody may have put it in the place of the one that you mean. " + CheckFirst +
		" Then import by the key ID alone.")},
	{is: as[*SerialError], name: "Another Token", next: say("nothing was imported. If the provider's token is the " +
		"right one, as a replica may be, leave token_serial out of the identity. Otherwise correct the provider's " +
		"configuration.")},
	{is: as[*TypeError], name: "Key Of Another Type", next: nextType},
	{is: as[*NoIDError], name: "Key Without An ID", next: nextNoID},
	{is: as[*SelectionError], name: "Not One Key", next: nextSelection},

	{is: is(object.ErrNoMatch), name: "Not One Public Key", next: nextNoMatch},

	{is: is(object.ErrUnfit), name: "Size Or Usage Does Not Fit", next: say("correct the size or the usage in the " +
		"configuration, or wherever its value comes from, then run Terraform again. It is not this token alone: no token " +
		"makes or keeps such a key.")},
	{is: as[*object.RefusedError], name: "Not Done By This Make", next: func(f Failure) string {
		e, _ := errors.AsType[*object.RefusedError](f.Err)
		return e.Way
	}},
	{is: is(object.ErrMechanism), name: "Not Offered By The Token", next: say("choose what the token offers, or use " +
		"another token.")},
	{is: as[*hsm.LastingError], name: "Name Perhaps Taken For Good", next: func(f Failure) string {
		e, _ := errors.AsType[*hsm.LastingError](f.Err)
		return "if a key that is destroyed by now had this " + e.Attribute + ", choose another one. Otherwise look in the " +
			"token's own log for this time."
	}},
	{is: as[*hsm.StaysError], name: "Public Half Stays", next: say("nobody can sign or decrypt with what is left. Take " +
		"it away with the tools of the token's maker, if you can. Then, or if it is to stay, take the key out of the " +
		"state: terraform state rm with the resource's address. A new key needs another key_id.")},
	{is: cause(hsm.CauseCurve), name: "Not Offered By The Token", next: say("choose a curve that the token offers, or " +
		"use another token.")},
	{is: is(hsm.ErrReadOnly), name: "Token Is Read-Only", next: say("the token or its slot is write-protected. Have it " +
		"opened for writing, then run Terraform again.")},
	{is: cause(hsm.CauseUnchangeable), name: "Not Changeable In Place", next: nextUnchangeable},
	{is: cause(hsm.CauseUnsupported), name: "Not Supported By The Token", next: nextUnchangeable},
	{is: cause(hsm.CauseTokenFull), name: "Token Full", next: func(f Failure) string {
		return "the token has no room for another object. Destroy what you do not need, then run Terraform again. To see " +
			"what it holds:\n\n  " + f.command("--list-objects")
	}},
	{is: cause(hsm.CauseTooManySessions), name: "Too Many Sessions", next: say("the token has no session left. Lower " +
		"max_sessions, or stop other programs that use the token, then run Terraform again.")},
	{is: cause(hsm.CauseOtherUser), name: "Not For This User", next: nextOtherUser},
	{is: cause(hsm.CauseTokenRemoved), name: "Token Removed", next: say("the token went away. Make it reachable again, " +
		"then run terraform plan.")},
	{is: cause(hsm.CauseTokenDoesNotAnswer), name: "Token Does Not Answer", next: nextNoAnswer},
	{is: is(context.Canceled), name: "Interrupted", next: say(
		"run terraform plan, which compares the token with the state.")},
	{is: is(context.DeadlineExceeded), name: "Timed Out", next: nextNoAnswer},
	{is: as[*hsm.VerifyError], name: "Not What Was Asked For", next: func(f Failure) string {
		operation, is := errors.AsType[*hsm.OperationError](f.Err)
		if is && operation.Holds == hsm.HoldsCertificatePerhaps {
			return "look for what the token may have written instead, which was left where it is, and destroy it " +
				"with another tool:\n\n  " + f.command("--list-objects", "--type", "cert") + "\n\nThen look in the " +
				"documentation or the configuration of the token and its PKCS#11 module for the attributes named above."
		}
		if f.Doing == Update {
			return "take the change back in the configuration: the token says that it changes this, and does not. If its " +
				"maker has a tool for it, make the change with that, and run terraform plan."
		}
		return "look in the documentation or the " +
			"configuration of the token and its PKCS#11 module (a policy, a FIPS mode) for the attributes named above: it did " +
			"something else than it was told. What does not match was not kept."
	}},
}

// AwaitUnseen is what to do about what a token does not show, or not yet.
func AwaitUnseen(e *hsm.UnseenError) string {
	next := "wait until the token has taken in what others did (the documentation of its maker says how long that takes, or how " +
		"to refresh it), then run terraform plan again."
	if e.Role {
		next = "take out user_type and HSM_USER_TYPE, so that the token's user logs in, and give that user's PIN."
	}
	return next + " If you know that the key is destroyed, take it out of the state: terraform state rm with its address."
}

func unsupported(err error) bool {
	return as[*KindError](err) || as[*publickey.UnsupportedCurveError](err) || as[*publickey.UnsupportedRSAError](err)
}

// ofOfficer says that a module lacks what the security officer is to do.
func ofOfficer(err error) bool {
	return as[*hsm.StandingError](err) && hsm.CauseOf(err) == hsm.CauseUnsupported
}

// otherwise is for a failure that has no row: one of the token's own, which its code tells.
var otherwise = remedy{next: func(f Failure) string {
	return "look in the token's own log for this time, and remove the cause. Then run terraform plan, which compares " +
		"the token with the state. To see what the token holds:\n\n  " +
		f.command("--list-objects")
}}

func nextNoAnswer(f Failure) string {
	const slow = "If it is only slow, give the operation more time with the resource's argument timeouts. "
	ask := "To ask the token:\n\n  " + f.command("--list-objects")
	switch {
	case f.Kind == nil || f.Doing == List:
		return "check that the token answers, then run Terraform again. " + ask
	case f.Doing == Import || f.Doing == Plan: // timeouts are not for these
		return "check that the token answers, then run terraform plan again. " + ask
	case f.Doing == Read:
		return "check that the token answers, then run terraform plan again. " + slow + ask
	case hsm.CauseOf(f.Err) == hsm.CauseTokenDoesNotAnswer:
		return "the call may still take effect. Check that the token answers, then run terraform plan, which compares the " +
			"token with the state. " + slow + ask
	}
	return "check that the token answers, then run terraform plan, which compares the token with the state. " + slow + ask
}

// where is " (slot ...)" where the token was opened.
func (f Failure) where() string {
	if f.Token == nil {
		return ""
	}
	return fmt.Sprintf(" (%s)", f.Token.Info())
}
