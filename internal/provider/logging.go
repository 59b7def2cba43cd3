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

// levelOfCalls is the variable that sets the level of this provider's own logs. The plugin framework gives it its
// name.
const levelOfCalls = "TF_LOG_PROVIDER_HSM"

// levels are the variables that set the levels of a provider process: of its own logs, and of the plugin framework's.
var levels = []string{levelOfCalls, "TF_LOG_SDK", "TF_LOG_SDK_PROTO", "TF_LOG_SDK_FRAMEWORK"}

// LimitLogs keeps the process from writing logs that Terraform throws away. By default a provider writes all that
// it has to say, at TRACE, and Terraform keeps only what TF_LOG_PROVIDER or TF_LOG ask for, by default nothing. In
// a plan of a thousand keys, the writing costs more than the keys. Levels that are already set stay. A process that
// Terraform starts calls it before it serves.
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

// lowLevels are all levels of logs except TRACE.
var lowLevels = []string{"DEBUG", "INFO", "WARN", "ERROR", "OFF"}

// keptLevel is the level at which Terraform keeps a provider's logs. It reads the environment as Terraform does:
// "JSON", and every word that is no level, count as TRACE.
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

// tracesCalls says whether the process writes what traceCalls logs.
func tracesCalls() bool {
	return !slices.Contains(lowLevels, strings.ToUpper(os.Getenv(levelOfCalls)))
}

// traceCalls is a hook that logs every call into the module at TRACE. It names the function and never an argument,
// since arguments carry PINs and key material.
func traceCalls(ctx context.Context, c *hsm.Call, next func() error) error {
	start := time.Now()
	err := next()
	fields := map[string]any{"duration_us": time.Since(start).Microseconds()}
	if err != nil {
		fields["error"] = err.Error()
	}
	// Masking changes the fields of the context, which parallel calls share. SetField gives this call a copy.
	tflog.Trace(tflog.SetField(ctx, "function", c.Function), "PKCS#11 call", fields)
	return err
}

// run does one operation of a resource or data source. It turns a panic of ours into a diagnostic: the state stays as
// the framework prepared it before the operation, and other resources go on.
func (c *client) run(ctx context.Context, diags *diag.Diagnostics, doing string, operation func(ctx context.Context)) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		text, stack := c.foreign(fmt.Sprint(p)), string(debug.Stack()) // the stack shows arguments as addresses
		tflog.Error(ctx, "panic in "+doing, map[string]any{"panic": text, "stack": stack})
		diags.AddError("Provider Panic: "+doing, fmt.Sprintf(
			"This is a bug in the hsm provider: %s\n\n"+
				"The operation may or may not have taken effect on the token. Run terraform plan before the next apply: it "+
				"compares the token with the state.\n\n"+
				"Please report the bug with the configuration of this resource and the following trace.\n\n%s", text, stack))
	}()
	operation(ctx)
}

// withheld stands for a text that is not shown.
const withheld = "(this text is not shown, because the PIN is in it)"

// foreign is a text that is not this provider's own, such as a loader's; or a note in its place, where a PIN is in it,
// be it the user's or the security officer's. The provider's own texts have no PIN in them, and never pass through
// here: to take out of them what equals the PIN would betray it, beside a key ID that holds the same digits for
// instance.
func (c *client) foreign(text string) string {
	if c != nil && (c.configuration.token.PIN.In(text) || c.given.in(text)) {
		return withheld
	}
	return text
}
