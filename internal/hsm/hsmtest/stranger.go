package hsmtest

import (
	_ "embed" // the source of the program
	"os/exec"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki/cryptokitest"
)

//go:embed stranger/stranger.c
var strangerSource []byte

// The kinds of pair that a [Stranger] makes.
const (
	StrangerRSA  = "rsa" // of 1024 bits
	StrangerP256 = "p256"
)

// NoID is the ID of an object without one.
const NoID = "-"

// Stranger is someone who may open a session on a token and has no PIN. Each act is a process of its own. An ID is in
// hexadecimal, or NoID.
type Stranger struct {
	token   *Token
	program string
}

// NewStranger builds the stranger. Its acts were tried on SoftHSM, so that a test on another make of token is skipped.
func NewStranger(t testing.TB, token *Token) *Stranger {
	t.Helper()
	if ThisMake(t).Name != "softhsm" {
		t.Skip("what someone without a PIN can do is tested on SoftHSM")
	}
	return &Stranger{token, cryptokitest.Compile(t, "stranger", strangerSource)}
}

// MakesPair makes a whole pair that anyone may use (CKA_PRIVATE=false). It may sign.
func (s *Stranger) MakesPair(t testing.TB, kind, label, id string) {
	t.Helper()
	s.act(t, "pair", kind, label, id)
}

// MakesSecret makes an AES key that anyone may use.
func (s *Stranger) MakesSecret(t testing.TB, label, id string) {
	t.Helper()
	s.act(t, "secret", "aes", label, id)
}

// MakesPublicHalf makes a public half, whose private half the stranger alone has.
func (s *Stranger) MakesPublicHalf(t testing.TB, kind, label, id string) {
	t.Helper()
	s.act(t, "half", kind, label, id)
}

// SwapsPublicHalf puts a public half, whose private half the stranger alone has, in the place of the one of that ID.
func (s *Stranger) SwapsPublicHalf(t testing.TB, kind, label, id string) {
	t.Helper()
	s.act(t, "swap", kind, label, id)
}

// TakesPublicHalf destroys the public half of that ID, or of that label where the ID is NoID.
func (s *Stranger) TakesPublicHalf(t testing.TB, label, id string) {
	t.Helper()
	s.act(t, "take", "any", label, id)
}

// PlantsMalformed makes a public half on P-256 whose point is none.
func (s *Stranger) PlantsMalformed(t testing.TB, label, id string) {
	t.Helper()
	s.act(t, "plant", StrangerP256, label, id)
}

// FreezesCertificate makes a copy of the certificate with a label, under a label and an ID, that nobody can change
// (CKA_MODIFIABLE=false).
func (s *Stranger) FreezesCertificate(t testing.TB, from, label, id string) {
	t.Helper()
	s.act(t, "freeze", from, label, id)
}

// NailsCertificate makes a copy of the certificate with a label, under a label and an ID, that nobody can destroy
// (CKA_DESTROYABLE=false).
func (s *Stranger) NailsCertificate(t testing.TB, from, label, id string) {
	t.Helper()
	s.act(t, "nail", from, label, id)
}

// The kinds of certificate that a [Stranger] makes of nothing.
const (
	StrangerGarbage = "garbage" // 100 bytes that are no certificate
	StrangerLong    = "long"    // 2 MiB of them
)

// PlantsCertificate makes a certificate of a label and an ID that is none.
func (s *Stranger) PlantsCertificate(t testing.TB, kind, label, id string) {
	t.Helper()
	s.act(t, "cert", kind, label, id)
}

// StrangerData is a data object, which PlantsLong can make too.
const StrangerData = "data"

// PlantsLong makes a public half of that ID, or a data object, whose label has 2 MiB.
func (s *Stranger) PlantsLong(t testing.TB, kind, id string) {
	t.Helper()
	s.act(t, "long", kind, "", id)
}

func (s *Stranger) act(t testing.TB, act, kind, label, id string) {
	t.Helper()
	out, err := exec.Command(s.program, s.token.ToolLibrary(), s.token.Label, act, kind, label, id).CombinedOutput()
	if err != nil {
		t.Fatalf("a stranger's act (%s %s %q %s): %v\n%s", act, kind, label, id, err, out)
	}
}
