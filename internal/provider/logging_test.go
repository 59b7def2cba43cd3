package provider

import (
	"os"
	"testing"
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
