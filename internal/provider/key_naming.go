package provider

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// namingResource is a keyResource whose warnings about its key name that in their summaries, as in `Key ID Changes: "web"
// (key_id 6b31)`. Terraform shows warnings of one summary as one, with "(and 2 more similar warnings elsewhere)" in the
// place of the others, so that nobody would see which keys those are about.
type namingResource struct{ *keyResource }

func (r namingResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	r.keyResource.Create(ctx, req, resp)
	nameKeys(&resp.Diagnostics, r.kind.typeName(), resp.State.Raw, req.Plan.Raw)
}

func (r namingResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	r.keyResource.Read(ctx, req, resp)
	nameKeys(&resp.Diagnostics, r.kind.typeName(), resp.State.Raw, req.State.Raw) // an import's state has no label yet
}

func (r namingResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	r.keyResource.Update(ctx, req, resp)
	nameKeys(&resp.Diagnostics, r.kind.typeName(), req.State.Raw)
}

func (r namingResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	r.keyResource.Delete(ctx, req, resp)
	nameKeys(&resp.Diagnostics, r.kind.typeName(), req.State.Raw)
}

func (r namingResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	r.keyResource.ModifyPlan(ctx, req, resp)
	nameKeys(&resp.Diagnostics, r.kind.typeName(), req.State.Raw, resp.Plan.Raw)
}

func (r namingResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	r.keyResource.ImportState(ctx, req, resp)
	nameKeys(&resp.Diagnostics, r.kind.typeName(), resp.State.Raw)
}

// aboutNoKey are the warnings of key resources that are about the token, and given once in a run.
var aboutNoKey = []string{"Others May Write At The Same Time", "New Keys Not Checked Against The Token"}

// nameKeys adds to the summary of each warning the name of the key, as the first of the values has it that is there.
func nameKeys(diags *diag.Diagnostics, resourceType string, values ...tftypes.Value) {
	name := ""
	for i, d := range *diags {
		if d.Severity() != diag.SeverityWarning || slices.Contains(aboutNoKey, d.Summary()) {
			continue
		}
		if name == "" {
			name = keyNamedBy(resourceType, values...)
		}
		if name == "" {
			return
		}
		summary := d.Summary() + ": " + name
		(*diags)[i] = diag.NewWarningDiagnostic(summary, d.Detail())
		if at, ok := d.(diag.DiagnosticWithPath); ok {
			(*diags)[i] = diag.NewAttributeWarningDiagnostic(at.Path(), summary, d.Detail())
		}
	}
}

// keyNamedBy names the key of a plan or state: `"web" (key_id 6b31)`. Of a new key without an ID, whose plan has looked
// at the token, it is `"web" (a new hsm_rsa_keypair on the token 1)`: two of one label may be of two types, or on two
// tokens. It leaves out what is not known, "" where that is all.
func keyNamedBy(resourceType string, values ...tftypes.Value) string {
	for _, value := range values {
		var fields map[string]tftypes.Value
		if value.IsNull() || value.As(&fields) != nil {
			continue
		}
		label, id := textOf(fields, "label"), strings.ToLower(textOf(fields, "key_id"))
		serial := textOf(fields, "token_serial")
		switch {
		case resourceType == keyRingType && label != "": // no other ring has it
			return fmt.Sprintf("%q", label)
		case label != "" && id != "":
			return named(label, id)
		case label != "" && serial != "":
			return fmt.Sprintf("%q (a new %s on the token %s)", label, resourceType, serial)
		case label != "":
			return fmt.Sprintf("%q", label)
		case id != "":
			return "key_id " + id
		}
	}
	return ""
}
