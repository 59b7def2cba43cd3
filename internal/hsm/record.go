package hsm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

// recorded is how many calls a Record keeps.
const recorded = 200

// Record keeps the last calls into a module, for reports: what was asked, and what was answered. It has no PIN, no ID,
// no label and no key material, but their lengths.
type Record struct {
	mu   sync.Mutex
	last []Asked // the oldest first
}

// Asked is one call.
type Asked struct {
	Function     string
	Asked        string // such as "CKM_EC_KEY_PAIR_GEN; private: CKA_SIGN=true, CKA_LABEL (3 bytes)"; "" where there is nothing
	Answer       string // CKR_OK, a code, or what went wrong
	Milliseconds int64

	code cryptoki.RV
}

// String is such as "C_Sign: CKR_OK, 3 ms".
func (a Asked) String() string {
	what := a.Function
	if a.Asked != "" {
		what += " (" + a.Asked + ")"
	}
	return fmt.Sprintf("%s: %s, %d ms", what, a.Answer, a.Milliseconds)
}

// Calls are the last calls, the oldest first.
func (r *Record) Calls() []Asked {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.last)
}

// hook notes each call. It is the outermost hook.
func (r *Record) hook(_ context.Context, c *cryptoki.Call, next func() error) error {
	a := Asked{Function: c.Function, Asked: askedOf(c), Answer: "CKR_OK"}
	start := time.Now()
	err := next()
	a.Milliseconds = time.Since(start).Milliseconds()
	if err != nil {
		a.Answer = "no answer that makes sense"
		if e, ok := errors.AsType[*cryptoki.Error](err); ok {
			a.code, a.Answer = e.Code, e.Code.Error()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last = append(r.last, a); len(r.last) > recorded {
		r.last = slices.Delete(r.last, 0, len(r.last)-recorded)
	}
	return err
}

// askedOf says what a call asks, without anything that is secret or names a key.
func askedOf(c *cryptoki.Call) string {
	var parts []string
	if c.Mechanism != 0 || slices.Contains(withMechanism, c.Function) {
		parts = append(parts, c.Mechanism.String())
	}
	if c.Function == "C_Login" {
		parts = append(parts, fmt.Sprintf("user type %d", c.User))
	}
	for _, t := range []struct {
		of       string
		template []cryptoki.Attribute
	}{{"public: ", c.Public}, {"", c.Template}} {
		var words []string
		for _, a := range t.template {
			words = append(words, a.Told())
		}
		if len(words) > 0 {
			parts = append(parts, t.of+strings.Join(words, ", "))
		}
	}
	if len(c.Types) > 0 {
		names := fmt.Sprintf("%d attributes", len(c.Types))
		if len(c.Types) == 1 {
			names = c.Types[0].String()
		}
		parts = append(parts, names)
	}
	if len(c.Data) > 0 {
		parts = append(parts, fmt.Sprintf("%d bytes", len(c.Data)))
	}
	return strings.Join(parts, "; ")
}

// withMechanism are the functions that have a mechanism, even where its number is 0 (CKM_RSA_PKCS_KEY_PAIR_GEN).
var withMechanism = []string{"C_GenerateKeyPair", "C_GenerateKey", "C_GetMechanismInfo"}

// Unknown says that the tables of makes know nothing of the token.
func (t *Token) Unknown() bool { return t.unknown }

// NeverRunOn is the token's make, where all that is known of it comes from documents, source code and reports: this provider
// was never run on one. It is "" for all others.
func (t *Token) NeverRunOn() string { return t.read }

// AskedOf is the last call that ended as err says: what was asked, and what was answered. It is "" where err is of no
// call that was recorded.
func (t *Token) AskedOf(err error) string {
	e, ok := errors.AsType[*cryptoki.Error](err)
	if !ok {
		return ""
	}
	for _, a := range slices.Backward(t.record.Calls()) {
		if a.Function == e.Function && a.code == e.Code {
			return a.String()
		}
	}
	return ""
}
