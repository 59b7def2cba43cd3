package diagnose

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// CheckFirst says what to check of a key before it is adopted or published.
const CheckFirst = "First make sure that it is the key that you mean, and not one that somebody else made: compare " +
	"its fingerprint with what the backup, the log or the colleague that it comes from says."

// WhatUnprotectedMeans says what CKA_PRIVATE=false of a private half or of a secret key means.
const WhatUnprotectedMeans = "the PIN does not protect it (CKA_PRIVATE=false), so that anyone who can open a session " +
	"on the token may have made it, and can use it"

// HowToGiveAnID says how a key without an ID gets one, so that a resource can manage it. command makes pkcs11-tool
// command lines, and parts are the objects that such a key is made of, in pkcs11-tool's words.
func HowToGiveAnID(command func(...string) string, parts []string, label string) string {
	lines := make([]string, len(parts))
	for i, part := range parts {
		lines[i] = "  " + command("--type", part, "--label", label, "--set-id", "NEW_ID")
	}
	return "give it an ID first, in hexadecimal, one that no other object has (if several objects without an ID have " +
		"this label, the tool takes any of them):\n\n" + strings.Join(lines, "\n")
}

const whatNAMEIs = "(NAME is the resource's name in your configuration, with the address of its module in front, and its " +
	"index behind it: 'module.m.hsm_rsa_keypair.k[\"a\"]'. Terraform does not tell it to the provider.)"

// HowToImport says how a key that is on the token comes into the state, by its key ID or its URI.
func HowToImport(resourceType, id string) string {
	return fmt.Sprintf("  %s\n\nor, in the configuration:\n\n"+
		"  import {\n    to = %s.NAME\n    id = %q\n  }\n\n"+
		whatNAMEIs,
		hsm.Command("terraform", "import", resourceType+".NAME", id), resourceType, id)
}

func nextExists(f Failure) string {
	e, ok := errors.AsType[*object.ExistsError](f.Err)
	if !ok {
		return otherwise.next(f)
	}
	id := object.FormatID(e.ID)
	if f.Doing == Update {
		return "choose another key_id for the key, or set key_id back. Or free the ID first, by giving the object that " +
			"uses it another one. The key keeps its old ID until then. To see what uses the ID, " + f.listing(e.ID)
	}
	if f.Managed {
		return "give this key another key_id. A resource of this configuration has, or has just made, the key that uses the " +
			"ID. If it is this resource itself: with create_before_destroy the new key is made while the old one is there, so " +
			"that it cannot have the same key_id."
	}
	if f.Kind != nil && e.Whole == f.Kind.Type && e.Unprotected {
		return fmt.Sprintf("find out who made the %s that uses the ID: %s. Do not adopt it. Destroy it with the tool that "+
			"you use for the token, or choose another key_id, or leave key_id out to get a random one. To see it, %s",
			f.Kind.Noun, WhatUnprotectedMeans, f.listing(e.ID))
	}
	if f.Kind != nil && e.Whole == f.Kind.Type {
		return fmt.Sprintf("if the %s that uses the ID is the one you want, adopt it. %s Then:\n\n%s\n\nOtherwise choose "+
			"another key_id, or leave it out to get a random one.",
			f.Kind.Noun, CheckFirst, HowToImport(f.resourceType(), id))
	}
	if resource := ResourceOf[e.Whole]; resource != "" && !e.Unprotected {
		return "choose another key_id, or leave it out to get a random one. Or, if you want the key that uses the ID: it is " +
			"of another type, and another resource manages it. " + CheckFirst + " Then:\n\n" + HowToImport(resource, id)
	}
	return "choose another key_id, or leave it out to get a random one. What uses the ID is not a whole key of this " +
		"resource's type, so it cannot be imported. To see it, " +
		f.listing(e.ID)
}

// listing says how to see what uses an ID. pkcs11-tool lists all objects, whatever ID it is given.
func (f Failure) listing(id []byte) string {
	which := "the ID " + object.FormatID(id)
	if len(id) == 0 {
		which = "those without an ID"
	}
	return "list the token's objects and look for " + which + ":\n\n  " + f.command("--list-objects")
}

