package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const tokenLabel = "bench"

// stand is a token of SoftHSM with a number of pairs on P-256, in a folder of its own.
type stand struct {
	b      *bench
	pairs  int
	folder string
	pin    string // of a token that lives for this program alone
}

// keyID is the CKA_ID of a pair, as text.
func keyID(i int) string { return fmt.Sprintf("key-%05d", i) }

func keyIDs(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = keyID(i)
	}
	return ids
}

// stand gives the token of so many pairs: a copy in the scratch folder of the one in the cache, which is made where
// it is not there yet.
func (b *bench) stand(ctx context.Context, pairs int) (*stand, error) {
	if s, ok := b.stands[pairs]; ok {
		return s, nil
	}
	s := &stand{b: b, pairs: pairs, folder: filepath.Join(b.scratch, fmt.Sprintf("token-%d", pairs))}
	cached := filepath.Join(b.cache, fmt.Sprintf("token-%d", pairs))
	if _, err := os.Stat(cached); err != nil {
		b.say("making %d pairs, to be kept in the cache", pairs)
		if err := s.make(ctx); err != nil {
			return nil, err
		}
		half := cached + ".part"
		_ = os.RemoveAll(half)
		if err := os.MkdirAll(b.cache, 0o700); err != nil {
			return nil, err
		}
		if err := os.CopyFS(half, os.DirFS(s.folder)); err != nil {
			return nil, err
		}
		if err := os.Rename(half, cached); err != nil {
			return nil, err
		}
	} else if err := os.CopyFS(s.folder, os.DirFS(cached)); err != nil {
		return nil, err
	}
	pin, err := os.ReadFile(filepath.Join(s.folder, "pin"))
	if err != nil {
		return nil, err
	}
	s.pin = string(pin)
	if err := s.configure(); err != nil {
		return nil, err
	}
	b.stands[pairs] = s
	return s, nil
}

func (s *stand) configuration() string { return filepath.Join(s.folder, "softhsm2.conf") }

func (s *stand) configure() error {
	text := fmt.Sprintf("directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", filepath.Join(s.folder, "tokens"))
	return os.WriteFile(s.configuration(), []byte(text), 0o600)
}

// make initialises the token and fills it.
func (s *stand) make(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Join(s.folder, "tokens"), 0o700); err != nil {
		return err
	}
	if err := s.configure(); err != nil {
		return err
	}
	n, err := rand.Int(rand.Reader, big.NewInt(90_000_000))
	if err != nil {
		return err
	}
	s.pin = fmt.Sprint(10_000_000 + n.Int64())
	if err := os.WriteFile(filepath.Join(s.folder, "pin"), []byte(s.pin), 0o600); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "softhsm2-util", "--init-token", "--free", "--label", tokenLabel, "--so-pin", s.pin, "--pin", s.pin)
	cmd.Env = append(os.Environ(), "SOFTHSM2_CONF="+s.configuration())
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("softhsm2-util: %w: %s", err, out)
	}
	if s.pairs == 0 {
		return nil
	}
	_, err = s.worker(ctx, 0, "fill", fmt.Sprint(s.pairs))
	return err
}

// environment is that of a process which uses the token through the spy: nothing of the user's own token or Terraform.
func (s *stand) environment(tally string, waitMicroseconds int) []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "HSM_") && !strings.HasPrefix(v, "TF_") && !strings.HasPrefix(v, "SPY_") && !strings.HasPrefix(v, "SOFTHSM2_") {
			env = append(env, v)
		}
	}
	return append(env, "SOFTHSM2_CONF="+s.configuration(), "SPY_MODULE="+s.b.module, "SPY_TALLY="+tally, fmt.Sprintf("SPY_WAIT_US=%d", waitMicroseconds),
		"HSM_LIBRARY="+s.b.spy, "HSM_TOKEN_LABEL="+tokenLabel, "HSM_PIN="+s.pin)
}
