// Command yourhsm writes the guide "Your HSM": the page that it is given, with the makes that tests run on
// (hsmtest.Makes) in the place of the line {{ run }}, and what is known of each make that they play in the place of
// {{ played }}. That comes from quirk.Makes and from the lives that tests live (hsmtest.Lives).
//
//	go run ./internal/hsm/hsmtest/yourhsm templates/guides/your-hsm.md >page.md
package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

// markers are lines of the page, with what stands in their place.
var markers = map[string]func() string{"{{ run }}": run, "{{ played }}": played}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "yourhsm: name the page")
		os.Exit(2)
	}
	page, err := whole(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "yourhsm:", err)
		os.Exit(1)
	}
	fmt.Print(page)
}

// whole is the page of a file, with what stands in the place of its markers.
func whole(file string) (string, error) {
	bytes, err := os.ReadFile(file)
	page := string(bytes)
	for marker, text := range markers {
		if err == nil && strings.Count(page, marker) != 1 {
			err = fmt.Errorf("%s has not got the line %s once", file, marker)
		}
		page = strings.Replace(page, marker, text(), 1)
	}
	return page, err
}

// run is the table of the makes that tests run on.
func run() string {
	var b strings.Builder
	b.WriteString("| make | library | what it needs besides | what it lacks |\n|---|---|---|---|\n")
	for _, m := range hsmtest.Makes {
		var lacks []string
		for _, l := range m.Lacks {
			lacks = append(lacks, string(l))
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s |\n", m.Version, m.Library, cmp.Or(m.Setup, "-"),
			cmp.Or(strings.Join(lacks, "; "), "nothing"))
	}
	return strings.TrimRight(b.String(), "\n")
}

// played is what is known of every make that tests play.
func played() string {
	var b strings.Builder
	b.WriteString("| make | what its row is known from | guesses in it |\n|---|---|---|\n")
	for _, m := range quirk.Makes {
		kinds, guesses := sources(m)
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %d |\n", m.Name, anchor(m.Name), kinds, guesses)
	}
	for _, m := range quirk.Makes {
		write(&b, m)
	}
	return strings.TrimRight(b.String(), "\n")
}

// anchor is the name of a heading in links.
func anchor(title string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-', r >= '0' && r <= '9', r >= 'a' && r <= 'z':
			return r
		}
		return -1
	}, strings.ToLower(title))
}

// words are the kinds of evidence, best first.
var words = []struct {
	kind quirk.Kind
	word string
}{
	{quirk.Ran, "run"}, {quirk.Document, "the vendor's documents"}, {quirk.Source, "source code"},
	{quirk.Report, "users' reports"}, {quirk.Guess, ""},
}

// sources are the kinds of a make's evidence, and how many of it are guesses.
func sources(m quirk.Make) (kinds string, guesses int) {
	var found []string
	for _, w := range words {
		n := 0
		for _, e := range m.Evidence {
			if e.Kind == w.kind {
				n++
			}
		}
		switch {
		case w.kind == quirk.Guess:
			guesses = n
		case n > 0:
			found = append(found, w.word)
		}
	}
	return strings.Join(found, ", "), guesses
}

// write is the section of one make.
func write(b *strings.Builder, m quirk.Make) {
	fmt.Fprintf(b, "\n### %s\n\nWhat is said here is about %s.\n\n```terraform\nprovider \"hsm\" {\n", m.Name, m.Versions)
	argument := cmp.Or(m.Setup.Argument, "token_label")
	library, comment, _ := strings.Cut(m.Setup.Library, ", ")
	comments := slices.DeleteFunc([]string{comment, map[bool]string{true: "a guess"}[guessed(m, "Library")]},
		func(s string) bool { return s == "" })
	if comment = strings.Join(comments, ", "); comment != "" {
		comment = " # " + comment
	}
	fmt.Fprintf(b, "  %-*s = %q%s\n", len(argument), "library", library, comment)
	fmt.Fprintf(b, "  %s = \"...\"\n}\n```\n\n", argument)
	for _, variable := range m.Setup.Environment {
		name, what, _ := strings.Cut(variable, ": ")
		fmt.Fprintf(b, "- Environment: `%s`, %s.\n", name, strings.TrimSuffix(what, "."))
	}
	fmt.Fprintf(b, "- PIN: %s.\n", strings.TrimSuffix(m.Setup.PIN, "."))
	for _, note := range append(slices.DeleteFunc([]string{m.Setup.Selector}, func(s string) bool { return s == "" }),
		m.Setup.Notes...) {
		fmt.Fprintf(b, "- %s\n", note)
	}
	lives, told := table(m)
	b.WriteString("\n" + lives)
	if more := refusals(m, told); len(more) > 0 {
		b.WriteString("Plans refuse more, with these words:\n\n")
		for _, says := range more {
			fmt.Fprintf(b, "- %s\n", says)
		}
		b.WriteString("\n")
	}
	if guessed(m, "Commands") {
		b.WriteString("What is said here of the vendor's own commands is in part a guess.\n\n")
	}
	b.WriteString("How that is known:\n\n")
	for _, e := range m.Evidence {
		kind := map[quirk.Kind]string{quirk.Guess: "**a guess**"}[e.Kind]
		source := strings.Join(slices.DeleteFunc([]string{cmp.Or(kind, string(e.Kind)), e.Source},
			func(s string) bool { return s == "" }), ": ")
		fmt.Fprintf(b, "- %s (%s)\n", e.Seen, source)
	}
}

