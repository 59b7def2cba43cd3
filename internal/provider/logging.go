package provider

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
)

// levelOfCalls is the variable of the level of what this provider itself logs, by the plugin framework's rule for names.
const levelOfCalls = "TF_LOG_PROVIDER_HSM"

// levels are the variables of the levels that a provider process logs at: its own, and those of the plugin framework.
var levels = []string{levelOfCalls, "TF_LOG_SDK", "TF_LOG_SDK_PROTO", "TF_LOG_SDK_FRAMEWORK"}

// LimitLogs has the process write no logs that Terraform throws away. A provider writes all it has to say, at TRACE,
// unless it is told not to, and Terraform keeps what TF_LOG_PROVIDER or TF_LOG ask for, by default nothing: in a plan
// of a thousand keys, the writing costs more than the keys. Levels that are set already stay. It is for a process that
// Terraform starts, and comes before serving.
func LimitLogs() error {
	level := keptLevel(os.Getenv)
	for _, variable := range levels {
		if os.Getenv(variable) != "" {
			continue
		}
		if err := os.Setenv(variable, level); err != nil {
			return err
		}
	}
	return nil
}

// lowLevels are the levels of logs, but TRACE.
var lowLevels = []string{"DEBUG", "INFO", "WARN", "ERROR", "OFF"}

// keptLevel is the level at which Terraform keeps a provider's logs, as it reads its environment: "JSON" is TRACE, and
// so is what makes no sense.
func keptLevel(getenv func(string) string) string {
	level := getenv("TF_LOG_PROVIDER")
	if level == "" {
		level = getenv("TF_LOG")
	}
	level = strings.ToUpper(level)
	switch {
	case level == "":
		return "OFF"
	case slices.Contains(lowLevels, level):
		return level
	}
	return "TRACE"
}

// tracesCalls says whether what traceCalls logs is written.
func tracesCalls() bool {
	return !slices.Contains(lowLevels, strings.ToUpper(os.Getenv(levelOfCalls)))
}

// traceCalls logs every call into the module at TRACE. It names the function and never an argument: arguments
// carry PINs and key material.
func traceCalls(ctx context.Context, c *hsm.Call, next func() error) error {
	start := time.Now()
	err := next()
	fields := map[string]any{"duration_us": time.Since(start).Microseconds()}
	if err != nil {
		fields["error"] = err.Error()
	}
	// Masking writes to the context's own fields, which parallel calls share: SetField gives this call a copy.
	tflog.Trace(tflog.SetField(ctx, "function", c.Function), "PKCS#11 call", fields)
	return err
}

// run does one operation of a resource or data source. It masks the PIN in what this operation logs (masks live in
// the context, so each operation sets its own), and it turns a panic of ours into a diagnostic: the state stays
// as the framework set it out before the operation, and other resources go on.
func (c *client) run(ctx context.Context, diags *diag.Diagnostics, doing string, operation func(ctx context.Context)) {
	ctx = c.mask(ctx)
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		text, stack := c.redact(fmt.Sprint(p)), c.redact(string(debug.Stack()))
		tflog.Error(ctx, "panic in "+doing, map[string]any{"panic": text, "stack": stack})
		diags.AddError("Provider Panic: "+doing, fmt.Sprintf(
			"This is a bug in the hsm provider: %s\n\n"+
				"What was being done may or may not have taken effect on the token: compare the token with the state before "+
				"the next apply (terraform plan does).\n\n"+
				"Please report it with the configuration of this resource and the following trace.\n\n%s", text, stack))
	}()
	operation(ctx)
}

// mask hides the PIN, should it ever come by, in everything that is logged with the context.
func (c *client) mask(ctx context.Context) context.Context {
	if c == nil || c.secret == "" {
		return ctx
	}
	ctx = tflog.MaskAllFieldValuesStrings(ctx, c.secret)
	return tflog.MaskMessageStrings(ctx, c.secret)
}

func (c *client) redact(text string) string {
	if c == nil || c.secret == "" {
		return text
	}
	return strings.ReplaceAll(text, c.secret, "(sensitive)")
}
