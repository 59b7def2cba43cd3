package hsm

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

func TestTheGateKeepsGroupsApart(t *testing.T) {
	g := newGate(time.Minute)
	var inside, most [writes + 1]atomic.Int64
	calls := []cryptoki.Call{}
	for _, function := range []string{"C_FindObjectsInit", "C_GetAttributeValue", "C_SetAttributeValue", "C_DestroyObject", "C_GenerateKey", "C_Sign"} {
		calls = append(calls, cryptoki.Call{Function: function})
	}
	calls = append(calls, cryptoki.Call{Function: "C_GenerateKeyPair", Mechanism: cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN}, cryptoki.Call{Function: "C_GenerateKeyPair", Mechanism: cryptoki.CKM_EC_KEY_PAIR_GEN})
	var wg sync.WaitGroup
	for i := range calls {
		for range 30 {
			wg.Go(func() {
				call := cryptoki.Call{Function: calls[i].Function, Mechanism: calls[i].Mechanism}
				own := groupOf(&call)
				err := g.pass(context.Background(), &call, func() error {
					n := inside[own].Add(1)
					defer inside[own].Add(-1)
					time.Sleep(time.Millisecond)
					for n > most[own].Load() {
						most[own].Store(n)
					}
					for other := looks; own != outside && other <= writes; other++ {
						if n := inside[other].Load(); n > 0 && other != own || n > 1 && other == writes {
							t.Errorf("%d of group %d beside group %d", n, other, own)
						}
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	for _, group := range []group{looks, makes} {
		if most[group].Load() < 2 {
			t.Errorf("those of group %d go in one at a time", group)
		}
	}
	if len(g.queue) > 0 || !g.fits(writes) {
		t.Errorf("the gate is not empty in the end: %v", g.inside)
	}
}

func TestWhatHangsInTheGateIsWrittenOff(t *testing.T) {
	g := newGate(50 * time.Millisecond)
	ctx, inside, end, ended := context.Background(), make(chan struct{}), make(chan struct{}), make(chan struct{})
	search := func(ctx context.Context, do func() error) error {
		return g.pass(ctx, &cryptoki.Call{Function: "C_FindObjectsInit"}, do)
	}
	go func() {
		_ = g.pass(ctx, &cryptoki.Call{Function: "C_DestroyObject"}, func() error { close(inside); <-end; return nil })
		close(ended)
	}()
	<-inside
	short, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	if err := search(short, func() error { t.Error("called for nobody"); return nil }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	start, called := time.Now(), 0
	for range 100 { // of which the first alone waits
		if err := search(ctx, func() error { called++; return nil }); err != nil {
			t.Error(err)
		}
	}
	if took := time.Since(start); called != 100 || took > time.Second {
		t.Errorf("%d of 100 calls were made, in %s", called, took)
	}
	close(end)
	<-ended
	if !g.fits(writes) {
		t.Errorf("what came out at last is counted: %v", g.inside)
	}
}