// guessed says that a guess is part of what is known of it.
func guessed(m quirk.Make, of string) bool {
	return slices.ContainsFunc(m.Evidence, func(e quirk.Evidence) bool { return e.Of == of && e.Kind == quirk.Guess })
}

// refusals are the other texts with which plans refuse something of the make, in a fixed order.
func refusals(m quirk.Make, told []string) (more []string) {
	var all []string
	for _, no := range m.NoKeys {
		all = append(all, no.Says)
	}
	all = append(all, m.IDs.Says, m.Labels.Says)
	for _, ask := range slices.Sorted(maps.Keys(m.Refuses)) {
		all = append(all, m.Refuses[ask])
	}
	if m.PIN != nil {
		all = append(all, m.PIN.Says)
	}
	for _, says := range all {
		if says != "" && !slices.Contains(told, says) && !slices.Contains(more, says) {
			more = append(more, says)
		}
	}
	return more
}

// table is how the lives of keys end, and what it has told of plans. Steps, and kinds of key, of which the same is true
// stand together.
func table(m quirk.Make) (text string, notes []string) {
	cell := func(kind string, step hsmtest.Step) string {
		o := hsmtest.Life(m, kind, step)
		guess := map[bool]string{true: " (a guess)"}[o.Guess]
		switch o.How {
		case hsmtest.Absent:
			return "-"
		case hsmtest.Refused:
			i := slices.Index(notes, o.Says)
			if i < 0 {
				i, notes = len(notes), append(notes, o.Says)
			}
			return fmt.Sprintf("the plan refuses it [%d]%s", i+1, guess)
		}
		return string(o.How) + guess
	}
	columns := grouped(hsmtest.KeyKinds, func(kind string) string {
		var all []string
		for _, step := range hsmtest.KeySteps {
			o := hsmtest.Life(m, kind, step)
			all = append(all, fmt.Sprint(o))
		}
		return strings.Join(all, "|")
	})
	row := func(step hsmtest.Step) string {
		var cells []string
		for _, kinds := range columns {
			cells = append(cells, cell(kinds[0], step))
		}
		return strings.Join(cells, " | ")
	}
	var b strings.Builder
	b.WriteString("| |")
	for _, kinds := range columns {
		b.WriteString(" " + strings.Join(kinds, ", ") + " |")
	}
	b.WriteString("\n|---" + strings.Repeat("|---", len(columns)) + "|\n")
	for _, steps := range grouped(hsmtest.KeySteps, row) {
		var names []string
		for _, step := range steps {
			names = append(names, string(step))
		}
		fmt.Fprintf(&b, "| %s | %s |\n", strings.Join(names, ", "), row(steps[0]))
	}
	b.WriteString("\n")
	for i, note := range notes {
		fmt.Fprintf(&b, "%d. %s\n", i+1, note)
	}
	if len(notes) > 0 {
		b.WriteString("\n")
	}
	for _, step := range hsmtest.TokenSteps {
		if o := cell("", step); o != "-" {
			fmt.Fprintf(&b, "To %s: %s.\n\n", step, o)
		}
	}
	return b.String(), notes
}

// grouped puts together what gives the same text, in the order of the first of each.
func grouped[T any](items []T, text func(T) string) (groups [][]T) {
	at := map[string]int{}
	for _, item := range items {
		key := text(item)
		i, ok := at[key]
		if !ok {
			i = len(groups)
			at[key], groups = i, append(groups, nil)
		}
		groups[i] = append(groups[i], item)
	}
	return groups
}
