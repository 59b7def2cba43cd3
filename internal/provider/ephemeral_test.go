package provider_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/echoprovider"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfversion"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/publickey"
)

// knowsEphemeral is on Terraform. OpenTofu has ephemeral resources from 1.11 on.
var knowsEphemeral = []tfversion.TerraformVersionCheck{tfversion.SkipBelow(tfversion.Version1_10_0)}

// ephemeralBlock is the block of an ephemeral resource.
func ephemeralBlock(typeName, name string, lines ...string) string {
	return fmt.Sprintf("ephemeral %q %q {\n  %s\n}\n", typeName, name, strings.Join(lines, "\n  "))
}

// echoed is a configuration whose resource echo.seen has an ephemeral value in the state, where tests see it.
func echoed(expression string) string {
	return fmt.Sprintf("provider \"echo\" {\n  data = %s\n}\nresource \"echo\" \"seen\" {}\n", expression)
}

// seen checks what echo.seen has.
func seen(check func(data any) error) []statecheck.StateCheck {
	return []statecheck.StateCheck{attributes{"echo.seen",
		func(state map[string]any) error { return check(state["data"]) }}}
}

// testEphemeral is test with the provider whose resource shows ephemeral values.
func (b *bench) testEphemeral(turns ...turn) {
	b.t.Helper()
	b.needs = knowsEphemeral
	factories := b.factories()
	factories["echo"] = echoprovider.NewProviderServer()
	b.testWith(factories, turns...)
}

// applied is a turn that applies blocks, and looks at what echo.seen has then.
func (b *bench) applied(check func(data any) error, blocks ...string) turn {
	return turn{TestStep: resource.TestStep{Config: b.config(blocks...), ConfigStateChecks: seen(check)}}
}

// refused is a turn that fails.
func (b *bench) refused(says remark, blocks ...string) turn {
	return turn{resource.TestStep{Config: b.config(blocks...)}, []remark{says}}
}

// pemLine is the argument public_key_pem with a key in it.
func pemLine(pem string) string { return fmt.Sprintf("public_key_pem = %q", pem) }

// pemOf is the public key of that ID as PEM.
func (b *bench) pemOf(id string) string {
	b.t.Helper()
	pub, err := publickey.ParseSPKI(b.spki(id))
	if err != nil {
		b.t.Fatal(err)
	}
	return pemFrom(b.t, pub)
}

func pemFrom(t *testing.T, pub any) string {
	t.Helper()
	text, err := publickey.PEM(pub)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// somebodysPEM is a key on P-256 that no token has.
func somebodysPEM(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return pemFrom(t, &key.PublicKey)
}
