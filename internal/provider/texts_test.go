package provider

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// diagnosing are the functions that make a diagnostic, with the place of its summary among their arguments.
var diagnosing = map[string]int{
	"AddError": 0, "AddWarning": 0, "AddAttributeError": 1, "AddAttributeWarning": 1,
	"NewErrorDiagnostic": 0, "NewWarningDiagnostic": 0,
	"NewAttributeErrorDiagnostic": 1, "NewAttributeWarningDiagnostic": 1,
}

// said is one text that a user may read, with … for each part that is not known before.
type said struct {
	where string // file and line
	title string // of a diagnostic, "" of other texts
	text  string
	error bool // it is the detail of an error
}

// reading folders whose texts reach users, in errors or as part of them.
var readingFolders = []string{
	".", "diagnose", "../hsm", "../hsm/object", "../hsm/session", "../hsm/softhsm", "../hsm/cryptoki", "../hsm/cryptoki/internal/ck",
	"../hsm/pkcs11uri",
	"../jwk", "../publickey", "../x509cert",
}

// notRead are the functions, fields and types with texts that are no errors: the documentation's, the logs' and the code's.
var notRead = regexp.MustCompile(`^(Description|MarkdownDescription|description|usageNote|labelNote|uriNote|Summary|` +
	`CreateDescription|ReadDescription|UpdateDescription|DeleteDescription|Schema|schemaAttributes|usageAttribute|` +
	`deletionPolicyAttribute|timeoutsAttribute|ListResourceConfigSchema|IdentitySchema|pairSchema|allowUnprotected|` +
	`slotAttributes|tokenAttributes|mechanismAttributes|Definition|definition|panic|Info|Debug|Trace|Warn|Match|MustCompile|` +
	`computed|computedString|computedBool|computedNumber|computedWords|HasPrefix|HasSuffix|Contains|TrimSuffix|TrimPrefix|` +
	`publicKeyPEM|subjectBlock|namesAttributes|signatureAlgorithm|datesAttributes|certAttributes|caAttributes|` +
	`certRequestSchema|selfSignedCertSchema|locallySignedCertSchema|crlSchema|` +
	`CutPrefix|Cut|Replace|ReplaceAll|Split|SplitSeq|Fields|NewReplacer|Title)$`)

// textReader collects texts from source files.
type textReader struct {
	files     *token.FileSet
	constants map[string]ast.Expr
	all       []said
	titles    map[string]string // to where they stand
	unplain   []string          // where it is not plain what a title is
}

func readTexts(t *testing.T) *textReader {
	t.Helper()
	r := &textReader{files: token.NewFileSet(), constants: map[string]ast.Expr{}, titles: map[string]string{}}
	var parsed []*ast.File
	for _, folder := range readingFolders {
		names, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %d files, %v", folder, len(names), err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(r.files, name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			parsed = append(parsed, file)
			ast.Inspect(file, func(n ast.Node) bool {
				declared, ok := n.(*ast.GenDecl)
				if !ok || declared.Tok != token.CONST {
					return true
				}
				for _, each := range declared.Specs {
					spec := each.(*ast.ValueSpec)
					for i, value := range spec.Values {
						if _, passedOn := value.(*ast.SelectorExpr); !passedOn {
							r.constants[spec.Names[i].Name] = value
						}
					}
				}
				return true
			})
		}
	}
	for _, file := range parsed {
		ast.Inspect(file, r.visit)
	}
	return r
}

func (r *textReader) at(n ast.Node) string {
	at := r.files.Position(n.Pos())
	return fmt.Sprintf("%s:%d", at.Filename, at.Line)
}

// visit collects what stands in a node, and says whether to look into it.
func (r *textReader) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.ImportSpec, *ast.Field:
		return false
	case *ast.FuncDecl:
		return !notRead.MatchString(n.Name.Name)
	case *ast.KeyValueExpr:
		key, _ := n.Key.(*ast.Ident)
		if key != nil && notRead.MatchString(key.Name) {
			return false
		}
		if key != nil && (key.Name == "title" || key.Name == "name") {
			r.title(n.Value)
		}
	case *ast.CompositeLit:
		kind, _ := n.Type.(*ast.Ident)
		if kind != nil && (kind.Name == "caution" || kind.Name == "worded") {
			r.title(n.Elts[map[string]int{"caution": 0, "worded": 1}[kind.Name]])
		}
	case *ast.AssignStmt:
		for i, left := range n.Lhs {
			if name, ok := left.(*ast.Ident); ok && slices.Contains(collected, name.Name) && len(n.Rhs) == len(n.Lhs) {
				r.title(n.Rhs[i])
			}
		}
	case *ast.CallExpr:
		return r.call(n)
	case *ast.BasicLit, *ast.BinaryExpr:
		return r.text(n.(ast.Expr), "", false)
	}
	return true
}

