package provider

import (
	"context"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

func TestAPanicOfAFunctionIsItsError(t *testing.T) {
	f := textFunction{name: "f", result: ofOne(func(string) (string, error) { panic("no key") })}
	resp := function.RunResponse{Result: function.NewResultData(types.StringNull())}
	f.Run(context.Background(), function.RunRequest{Arguments: function.NewArgumentsData([]attr.Value{types.StringValue("")})}, &resp)
	if resp.Error == nil || !strings.HasPrefix(resp.Error.Text, "Provider Panic: ") || !strings.Contains(resp.Error.Text, "no key\n\ngoroutine") {
		t.Errorf("it says %v", resp.Error)
	}
}
