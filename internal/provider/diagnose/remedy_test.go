package diagnose

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

func TestWhatAModuleAnswersHasARemedy(t *testing.T) {
	for name, errs := range map[string][]error{
		"Not Offered By The Token": {cryptoki.CKR_CURVE_NOT_SUPPORTED, cryptoki.CKR_DOMAIN_PARAMS_INVALID},
		"Not Changeable In Place":  {cryptoki.CKR_ATTRIBUTE_READ_ONLY, cryptoki.CKR_ACTION_PROHIBITED},
		"Not Supported By The Token": {
			cryptoki.CKR_FUNCTION_NOT_SUPPORTED, &hsm.StandingError{Err: cryptoki.CKR_FUNCTION_NOT_SUPPORTED},
		},
		"Token Cannot Be Erased":     {&hsm.StandingError{Err: hsm.ErrNoErasure}},
		"Token Full":                 {cryptoki.CKR_DEVICE_MEMORY},
		"Too Many Sessions":          {cryptoki.CKR_SESSION_COUNT},
		"Token Removed":              {cryptoki.CKR_TOKEN_NOT_PRESENT, cryptoki.CKR_DEVICE_REMOVED},
		"Library Parameters Differ":  {hsm.ErrParameters},
		"Library Parameters Refused": {&cryptoki.Error{Function: "C_Initialize", Code: cryptoki.CKR_ARGUMENTS_BAD}},
		"Kind Of Key Not Supported": {
			&object.MalformedError{Err: &publickey.UnsupportedCurveError{Curve: "P-224"}},
			&object.MalformedError{Err: &publickey.UnsupportedRSAError{Number: "CKA_MODULUS", Size: "511 bits"}},
		},
		"Token Does Not Answer": {&cryptoki.HangError{Function: "C_Sign", Err: errors.New("the time is over")}},
		"": {
			cryptoki.CKR_DEVICE_ERROR, cryptoki.CKR_GENERAL_ERROR,
			&cryptoki.Error{Function: "C_Initialize", Code: cryptoki.CKR_GENERAL_ERROR},
			&cryptoki.Error{Function: "C_Sign", Code: cryptoki.CKR_ARGUMENTS_BAD},
		},
	} {
		for _, err := range errs {
			if have := remedyFor(fmt.Errorf("within: %w", err)).name; have != name {
				t.Errorf("%v is told as %q, not as %q", err, have, name)
			}
		}
	}
}

