package provider

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
)

// legibleServer is a wholeServer whose messages hold only what can be seen. Labels, paths and arguments come from
// others, and Terraform writes messages to the user's terminal as they are: a control character in them could hide
// what the message says, and a mark that turns text around could make it say something else.
type legibleServer struct{ wholeServer }

func (s legibleServer) ValidateProviderConfig(ctx context.Context, req *tfprotov6.ValidateProviderConfigRequest) (
	*tfprotov6.ValidateProviderConfigResponse, error,
) {
	return legibly(s.wholeServer.ValidateProviderConfig(ctx, req))
}

func (s legibleServer) ConfigureProvider(ctx context.Context, req *tfprotov6.ConfigureProviderRequest) (
	*tfprotov6.ConfigureProviderResponse, error,
) {
	return legibly(s.wholeServer.ConfigureProvider(ctx, req))
}

func (s legibleServer) ValidateResourceConfig(ctx context.Context, req *tfprotov6.ValidateResourceConfigRequest) (
	*tfprotov6.ValidateResourceConfigResponse, error,
) {
	return legibly(s.wholeServer.ValidateResourceConfig(ctx, req))
}

func (s legibleServer) UpgradeResourceState(ctx context.Context, req *tfprotov6.UpgradeResourceStateRequest) (
	*tfprotov6.UpgradeResourceStateResponse, error,
) {
	return legibly(s.wholeServer.UpgradeResourceState(ctx, req))
}

func (s legibleServer) ReadResource(ctx context.Context, req *tfprotov6.ReadResourceRequest) (
	*tfprotov6.ReadResourceResponse, error,
) {
	return legibly(s.wholeServer.ReadResource(ctx, req))
}

func (s legibleServer) PlanResourceChange(ctx context.Context, req *tfprotov6.PlanResourceChangeRequest) (
	*tfprotov6.PlanResourceChangeResponse, error,
) {
	return legibly(s.wholeServer.PlanResourceChange(ctx, req))
}

func (s legibleServer) ApplyResourceChange(ctx context.Context, req *tfprotov6.ApplyResourceChangeRequest) (
	*tfprotov6.ApplyResourceChangeResponse, error,
) {
	return legibly(s.wholeServer.ApplyResourceChange(ctx, req))
}

func (s legibleServer) ImportResourceState(ctx context.Context, req *tfprotov6.ImportResourceStateRequest) (
	*tfprotov6.ImportResourceStateResponse, error,
) {
	return legibly(s.wholeServer.ImportResourceState(ctx, req))
}

func (s legibleServer) MoveResourceState(ctx context.Context, req *tfprotov6.MoveResourceStateRequest) (
	*tfprotov6.MoveResourceStateResponse, error,
) {
	return legibly(s.wholeServer.MoveResourceState(ctx, req))
}

func (s legibleServer) ValidateDataResourceConfig(
	ctx context.Context, req *tfprotov6.ValidateDataResourceConfigRequest,
) (
	*tfprotov6.ValidateDataResourceConfigResponse, error,
) {
	return legibly(s.wholeServer.ValidateDataResourceConfig(ctx, req))
}

func (s legibleServer) ReadDataSource(ctx context.Context, req *tfprotov6.ReadDataSourceRequest) (
	*tfprotov6.ReadDataSourceResponse, error,
) {
	return legibly(s.wholeServer.ReadDataSource(ctx, req))
}

func (s legibleServer) ValidateEphemeralResourceConfig(
	ctx context.Context, req *tfprotov6.ValidateEphemeralResourceConfigRequest,
) (
	*tfprotov6.ValidateEphemeralResourceConfigResponse, error,
) {
	return legibly(s.wholeServer.ValidateEphemeralResourceConfig(ctx, req))
}

func (s legibleServer) OpenEphemeralResource(ctx context.Context, req *tfprotov6.OpenEphemeralResourceRequest) (
	*tfprotov6.OpenEphemeralResourceResponse, error,
) {
	return legibly(s.wholeServer.OpenEphemeralResource(ctx, req))
}

func (s legibleServer) ValidateListResourceConfig(
	ctx context.Context, req *tfprotov6.ValidateListResourceConfigRequest,
) (
	*tfprotov6.ValidateListResourceConfigResponse, error,
) {
	return legibly(s.wholeServer.ValidateListResourceConfig(ctx, req))
}

func (s legibleServer) ListResource(ctx context.Context, req *tfprotov6.ListResourceRequest) (
	*tfprotov6.ListResourceServerStream, error,
) {
	stream, err := s.wholeServer.ListResource(ctx, req)
	if stream == nil || stream.Results == nil {
		return stream, err
	}
	return &tfprotov6.ListResourceServerStream{Results: func(push func(tfprotov6.ListResourceResult) bool) {
		for result := range stream.Results {
			result.DisplayName = legible(result.DisplayName)
			makeLegible(result.Diagnostics)
			if !push(result) {
				return
			}
		}
	}}, err
}

func (s legibleServer) CallFunction(ctx context.Context, req *tfprotov6.CallFunctionRequest) (
	*tfprotov6.CallFunctionResponse, error,
) {
	resp, err := s.wholeServer.CallFunction(ctx, req)
	if resp != nil && resp.Error != nil {
		resp.Error.Text = legible(resp.Error.Text)
	}
	return resp, err
}

// legibly makes the messages of a response legible.
func legibly[Response any](resp *Response, err error) (*Response, error) {
	if resp != nil {
		makeLegible(diagnosticsOf(resp))
	}
	return resp, err
}

func diagnosticsOf(response any) []*tfprotov6.Diagnostic {
	switch r := response.(type) {
	case *tfprotov6.ValidateProviderConfigResponse:
		return r.Diagnostics
	case *tfprotov6.ConfigureProviderResponse:
		return r.Diagnostics
	case *tfprotov6.ValidateResourceConfigResponse:
		return r.Diagnostics
	case *tfprotov6.UpgradeResourceStateResponse:
		return r.Diagnostics
	case *tfprotov6.ReadResourceResponse:
		return r.Diagnostics
	case *tfprotov6.PlanResourceChangeResponse:
		return r.Diagnostics
	case *tfprotov6.ApplyResourceChangeResponse:
		return r.Diagnostics
	case *tfprotov6.ImportResourceStateResponse:
		return r.Diagnostics
	case *tfprotov6.MoveResourceStateResponse:
		return r.Diagnostics
	case *tfprotov6.ValidateDataResourceConfigResponse:
		return r.Diagnostics
	case *tfprotov6.ReadDataSourceResponse:
		return r.Diagnostics
	case *tfprotov6.ValidateEphemeralResourceConfigResponse:
		return r.Diagnostics
	case *tfprotov6.OpenEphemeralResourceResponse:
		return r.Diagnostics
	case *tfprotov6.ValidateListResourceConfigResponse:
		return r.Diagnostics
	}
	return nil
}

func makeLegible(diagnostics []*tfprotov6.Diagnostic) {
	for _, d := range diagnostics {
		d.Summary, d.Detail = legible(d.Summary), legible(d.Detail)
	}
}

// legible writes what cannot be seen by its number, such as \x1b or \u202e. Line feeds and tabs stay.
func legible(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1 || r < utf8.RuneSelf && !hsm.Visible(r) && r != '\n' && r != '\t':
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case r > 0xffff && !hsm.Visible(r):
			fmt.Fprintf(&b, `\U%08x`, r)
		case r >= utf8.RuneSelf && !hsm.Visible(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteString(text[:size])
		}
		text = text[size:]
	}
	return b.String()
}
