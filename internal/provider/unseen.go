package provider

import (
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

// keptUnseen warns that a refresh keeps the state of what the token does not show, because that proves nothing.
func keptUnseen(what string, unseen *hsm.UnseenError) diag.Diagnostic {
	return diag.NewWarningDiagnostic("Not Shown By The Token", fmt.Sprintf("The %s stays in the state as it is. %s\n\nWhat to "+
		"do: %s", what, diagnose.Sentence(unseen.Error()), diagnose.AwaitUnseen(unseen)))
}