func TestARemedyFitsWhatWasBeingDone(t *testing.T) {
	t.Setenv("HOME", "/home/of/mine")
	id, web := []byte("k1"), "web"
	beside := []hsm.TokenInfo{{Slot: 2, Flags: cryptoki.CKF_TOKEN_INITIALIZED}, {Slot: 3}}
	taken := &object.ExistsError{ID: id, Whole: object.RSA}
	half := &object.HalfPairError{ID: id, Present: object.Name{Class: "public key", ID: id}, Missing: "private key"}
	apart := &object.HalfPairError{ID: id, Missing: "public key", Other: &object.Name{Class: "public key", ID: []byte("k2")}}
	bare := &object.HalfPairError{ID: id, Present: object.Name{Class: "private key", ID: id, Label: "web"},
		Missing: "public key"}
	certified := &object.HalfPairError{ID: id, Present: bare.Present, Missing: "public key",
		Certificates: []object.Name{{Class: "certificate", Label: "of web"}}}
	twins := &object.AmbiguousError{ID: id, Objects: make([]object.Name, 2), Fingerprints: []string{"aa", "bb"}}
	silent := &object.AmbiguousError{ID: id, Objects: make([]object.Name, 2), Fingerprints: []string{"", ""}}
	halves := &object.AmbiguousError{ID: id, Objects: make([]object.Name, 4), Fingerprints: make([]string, 4),
		Halves: true}
	for i := range halves.Objects {
		halves.Objects[i].Class = []string{"private key", "public key"}[i%2]
	}
	planted := &object.AmbiguousError{ID: id, Objects: halves.Objects[1:], Fingerprints: []string{"aa", "", "bb"},
		Halves: true}
	hang := &cryptoki.HangError{Function: "C_Sign", Err: errors.New("the time is over")}
	for _, c := range []struct {
		name    string // a sentence
		failure Failure
		says    []string
		not     []string
	}{
		{"a new key with a taken ID can be an import", Failure{Doing: Create, Kind: &rsa, Err: taken},
			[]string{"terraform import hsm_rsa_keypair.NAME 6b31"}, []string{"old ID"}},
		{"a new key with a taken ID is looked at before the import", Failure{Doing: Create, Kind: &rsa, Err: taken},
			[]string{"First make sure", "fingerprint"}, nil},
		{"a key that anyone may have made is not adopted", Failure{Doing: Create, Kind: &rsa,
			Err: &object.ExistsError{ID: id, Whole: object.RSA, Unprotected: true}},
			[]string{"Do not adopt it", "CKA_PRIVATE=false", "look for the ID 6b31"}, []string{"terraform import"}},
		{"a new key beside one of this configuration gets another ID", Failure{Doing: Create, Kind: &rsa,
			Managed: true, Err: taken},
			[]string{"give this key another key_id"}, []string{"terraform import"}},
		{"a key of another type that anyone may have made is not adopted", Failure{Doing: Create, Kind: &rsa,
			Err: &object.ExistsError{ID: id, Whole: object.EC, Unprotected: true}},
			[]string{"choose another key_id", "look for the ID 6b31"}, []string{"terraform import"}},
		{"a key without an ID gets one before its import", Failure{Doing: Import, Kind: &rsa, Err: &NoIDError{Kind: rsa,
			Label: "web"}},
			[]string{"--type pubkey --label web --set-id NEW_ID",
				"--type privkey --label web --set-id NEW_ID"}, []string{"state rm"}},
		{"halves of two keys are restored from the state", Failure{Doing: Read, Kind: &rsa, Err: &hsm.DisprovedError{}},
			[]string{"The state is kept"}, nil},
		{"a public half that is the state's is not destroyed", Failure{Doing: Update, Kind: &rsa, Err: &hsm.DisprovedError{}},
			[]string{"restore the private half", "The state is kept"}, []string{"--delete-object", "--write-object"}},
		{"a call that hangs may take effect", Failure{Doing: Update, Kind: &rsa, Err: hang},
			[]string{"may still take effect", "timeouts"}, nil},
		{"what waited in vain has called nothing", Failure{Doing: Update, Kind: &rsa, Err: context.DeadlineExceeded},
			[]string{"compares the token with the state", "timeouts"}, []string{"take effect"}},
		{"a plan has no time limit of its own", Failure{Doing: Plan, Kind: &rsa, Err: context.DeadlineExceeded},
			[]string{"run terraform plan again"}, []string{"timeouts"}},
		{"nor has a list, which is no plan", Failure{Doing: List, Kind: &rsa, Err: hang},
			[]string{"run Terraform again"}, []string{"timeouts", "terraform plan"}},
		{"halves of two keys are not published", Failure{Doing: "Read Keys", Err: &hsm.DisprovedError{}},
			[]string{"Nothing is published"}, []string{"The state is kept"}},
		{"a key that is not proven gets a usage that proves it", Failure{Doing: "Read Keys", Err: &hsm.UnprovenError{}},
			[]string{"sign, or derive"}, nil},
		{"a pair that signs is found by its public key", Failure{Doing: "Sign a Certificate", Err: &hsm.NoSignerError{
			Fingerprint: "aa",
			Pairs:       []object.Name{{Class: "private key", Type: "EC", ID: []byte("k1"), Label: "web"}}}},
			[]string{"no key pair with the public key of SHA-256 fingerprint aa; it holds the pairs of:\n" +
				"  - EC private key \"web\" (ID 6b31)",
				"public_key_pem", "--list-objects"}, []string{"backup"}},
		{"a token without pairs has none that signs", Failure{Doing: "Sign a Certificate", Err: &hsm.NoSignerError{}},
			[]string{"it holds no key pair at all", "right token"}, nil},
		{"a public half alone does not sign", Failure{Doing: "Sign a Certificate", Err: &hsm.NoSignerError{
			Public: []object.Name{{Class: "public key", Type: "EC", ID: []byte("k1"), Label: "web"}}}},
			[]string{"the public key alone", "EC public key \"web\"", "restore the private half"},
			[]string{"public_key_pem"}},
		{"a key signs what it may", Failure{Doing: "Sign", Err: &hsm.CannotSignError{Says: "its usage is derive",
			Key: object.Name{Class: "private key", Type: "EC", ID: []byte("k1"), Label: "web"}}},
			[]string{"The EC private key \"web\" (ID 6b31) does not sign this: its usage is derive.",
				"allowed mechanisms"}, nil},
		{"nothing allows a signer without a PIN", Failure{Doing: "Sign", Err: &hsm.UnprotectedSignerError{}},
			[]string{"CKA_PRIVATE is false", "sign with another key"}, []string{"allow_unprotected"}},
		{"a wrong signature is nobody's",
			Failure{Doing: "Sign", Err: &hsm.SignatureError{Mechanism: cryptoki.CKM_ECDSA}},
			[]string{"by CKM_ECDSA that does not verify", "nobody got the signature", "tell its maker"}, nil},
		{"random numbers come from elsewhere", Failure{Doing: "Read Random Bytes", Err: &hsm.NoGeneratorError{}},
			[]string{"lack CKF_RNG", "random_password"}, []string{"--list-objects"}},
		{"a key that is not protected can be allowed", Failure{Doing: "Read Keys", Err: &UnprotectedError{}},
			[]string{"allow_unprotected = true"}, nil},
		{"a key that is to have a taken ID keeps its own", Failure{Doing: Update, Kind: &rsa, Err: taken},
			[]string{"keeps its old ID", "look for the ID 6b31"}, []string{"terraform import"}},
		{"a lost private half is removed", Failure{Doing: Read, Kind: &rsa, Err: half}, []string{"--delete-object --type " +
			"pubkey --id 6b31", "terraform state rm hsm_rsa_keypair.NAME", "give it another one: verifiers"}, nil},
		{"a data source has no state to restore a half from", Failure{Doing: "Read Keys", Err: half},
			[]string{"restore the missing half", "look for the ID 6b31"}, []string{".NAME"}},
		{"two halves under two IDs are brought together", Failure{Doing: Read, Kind: &rsa, Err: apart},
			[]string{"--id 6b32 --type pubkey --set-id 6b31"}, []string{"state rm"}},
		{"a lost public half is in the state", Failure{Doing: Read, Kind: &rsa, Err: certified},
			[]string{"terraform state show"}, nil},
		{"what a token writes otherwise may be there", Failure{Doing: Create, Kind: &Kind{Noun: Certificate},
			Err: &hsm.OperationError{Holds: hsm.HoldsCertificatePerhaps, Certificate: true,
				Err: &hsm.VerifyError{Problems: []string{"CKA_ID of the certificate is another one"}}}},
			[]string{"left where it is", "--type cert"}, []string{"was not kept"}},
		{"a certificate that was renamed is there", Failure{Doing: Delete, Kind: &Kind{Noun: Certificate},
			Err: &hsm.OperationError{Err: hsm.ErrRenamed, Holds: hsm.HoldsRenamedCertificate, Certificate: true}},
			[]string{"another label or ID than before", "which program", "terraform plan"},
			[]string{"own log", "as it was before"}},
		{"a certificate that nobody can destroy may stay", Failure{Doing: Delete, Kind: &Kind{Noun: Certificate},
			Err: &cryptoki.Error{Function: "C_DestroyObject", Code: cryptoki.CKR_ACTION_PROHIBITED}},
			[]string{"CKA_DESTROYABLE", `deletion_policy = "abandon"`, "then remove the resource"},
			[]string{"own log"}},
		{"a certificate that nobody can change may stay", Failure{Doing: Update, Kind: &Kind{Noun: Certificate},
			Err: &cryptoki.Error{Function: "C_SetAttributeValue", Code: cryptoki.CKR_ACTION_PROHIBITED}},
			[]string{"take any change to it back", `deletion_policy = "abandon"`}, []string{"another key_id"}},
		{"an import has no state that has the public half", Failure{Doing: Import, Kind: &rsa, Err: bare},
			[]string{"nothing was imported", "a copy of the public key",
				"--write-object public.der --type pubkey --id 6b31 --label web"},
			[]string{"terraform state", "certificate"}},
		{"an import finds the public half in a certificate", Failure{Doing: Import, Kind: &rsa, Err: certified},
			[]string{"--read-object --type cert --id 6b31 --label", "of web",
				"openssl x509 -inform DER -in certificate.der -pubkey -noout",
				"--write-object public.der"}, []string{"terraform state"}},
		{"an import without a private half is none", Failure{Doing: Import, Kind: &rsa, Err: half},
			[]string{"nothing was imported", "hsm_public_key"}, []string{"terraform state", "--delete-object"}},
		{"an import chooses by fingerprint", Failure{Doing: Import, Kind: &rsa, Err: twins},
			[]string{"terraform import hsm_rsa_keypair.NAME 6b31@aa", "terraform import hsm_rsa_keypair.NAME 6b31@bb"}, nil},
		{"keys without a fingerprint get other IDs", Failure{Doing: Import, Kind: &rsa, Err: silent},
			[]string{"another CKA_ID"}, []string{"terraform import", "6b31@"}},
		{"halves that show nothing are taken apart", Failure{Doing: Import, Kind: &rsa, Err: halves},
			[]string{"--id 6b31 --type privkey --set-id NEW_ID", "--id 6b31 --type pubkey --set-id NEW_ID",
				"exchange the IDs"}, nil},
		{"a private half is not sent away for a planted public one", Failure{Doing: Import, Kind: &rsa, Err: planted},
			[]string{"one private half", "terraform import hsm_rsa_keypair.NAME 6b31@aa\n", "6b31@bb", "destroy the others"},
			[]string{"--set-id", "privkey"}},
		{"a data source has no import", Failure{Doing: "Read Public Key", Err: planted}, []string{"destroy the others"},
			[]string{"terraform import", "--set-id"}},
		{"a pair goes by its private half", Failure{Doing: "Read Public Key", Err: &object.MatchError{Halves: []string{"a"}}},
			[]string{"by the label of its private half"}, []string{"depends_on"}},
		{"a secret key has no public key", Failure{Doing: "Read Public Key", Err: &object.MatchError{Secrets: []string{"a"}}},
			[]string{"which has no public key:\n  - a", "hsm_secret_key"}, []string{"depends_on"}},
		{"a module's configuration file is named by a variable", Failure{Doing: Read, Kind: &rsa,
			Err: &hsm.ModuleConfigurationError{Path: "/x", Variable: "SOFTHSM2_CONF", Problem: errors.New("gone"),
				Err: cryptoki.CKR_GENERAL_ERROR}},
			[]string{`"/x"`, "gone", "environment variable SOFTHSM2_CONF", "unset the variable"}, []string{"token's own log"}},
		{"a module's own configuration file is read by nobody", Failure{Doing: Read, Kind: &rsa,
			Err: &hsm.ModuleConfigurationError{Path: "/x", Problem: errors.New("denied"), Err: cryptoki.CKR_GENERAL_ERROR}},
			[]string{`"/x"`, "denied", "read the file"}, []string{"unset"}},
		{"a fingerprint that nobody has imports nothing", Failure{Doing: Import, Kind: &rsa,
			Err: &FingerprintError{Asked: "aa", Found: "bb"}},
			[]string{"says fingerprint aa", "has bb", "import by the key ID alone"}, nil},
		{"a key that has moved gets all its parts back", Failure{Doing: Read, Kind: &rsa, Err: &MovedError{From: "6b31",
			To: "6b32"}},
			[]string{"terraform import hsm_rsa_keypair.NAME 6b32", "--id 6b32 --type pubkey --set-id 6b31",
				"--id 6b32 --type privkey --set-id 6b31"}, nil},
		{"a key that an import does not find is no lost key", Failure{Doing: Import, Kind: &rsa, Err: object.ErrNotFound},
			[]string{"nothing was imported"}, []string{"state rm"}},
		{"a key that a refresh does not find may be lost", Failure{Doing: Read, Kind: &rsa, Err: object.ErrNotFound},
			[]string{"no new key is made", "terraform state rm hsm_rsa_keypair.NAME", "give it another one: verifiers"}, nil},
		{"a secret key has no kid that verifiers keep", Failure{Doing: Read, Kind: &Kind{Type: object.Secret}, Err: object.ErrNotFound},
			[]string{"no new key is made"}, []string{"another key_id", "verifiers"}},
		{"a data source that finds no key has nothing in the state", Failure{Doing: "Read Keys", Err: object.ErrNotFound},
			[]string{"--list-objects"}, []string{"state rm"}},
		{"a change that a token refuses can be a new key", Failure{Doing: Update, Kind: &rsa,
			Err: cryptoki.CKR_ATTRIBUTE_READ_ONLY}, []string{"second resource with another key_id", "Replace and rotate"}, []string{"-replace"}},
		{"a module that makes no tokens has tools that do", Failure{Doing: "Create Token", Err: &hsm.StandingError{
			Stands: hsm.StandsUntouched, Err: &cryptoki.Error{Function: "C_InitToken", Code: cryptoki.CKR_FUNCTION_NOT_SUPPORTED}}},
			[]string{"C_InitToken: CKR_FUNCTION_NOT_SUPPORTED", "The token is as it was", "tools of the token's maker", "leave hsm_token out",
				"token_serial"}, []string{"--list-objects", "as it was. The"}},
		{"a creation that a token refuses is no change", Failure{Doing: Create, Kind: &rsa,
			Err: cryptoki.CKR_ATTRIBUTE_READ_ONLY}, []string{"token's own log"}, []string{"-replace"}},
		{"a creation that hangs may still happen", Failure{Doing: Create, Kind: &rsa, Err: hang},
			[]string{"may still take effect", "timeouts"}, nil},
		{"a read that hangs changes nothing", Failure{Doing: Read, Kind: &rsa, Err: hang}, []string{"timeouts"},
			[]string{"take effect"}},
		{"of several tokens one is named by more", Failure{Doing: Read, Kind: &rsa, Err: &hsm.TokenError{Matches: 2,
			Selector: hsm.Selector{Label: &web}}},
			[]string{`2 tokens have the label "web"`, "which of the tokens above", "token_serial", "HSM_TOKEN_SERIAL"},
			[]string{"plug", "providers = ", "match"}},
		{"where nothing is selected, another provider block may be meant", Failure{Doing: Create, Kind: &rsa,
			Err: &hsm.TokenError{Matches: 2}},
			[]string{"No label, serial number or slot is given, and 2 tokens are initialised",
				"providers = { hsm = hsm.ALIAS }"}, nil},
		{"a token may be in a slot that does not answer", Failure{Doing: Read, Kind: &rsa,
			Err: &hsm.TokenError{Skipped: []string{
				"slot 0: busy"}, Tokens: []hsm.TokenInfo{{Slot: 1}}, Selector: hsm.Selector{Label: &web}}},
			[]string{"slot 0: busy", "find out why"}, []string{"--init-token", "plug the token in"}},
		{"beside a slot that does not answer another token may be meant", Failure{Doing: Plan, Kind: &rsa,
			Err: &hsm.TokenError{
				Skipped: []string{"slot 0: busy"}, Tokens: []hsm.TokenInfo{{Flags: cryptoki.CKF_TOKEN_INITIALIZED}}}},
			[]string{"find out why", "choose it with token_label"}, nil},
		{"a URI that names nothing shows how to look", Failure{Doing: Import, Kind: &rsa,
			Err: &SelectionError{URI: "pkcs11:id=1"}},
			[]string{"nothing was imported", "may name another one", "--list-objects"}, nil},
		{"where there is no token at all, one is plugged in", Failure{Doing: Read, Kind: &rsa, Err: &hsm.TokenError{}},
			[]string{"plug the token in"}, []string{"above"}},
		{"where no token matches, one of those that are there is chosen", Failure{Doing: Read, Kind: &rsa,
			Err: &hsm.TokenError{Tokens: []hsm.TokenInfo{{Flags: cryptoki.CKF_TOKEN_INITIALIZED}}}},
			[]string{"the state has a key that is on another token"}, nil},
		{"where no token matches a new key, one of those that are there is chosen", Failure{Doing: Create, Kind: &rsa,
			Err: &hsm.TokenError{Tokens: []hsm.TokenInfo{{Flags: cryptoki.CKF_TOKEN_INITIALIZED}}}},
			[]string{"choose one of the tokens above", "HSM_TOKEN_SERIAL"}, []string{"--init-token"}},
		{"beside another token, a blank one is the second way", Failure{Doing: Create, Kind: &rsa,
			Provider: Provider{Library: "/m.so"},
			Err:      &hsm.TokenError{Tokens: beside, Selector: hsm.Selector{Label: &web}}},
			[]string{"choose one of the tokens above", "--module /m.so --slot 3 --init-token --label web\n", "SO PIN",
				"HSM_PIN)"}, nil},
		{"a new token has not the serial number that is wanted", Failure{Doing: Create, Kind: &rsa,
			Err: &hsm.TokenError{Tokens: beside, Selector: hsm.Selector{Label: &web, Serial: &web}}},
			[]string{"choose one of the tokens above"}, []string{"--init-token"}},
		{"the token of a key of the state is not made anew", Failure{Doing: Delete, Kind: &rsa,
			Err: &hsm.TokenError{Tokens: beside, Selector: hsm.Selector{Label: &web}}},
			[]string{"SOFTHSM2_CONF", "HSM_SLOT"}, []string{"--init-token"}},
		{"nor where it is the only one", Failure{Doing: Read, Kind: &rsa,
			Err: &hsm.TokenError{Tokens: beside[1:], Selector: hsm.Selector{Label: &web}}},
			[]string{"SOFTHSM2_CONF"}, []string{"--init-token"}},
		{"nor where its slot is the one that is selected", Failure{Doing: Update, Kind: &rsa,
			Err: &hsm.BlankTokenError{Slot: 3}},
			[]string{"some modules change the IDs of their slots"}, []string{"--init-token"}},
		{"a PIN is refused with where it came from", Failure{Doing: Read, Kind: &rsa, Err: hsm.ErrPINIncorrect,
			Provider: Provider{PINFrom: "HSM_PIN_FILE"}}, []string{"check the PIN (from HSM_PIN_FILE)"}, []string{"HSM_PIN or"}},
		{"a PIN that is refused is said to be another user's", Failure{Doing: Read, Kind: &rsa, Err: hsm.ErrPINIncorrect,
			Provider: Provider{PINFrom: "HSM_PIN", User: `user_type = "so"`}},
			[]string{`from HSM_PIN), which is taken for the PIN of another user than the normal one (user_type = "so")`}, nil},
		{"the officer's PIN that logs in is not set by the officer", Failure{Doing: Read, Kind: &rsa, Err: hsm.ErrPINLocked,
			Provider: Provider{User: `user_type = "so"`}}, []string{`(user_type = "so")`}, []string{"--init-pin"}},
		{"a user that the token does not have is taken out", Failure{Doing: Plan, Kind: &rsa, Err: hsm.ErrUserType,
			Provider: Provider{User: `HSM_USER_TYPE = "context"`}}, []string{`take out HSM_USER_TYPE = "context"`}, nil},
		{"a user who may not make keys is taken out", Failure{Doing: Create, Kind: &rsa,
			Err:      &cryptoki.Error{Function: "C_GenerateKeyPair", Code: cryptoki.CKR_USER_NOT_LOGGED_IN},
			Provider: Provider{User: `user_type = "so"`}}, []string{`take out user_type = "so"`}, []string{"token's own log"}},
		{"where the normal user may not, another one may", Failure{Doing: Create, Kind: &rsa,
			Err: &cryptoki.Error{Function: "C_GenerateKeyPair", Code: cryptoki.CKR_USER_NOT_LOGGED_IN}},
			[]string{"wants another user for this", "argument user_type"}, []string{"take out"}},
		{"what a destruction left is finished by one that takes whole keys too", Failure{Doing: Read, Kind: &rsa, Err: half},
			[]string{"terraform destroy -refresh=false", "every whole key of this configuration", "If nobody destroyed anything"}, nil},
		{"a PIN is refused at length once", Failure{Doing: Read, Kind: &rsa, Err: hsm.ErrPINIncorrect,
			Provider: Provider{First: func(string) bool { return false }}}, []string{"as another error of this run says"},
			[]string{"Each further run"}},
		{"a bare name of a module is no path", Failure{Doing: Read, Kind: &rsa, Provider: Provider{Library: "libsofthsm2.so"},
			Err: &hsm.LibraryError{Path: "libsofthsm2.so", Err: &cryptoki.LoadError{Path: "libsofthsm2.so",
				Err: fs.ErrNotExist}}},
			[]string{`The PKCS#11 module "libsofthsm2.so" cannot be loaded: file does not exist.`, "give the whole path",
				"A bare name is not searched for", "~ is not expanded"}, []string{"Libsofthsm2"}},
		{"a path of a module is checked", Failure{Doing: Read, Kind: &rsa, Provider: Provider{Library: "/m.so"},
			Err: &hsm.LibraryError{Path: "/m.so", Err: &cryptoki.LoadError{Path: "/m.so", Err: fs.ErrNotExist}}},
			[]string{"check the path"}, []string{"whole path"}},
		{"a folder of tokens with ~ is written in full", Failure{Doing: Read, Kind: &rsa,
			Err: &hsm.TokenFolderError{Path: "/c",
				Folder: "~/softhsm", Named: true, Problem: fs.ErrNotExist, Err: cryptoki.CKR_GENERAL_ERROR}},
			[]string{`configuration file "/c" has the directories.tokendir "~/softhsm": file does not exist (CKR_GENERAL_ERROR`,
				"does not expand ~", "directories.tokendir = /home/of/mine/softhsm", "mkdir -p /home/of/mine/softhsm\n"}, nil},
		{"a folder of tokens is looked for where Terraform runs", Failure{Doing: Read, Kind: &rsa,
			Err: &hsm.TokenFolderError{Folder: "tokens", Named: true, Problem: fs.ErrNotExist}},
			[]string{"in which Terraform runs", "mkdir -p /"}, []string{"expand"}},
		{"a folder of tokens that is not mine", Failure{Doing: Read, Kind: &rsa,
			Err: &hsm.TokenFolderError{Folder: "/var", Problem: fs.ErrPermission}},
			[]string{`names no directories.tokendir, and the usual folder of tokens is "/var": permission denied`,
				"read and write",
				"SOFTHSM2_CONF"}, []string{"mkdir", "whole path"}},
		{"where there is a blank token alone, it is initialised", Failure{Doing: Create, Kind: &rsa,
			Provider: Provider{Library: "/m.so"},
			Err:      &hsm.TokenError{Tokens: []hsm.TokenInfo{{Slot: 3}}, Selector: hsm.Selector{Label: &web}}},
			[]string{"--module /m.so --slot 3 --init-token --label web\n", "--token-label web --login --login-type so --init-pin\n"},
			[]string{"tokens above"}},
		{"where another token was put in, nothing is to be chosen", Failure{Doing: Read, Kind: &rsa, Err: hsm.ErrNoToken},
			[]string{"put the token back"}, []string{"above"}},
		{"a token that is not initialised is found by its label afterwards", Failure{Doing: Create, Kind: &rsa,
			Err: &hsm.BlankTokenError{Slot: 3}, Provider: Provider{Library: "/m.so"}},
			[]string{"The token in slot 3 (0x3) is not initialised.\n", "--slot 3 --init-token --label LABEL\n",
				"--token-label LABEL --login --login-type so --init-pin\n", "not by its slot"}, []string{"SLOT"}},
		{"no library is none that fails to load", Failure{Doing: Read, Kind: &rsa, Err: &hsm.LibraryError{}},
			[]string{"give the path", "HSM_LIBRARY"}, []string{"check the path"}},
		{"the module of the configuration initialises", Failure{Doing: Create, Kind: &rsa, Err: hsm.ErrTokenNotInitialized,
			Provider: Provider{Library: "/m.so"}}, []string{"--module /m.so --slot SLOT --init-token"}, nil},
		{"the path of a module is quoted", Failure{Doing: Create, Kind: &rsa, Err: hsm.ErrTokenNotInitialized,
			Provider: Provider{Library: "/a module/\x1b[8m;x.so"}},
			[]string{`--module $'/a module/\033[8m;x.so' --slot SLOT --init-token`, `.so' --token-label LABEL --login`},
			[]string{"\x1b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			detail := c.failure.Diagnostic().Detail()
			for _, part := range c.says {
				if !strings.Contains(detail, part) {
					t.Errorf("%q is not in\n%s", part, detail)
				}
			}
			for _, part := range c.not {
				if strings.Contains(detail, part) {
					t.Errorf("%q is in\n%s", part, detail)
				}
			}
		})
	}
}

