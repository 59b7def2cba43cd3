package hsm

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
)

func TestTheGateKeepsWritesApart(t *testing.T) {
	g := &gate{calls: semaphore.NewWeighted(everyone), wait: time.Minute}
	var looking, writing, passing, most atomic.Int64
	inside := map[string]*atomic.Int64{
		"C_FindObjectsInit": &looking, "C_GetAttributeValue": &looking, "C_SignInit": &looking,
		"C_SetAttributeValue": &writing, "C_DestroyObject": &writing, "C_GenerateKey": &writing, "C_Sign": &passing,
	}
	var wg sync.WaitGroup
	for function, count := range inside {
		for range 30 {
			wg.Go(func() {
				err := g.pass(context.Background(), &cryptoki.Call{Function: function}, func() error {
					count.Add(1)
					defer count.Add(-1)
					time.Sleep(time.Millisecond)
					if w, l := writing.Load(), looking.Load(); w > 1 || w == 1 && l > 0 {
						t.Errorf("%d write and %d look", w, l)
					}
					if l := looking.Load(); l > most.Load() {
						most.Store(l)
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
	if most.Load() < 2 {
		t.Error("those that look do so one at a time")
	}
}

func TestWhatHangsInTheGateKeepsNobodyOutForLong(t *testing.T) {
	g := &gate{calls: semaphore.NewWeighted(everyone), wait: 20 * time.Millisecond}
	ctx, search := context.Background(), &cryptoki.Call{Function: "C_FindObjectsInit"}
	inside, end := make(chan struct{}), make(chan struct{})
	defer close(end)
	go func() {
		_ = g.pass(ctx, &cryptoki.Call{Function: "C_DestroyObject"}, func() error { close(inside); <-end; return nil })
	}()
	<-inside
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := g.pass(ended, search, func() error { t.Error("called for nobody"); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	called := 0
	for range 100 { // of which the first alone waits
		if err := g.pass(ctx, search, func() error { called++; return nil }); err != nil {
			t.Error(err)
		}
	}
	if called != 100 || !g.stuck.Load() {
		t.Errorf("%d of 100 calls were made", called)
	}
}