// call collects a diagnostic, and leaves out calls whose texts nobody reads.
func (r *textReader) call(n *ast.CallExpr) bool {
	name := ""
	switch f := n.Fun.(type) {
	case *ast.SelectorExpr:
		name = f.Sel.Name
	case *ast.Ident:
		name = f.Name
	}
	if notRead.MatchString(name) {
		return false
	}
	place, ok := diagnosing[name]
	if !ok {
		return true
	}
	r.title(n.Args[place])
	title, _ := r.fold(n.Args[place])
	if title == "…" {
		title = "(" + name + ")"
	}
	r.text(n.Args[place+1], title, strings.Contains(name, "Error"))
	return false
}

// collected are the variables that hold titles which are collected where they are given their value.
var collected = []string{"summary", "title"}

// notTitles are words for kinds of key.
var notTitles = []string{"Key Pair", "Secret Key", "Key Ring"}

// isTitle says that a text is the summary of a diagnostic, or its end.
var isTitle = regexp.MustCompile(`^[A-Z][A-Za-z0-9#_]*( [A-Za-z0-9#_]+)*(: )?…?$`)

func (r *textReader) title(e ast.Expr) {
	title, _ := r.fold(e)
	title = strings.TrimSuffix(strings.TrimSuffix(title, "…"), ": ")
	if strings.HasPrefix(r.at(e), "../") || slices.Contains(notTitles, title) {
		return
	}
	if id, ok := e.(*ast.Ident); ok && title == "" && !slices.Contains(collected, id.Name) {
		r.unplain = append(r.unplain, r.at(e))
	}
	if isTitle.MatchString(title) && !strings.HasPrefix(title, "Unable to ") || title == "Unable to Read the PIN File" {
		r.titles[title] = r.at(e)
	}
}

// text collects a text, and then those within its parts that are not known. It says whether the node holds more.
func (r *textReader) text(e ast.Expr, title string, isError bool) bool {
	text, rest := r.fold(e)
	if title == "" && len(rest) == 1 && rest[0] == e { // no text
		return true
	}
	prose := regexp.MustCompile(`[A-Za-z]{2,}.* .*[a-z]{2,}`).MatchString(text)
	if title != "" || prose && !isTitle.MatchString(text) {
		r.all = append(r.all, said{r.at(e), title, text, isError})
	}
	for _, part := range rest {
		ast.Inspect(part, r.visit)
	}
	return false
}

// fold is the text of an expression, with … for what is not known, and those parts.
func (r *textReader) fold(e ast.Expr) (text string, rest []ast.Expr) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			text, _ := strconv.Unquote(e.Value)
			return text, nil
		}
	case *ast.ParenExpr:
		return r.fold(e.X)
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			left, rest := r.fold(e.X)
			right, more := r.fold(e.Y)
			return left + right, append(rest, more...)
		}
	case *ast.Ident:
		if value, ok := r.constants[e.Name]; ok && value != nil {
			if literal, rest := r.fold(value); rest == nil {
				return literal, nil
			}
		}
		return "…", nil
	case *ast.SelectorExpr:
		return r.fold(e.Sel)
	case *ast.CallExpr:
		name, _ := e.Fun.(*ast.SelectorExpr)
		if name != nil && (name.Sel.Name == "Sprintf" || name.Sel.Name == "Sentence" || name.Sel.Name == "TrimSpace") {
			text, rest := r.fold(e.Args[0])
			return text, append(rest, e.Args[1:]...)
		}
	}
	return "…", []ast.Expr{e}
}

var verbs = regexp.MustCompile(`%(\[\d\])?0?\d?[sdqvxXTtwo]`)

// built are details that are put together from texts which stand elsewhere in the table, and say what to do there: the
// remedies, deletion_policy's ways, the validators' tables.
var built = regexp.MustCompile(`^[….: ]*$`)

// advice is how a text says what to do.
var advice = regexp.MustCompile(`What to do|It must|must be |Set |Give |Choose |Unset |Import |Leave |Please report|Only a key |` +
	`For other usages, |No other|Correct |terraform plan`)

// rules are what every text keeps to.
var rules = []struct {
	name string
	bad  func(said) bool
}{
	{"it has a word twice", func(s said) bool { return twice(s.text) }},
	{"it has a phrase twice beside a colon", func(s said) bool { return echoes(s.text) }},
	{"it speaks of Go", func(s said) bool { return goWords.MatchString(s.text) }},
	{"it has one of several things", func(s said) bool {
		return plural.MatchString(s.text) && !slices.ContainsFunc(neverOne, func(part string) bool { return strings.Contains(s.text, part) })
	}},
	{"its verbs do not fit", func(s said) bool { return strings.Contains(s.text, "%!") }},
	{"it does not end in a full stop", func(s said) bool { return s.title != "" && !ends(shown(s.text)) }},
	{"it does not say what to do", func(s said) bool {
		return s.error && !built.MatchString(shown(s.text)) && !advice.MatchString(s.text)
	}},
	{"a sentence in it is too long to be read at once", func(s said) bool { return longest(s.text) > 60 }},
}

var (
	goWords = regexp.MustCompile(`\b(nil|struct|goroutine|interface|slice|mutex|pointer|boolean|int64|rune)\b`)
	plural  = regexp.MustCompile(`%d ([a-z]+s|%ss)\b`)
)