func TestWhatIsSaidOfATokenThatIsMade(t *testing.T) {
	one, two := hsm.TokenInfo{Slot: 3, Serial: "1f"}, hsm.TokenInfo{Slot: 4}
	mine := []hsm.TokenInfo{{Slot: 3, Label: "my web", Flags: cryptoki.CKF_TOKEN_INITIALIZED}}
	failed := func(stands hsm.Standing, err error) Failure {
		return Failure{Doing: "Create Token", Err: &hsm.StandingError{Stands: stands, Err: err}}
	}
	for _, c := range []struct {
		name    string // a sentence
		failure Failure
		summary string
		says    []string
		not     []string
	}{
		{"a token of the label is imported by its serial number",
			Failure{Err: &hsm.LabelTakenError{Tokens: []hsm.TokenInfo{one}}},
			"Token Label Taken", []string{"terraform import hsm_token.NAME 1f\n", "NAME is", "keys need none"}, nil},
		{"or by its label", Failure{Err: &hsm.LabelTakenError{Tokens: mine}}, "Token Label Taken",
			[]string{"terraform import hsm_token.NAME " + hsm.Command("my web") + "\n"}, nil},
		{"of two tokens of a label none is imported",
			Failure{Err: &hsm.LabelTakenError{Label: "web", Tokens: []hsm.TokenInfo{one, two}}},
			"Token Label Taken", []string{`2 tokens have the label "web"`, "choose a label"}, []string{"import"}},
		{"a make's own label is to be written", Failure{Err: &hsm.FixedLabelError{Token: mine[0]}}, "Token Has Its Own Label",
			[]string{`label = "my web"`, "dbTokenDescription"}, nil},
		{"of two blank tokens one is named", Failure{Err: &hsm.NoBlankTokenError{Blank: []hsm.TokenInfo{one, two}}},
			"No Token To Initialise", []string{"with slot"}, []string{"plug in"}},
		{"a slot that does not answer may have it", Failure{Err: &hsm.NoBlankTokenError{Skipped: []string{"slot 1"}}},
			"No Token To Initialise", []string{"why not every slot answers"}, []string{"plug in"}},
		{"no blank token is one to be made", Failure{Err: &hsm.NoBlankTokenError{Tokens: mine}}, "No Token To Initialise",
			[]string{"import it", "plug in", "destroys its keys"}, nil},
		{"what is on a token is destroyed before it, or with it", failed(hsm.StandsUntouched, &hsm.ErasureError{
			Holds: []object.Name{{Class: "private key", Label: "web"}}}), "Token Not Empty",
			[]string{"erase_keys = true", "On the token: The token is as it was.", "No key comes back."}, []string{"HSM_PIN"}},
		{"whoever cannot look has no PIN", failed(hsm.StandsUntouched, &hsm.ErasureError{Err: hsm.ErrNoPIN}),
			"Token Not Empty",
			[]string{"HSM_PIN_FILE", "erase_keys = true"}, nil},
		{"an SO PIN may be the new one already", failed(hsm.StandsPerhapsNewOfficerPIN, hsm.ErrOfficerPINLocked),
			"SO PIN Locked", []string{"The next apply sends the old SO PIN", "give the new one there"}, nil},
		{"a PIN that the run sets is waited for", Failure{Err: ErrPINToCome}, "PIN Still To Be Set",
			[]string{"-target=ADDRESS", "depends_on"}, nil},
		{"a resource makes what is not initialised", Failure{Err: &hsm.BlankTokenError{Slot: 3}}, "Token Not Initialised",
			[]string{"hsm_token", "depends_on", "--init-token"}, nil},
		{"a resource makes what is not there", Failure{Err: &hsm.TokenError{Tokens: []hsm.TokenInfo{two}}}, "Token Not Found",
			[]string{"hsm_token", "depends_on", "--init-token"}, nil},
		{"a resource sets a PIN that is locked", Failure{Err: hsm.ErrPINLocked}, "PIN Locked",
			[]string{"pin_wo_version", "HSM_SO_PIN", "--init-pin"}, nil},
		{"a resource sets a PIN that is missing", Failure{Err: hsm.ErrPINNotSet}, "No User PIN On The Token",
			[]string{"pin_wo_version", "HSM_SO_PIN", "--init-pin"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.failure.Doing = "Create Token"
			said := c.failure.Diagnostic()
			if want := "Unable to Create Token: " + c.summary; said.Summary() != want {
				t.Errorf("the summary is %q", said.Summary())
			}
			standing, ok := errors.AsType[*hsm.StandingError](c.failure.Err)
			if ok && strings.Count(said.Detail(), standing.Stands.String()) != 1 {
				t.Errorf("it does not say once how the token stands:\n%s", said.Detail())
			}
			for _, part := range c.says {
				if !strings.Contains(said.Detail(), part) {
					t.Errorf("%q is not in\n%s", part, said.Detail())
				}
			}
			for _, part := range c.not {
				if strings.Contains(said.Detail(), part) {
					t.Errorf("%q is in\n%s", part, said.Detail())
				}
			}
		})
	}
}