// ImportID is the import ID of a key where several have its ID.
func ImportID(id []byte, fingerprint string) string { return object.FormatID(id) + "@" + fingerprint }

func nextType(f Failure) string {
	e, ok := errors.AsType[*TypeError](f.Err)
	if !ok {
		return otherwise.next(f)
	}
	var imports strings.Builder
	unprotected := ""
	for _, other := range e.Found {
		switch {
		case other.Unprotected:
			unprotected = "nothing was imported. Do not adopt a key that is marked as not protected: " + WhatUnprotectedMeans + "."
		case other.Resource != "":
			imports.WriteString("\n  " + hsm.Command("terraform", "import", other.Resource+".NAME", other.ImportID))
		}
	}
	if imports.Len() == 0 && unprotected != "" {
		return unprotected
	}
	if imports.Len() == 0 {
		return "nothing was imported. Half of a key pair cannot be: restore its other half from the token's backup, or " +
			"with the tool that made the key. If you only want to know a public key, the data source hsm_public_key reads it. " +
			"To see what the token holds:\n\n  " + f.command("--list-objects")
	}
	return "nothing was imported. " + CheckFirst + " Then write a resource of its type into the configuration, and import it " +
		"into that:\n" + imports.String()
}

func nextSelection(f Failure) string {
	e, ok := errors.AsType[*SelectionError](f.Err)
	if !ok || len(e.Found) == 0 || f.Kind == nil {
		return "nothing was imported. Check the URI, and check that this is the right token" + f.where() +
			": the URI may name another one. To see what it holds:\n\n  " + f.command("--list-objects")
	}
	sharing := map[string]int{}
	for _, key := range e.Found {
		sharing[string(key.ID)]++
	}
	var text strings.Builder
	text.WriteString("say which of them you mean:\n")
	for _, key := range e.Found {
		id := object.FormatID(key.ID)
		if sharing[string(key.ID)] > 1 && key.Fingerprint() != "" {
			id = ImportID(key.ID, key.Fingerprint())
		}
		text.WriteString("\n  terraform import " + f.resourceType() + ".NAME " + id)
	}
	return text.String()
}

func nextAmbiguous(f Failure) string {
	next := "give all but one of them another CKA_ID, or destroy those that you do not want. "
	if f.Kind == nil {
		next += "Or name other keys: what is not selected does not matter. "
	}
	id, _ := object.ParseID(f.id())
	e, ok := errors.AsType[*object.AmbiguousError](f.Err)
	if ok {
		id = e.ID
	}
	see := "To see them, " + f.listing(id)
	if ok && e.Halves && privateHalves(e) == 1 {
		return "there is one private half, so only one of the public halves belongs to it. On many tokens anyone can " +
			"make a public half, without a PIN. Find out which is the right one: from the key's certificate, from a " +
			"backup, or by an import with its fingerprint, which tests it." + importsOf(f, id, e.Fingerprints) +
			"\n\nThen destroy the others, with a tool that shows each object's handle or label: pkcs11-tool " +
			"--delete-object takes any public half of an ID, unless you also give it a label that only one of them has. " +
			see
	}
	if ok && e.Halves && len(id) > 0 {
		command := func(part string) string {
			return f.command("--id", object.FormatID(id), "--type", part, "--set-id", "NEW_ID")
		}
		return "give one private half and one public half another ID. Each command changes one of the objects:\n\n  " +
			command("privkey") + "\n  " + command("pubkey") + "\n\nThen import the keys of both IDs. If an import says that " +
			"the halves do not belong together, exchange the IDs of the two public halves. " + see
	}
	if !ok || f.Doing != Import || f.Kind == nil || !slices.ContainsFunc(e.Fingerprints, func(s string) bool { return s != "" }) {
		return next + see
	}
	return "say which of them you mean, by its fingerprint:" + importsOf(f, id, e.Fingerprints) + "\n\nOr " + next + see
}

