package provider

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

func TestNoLogsAreWrittenThatTerraformThrowsAway(t *testing.T) {
	for _, c := range []struct {
		name, log, logProvider, own string
		wantOwn, wantSDK            string
		traces                      bool
	}{
		{name: "nothing is asked for", wantOwn: "OFF", wantSDK: "OFF"},
		{name: "logs of all", log: "trace", wantOwn: "TRACE", wantSDK: "TRACE", traces: true},
		{name: "less than all", log: "Info", wantOwn: "INFO", wantSDK: "INFO"},
		{name: "the provider's goes before", log: "ERROR", logProvider: "debug", wantOwn: "DEBUG", wantSDK: "DEBUG"},
		{name: "JSON is TRACE", log: "json", wantOwn: "TRACE", wantSDK: "TRACE", traces: true},
		{name: "Terraform takes what makes no sense for TRACE", log: "loud", wantOwn: "TRACE", wantSDK: "TRACE", traces: true},
		{name: "off", log: "off", wantOwn: "OFF", wantSDK: "OFF"},
		{name: "a level that is set stays", own: "trace", wantOwn: "trace", wantSDK: "OFF", traces: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, variable := range levels {
				t.Setenv(variable, "")
			}
			t.Setenv("TF_LOG", c.log)
			t.Setenv("TF_LOG_PROVIDER", c.logProvider)
			t.Setenv(levelOfCalls, c.own)
			if err := LimitLogs(); err != nil {
				t.Fatal(err)
			}
			if own := os.Getenv(levelOfCalls); own != c.wantOwn {
				t.Errorf("the provider's own level is %q, not %q", own, c.wantOwn)
			}
			for _, variable := range levels[1:] {
				if sdk := os.Getenv(variable); sdk != c.wantSDK {
					t.Errorf("%s is %q, not %q", variable, sdk, c.wantSDK)
				}
			}
			if tracesCalls() != c.traces {
				t.Errorf("calls are traced: %t, not %t", !c.traces, c.traces)
			}
			if hooks := len(New("test")().(*hsmProvider).hooks); (hooks == 1) != c.traces {
				t.Errorf("a provider has %d hooks around its calls", hooks)
			}
		})
	}
}

func TestAPanicBecomesADiagnosticWithoutThePIN(t *testing.T) {
	c := &client{}
	c.configuration.token.PIN = hsm.NewPIN("3031")
	said := func(what any) string {
		t.Helper()
		var diags diag.Diagnostics
		c.run(t.Context(), &diags, "Create Key Pair", func(context.Context) { panic(what) })
		if len(diags) != 1 || diags[0].Severity() != diag.SeverityError ||
			diags[0].Summary() != "Provider Panic: Create Key Pair" {
			t.Fatalf("it says %v", diags)
		}
		return diags[0].Detail()
	}
	detail := said("slot 3, PIN 3031, and more")
	if strings.Contains(detail, "slot 3") || strings.Contains(detail, "3031,") || !strings.Contains(detail, withheld) ||
		!strings.Contains(detail, "goroutine") {
		t.Errorf("what has the PIN in it is not left out as a whole: %q", detail)
	}
	if detail := said("slot 3"); !strings.Contains(detail, "slot 3") || strings.Contains(detail, withheld) {
		t.Errorf("what has no PIN in it is left out: %q", detail)
	}

	// A client that was never configured survives it too, and so does what was said before.
	diags := diag.Diagnostics{diag.NewWarningDiagnostic("before", "")}
	(*client)(nil).run(context.Background(), &diags, "Read Key Pair", func(context.Context) { panic(errors.New("no client")) })
	if have := summarised(diags); !slices.Equal(have, []string{"before", "Provider Panic: Read Key Pair"}) {
		t.Errorf("it says %q", have)
	}
}

// What is left out of our own texts tells what the PIN is.
func TestOnlyTextsOfOthersAreLeftOutAndAsAWhole(t *testing.T) {
	c := &client{}
	c.configuration.token.PIN = hsm.NewPIN("3031")
	kind := diagnose.Kind{Resource: "hsm_rsa_keypair", Noun: "key pair", Title: "Key Pair", Parts: []string{"privkey"}}
	said := func(err error) string {
		f := diagnose.Failure{
			Doing: diagnose.Read, Kind: &kind, Err: err, Provider: c.forMessages(), KeyID: "6b303199", Label: "web 3031",
		}
		return f.Diagnostic().Detail()
	}
	for name, err := range hsmtest.InOrder(map[string]error{
		"the key's own ID":  fmt.Errorf("key ID 6b303199: %w", object.ErrNotFound),
		"a neighbour's ID":  &diagnose.MovedError{From: "6b303199", To: "30313031", Label: "web 3031", Noun: "key pair"},
		"a slot":            &hsm.TokenError{Tokens: []hsm.TokenInfo{{Slot: 3031, Serial: "3031"}}},
		"a call that fails": fmt.Errorf("C_Sign 0x3031"),
	}) {
		detail := said(err)
		if !strings.Contains(detail, "6b303199") || !strings.Contains(detail, "web 3031") ||
			strings.Contains(detail, "sensitive") || strings.Contains(detail, withheld) {
			t.Errorf("%s: a text of ours betrays the PIN by what is left out of it: %s", name, detail)
		}
	}
	loader := &hsm.LibraryError{Path: "/opt/module.so", Err: errors.New("/opt/module.so: the PIN 3031 is wrong")}
	detail := said(loader)
	if head, _, _ := strings.Cut(detail, "\n"); head != withheld+"." {
		t.Errorf("the loader's words are not left out as a whole: %s", head)
	}
	c.configuration.token.PIN = hsm.NewPIN("4711")
	if detail := said(loader); !strings.Contains(detail, "the PIN 3031 is wrong") {
		t.Errorf("words that do not hold the PIN are left out: %s", detail)
	}
}