func TestADiagnosticTellsOfTheConfigurationAndNotTheLoadersWords(t *testing.T) {
	provider := Provider{
		Selected: []string{`label "a" (from token_label)`, `slot ID 1 (from HSM_SLOT)`},
		Foreign:  func(string) string { return "(not shown)" },
	}
	missing := Failure{
		Doing: Read, Kind: &rsa, Err: &hsm.TokenError{Selector: hsm.Selector{Label: new(string)}}, Provider: provider,
	}.Diagnostic().Detail()
	if !strings.Contains(missing, `No token has the label "a" (from token_label) and slot ID 1 (from HSM_SLOT);`) {
		t.Errorf("it says %s", missing)
	}
	loader := Failure{
		Doing: Read, Kind: &rsa, Provider: provider,
		Err: &hsm.LibraryError{Path: "/m.so", Err: errors.New("/m.so: bad PIN 48151623")},
	}.Diagnostic().Detail()
	if !strings.HasPrefix(loader, "(not shown).\n") || strings.Contains(loader, "48151623") ||
		strings.Contains(loader, "selected") {
		t.Errorf("it says %s", loader)
	}
	loader = Failure{Doing: Read, Kind: &rsa, Provider: provider, Err: &hsm.LibraryError{}}.Diagnostic().Detail()
	if !strings.HasPrefix(loader, "No PKCS#11 module is given.") {
		t.Errorf("words of ours are left out: %s", loader)
	}
}