// privateHalves counts them.
func privateHalves(e *object.AmbiguousError) (n int) {
	for _, o := range e.Objects {
		if objectTypes[o.Class] == "privkey" {
			n++
		}
	}
	return n
}

// importsOf are the commands that import a key of the ID by each of the fingerprints; none where no resource is meant.
func importsOf(f Failure, id []byte, fingerprints []string) string {
	if f.Kind == nil || len(id) == 0 {
		return ""
	}
	text := ""
	for _, fingerprint := range fingerprints {
		if fingerprint != "" {
			text += "\n  terraform import " + f.resourceType() + ".NAME " + ImportID(id, fingerprint)
		}
	}
	if text != "" {
		text = "\n" + text
	}
	return text
}

func nextUnprotected(f Failure) string {
	return "anyone who can open a session on the token, without a PIN, may have made such a key, and can sign with " +
		"it. Find out who made it, and whether its fingerprint is the one you expect. If it is not yours, leave it out " +
		"of what you publish, by naming the keys that are, and destroy it. If it is yours, replace it by a key that " +
		"is protected. To publish it all the same, set allow_unprotected = true. To see what the token holds:\n\n  " +
		f.command("--list-objects")
}

func nextDisproved(f Failure) string {
	const who = "somebody may have written over the public half, which on many tokens needs no PIN. "
	switch {
	case f.Doing == Update || f.Doing == Delete: // these have found the public half of the state
		return "the public half is the one in the state, so the private half is another key's: somebody with the PIN may " +
			"have put it there. The state is kept. Find out who did, and restore the private half from the token's backup. " +
			"To see what the token holds:\n\n  " + f.command("--list-objects")
	case f.Kind != nil && f.Doing != Import:
		return who + "The state is kept. Find out who did. Then destroy the public half, and restore the right one " +
			"from the token's backup, or write it anew from the public key in the state:\n\n  " +
			f.command("--delete-object", "--type", "pubkey", "--id", f.id()) + "\n" + f.writeAnew(f.id(), f.Label)
	}
	return who + "Nothing is published, imported or signed. Find out who did, then restore the public half from the " +
		"token's backup, or from the state of the configuration that manages the key. To see what the token holds:" +
		"\n\n  " + f.command("--list-objects")
}

func nextUnproven(Failure) string {
	return "give the private half a usage with which it can prove that: sign, or derive on a curve where the token has " +
		"CKM_ECDH1_DERIVE. A resource that manages the key changes its usage in place. A key that wants the PIN for each " +
		"use (CKA_ALWAYS_AUTHENTICATE) cannot be proven, since it may count tries of its own. Otherwise publish the " +
		"key in another way, for example with the function jwks, of a public key that you keep in the configuration."
}

func nextNoSigner(f Failure) string {
	e, ok := errors.AsType[*hsm.NoSignerError](f.Err)
	see := " To see what the token holds:\n\n  " + f.command("--list-objects")
	if ok && len(e.Public) > 0 {
		return "restore the private half from the token's backup, or with the tool that made the key: nobody can " +
			"sign without it. If it is on another token, name that one in the provider block." + see
	}
	return "check that this is the public key that you mean, and that this is the right token" + f.where() + ". A " +
		"key is found by its public key alone, whatever its label and its ID. If the same configuration makes the " +
		"pair, refer to the resource's public_key_pem, so that it is made first." + see
}

func nextCannotSign(Failure) string {
	return "if its usage has no sign, add that in the resource that manages the key, which changes the usage in " +
		"place, or sign with another key. Otherwise choose another algorithm: a key keeps the allowed mechanisms of " +
		"its creation. The data source hsm_keys shows the usage and the allowed mechanisms of each key, and " +
		"hsm_token the mechanisms of the token."
}

func nextUnprotectedSigner(f Failure) string {
	return "sign with another key, and give everyone who trusts this one the new public key: whoever can open a " +
		"session on the token may have signed with it, or made it. Nothing allows such a key here. A token never " +
		"protects a key afterwards. To see what the token holds:\n\n  " + f.command("--list-objects")
}

