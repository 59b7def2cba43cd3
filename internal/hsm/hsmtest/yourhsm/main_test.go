package main

import (
	"os"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

// TestTheGuideHasAllThatIsKnown: each make has its section, with all that plans say and all that it is known from.
func TestTheGuideHasAllThatIsKnown(t *testing.T) {
	page, err := os.ReadFile("../../../../templates/guides/your-hsm.md")
	if err != nil || strings.Count(string(page), marker) != 1 {
		t.Errorf("the page has no place for the makes: %v", err)
	}
	sections := strings.Split(makes(), "\n## ")[1:]
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
