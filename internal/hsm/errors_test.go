package hsm

import (
	"errors"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

func TestErrorsAreFoundByTheirSentinels(t *testing.T) {
	for sentinel, err := range map[error]error{
		object.ErrExists:    &object.ExistsError{ID: []byte("a"), Objects: []object.Name{{Class: "public key", Type: "RSA", ID: []byte("a")}}},
		object.ErrAmbiguous: &object.AmbiguousError{},
		object.ErrHalfPair:  &object.HalfPairError{},
		ErrLibrary:          &LibraryError{},
		ErrNoToken:          &TokenError{},
		object.ErrMechanism: &object.MechanismError{},
		object.ErrMalformed: &object.MalformedError{},
	} {
		wrapped := &OperationError{Operation: "generate", Err: err}
		if !errors.Is(wrapped, sentinel) || errors.Is(wrapped, object.ErrNotFound) {
			t.Errorf("%T is not found by %v", err, sentinel)
		}
	}
	for h := HoldsUnknown; h <= HoldsCertificatePerhaps; h++ {
		if h.String() == "" {
			t.Errorf("holding %d has no words", h)
		}
	}
}