func nextWrongSignature(f Failure) string {
	return "nobody got the signature. Somebody may have written over the public half, which on many tokens needs no " +
		"PIN: compare the key's fingerprint with what the backup or the certificate says. If it is the right one, " +
		"the token or its module computes wrong signatures: look in its own log for this time, and tell its maker. " +
		"To see what the token holds:\n\n  " + f.command("--list-objects")
}

func nextNoID(f Failure) string {
	e, ok := errors.AsType[*NoIDError](f.Err)
	if !ok {
		return otherwise.next(f)
	}
	return "nothing was imported. " + CheckFirst + " Then " + HowToGiveAnID(f.command, e.Kind.Parts, e.Label) +
		"\n\nThen import it by that ID, as " + e.Kind.Resource + "."
}

// objectTypes are pkcs11-tool's words for the halves of a pair.
var objectTypes = map[string]string{"private key": "privkey", "public key": "pubkey"}

func nextHalfPair(f Failure) string {
	e, ok := errors.AsType[*object.HalfPairError](f.Err)
	if !ok {
		return otherwise.next(f)
	}
	id := object.FormatID(e.ID)
	if f.Kind == nil { // a data source, which has no state to restore the key from
		return "restore the missing half from the token's backup, or with the tool that made the key, and run Terraform " +
			"again. To see what the token holds of the key, " +
			f.listing(e.ID)
	}
	if f.Doing == Import && e.Other == nil {
		return f.nextHalfImport(e, id)
	}
	if e.Other != nil {
		return "both halves are there, but under two IDs, as an interrupted change of key_id leaves them. Bring them " +
			"together again:\n\n  " +
			f.command("--id", object.FormatID(e.Other.ID), "--type", objectTypes[e.Other.Class], "--set-id", id) +
			"\n\nThen run terraform plan. No new key is made in the meantime."
	}
	if e.Missing == "private key" {
		return "if terraform destroy was interrupted, or the module hung in it, finish it in one run. That destroys what is " +
			"left of such pairs, and every whole key of this configuration, as terraform destroy does:\n\n" +
			"  terraform destroy -refresh=false\n\nIf only some pairs were to go, and are no " +
			"longer configured, terraform apply -refresh=false destroys those. If nobody destroyed anything, " +
			"restore the private half from the token's backup, if there is one: without it, the key pair cannot sign " +
			"or decrypt. If the key is lost, make Terraform forget it:\n\n  terraform state rm " + f.resourceType() +
			".NAME\n\nThe next terraform apply makes a new key. " + f.Kind.AnotherID() + "Then the public half that is left may stay for as " +
			"long as someone has to verify with it. To destroy it:\n\n  " +
			f.command("--delete-object", "--type", "pubkey", "--id", id)
	}
	return "the private half still works, but nobody can read the public key from the token. Restore the public half " +
		"from the token's backup, or write it anew from the public key in the state:\n\n" +
		f.writeAnew(id, e.Present.Label)
}

// writeAnew is how a public half is written from the public key in the state.
func (f Failure) writeAnew(id, label string) string {
	return "  terraform state show -no-color " + f.resourceType() +
		".NAME | sed -n '/BEGIN PUBLIC/,/END PUBLIC/s/^ *//p' > public.pem\n" +
		"  openssl pkey -pubin -in public.pem -outform DER -out public.der\n  " +
		f.command("--write-object", "public.der", "--type", "pubkey", "--id", id, "--label", label) +
		"\n\nThen run terraform apply, which gives the new half its usage."
}

