package session

import (
	"regexp"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

// PINFormError says that a PIN does not have the form that the token's make wants. It was not sent.
type PINFormError struct{ Says string } // the form, as a full sentence

func (e *PINFormError) Error() string {
	return "the PIN does not have the form that this make of token wants, so it was not sent. " + e.Says
}

// FormOf is a *PINFormError where a PIN does not have the form of a make's PINs. No PIN has every form.
func FormOf(pin PIN, d quirk.Differences) error {
	if pin.IsZero() || d.PIN == nil || d.NoLogin {
		return nil
	}
	if regexp.MustCompile(`^(?s:` + d.PIN.Expression + `)$`).Match(pin.bytes()) {
		return nil
	}
	return &PINFormError{Says: d.PIN.Says}
}
