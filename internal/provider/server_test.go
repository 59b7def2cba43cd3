package provider

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

type testKey struct{}

// It stands for a request's loggers.
type testValue struct{ _ [1 << 10]byte }

func TestAServerKeepsNothingOfARequestThatHasEnded(t *testing.T) {
	server := NewServer(New("test"))()
	collected := make(chan struct{})
	func() {
		value := &testValue{}
		runtime.AddCleanup(value, func(done chan struct{}) { close(done) }, collected)
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), testKey{}, value))
		defer cancel()
		resp, err := server.UpgradeResourceState(ctx, &tfprotov6.UpgradeResourceStateRequest{
			TypeName: "hsm_ec_keypair", RawState: &tfprotov6.RawState{JSON: []byte(`{"key_id":"01","curve":"P-256"}`)},
		})
		if err != nil || len(resp.Diagnostics) > 0 {
			t.Fatal(err, resp)
		}
	}()
	for end := time.Now().Add(10 * time.Second); ; {
		runtime.GC()
		select {
		case <-collected:
			runtime.KeepAlive(server)
			return
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(end) {
			t.Fatal("what the request's context held is held still")
		}
	}
}

func TestARequestContextIsItsParentUntilTheRequestEnds(t *testing.T) {
	cause := errors.New("the test says so")
	parent, cancel := context.WithCancelCause(context.WithValue(t.Context(), testKey{}, "value"))
	deadline, stop := context.WithTimeout(parent, time.Hour)
	defer stop()
	contexts, err := withRequestContext(deadline, "request", func(ctx context.Context, req string) ([]context.Context, error) {
		child, release := context.WithCancel(ctx)
		t.Cleanup(release)
		want, _ := deadline.Deadline()
		if at, ok := ctx.Deadline(); !ok || !at.Equal(want) {
			t.Errorf("the deadline is %v, not %v", at, want)
		}
		if ctx.Value(testKey{}) != "value" || ctx.Err() != nil || child.Err() != nil {
			t.Errorf("value %v, errors %v, %v", ctx.Value(testKey{}), ctx.Err(), child.Err())
		}
		if req != "request" {
			t.Errorf("the request is %q", req)
		}
		return []context.Context{ctx, child}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	kept, child := contexts[0], contexts[1]
	if _, ok := kept.Deadline(); ok || kept.Value(testKey{}) != nil || !errors.Is(kept.Err(), context.Canceled) {
		t.Errorf("after the request it still has a deadline, a value %v, or its error is %v", kept.Value(testKey{}), kept.Err())
	}
	cancel(cause)
	select {
	case <-child.Done():
	case <-time.After(10 * time.Second):
		t.Error("a derived context does not end with the parent")
	}

	ended, cancel2 := context.WithCancel(t.Context())
	_, _ = withRequestContext(ended, 0, func(ctx context.Context, _ int) (int, error) {
		child, release := context.WithTimeout(ctx, time.Hour)
		defer release()
		cancel2()
		select {
		case <-child.Done():
		case <-time.After(10 * time.Second):
			t.Error("a request does not end with its context")
		}
		if !errors.Is(context.Cause(child), context.Canceled) {
			t.Errorf("its cause is %v", context.Cause(child))
		}
		return 0, nil
	})
}
