// Package cryptokitest does to a module, behind cryptoki's back, what the world does to it.
package cryptokitest

import (
	"fmt"
	"strings"
	"sync"

	"github.com/miekg/pkcs11"
)

var modules sync.Map // path -> *pkcs11.Ctx

// CloseAllSessions closes every session that this process has on the token of that label, as the removal of the
// token does: its login is gone with them. The process has the module initialised.
func CloseAllSessions(path, label string) error {
	loaded, ok := modules.Load(path)
	if !ok {
		loaded, _ = modules.LoadOrStore(path, pkcs11.New(path))
	}
	ctx := loaded.(*pkcs11.Ctx)
	slots, err := ctx.GetSlotList(true)
	if err != nil {
		return err
	}
	for _, slot := range slots {
		info, err := ctx.GetTokenInfo(slot)
		if err != nil {
			return err
		}
		if strings.TrimRight(info.Label, " ") == label {
			return ctx.CloseAllSessions(slot)
		}
	}
	return fmt.Errorf("no token has the label %q", label)
}
