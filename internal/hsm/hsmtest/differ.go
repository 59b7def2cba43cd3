package hsmtest

import (
	"context"
	"fmt"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

// Differ makes up a make of token with these differences, and gives the hook that has a module pass for its own. What
// SoftHSM's token needs beneath, it keeps. Call it as a variable of a test package is initialised: the table of makes
// is read by many later.
func Differ(d quirk.Differences) cryptoki.Hook {
	name := fmt.Sprintf("made up %d.", len(quirk.Makes))
	quirk.Makes = append(quirk.Makes, quirk.Make{Name: name, Marks: []quirk.Mark{{Module: name}}, Differences: d})
	return func(_ context.Context, c *cryptoki.Call, next func() error) error {
		err := next()
		if answer, ok := c.Result.(*cryptoki.Info); ok {
			answer.Manufacturer = name
		}
		return err
	}
}
