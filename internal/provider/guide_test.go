package provider

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
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

// diagnosing are the functions that make a diagnostic, with the place of its summary among their arguments.
var diagnosing = map[string]int{
	"AddError": 0, "AddWarning": 0, "AddAttributeError": 1, "AddAttributeWarning": 1,
	"NewErrorDiagnostic": 0, "NewWarningDiagnostic": 0,
	"NewAttributeErrorDiagnostic": 1, "NewAttributeWarningDiagnostic": 1,
}

// writtenSummaries are those that stand in the code: AddError("Empty PIN File", ...). What comes
// from elsewhere is a variable of the name summary or title.
func writtenSummaries(t *testing.T) (summaries []string) {
	t.Helper()
	files := token.NewFileSet()
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, _ := n.(*ast.CallExpr)
			if call == nil {
				return true
			}
			function, _ := call.Fun.(*ast.SelectorExpr)
			if function == nil {
				return true
			}
			if place, ok := diagnosing[function.Sel.Name]; ok {
				summary, known := summaryOf(call.Args[place])
				if !known {
					t.Errorf("%s: it is not plain what the summary is", files.Position(call.Pos()))
				}
				if summary != "" {
					summaries = append(summaries, summary)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(summaries) < 20 {
		t.Errorf("only %d diagnostics were found in the code: %q", len(summaries), summaries)
	}
	return summaries
}

// summaryOf is the text that an argument is, or begins with; "" where a variable has it.
func summaryOf(argument ast.Expr) (summary string, known bool) {
	switch a := argument.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(a.Value)
		return text, err == nil
	case *ast.BinaryExpr:
		return summaryOf(a.X)
	case *ast.SelectorExpr:
		return "", a.Sel.Name == "title"
	case *ast.Ident:
		return "", a.Name == "summary"
	}
	return "", false
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
