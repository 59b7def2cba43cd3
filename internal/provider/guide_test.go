package provider

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

func TestGuideHasASectionForEachDiagnostic(t *testing.T) {
	guide, err := os.ReadFile("../../templates/guides/when-something-goes-wrong.md")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, summary := range writtenSummaries(t) {
		names[strings.TrimSuffix(summary, ": ")] = true
	}
	for name := range names {
		if !strings.Contains(string(guide), "\n### "+name+"\n") {
			t.Errorf("the guide has no section %q", name)
		}
	}
}

// writtenSummaries are those that stand in this package's code; package diagnose looks after its own: AddError("Empty PIN File", ...).
func writtenSummaries(t *testing.T) (summaries []string) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	call := regexp.MustCompile(`(?:Error|Warning)(?:Diagnostic)?\((?:[\w.]+(?:\([^)]*\)[\w.]*)*, )?"([A-Z][^"]*)"`)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range call.FindAllStringSubmatch(string(text), -1) {
			summaries = append(summaries, found[1])
		}
	}
	return summaries
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
