package hsmtest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
)

// Folder is the folder of a SoftHSM token.
func (k *Token) Folder(t testing.TB) string {
	t.Helper()
	token, err := hsm.Open(context.Background(), k.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer token.Close()
	tokens := filepath.Join(filepath.Dir(os.Getenv("SOFTHSM2_CONF")), "tokens")
	entries, err := os.ReadDir(tokens)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if strings.HasSuffix(strings.ReplaceAll(entry.Name(), "-", ""), token.Info().Serial) {
			return filepath.Join(tokens, entry.Name())
		}
	}
	t.Fatalf("no folder in %s has the serial number %s", tokens, token.Info().Serial)
	return ""
}

// LockOf is the file at which the processes that share a SoftHSM token meet.
func (k *Token) LockOf(t testing.TB) string {
	t.Helper()
	return filepath.Join(k.Folder(t), "terraform-provider-hsm.lock")
}

// NoLock puts a folder into the place of a SoftHSM token's lock, so that there can be none until the test ends.
func (k *Token) NoLock(t testing.TB) {
	t.Helper()
	if name := ThisMake(t).Name; name != "softhsm" && name != "p11-kit" {
		return
	}
	path := k.LockOf(t)
	t.Cleanup(func() { _ = os.Remove(path) })
	if err := errors.Join(os.RemoveAll(path), os.Mkdir(path, 0o700)); err != nil {
		t.Fatal(err)
	}
}