// nextHalfImport is for an import: no state has the key.
func (f Failure) nextHalfImport(e *object.HalfPairError, id string) string {
	if e.Missing == "private key" {
		return "nothing was imported. Only a whole key pair can be. Restore the private half from the token's backup, " +
			"or with " +
			"the tool that made the key. If you only want to know the public key, the data source hsm_public_key reads it. To " +
			"see what the token holds of the key, " + f.listing(e.ID)
	}
	write := []string{"--write-object", "public.der", "--type", "pubkey", "--id", id}
	if e.Present.Label != "" {
		write = append(write, "--label", e.Present.Label)
	}
	toDER := "\n  openssl pkey -pubin -in public.pem -outform DER -out public.der\n  " + f.command(write...) +
		"\n\nThen import again. The import makes sure that the two halves belong together."
	if len(e.Certificates) > 0 {
		read := []string{"--read-object", "--type", "cert", "--id", id}
		if label := e.Certificates[0].Label; label != "" {
			read = append(read, "--label", label)
		}
		return "nothing was imported. Only a whole key pair can be. But a certificate on the token has this ID, and the " +
			"public key is in it. Take it from there and write the public half:\n\n  " +
			f.command(append(read, "--output-file", "certificate.der")...) +
			"\n  openssl x509 -inform DER -in certificate.der -pubkey -noout > public.pem" + toDER
	}
	return "nothing was imported. Only a whole key pair can be. Restore the public half from the token's backup, " +
		"or write it " +
		"anew from a copy of the public key, public.pem, if there is one:\n" + toDER
}

func nextDifferentKey(f Failure) string {
	return "nothing was changed, because the key on the token is not the key in the state. Run terraform plan, which " +
		"warns of it; the next apply takes the key on the token into the state. If this configuration must not change or " +
		"destroy that key, make Terraform forget it instead:\n\n  terraform state rm " + f.resourceType() + ".NAME"
}

func nextMoved(f Failure) string {
	e, ok := errors.AsType[*MovedError](f.Err)
	if !ok || f.Kind == nil {
		return otherwise.next(f)
	}
	var text strings.Builder
	text.WriteString("the state is kept, and no new key is made. Either let the state follow the key, and change key_id in " +
		"the configuration too, if it is there:\n\n" +
		"  terraform state rm " + f.resourceType() + ".NAME\n  terraform import " + f.resourceType() + ".NAME " + e.To +
		"\n\nor give the key its old ID back:\n")
	for _, part := range f.Kind.Parts {
		text.WriteString("\n  " + f.command("--id", e.To, "--type", part, "--set-id", e.From))
	}
	return text.String()
}

func nextNotFound(f Failure) string {
	if f.Kind == nil {
		return otherwise.next(f)
	}
	if f.Doing == Import {
		return "nothing was imported. Check the key ID, and check that this is the right token" + f.where() +
			". To see what it holds:\n\n  " + f.command("--list-objects")
	}
	return "the state is kept, and no new key is made: a wrong token or partition, or a replica that lags behind, " +
		"looks just like a lost key. If this is the wrong token" + f.where() +
		", correct the provider's configuration. If the key is lost for good, make Terraform forget it:\n\n" +
		"  terraform state rm " + f.resourceType() + ".NAME\n\nThe next terraform apply makes a new key. " + f.Kind.AnotherID() +
		"(With deletion_policy = \"delete\" or \"abandon\", Terraform plans a new key without this step.)"
}

func nextMalformed(f Failure) string {
	if e, ok := errors.AsType[*object.MalformedError](f.Err); ok && e.Unclassified() {
		return "the state is kept. The token does not say what the object is: pkcs11-tool lists it as a data object " +
			"without a label, and cannot destroy it. If it was part of a key, restore that key from the token's backup; no " +
			"new key is made under its ID in the meantime. To see what is left of the key:\n\n  " + f.command("--list-objects")
	}
	return "look at the object with another tool. If you do not want it, destroy it there; this provider does not use " +
		"it:\n\n  " + f.command("--list-objects")
}

func nextNoMatch(f Failure) string {
	e, ok := errors.AsType[*object.MatchError](f.Err)
	switch {
	case ok && len(e.Found) > 0:
		return "name one of them more exactly: by its key_id, or, where several have that, by a uri that you write with " +
			"both its label and its ID, such as pkcs11:object=web;id=%6B%31."
	case ok && len(e.Halves) > 0:
		return "name the pair by the label of its private half, or by its key_id."
	case ok && len(e.Secrets) > 0:
		return "name a key pair, or a public key that stands alone. The resource hsm_secret_key manages secret keys, and " +
			"the data source hsm_keys lists them."
	}
	return "correct the name. If the same configuration makes the key, refer to the resource's uri, or add depends_on, " +
		"so that the key is read after it is made. To see what the token holds" +
		f.where() + ":\n\n  " + f.command("--list-objects")
}

