package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

// TestTheGuideHasAllThatIsKnown: each make has its row or section, with all that plans say and all that it is known
// from.
func TestTheGuideHasAllThatIsKnown(t *testing.T) {
	page, err := whole("../../../../templates/guides/your-hsm.md")
	if err != nil || strings.Contains(page, "{{") {
		t.Fatalf("the page has no place for the makes, or more: %v", err)
	}
	for _, m := range hsmtest.Makes {
		var lacks []string
		for _, l := range m.Lacks {
			lacks = append(lacks, string(l))
		}
		if row := fmt.Sprintf("| %s | `%s` |", m.Version, m.Library); !strings.Contains(page, row) ||
			!strings.Contains(page, "| "+strings.Join(lacks, "; ")+" |\n") {
			t.Errorf("the guide lacks the row of %s", m.Version)
		}
	}
	sections := strings.Split(page, "\n### ")[1:]
	if len(sections) != len(quirk.Makes) {
		t.Fatalf("%d sections are about %d makes", len(sections), len(quirk.Makes))
	}
	for i, m := range quirk.Makes {
		wanted := append([]string{m.Name + "\n", m.Versions}, m.Setup.Notes...)
		for _, e := range m.Evidence {
			wanted = append(wanted, e.Seen+" ("+map[bool]string{true: "**a guess**"}[e.Kind == quirk.Guess])
		}
		for _, no := range m.NoKeys {
			wanted = append(wanted, no.Says)
		}
		for _, says := range m.Refuses {
			wanted = append(wanted, says)
		}
		guess, command := guessed(m, "Library"), guessed(m, "Commands")
		if strings.Contains(sections[i], "# a guess") != guess || strings.Contains(sections[i], "own commands") != command {
			t.Errorf("the section of %s marks a path or a command as a guess that is none, or does not", m.Name)
		}
		for _, text := range wanted {
			if !strings.Contains(sections[i], text) {
				t.Errorf("the section of %s lacks: %s", m.Name, text)
			}
		}
	}
}

func TestGrouped(t *testing.T) {
	got := grouped([]string{"a1", "b1", "a2", "b2"}, func(s string) string { return s[:1] })
	if len(got) != 2 || strings.Join(got[0], "") != "a1a2" || strings.Join(got[1], "") != "b1b2" {
		t.Errorf("%q", got)
	}
}

func TestAnchor(t *testing.T) {
	if got := anchor("IBM HPCS (EP11)"); got != "ibm-hpcs-ep11" {
		t.Errorf("%q", got)
	}
}
