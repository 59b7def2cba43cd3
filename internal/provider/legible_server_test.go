package provider

import (
	"context"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

func TestLegible(t *testing.T) {
	for text, want := range map[string]string{
		"as it is: ü, ключ, 鍵, …\n\ta line": "as it is: ü, ключ, 鍵, …\n\ta line",
		"clear\x1b[2J, C1 \u009b, bell\a":   `clear\x1b[2J, C1 \u009b, bell\x07`,
		"over\rwritten":                     `over\x0dwritten`,
		"turned \u202e, hidden \u200b":      `turned \u202e, hidden \u200b`,
		"broken \xff":                       `broken \xff`,
		"\ufffd":                            "\ufffd",
		"filler \u3164, tag \U000e0041":     `filler \u3164, tag \U000e0041`,
	} {
		if have := legible(text); have != want {
			t.Errorf("%q is written %q, not %q", text, have, want)
		}
	}
}

// evilServer answers each request with what no terminal may get.
type evilServer struct{ wholeServer }

const evil = "a\x1b]0;owned\ab\u202ec"

func evilDiagnostics() []*tfprotov6.Diagnostic {
	return []*tfprotov6.Diagnostic{{Summary: evil, Detail: evil}}
}

func (evilServer) ListResource(context.Context, *tfprotov6.ListResourceRequest) (
	*tfprotov6.ListResourceServerStream, error,
) {
	results := []tfprotov6.ListResourceResult{{DisplayName: evil, Diagnostics: evilDiagnostics()}}
	return &tfprotov6.ListResourceServerStream{Results: slices.Values(results)}, nil
}

func (evilServer) CallFunction(context.Context, *tfprotov6.CallFunctionRequest) (
	*tfprotov6.CallFunctionResponse, error,
) {
	return &tfprotov6.CallFunctionResponse{Error: &tfprotov6.FunctionError{Text: evil}}, nil
}

func (evilServer) ReadResource(context.Context, *tfprotov6.ReadResourceRequest) (
	*tfprotov6.ReadResourceResponse, error,
) {
	return &tfprotov6.ReadResourceResponse{Diagnostics: evilDiagnostics()}, nil
}

func TestNoMessageReachesATerminalRaw(t *testing.T) {
	const seen = `a\x1b]0;owned\x07b\u202ec`
	s := frugalServer{legibleServer{evilServer{}}}
	read, err := s.ReadResource(t.Context(), &tfprotov6.ReadResourceRequest{})
	if err != nil || read.Diagnostics[0].Summary != seen || read.Diagnostics[0].Detail != seen {
		t.Errorf("a diagnostic is %+v, %v", read.Diagnostics[0], err)
	}
	called, err := s.CallFunction(t.Context(), &tfprotov6.CallFunctionRequest{})
	if err != nil || called.Error.Text != seen {
		t.Errorf("a function's error is %+v, %v", called.Error, err)
	}
	list, err := s.ListResource(t.Context(), &tfprotov6.ListResourceRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for result := range list.Results {
		if result.DisplayName != seen || result.Diagnostics[0].Detail != seen {
			t.Errorf("a listed resource is %+v", result)
		}
	}
}

// Each request whose answer may have diagnostics, and that this provider serves, has its own method.
func TestEveryAnswerWithDiagnosticsIsMadeLegible(t *testing.T) {
	source, err := os.ReadFile("legible_server.go")
	if err != nil {
		t.Fatal(err)
	}
	inner := reflect.TypeFor[wholeServer]()
	none := []string{
		"Action", "RenewEphemeral", "CloseEphemeral", "State", "Identity", "Schema", "Schemas", "Metadata", "Functions",
		"GenerateResourceConfig",
	}
	ours := 0
	for method := range inner.Methods() {
		response := method.Type.Out(0).Elem()
		if _, ok := response.FieldByName("Diagnostics"); !ok {
			continue
		}
		if slices.ContainsFunc(none, func(part string) bool { return strings.Contains(method.Name, part) }) &&
			!strings.HasSuffix(method.Name, "ResourceState") {
			continue // there are none of these, or their answers are the framework's own
		}
		ours++
		have := reflect.New(response)
		have.Elem().FieldByName("Diagnostics").Set(reflect.ValueOf(evilDiagnostics()))
		if len(diagnosticsOf(have.Interface())) != 1 {
			t.Errorf("the diagnostics of %s stay as they are", method.Name)
		}
		if !strings.Contains(string(source), "\nfunc (s legibleServer) "+method.Name+"(") {
			t.Errorf("%s has no method", method.Name)
		}
	}
	if ours != 14 {
		t.Errorf("%d methods were looked at", ours)
	}
}
