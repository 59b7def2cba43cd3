package provider

import (
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
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
			"  - `prevent`: a plan that would destroy or replace the key fails. A key that is not on the token is an error, " +
			"and the state is kept: a wrong partition or a replica that lags behind looks just like a lost key.\n" +
			"  - `abandon`: the resource leaves the state, and the key stays on the token. A key that is not on the token " +
			"leaves the state with a warning, and Terraform plans a new one.\n" +
			"  - `delete`: the key is destroyed for ever. A key that is not on the token leaves the state with a warning, " +
			"and Terraform plans a new one.\n\n" +
			"  The policy in the state counts: a change of the policy takes effect once it is applied.",
		Optional:   true,
		Computed:   true,
		Default:    stringdefault.StaticString(policyPrevent),
		Validators: []validator.String{stringvalidator.OneOf(policyPrevent, policyAbandon, policyDelete)},
	}
}

// removal is the end of a key, planned or attempted.
type removal struct {
	key        string      // names the key: `"web" (key_id 6b31)`
	replacedBy []path.Path // the attributes whose change replaces the key; none where it is destroyed
	forced     bool        // found at destroy time: -replace, or a tainted resource
	configured string      // the policy in the configuration, "" where it has none
}

// prevented is the error for a removal that deletion_policy forbids, with every way to go on.
func prevented(r removal) diag.Diagnostic {
	summary, happening := "Key Is Protected From Destruction", "would destroy"
	again := "then destroy it"
	revert := ""
	if len(r.replacedBy) > 0 {
		summary, happening, again = "Key Is Protected From Replacement", "would replace", "then change it again"
		revert = fmt.Sprintf(", with %s as before,", names(r.replacedBy))
	}
	if r.forced {
		summary, happening, again = "Key Is Protected From Destruction", "is about to destroy", "then repeat this"
	}
	detail := fmt.Sprintf("Terraform %s the key %s, whose deletion_policy is \"prevent\".", happening, r.key)
	if len(r.replacedBy) > 0 {
		detail += fmt.Sprintf(" No token can change %s of an existing key.", names(r.replacedBy))
	}
	if r.configured != "" && r.configured != policyPrevent {
		detail += fmt.Sprintf(" The configuration says %q, which takes effect once it is applied by itself.", r.configured)
	}
	detail += "\n\nOn the token: nothing has been changed.\n\nWhat to do:\n"
	if len(r.replacedBy) > 0 {
		detail += fmt.Sprintf("  - To keep the key: set %s back in the configuration.\n", names(r.replacedBy))
	}
	if r.forced {
		detail += "  - If the resource is tainted, run terraform untaint with its address first, whatever you want to do " +
			"with the key.\n" +
			"  - To keep the key: leave -replace out.\n"
	}
	detail += fmt.Sprintf("  - To take the key out of the state and leave it on the token: set deletion_policy = "+
		"\"abandon\"%s and run terraform apply, %s.\n", revert, again) +
		fmt.Sprintf("  - To destroy the key for ever: set deletion_policy = \"delete\"%s and run terraform apply, %s.\n",
			revert, again)
	if len(r.replacedBy) == 0 {
		detail += "  - If Terraform calls it a deposed object (create_before_destroy has made another key already): its " +
			"policy can no longer change. terraform state rm with the resource's address forgets both keys and leaves them " +
			"on the token; then import the one that you want to keep.\n"
	}
	if len(r.replacedBy) == 0 && !r.forced {
		detail += "  - If the resource block has already left the configuration: put it back for this, or make Terraform " +
			"forget the key with terraform state rm or a removed block (lifecycle { destroy = false }), which leaves the key " +
			"on the token.\n"
	}
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
