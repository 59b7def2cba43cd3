package hsm

import (
	"crypto/rand"
	"encoding/hex"

	"github.com/google/uuid"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

// newIDTries is how many short IDs are tried, each of which another key may have.
const newIDTries = 64

// drawTries is how many random texts are tried to meet an alphabet that is not known beforehand.
const drawTries = 4096

// newID makes a random ID that the token takes: the text of a UUID, as Ory Hydra makes them. Where the token takes no
// such ID, it is the longest one that it takes, in hexadecimal or of any bytes. short says that others may meet the
// same one.
func newID(rule quirk.Names) (id []byte, short bool, err error) {
	if id := []byte(uuid.NewString()); rule.Takes(id) {
		return id, false, nil
	}
	length := rule.Most
	if length == 0 || length > 32 {
		length = max(32, rule.Least)
	}
	for try := range drawTries {
		id := make([]byte, length)
		_, _ = rand.Read(id) // never fails
		if try == 0 {
			id = []byte(hex.EncodeToString(id))[:length]
		}
		if rule.Takes(id) {
			return id, length < 32, nil
		}
	}
	return nil, false, &object.RefusedError{Attribute: "key_id", Problem: "the provider finds no random ID that the " +
		"token takes. " + rule.Says, Way: "write a key_id."}
}
