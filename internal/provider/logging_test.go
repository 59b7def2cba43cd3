package provider

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"
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
	c := &client{configuration: configuration{secret: "48151623"}}
	var diags diag.Diagnostics
	c.run(context.Background(), &diags, "Create Key Pair", func(context.Context) { panic("slot 3, PIN 48151623, and again 48151623") })
	if len(diags) != 1 || diags[0].Severity() != diag.SeverityError || diags[0].Summary() != "Provider Panic: Create Key Pair" {
		t.Fatalf("it says %v", diags)
	}
	detail := diags[0].Detail()
	if strings.Contains(detail, "48151623") || !strings.Contains(detail, "slot 3, PIN (sensitive), and again (sensitive)") || !strings.Contains(detail, "goroutine") {
		t.Errorf("the detail is %q", detail)
	}

	// A client that was never configured survives it too, and so does what was said before.
	diags = diag.Diagnostics{diag.NewWarningDiagnostic("before", "")}
	(*client)(nil).run(context.Background(), &diags, "Read Key Pair", func(context.Context) { panic(errors.New("no client")) })
	if have := summarised(diags); !slices.Equal(have, []string{"before", "Provider Panic: Read Key Pair"}) {
		t.Errorf("it says %q", have)
	}
}

func TestRedact(t *testing.T) {
	for _, c := range []struct {
		client *client
		want   string
	}{
		{&client{configuration: configuration{secret: "1234"}}, "a(sensitive)b(sensitive)"},
		{&client{}, "a1234b1234"},
		{nil, "a1234b1234"},
	} {
		if have := c.client.redact("a1234b1234"); have != c.want {
			t.Errorf("%+v makes %q", c.client, have)
		}
	}
}
