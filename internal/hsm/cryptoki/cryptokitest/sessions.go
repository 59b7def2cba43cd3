// Package cryptokitest does things to a module without cryptoki's knowledge, as the outside world may, and has modules
// that lie.
package cryptokitest

import (
	"errors"
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
	var failures error // of slots that do not answer, which may have other tokens
	for _, slot := range slots {
		info, err := module.GetTokenInfo(slot)
		if err == nil && info.Label == label {
			return module.CloseAllSessions(slot)
		}
		failures = errors.Join(failures, err)
	}
	return errors.Join(fmt.Errorf("no token has the label %q", label), failures)
}