// neverOne are numbers of things that are never one thing, and units, which are written like that for every number.
var neverOne = []string{
	" bits", " bytes", "%d tokens have the ", "%d tokens are initialised", "%d keys match:", "%d %ss:", "%d keys %s: %s",
	"has found %d objects and does not end",
	"has %d tokens with the serial number", "%d tokens have that ", "%d tokens are not initialised", "slot %d is ",
}

// shown is a text with … for what is put into it.
func shown(text string) string { return verbs.ReplaceAllString(text, "…") }

// twice says that a word stands twice in a row.
func twice(text string) bool {
	words := strings.Fields(text)
	for i := 1; i < len(words); i++ {
		if words[i] == words[i-1] && regexp.MustCompile(`^[a-z]{2,}$`).MatchString(words[i]) && words[i] != "that" {
			return true
		}
	}
	return false
}

// echoes says that what stands before a colon stands behind it once more.
func echoes(text string) bool {
	parts := strings.Split(text, ": ")
	for i := 1; i < len(parts); i++ {
		before := strings.Fields(parts[i-1])
		if len(before) < 2 {
			continue
		}
		behind, _, _ := strings.Cut(parts[i], "\n")
		phrase := regexp.QuoteMeta(strings.Join(before[len(before)-2:], " "))
		if regexp.MustCompile(`(?i)\b` + phrase + `\b`).MatchString(behind) {
			return true
		}
	}
	return false
}

func ends(text string) bool {
	text = strings.TrimRight(text, "\n ")
	last := text[strings.LastIndexByte(text, '\n')+1:]
	return strings.HasSuffix(text, ".") || strings.HasSuffix(text, ".)") || strings.HasSuffix(text, "…") || strings.HasPrefix(last, "  ")
}

// longest counts the words of the longest sentence. Lists and commands do not count.
func longest(text string) (n int) {
	for sentence := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(".:;\n()", r) }) {
		n = max(n, len(strings.Fields(sentence)))
	}
	return n
}

// TestEveryTextCanBeRead prints every text that an error or a warning may have (-v), and holds each against the rules.
func TestEveryTextCanBeRead(t *testing.T) {
	r := readTexts(t)
	guide, err := os.ReadFile("../../templates/guides/when-something-goes-wrong.md")
	if err != nil {
		t.Fatal(err)
	}
	for title, where := range r.titles {
		if !strings.Contains(string(guide), "\n### "+title+"\n") {
			t.Errorf("%s: the guide has no section %q", where, title)
		}
	}
	for _, where := range r.unplain {
		t.Errorf("%s: it is not plain what the title is", where)
	}
	var table strings.Builder
	for _, s := range r.all {
		fmt.Fprintf(&table, "\n%s | %s\n%s\n", s.where, s.title, wrap(shown(s.text), 118))
		for _, rule := range rules {
			if rule.bad(s) {
				t.Errorf("%s: %s:\n%s\n%s", s.where, rule.name, s.title, wrap(s.text, 118))
			}
		}
	}
	t.Logf("%d texts, %d titles\n%s", len(r.all), len(r.titles), table.String())
	if len(r.all) < 300 || len(r.titles) < 80 {
		t.Errorf("only %d texts and %d titles were found", len(r.all), len(r.titles))
	}
}

// TestEachRuleFindsWhatItIsFor, and nothing else does.
func TestEachRuleFindsWhatItIsFor(t *testing.T) {
	for name, text := range map[string]said{
		"it has a word twice":                               {text: "look at the the token"},
		"it has a phrase twice beside a colon":              {text: "slot 0: not initialised: the token is not initialised"},
		"it speaks of Go":                                   {text: "the label is nil"},
		"it has one of several things":                      {text: "%d digits are an odd number"},
		"its verbs do not fit":                              {text: "the key %!s(MISSING)"},
		"it does not end in a full stop":                    {title: "A Title", text: "the key is gone"},
		"it does not say what to do":                        {title: "A Title", text: "The key is gone.", error: true},
		"a sentence in it is too long to be read at once":   {text: strings.Repeat("and on it goes ", 16)},
		"a title that an error with advice has is no fault": {title: "A Title", text: "What to do: look at key %d.\n\n  pkcs11-tool", error: true},
	} {
		for _, rule := range rules {
			if bad := rule.bad(text); bad != (rule.name == name) {
				t.Errorf("%q: %s: %t", text.text, rule.name, bad)
			}
		}
	}
	if len(rules) != 8 {
		t.Errorf("there are %d rules", len(rules))
	}
}

// wrap breaks lines between words.
func wrap(text string, width int) string {
	var b strings.Builder
	for i, line := range strings.Split(text, "\n") {
		if i > 0 {
			b.WriteByte('\n')
		}
		column := 0
		for j, word := range strings.Split(line, " ") {
			switch {
			case j > 0 && column+1+len(word) > width:
				b.WriteString("\n    ")
				column = 4
			case j > 0:
				b.WriteByte(' ')
				column++
			}
			b.WriteString(word)
			column += len(word)
		}
	}
	return b.String()
}
