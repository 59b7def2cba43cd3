package hsm_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// ExampleOpen makes a key pair on the token that the environment names, and finds it again.
func ExampleOpen() {
	label := os.Getenv("HSM_TOKEN_LABEL")
	ctx := context.Background()
	token, err := hsm.Open(ctx, hsm.Config{
		Library:           os.Getenv("HSM_LIBRARY"),
		LibraryParameters: os.Getenv("HSM_LIBRARY_PARAMETERS"), // few modules want any
		Selector:          hsm.Selector{Label: &label},
		PIN:               hsm.NewPIN(os.Getenv("HSM_PIN")),
	})
	if err != nil {
		log.Print(err)
		return
	}
	defer func() { _ = token.Close() }()

	id := []byte("web-1")
	key, err := token.Generate(ctx, object.Template{Type: object.EC, Curve: "P-256", ID: id, Label: "web", Usage: object.Sign})
	if err != nil {
		log.Print(err)
		return
	}
	found, err := token.Key(ctx, object.Ref{Type: object.EC, ID: id})
	fmt.Println(found.Label, found.Usage, found.Fingerprint() == key.Fingerprint(), err)

	_, err = token.Key(ctx, object.Ref{Type: object.EC, ID: []byte("web-2")})
	fmt.Println(errors.Is(err, object.ErrNotFound)) // proven: nothing with that ID is there
}

// TestTheExample runs the example on a token of its own: Go runs examples without an environment.
func TestTheExample(t *testing.T) {
	hsmtest.Needs(t, hsmtest.P256)
	k := hsmtest.New(t)
	for name, value := range map[string]string{
		"HSM_LIBRARY": k.Library, "HSM_LIBRARY_PARAMETERS": k.Parameters, "HSM_TOKEN_LABEL": k.Label, "HSM_PIN": k.PIN,
	} {
		t.Setenv(name, value)
	}
	printed, err := os.CreateTemp(t.TempDir(), "printed")
	if err != nil {
		t.Fatal(err)
	}
	stdout := os.Stdout
	os.Stdout = printed
	ExampleOpen()
	os.Stdout = stdout
	if err := printed.Close(); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile(printed.Name())
	if want := "web sign true <nil>\ntrue\n"; err != nil || string(text) != want {
		t.Errorf("it prints %q, not %q (%v)", text, want, err)
	}
}
