package hsm

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Command is a command line for a POSIX shell, of such words as messages offer for copying: names of files, and
// labels that anyone may have given to a token or a key. Each word is quoted where it has to be. What cannot be seen,
// or would change how the rest is shown, is written in octal, as in $'a\033[2Jb'. Where no command can hold a word,
// the text says so.
func Command(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		if strings.ContainsRune(w, 0) {
			return "(no command can be given here: a name in it holds a zero byte)"
		}
		quoted[i] = quote(w)
	}
	return strings.Join(quoted, " ")
}

// quote makes one word for a POSIX shell.
func quote(w string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:,+@", r)
	}
	switch {
	case w != "" && strings.IndexFunc(w, func(r rune) bool { return !plain(r) }) < 0:
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