func TestAnImportThatIsRefusedSaysWhatWasFound(t *testing.T) {
	found := []object.Key{{ID: []byte("k1"), Label: "a"}, {ID: []byte("k2"), Label: "b"}}
	for _, c := range []struct {
		err   error
		parts []string
	}{
		{&SelectionError{URI: "pkcs11:object=a", Noun: "key pair"}, []string{"pkcs11:object=a names no key pair of this " +
			"type on this token"}},
		{&SelectionError{URI: "pkcs11:object=a", Noun: "key pair", Found: found}, []string{"names 2 key pairs:",
			`"a", key_id 6b31`, `"b", key_id 6b32`}},
		{&LabelError{Asked: "a", Found: "b"}, []string{`says label "a"`, `labelled "b"`}},
		{&MovedError{From: "6b31", To: "6b32", Label: "a", Noun: "key pair"}, []string{"no key pair has the key ID 6b31 " +
			"any more; the same key", `under the ID 6b32 (label "a")`}},
		{&MovedError{From: "6b31", To: "6b32", Label: "a", Noun: "secret key", Doubtful: true},
			[]string{"may be another key"}},
	} {
		for _, part := range c.parts {
			if !strings.Contains(c.err.Error(), part) {
				t.Errorf("%T says %q, without %q", c.err, c.err, part)
			}
		}
	}
	if !errors.Is(&MovedError{}, object.ErrNotFound) {
		t.Error("a key that has moved is not where it was")
	}
}
