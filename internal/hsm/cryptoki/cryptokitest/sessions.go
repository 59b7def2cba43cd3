// Package cryptokitest does things to a module without cryptoki's knowledge, as the outside world may, and has modules
// that lie.
package cryptokitest

import (
	"fmt"
	"path/filepath"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki/internal/ck"
)

// CloseAllSessions closes every session that this process has on the token of that label, as the removal of the token
// does. The login ends with them. The process must have the module initialised.
func CloseAllSessions(path, label string) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	module, err := ck.Load(real)
	if err != nil {
		return err
	}
	slots, err := module.GetSlotList(true)
	if err != nil {
		return err
	}
	for _, slot := range slots {
		if info, err := module.GetTokenInfo(slot); err == nil && info.Label == label {
			return module.CloseAllSessions(slot)
		}
	}
	return fmt.Errorf("no token has the label %q", label)
}
