package softhsm

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
	var inside, most [outside + 1]atomic.Int64
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
				err := g.Pass(context.Background(), &call, func() error {
					n := inside[own].Add(1)
					defer inside[own].Add(-1)
					time.Sleep(time.Millisecond)
					for n > most[own].Load() {
						most[own].Store(n)
					}
					for other := writes; own != outside && other < outside; other++ {
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
	if len(g.queue)+len(g.inside) > 0 {
		t.Errorf("the gate is not empty in the end: %v", g.inside)
	}
}

func TestWhatHangsInTheGateIsWrittenOff(t *testing.T) {
	g := newGate(2 * time.Second) // so that a busy machine writes nobody else off
	ctx, inside, end, ended := context.Background(), make(chan struct{}), make(chan struct{}), make(chan struct{})
	pass := func(ctx context.Context, function string, do func()) error {
		return g.Pass(ctx, &cryptoki.Call{Function: function}, func() error { do(); return nil })
	}
	go func() {
		_ = pass(ctx, "C_FindObjectsInit", func() { close(inside); <-end })
		close(ended)
	}()
	<-inside
	short, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	if err := pass(short, "C_DestroyObject", func() { t.Error("called for nobody") }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	var writing, called atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for range 5 { // who hangs is written off, and nobody else is
		wg.Go(func() {
			err := pass(ctx, "C_DestroyObject", func() {
				if writing.Add(1) > 1 {
					t.Error("two write at a time")
				}
				time.Sleep(20 * time.Millisecond)
				writing.Add(-1)
				called.Add(1)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if took := time.Since(start); called.Load() != 5 || took > 20*time.Second {
		t.Errorf("%d of 5 calls were made, in %s", called.Load(), took)
	}
	close(end)
	<-ended
	if len(g.queue)+len(g.inside) > 0 {
		t.Errorf("the gate is not empty in the end: %v", g.inside)
	}
}

func TestThoseThatMakePairsKeepNobodyOutForGood(t *testing.T) {
	g := newGate(time.Minute)
	ctx, stop := context.WithCancel(context.Background())
	var makers sync.WaitGroup
	var making, made atomic.Int64
	for i := range 3 {
		makers.Go(func() {
			time.Sleep(time.Duration(i) * 50 * time.Millisecond)
			for ctx.Err() == nil { // without its context: somebody is inside all the time
				call := &cryptoki.Call{Function: "C_GenerateKeyPair", Mechanism: cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN}
				_ = g.Pass(context.Background(), call, func() error {
					making.Add(1)
					defer making.Add(-1)
					made.Add(1)
					time.Sleep(150 * time.Millisecond)
					return nil
				})
			}
		})
	}
	time.Sleep(200 * time.Millisecond)
	wait, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err := g.Pass(wait, &cryptoki.Call{Function: "C_DestroyObject"}, func() error {
		if making.Load() > 0 {
			t.Error("an object is destroyed beside those that make pairs")
		}
		return nil
	})
	if err != nil || made.Load() == 0 {
		t.Errorf("after %d pairs: %v", made.Load(), err)
	}
	stop()
	makers.Wait()
}

// TestWhatTheGateDoesNotKnowCountsAsWriting holds the table against what writes, and what is not in it against the same.
func TestWhatTheGateDoesNotKnowCountsAsWriting(t *testing.T) {
	for _, function := range []string{
		"C_SetAttributeValue", "C_DestroyObject", "C_GenerateKey", "C_GenerateKeyPair", "C_CopyObject", "C_CreateObject", "C_InitToken", "C_Unheard",
	} {
		call := &cryptoki.Call{Function: function, Mechanism: cryptoki.CKM_EC_KEY_PAIR_GEN}
		if got := groupOf(call); got != writes {
			t.Errorf("%s is of group %d", function, got)
		}
	}
	if got := groupOf(&cryptoki.Call{Function: "C_GenerateKeyPair", Mechanism: cryptoki.CKM_RSA_PKCS_KEY_PAIR_GEN}); got != makes {
		t.Errorf("RSA pairs are of group %d", got)
	}
}
