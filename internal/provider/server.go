package provider

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

// NewServer gives the function that makes what speaks Terraform's protocol for a provider, such as New gives.
//
// It is the plugin framework's server, but for the arguments of functions, and that the latter keeps the context of each
// request, with the request's loggers and all that they hold, for as long as the process lives. In a plan of ten thousand
// keys this would be half a gigabyte. So the requests that come once or more a resource get a context that lets go of
// theirs when they end.
func NewServer(newProvider func() provider.Provider) func() tfprotov6.ProviderServer {
	return func() tfprotov6.ProviderServer {
		inner := providerserver.NewProtocol6(newProvider())()
		if whole, ok := inner.(wholeServer); ok {
			return frugalServer{whole}
		}
		return inner
	}
}

// wholeServer is what the framework's server offers.
type wholeServer interface {
	tfprotov6.ProviderServer
	tfprotov6.ListResourceServer
	tfprotov6.ActionServer
	tfprotov6.StateStoreServer
}

type frugalServer struct{ wholeServer }

func (s frugalServer) ValidateResourceConfig(ctx context.Context, req *tfprotov6.ValidateResourceConfigRequest) (*tfprotov6.ValidateResourceConfigResponse, error) {
	return lent(ctx, req, s.wholeServer.ValidateResourceConfig)
}

func (s frugalServer) UpgradeResourceState(ctx context.Context, req *tfprotov6.UpgradeResourceStateRequest) (*tfprotov6.UpgradeResourceStateResponse, error) {
	return lent(ctx, req, s.wholeServer.UpgradeResourceState)
}

func (s frugalServer) UpgradeResourceIdentity(ctx context.Context, req *tfprotov6.UpgradeResourceIdentityRequest) (*tfprotov6.UpgradeResourceIdentityResponse, error) {
	return lent(ctx, req, s.wholeServer.UpgradeResourceIdentity)
}

func (s frugalServer) ReadResource(ctx context.Context, req *tfprotov6.ReadResourceRequest) (*tfprotov6.ReadResourceResponse, error) {
	return lent(ctx, req, s.wholeServer.ReadResource)
}

func (s frugalServer) PlanResourceChange(ctx context.Context, req *tfprotov6.PlanResourceChangeRequest) (*tfprotov6.PlanResourceChangeResponse, error) {
	return lent(ctx, req, s.wholeServer.PlanResourceChange)
}

func (s frugalServer) ApplyResourceChange(ctx context.Context, req *tfprotov6.ApplyResourceChangeRequest) (*tfprotov6.ApplyResourceChangeResponse, error) {
	return lent(ctx, req, s.wholeServer.ApplyResourceChange)
}

func (s frugalServer) ImportResourceState(ctx context.Context, req *tfprotov6.ImportResourceStateRequest) (*tfprotov6.ImportResourceStateResponse, error) {
	return lent(ctx, req, s.wholeServer.ImportResourceState)
}

// CallFunction takes an argument that is not there for null: OpenTofu 1.12 leaves those out.
func (s frugalServer) CallFunction(ctx context.Context, req *tfprotov6.CallFunctionRequest) (*tfprotov6.CallFunctionResponse, error) {
	for i, argument := range req.Arguments {
		if argument == nil || len(argument.MsgPack)+len(argument.JSON) == 0 {
			req.Arguments[i] = &tfprotov6.DynamicValue{JSON: []byte("null")}
		}
	}
	return s.wholeServer.CallFunction(ctx, req)
}

// lent makes a request with a context that is given back at its end.
func lent[Request, Response any](ctx context.Context, req Request, call func(context.Context, Request) (Response, error)) (Response, error) {
	l := &loan{done: ctx.Done()}
	l.lender.Store(&ctx)
	defer l.lender.Store(nil)
	return call(l, req)
}

// loan is another context until it is given back, and a cancelled one without values from then on. What was made of it
// by then, and ends with the other, still does.
type loan struct {
	lender atomic.Pointer[context.Context] // nil when it is given back
	done   <-chan struct{}
}

// Deadline is the lender's.
func (l *loan) Deadline() (deadline time.Time, ok bool) {
	if lender := l.lender.Load(); lender != nil {
		return (*lender).Deadline()
	}
	return time.Time{}, false
}

// Done is the lender's.
func (l *loan) Done() <-chan struct{} { return l.done }

// Err is the lender's, or context.Canceled.
func (l *loan) Err() error {
	if lender := l.lender.Load(); lender != nil {
		return (*lender).Err()
	}
	return context.Canceled
}

// Value is the lender's.
func (l *loan) Value(key any) any {
	if lender := l.lender.Load(); lender != nil {
		return (*lender).Value(key)
	}
	return nil
}
