//go:build unix

package hsm_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// TestTheServerIsKilled ends the server of a remote token while keys are made, and starts it again.
func TestTheServerIsKilled(t *testing.T) {
	if hsmtest.ThisMake(t).Name != "p11-kit" {
		t.Skip("only p11-kit's token has a server: scripts/with-token p11-kit")
	}
	k := hsmtest.New(t)
	pid, err := strconv.Atoi(os.Getenv("HSMTEST_SERVER_PID"))
	if err != nil {
		t.Fatal(err)
	}
	var made atomic.Int64
	killed := sync.OnceFunc(func() { _ = syscall.Kill(-pid, syscall.SIGKILL) })
	c := k.Config(func(_ context.Context, c *cryptoki.Call, next func() error) error {
		err := next()
		if c.Function == "C_GenerateKeyPair" && made.Add(1) == 8 {
			killed()
		}
		return err
	})
	token, err := hsm.Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	var kept, failed atomic.Int64
	for i := range 4 { // so that some are there for certain
		generate(t, token, small(fmt.Sprint("key ", i), "label"))
		kept.Add(1)
	}
	for i := 4; i < 20; i++ {
		group.Go(func() {
			_, err := token.Generate(context.Background(), small(fmt.Sprint("key ", i), "label"))
			if err == nil {
				kept.Add(1)
				return
			}
			failed.Add(1)
			if err.Error() == "" {
				t.Error("an error without words")
			}
		})
	}
	group.Wait()
	if failed.Load() == 0 {
		t.Errorf("%d were made and %d failed, while the server was killed", kept.Load(), failed.Load())
	}
	_ = token.Close()

	start := exec.Command("sh", "-c", os.Getenv("HSMTEST_SERVER_COMMAND"))
	if out, err := start.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var again *hsm.Token
	for end := time.Now().Add(10 * time.Second); again == nil; time.Sleep(50 * time.Millisecond) {
		if again, err = hsm.Open(context.Background(), k.Config()); err != nil && time.Now().After(end) {
			t.Fatal(err)
		}
	}
	defer again.Close()
	whole := 0
	for i := range 20 { // the next run
		id := fmt.Sprint("key ", i)
		if _, err := again.Key(context.Background(), object.Ref{Type: object.RSA, ID: []byte(id)}); err == nil {
			whole++
			continue
		}
		if _, err := again.Generate(context.Background(), small(id, "label")); err != nil {
			// A server that dies in the middle of C_GenerateKeyPair may leave half a pair.
			if _, err := again.Destroy(context.Background(), object.Ref{Type: object.RSA, ID: []byte(id)}); err != nil {
				t.Errorf("key %d: %v", i, err)
			}
			generate(t, again, small(id, "label"))
		}
	}
	if int64(whole) < kept.Load() {
		t.Errorf("%d keys were kept, and %d are there", kept.Load(), whole)
	}
	t.Logf("%d keys were made and %d creations failed; after the server's return %d pairs were whole, and 20 are now", kept.Load(), failed.Load(), whole)
}
