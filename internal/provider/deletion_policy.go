package provider

import (
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
)

// What happens to a key on the token when its resource goes away.
const (
	policyPrevent = "prevent"
	policyAbandon = "abandon"
	policyDelete  = "delete"
)

// deletionPolicyAttribute is the same for every kind of key.
func deletionPolicyAttribute() schema.StringAttribute {
	return schema.StringAttribute{
		MarkdownDescription: "What happens to the key on the token when the resource is destroyed or replaced, and when " +
			"the key is not on the token any more. Defaults to `prevent`.\n" +
			"  - `prevent`: a plan that would destroy or replace the key fails. A tainted resource is seen in the " +
			"plan only if its `key_id` is configured and the state is refreshed; otherwise the apply refuses. A key that is not on the token " +
			"is an error, and the state is kept: a wrong partition or a replica that lags behind looks just like " +
			"a lost key.\n" +
			"  - `abandon`: the resource leaves the state, and the key stays on the token. A key that is not on the " +
			"token leaves the state with a warning, and Terraform plans a new one.\n" +
			"  - `delete`: the key is destroyed for ever. A key that is not on the token leaves the state with a warning, " +
			"and Terraform plans a new one.\n\n" +
			"  The policy in the state counts: a change of the policy takes effect once it is applied.",
		Optional:   true,
		Computed:   true,
		Default:    stringdefault.StaticString(policyPrevent),
		Validators: []validator.String{oneOf(policyPrevent, policyAbandon, policyDelete)},
	}
}

// removal is the end of a key, planned or attempted.
type removal struct {
	key        string      // names the key: `"web" (key_id 6b31)`
	replacedBy []path.Path // the attributes whose change replaces the key; none where it is destroyed
	has        string      // what the key has for them: "modulus_bits = 2048"
	forced     bool        // planned by -replace or replace_triggered_by
	tainted    bool        // planned for a resource that, as far as the plan can tell, is tainted
	applied    bool        // found at destroy time
	successor  bool        // this run has made a key that may be in its place (create_before_destroy)
	configured string      // the policy in the configuration, "" where it has none
	sameID     bool        // the new key in its place would have the same ID
}

// prevented is the error for a removal that deletion_policy forbids, with every way to go on.
func prevented(r removal) diag.Diagnostic {
	summary, happening, untouched := "Key Is Protected From Replacement", "would replace", "nothing has been changed."
	again, revert, cause := "then repeat this", "", ""
	var ways []string
	way := func(text string) { ways = append(ways, "  - "+text+"\n") }
	const untaint = "run terraform untaint with its address first, whatever you want to do with the key."
	switch {
	case r.applied:
		summary, happening = "Key Is Protected From Destruction", "is about to destroy"
		untouched = "this key has not been touched."
		if r.successor {
			untouched += " But this run has made a new key of the same label. If create_before_destroy has made it " +
				"in this one's place, sets that are made of the resource have it now."
		}
		way("If the resource is tainted, " + untaint)
	case r.forced:
		cause = " The configuration does not ask for that: it is -replace, or replace_triggered_by."
		way("To keep the key: leave -replace out, or take out of replace_triggered_by what has changed.")
	case r.tainted:
		cause = " Terraform plans a new key with that key_id: either the resource is tainted, or the key is that " +
			"of another resource."
		way("If the resource is tainted, " + untaint)
		way("If it has a new name or index, tell Terraform the old address with a moved block.")
	case len(r.replacedBy) > 0:
		cause = fmt.Sprintf(" No token can change %s of an existing key.", names(r.replacedBy))
		again, revert = "then change it again", fmt.Sprintf(", with %s as before,", names(r.replacedBy))
		way(fmt.Sprintf("To keep the key: write what it has into the configuration: %s.", r.has))
	default:
		summary, happening, again = "Key Is Protected From Destruction", "would destroy", "then destroy the resource"
		untouched = "this key has not been touched." // an apply comes here too, with a deposed object
		way("To keep the key: put its resource block back, or run no terraform destroy.")
	}
	if r.configured != "" && r.configured != policyPrevent {
		cause += fmt.Sprintf(" The configuration says %q, which takes effect once it is applied by itself.",
			r.configured)
	}
	const deposed = "terraform state rm with the resource's address forgets this key and the new one, and leaves both on the " +
		"token. Then import the one that you want to keep, and destroy the other one with another tool if nobody needs it. " +
		"deletion_policy can no longer change for this key."
	if r.successor {
		way("If create_before_destroy has made a new key in its place: " + deposed)
	} else {
		if r.sameID {
			way("To have one more key: add a second resource with another key_id. The guide \"Replace and rotate\" shows the steps.")
		} else {
			way(fmt.Sprintf("To take the key out of the state and leave it on the token: set deletion_policy = "+
				"\"abandon\"%s and run terraform apply, %s.", revert, again))
		}
		way(fmt.Sprintf("To destroy the key for ever: set deletion_policy = \"delete\"%s and run terraform apply, %s.",
			revert, again))
	}
	if summary == "Key Is Protected From Destruction" && !r.applied {
		way("If the resource block has already left the configuration: put it back for this. Or make Terraform forget the " +
			"key, with terraform state rm or a removed block (lifecycle { destroy = false }).")
		way("If it is what a create_before_destroy has left (Terraform calls it deposed): " + deposed)
	}
	detail := fmt.Sprintf("Terraform %s the key %s, whose deletion_policy is \"prevent\".%s\n\nOn the token: %s\n\n"+
		"What to do:\n%s", happening, r.key, cause, untouched, strings.Join(ways, ""))
	if len(r.replacedBy) > 0 {
		return diag.NewAttributeErrorDiagnostic(r.replacedBy[0], summary, detail)
	}
	return diag.NewErrorDiagnostic(summary, detail)
}

func names(paths []path.Path) string {
	var text strings.Builder
	for i, p := range paths {
		switch {
		case i == 0:
		case i == len(paths)-1:
			text.WriteString(" and ")
		default:
			text.WriteString(", ")
		}
		text.WriteString(p.String())
	}
	return text.String()
}