func nextUnchangeable(f Failure) string {
	if f.certificate() && (f.Doing == Update || f.Doing == Delete) {
		return "the token lets nobody do that to this certificate. Without the PIN, anyone can write one of which " +
			"that is so (CKA_DESTROYABLE or CKA_MODIFIABLE is false). A certificate is no secret, so it may stay " +
			"where it is: take any change to it back, set deletion_policy = \"abandon\" and run terraform apply, " +
			"then remove the resource."
	}
	if f.Doing != Update {
		return otherwise.next(f)
	}
	if as[*hsm.GenerationError](f.Err) {
		return "this token does not change the label of that pair, so the ring cannot turn. If it changes no label at " +
			"all, manage single key pairs instead: import them as hsm_rsa_keypair or hsm_ec_keypair, and see the " +
			"guide \"Replace and rotate\"."
	}
	return "this token does not change that in place. Either take the change back in the configuration, or add a second " +
		"resource with another key_id for a new key, and let that take this one's place: see the guide \"Replace and rotate\"."
}

// ofRing says that an error is of what the token holds of one generation of a ring.
func ofRing(err error) bool {
	about := is(object.ErrExists)(err) || is(object.ErrAmbiguous)(err) || is(object.ErrHalfPair)(err) ||
		is(object.ErrNotFound)(err) || as[*object.DifferentKeyError](err)
	return about && as[*hsm.GenerationError](err)
}

func nextRing(f Failure) string {
	see := "To see what the token holds:\n\n  " + f.command("--list-objects")
	moved, hasMoved := errors.AsType[*MovedError](f.Err)
	half, isHalf := errors.AsType[*object.HalfPairError](f.Err)
	switch {
	case isHalf && half.Other != nil:
		return nextHalfPair(f)
	case isHalf:
		return "if terraform destroy was interrupted, finish it: terraform destroy -refresh=false destroys all that is " +
			"configured. If nobody destroyed anything, restore the " +
			"missing half from the token's backup, and run terraform plan. If it is lost, destroy the half that is left: " +
			"then the pair counts as lost, and the plan says how to go on.\n\n  " + f.command("--delete-object", "--type", objectTypes[half.Present.Class], "--id",
			object.FormatID(half.ID))
	case hasMoved && f.Kind != nil:
		var text strings.Builder
		text.WriteString("the state is kept, and no pair is made. Give the pair its ID back:\n")
		for _, part := range f.Kind.Parts {
			text.WriteString("\n  " + f.command("--id", moved.To, "--type", part, "--set-id", moved.From))
		}
		return text.String()
	case is(object.ErrExists)(f.Err):
		return "something else on the token has the ID that the next pair is to get, so the ring makes none. Find out " +
			"who made it. Give it another ID, or destroy it, and run terraform apply, which goes on from here. " + see
	case is(object.ErrAmbiguous)(f.Err):
		return "several pairs or halves have the ID of one generation, and nothing tells which is the ring's. Give all " +
			"but one of them another ID, or destroy them, and run terraform plan. " + see
	case is(object.ErrNotFound)(f.Err):
		return "the state is kept, and no pair is made: a wrong token or partition" + f.where() + ", or a replica that " +
			"lags behind, looks just like a lost ring. If it is lost for good, make Terraform forget it:\n\n" +
			"  terraform state rm " + f.resourceType() + ".NAME\n\nGive the new ring another key_id_prefix: " +
			"verifiers keep public keys by their kid."
	}
	return "nothing was changed, because the pair on the token is not the one in the state. Run terraform plan, which " +
		"warns of it. If you do not know that pair, find out who made it before you apply. " + see
}
