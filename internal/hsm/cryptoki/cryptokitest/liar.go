package cryptokitest

import (
	_ "embed" // the source of the module
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

//go:embed module/liar.c
var liarSource []byte

// Lie is what a [Liar] does instead of passing a call on as it is.
type Lie struct {
	Function string // the C function
	Kind     Kind
	Number   uint
	// Attribute is the CK_ATTRIBUTE_TYPE that C_GetAttributeValue lies about; the call must ask for it.
	Attribute uint
	// Nth and Swaps are those of Break.
	Nth   uint
	Swaps []Swap
}

// Swap are the handles of two objects that mean each other's object once the connection is broken.
type Swap struct {
	Own     uint // 0: that of the next object that was made since Tell, a private half before a public one
	Foreign uint
}

// Any is a Lie's Function for every function that has a session.
const Any = "any"

// Kind is a way to lie.
type Kind string

// The ways to lie. A lie about a buffer or a handle has no effect where a function has none.
const (
	Nothing Kind = "nothing" // CKR_OK; the call is not made, and nothing is written
	Code    Kind = "code"    // Number is the code; the call is not made
	Heard   Kind = "heard"   // CKR_OK; the call is not made, and the Journal has its PINs and its label
	Length  Kind = "length"  // the call is made, and Number stands for the length or the count that it gives
	First   Kind = "first"   // Length, where only the length is asked for: the buffer is NULL
	Second  Kind = "second"  // Length, where there is a buffer
	Write   Kind = "write"   // the call is not made; so many bytes or elements are written as Number, which the length is
	Small   Kind = "small"   // CKR_BUFFER_TOO_SMALL, and Number is the length wanted
	Grow    Kind = "grow"    // Small, as long as the buffer is shorter than Number; then the call is made: no lie
	Exact   Kind = "exact"   // Small, as long as the buffer is not of just Number bytes; then the call is made
	Handle  Kind = "handle"  // the call is made, and Number stands for each handle that it gives
	Garbage Kind = "garbage" // the call is made, and the structure that it gives filled with 0xFF
	// Break: the call is made, and after the Nth one the connection is broken. Sessions from before answer Number, and in
	// later ones the handles of Swaps mean other objects.
	Break   Kind = "break"
	Missing Kind = "missing" // the list of functions lacks this one; to be told before the module is loaded

	Nameless Kind = "nameless" // C_GetInterface gives one without a name,
	Vendor   Kind = "vendor"   // of a vendor,
	Empty    Kind = "empty"    // without a list,
	Strange  Kind = "strange"  // with a list of a version that is none
)

// Liar is a PKCS#11 module that stands before a real one, and lies about one function at a time. A process initialises
// both modules once: the module behind keeps its tokens, logins and sessions.
type Liar struct {
	Path             string // the module
	control, journal string
	told             int // lies so far
}

// NewLiar builds a module that stands before the one of that path, and says the truth until Tell. If withInterface is
// true, it has C_GetInterface too.
func NewLiar(t testing.TB, target string, withInterface bool) *Liar {
	t.Helper()
	folder := t.TempDir()
	at := func(name string) string { return filepath.Join(folder, name) }
	l := &Liar{control: at("control"), journal: at("journal")}
	arguments := []string{"-fPIC", "-shared"}
	for name, path := range map[string]string{"TARGET": target, "CONTROL": l.control, "JOURNAL": l.journal} {
		arguments = append(arguments, fmt.Sprintf("-D%s=%q", name, path))
	}
	if withInterface {
		arguments = append(arguments, "-DWITH_INTERFACE")
	}
	l.Path = Compile(t, "liar.so", liarSource, arguments...)
	return l
}

// Tell has the module tell this one lie until Repent. A connection that is broken is whole again.
func (l *Liar) Tell(t testing.TB, lie Lie) {
	t.Helper()
	l.told++
	text := fmt.Appendf(nil, "%s %s %d %d %d %d\n", lie.Function, lie.Kind, lie.Number, lie.Attribute, lie.Nth, l.told)
	for _, swap := range lie.Swaps {
		text = fmt.Appendf(text, "%d %d\n", swap.Own, swap.Foreign)
	}
	if err := os.WriteFile(l.control, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Repent has the module say the truth.
func (l *Liar) Repent(t testing.TB) {
	t.Helper()
	if err := os.WriteFile(l.control, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Broken and Foreign are lines of the Journal.
const (
	Broken  = "the connection breaks"
	Foreign = "foreign " // before the function that changed, destroyed or used the foreign object of a Swap
)

// Journal has a line for each time that the module gave its list of functions or was initialised, in order:
// "C_GetInterface", "C_GetFunctionList", and "C_Initialize" with the string that it was given, or NULL. And it has
// Broken, lines that begin with Foreign, and the lines of Heard: "C_InitToken |1234| |a label|", each text between
// bars, or "NULL of" its length.
func (l *Liar) Journal(t testing.TB) []string {
	t.Helper()
	text, err := os.ReadFile(l.journal)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}
