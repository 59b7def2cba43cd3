package provider

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// diagnosing are the functions that make a diagnostic, with the place of its summary among their arguments.
var diagnosing = map[string]int{
	"AddError": 0, "AddWarning": 0, "AddAttributeError": 1, "AddAttributeWarning": 1,
	"NewErrorDiagnostic": 0, "NewWarningDiagnostic": 0,
	"NewAttributeErrorDiagnostic": 1, "NewAttributeWarningDiagnostic": 1,
}

func TestTheGuideOfTokensShowsTheTableOfMakes(t *testing.T) {
	page, err := os.ReadFile("../../templates/guides/tested-tokens.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range hsmtest.Makes {
		lacks := "nothing"
		if len(m.Lacks) > 0 {
			words := make([]string, len(m.Lacks))
			for i, l := range m.Lacks {
				words[i] = string(l)
			}
			lacks = strings.Join(words, "; ")
		}
		if row := fmt.Sprintf("| %s | %s |", m.Version, lacks); !strings.Contains(string(page), row) {
			t.Errorf("the guide lacks the row\n%s", row)
		}
	}
}
