package hsm

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Command is a command line for a POSIX shell, of such words as messages offer for copying: names of files, and
// labels that anyone may have given to a token or a key. Each word is quoted where it has to be. What cannot be seen,
// or would change how the rest is shown, is written in octal, as in $'a\033[2Jb'. Where no command can hold a word,
// the text says so.
//
// On Windows it is one for both cmd and PowerShell, which have few words in common that are not plain.
func Command(words ...string) string {
	if runtime.GOOS == "windows" {
		return windowsCommand(words...)
	}
	quoted := make([]string, len(words))
	for i, w := range words {
		if strings.ContainsRune(w, 0) {
			return "(no command can be given here: a name in it holds a zero byte)"
		}
		quoted[i] = quote(w)
	}
	return strings.Join(quoted, " ")
}

func windowsCommand(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		special := func(r rune) bool { return !Visible(r) || strings.ContainsRune("\"$`%!“”„", r) }
		if strings.ContainsFunc(w, special) || !utf8.ValidString(w) || strings.HasSuffix(w, `\`) && !isPlain(w) {
			return "(no command can be given here that every shell of Windows understands: a name in it holds " +
				"special letters)"
		}
		if quoted[i] = w; !isPlain(w) {
			quoted[i] = `"` + w + `"`
		}
	}
	return strings.Join(quoted, " ")
}

// isPlain says that no shell of Windows wants quotes for a word.
func isPlain(w string) bool {
	special := func(r rune) bool { return !isPlainRune(r) && r != '\\' || r == ',' || r == '@' }
	return w != "" && !strings.ContainsFunc(w, special)
}

func isPlainRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:,+@", r)
}

// quotedPath is a path in quotes, in which what cannot be seen is escaped. A path of Windows keeps its backslashes.
func quotedPath(path string) string { return quotedPathOn(runtime.GOOS, path) }

func quotedPathOn(system, path string) string {
	quoted := strconv.Quote(path)
	if system == "windows" {
		quoted = strings.ReplaceAll(quoted, `\\`, `\`)
	}
	return quoted
}

// quote makes one word for a POSIX shell.
func quote(w string) string {
	switch {
	case w != "" && strings.IndexFunc(w, func(r rune) bool { return !isPlainRune(r) }) < 0:
		return w
	case utf8.ValidString(w) && strings.IndexFunc(w, func(r rune) bool { return !Visible(r) }) < 0:
		return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	var b strings.Builder
	b.WriteString("$'")
	for len(w) > 0 {
		r, size := utf8.DecodeRuneInString(w)
		switch {
		case r == utf8.RuneError && size == 1 || !Visible(r):
			for _, c := range []byte(w[:size]) {
				fmt.Fprintf(&b, `\%03o`, c)
			}
		case r == '\'' || r == '\\':
			b.WriteString(`\` + w[:size])
		default:
			b.WriteString(w[:size])
		}
		w = w[size:]
	}
	return b.String() + "'"
}

// Visible says that a character shows as itself: it is no control character, no mark that turns or hides text, and no
// other blank than the usual one.
func Visible(r rune) bool {
	return unicode.IsPrint(r) && !unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}
