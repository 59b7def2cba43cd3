package scripts

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	fence   = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	notID   = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors are the names of a page's headings in links.
func anchors(page string) map[string]bool {
	found := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
		found[strings.ReplaceAll(notID.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	for _, m := range regexp.MustCompile(`<a id="([^"]+)"`).FindAllStringSubmatch(page, -1) {
		found[m[1]] = true
	}
	return found
}

// Every link from one page of the project to another leads to a page and a heading that are there.
func TestEveryLinkLeadsSomewhere(t *testing.T) {
	const root = "../.."
	var pages []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		pages = append(pages, found...)
	}
	links := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(string(text), ""), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			links++
			to, there := page, text
			if target != "" {
				to = filepath.Join(filepath.Dir(page), target)
				if info, err := os.Stat(to); err != nil {
					t.Errorf("%s links to %s, which is not there", page, m[1])
					continue
				} else if info.IsDir() {
					continue
				}
				if there, err = os.ReadFile(to); err != nil {
					t.Fatal(err)
				}
			}
			if anchor != "" && !anchors(string(there))[anchor] {
				t.Errorf("%s links to %s, but %s has no such heading", page, m[1], to)
			}
		}
	}
	if links < 50 {
		t.Errorf("only %d links were found", links)
	}
}

// Every target that a page names is one of the makefile's, with a line of its own in what make lists.
func TestEveryTargetThatPagesNameIsThere(t *testing.T) {
	const root = "../.."
	listed, _ := place{t, root, nil}.run("make", "-s", "help")
	named := regexp.MustCompile("(?:`|(?m:^))make\\s+([a-z]+(?:-[a-z]+)*)")
	code := regexp.MustCompile("(?ms)^ *```.*?^ *```|`[^`]+`")
	found := 0
	for _, page := range []string{
		"README.md", "CONTRIBUTING.md", "DESIGN.md", "docs/guides/install.md", "docs/guides/upgrade.md",
	} {
		text, err := os.ReadFile(filepath.Join(root, page))
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range code.FindAllString(string(text), -1) {
			for _, m := range named.FindAllStringSubmatch(part, -1) {
				found++
				if !strings.Contains(listed, "  make "+m[1]+" ") {
					t.Errorf("%s names make %s, which the makefile lacks", page, m[1])
				}
			}
		}
	}
	if found < 20 {
		t.Errorf("the pages name %d targets", found)
	}
}
