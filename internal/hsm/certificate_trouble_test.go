package hsm_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// inEachCertificateStep runs a test of each step, on a token of its own that holds what the step begins with, with the
// calls that the step makes.
func inEachCertificateStep(t *testing.T, test func(
	*testing.T, *hsmtest.Token, certificateStep, object.CertificateTemplate, []string, func(),
)) {
	onSoftHSM(t)
	steps, strangers := certificateSteps(t)
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			t.Parallel()
			k, faults := hsmtest.New(t), &hsmtest.Faults{}
			prepare := func() { holdCertificates(t, k, append(slices.Clone(step.before), strangers)...) }
			prepare()
			token := openHooked(t, k, faults.Hook)
			if _, err := token.AllCertificates(t.Context()); err != nil { // the process is logged in from here on
				t.Fatal(err)
			}
			faults.Clear()
			if err := step.order.run(t.Context(), token); err != nil {
				t.Fatal(err)
			}
			test(t, k, step, strangers, faults.Calls(), prepare)
		})
	}
}

// TestAModuleHangsBehindACertificate: each call of each step hangs for good, and the step is interrupted. It ends then,
// says what the token holds, and the next run goes on.
func TestAModuleHangsBehindACertificate(t *testing.T) {
	inEachCertificateStep(t, func(t *testing.T, k *hsmtest.Token, step certificateStep,
		strangers object.CertificateTemplate, calls []string, prepare func(),
	) {
		hangs, nth := 0, map[string]int{}
		for i, function := range calls {
			nth[function]++
			prepare()
			faults, entered := &hsmtest.Faults{}, make(chan string, 100)
			token := openHooked(t, k, faults.Hook) // closed once the test has ended, and the call that hangs with it
			faults.Inject(hang(t, function, nth[function], entered))
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- step.order.run(ctx, token) }()
			var err error
			select {
			case <-entered:
				cancel()
				began := time.Now()
				err = <-ended
				hangs++
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("the step goes on for %s", took)
				}
				if function != "C_CloseSession" && (err == nil || !strings.Contains(err.Error(), function)) {
					t.Errorf("got %v", err)
				}
			case err = <-ended: // with a login at hand it makes fewer calls
			}
			cancel()
			step.heldAfter(t, k, strangers, err)
			if err := step.order.run(t.Context(), open(t, k)); err != nil {
				t.Errorf("the next run: %v", err)
			}
			if step.heldAfter(t, k, strangers, nil); t.Failed() {
				t.Fatalf("call %d of %v hangs", i+1, calls)
			}
		}
		if hangs < len(calls)/2 {
			t.Errorf("%d of %d calls hung", hangs, len(calls))
		}
	})
}

// TestSessionsAreLostBehindACertificate: all sessions are lost before and after each call of each step. The step ends
// well, or says what the token holds, and the next run goes on.
func TestSessionsAreLostBehindACertificate(t *testing.T) {
	inEachCertificateStep(t, func(t *testing.T, k *hsmtest.Token, step certificateStep,
		strangers object.CertificateTemplate, calls []string, prepare func(),
	) {
		for nth := 1; nth <= len(calls); nth++ {
			for _, after := range []bool{false, true} {
				prepare()
				token, _, lose := lossy(t, k)
				if _, err := token.AllCertificates(t.Context()); err != nil {
					t.Fatal(err)
				}
				lose(nth, after)
				err := step.order.run(t.Context(), token)
				_ = token.Close()
				step.heldAfter(t, k, strangers, err)
				if err := step.order.run(t.Context(), open(t, k)); err != nil {
					t.Errorf("the next run: %v", err)
				}
				if step.heldAfter(t, k, strangers, nil); t.Failed() {
					t.Fatalf("sessions are lost at call %d (after it: %t) of %v, which gave: %v", nth, after, calls,
						err)
				}
			}
		}
	})
}
