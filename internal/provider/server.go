package provider

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

// NewServer gives the function that makes the server of a provider, which speaks Terraform's protocol. New gives such
// providers.
//
// It is the plugin framework's server with three differences. Its messages hold only what can be seen. CallFunction
// takes a missing argument for null. And the framework keeps the context of each request, with the request's loggers
// and all that they hold, until the process ends: half a gigabyte in a plan of ten thousand keys. So each request that
// comes once or more for a resource gets a requestContext, which lets go of the request's own context when the
// request ends.
func NewServer(newProvider func() provider.Provider) func() tfprotov6.ProviderServer {
	return func() tfprotov6.ProviderServer {
		inner := providerserver.NewProtocol6(newProvider())()
		if whole, ok := inner.(wholeServer); ok {
			return frugalServer{legibleServer{whole}}
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

// frugalServer is a wholeServer that keeps no context of a request that has ended.
type frugalServer struct{ wholeServer }

func (s frugalServer) ValidateResourceConfig(ctx context.Context, req *tfprotov6.ValidateResourceConfigRequest) (*tfprotov6.ValidateResourceConfigResponse, error) {
	return withRequestContext(ctx, req, s.wholeServer.ValidateResourceConfig)
}

func (s frugalServer) UpgradeResourceState(ctx context.Context, req *tfprotov6.UpgradeResourceStateRequest) (*tfprotov6.UpgradeResourceStateResponse, error) {
	return withRequestContext(ctx, req, s.wholeServer.UpgradeResourceState)
}

func (s frugalServer) UpgradeResourceIdentity(ctx context.Context, req *tfprotov6.UpgradeResourceIdentityRequest) (*tfprotov6.UpgradeResourceIdentityResponse, error) {
	return withRequestContext(ctx, req, s.wholeServer.UpgradeResourceIdentity)
}

func (s frugalServer) ReadResource(ctx context.Context, req *tfprotov6.ReadResourceRequest) (*tfprotov6.ReadResourceResponse, error) {
	return withRequestContext(ctx, req, s.wholeServer.ReadResource)
}

func (s frugalServer) PlanResourceChange(ctx context.Context, req *tfprotov6.PlanResourceChangeRequest) (*tfprotov6.PlanResourceChangeResponse, error) {
	return withRequestContext(ctx, req, s.wholeServer.PlanResourceChange)
}

func (s frugalServer) ApplyResourceChange(ctx context.Context, req *tfprotov6.ApplyResourceChangeRequest) (*tfprotov6.ApplyResourceChangeResponse, error) {
	return withRequestContext(ctx, req, s.wholeServer.ApplyResourceChange)
}

func (s frugalServer) ImportResourceState(ctx context.Context, req *tfprotov6.ImportResourceStateRequest) (*tfprotov6.ImportResourceStateResponse, error) {
	return withRequestContext(ctx, req, s.wholeServer.ImportResourceState)
}

func (s frugalServer) ValidateEphemeralResourceConfig(ctx context.Context,
	req *tfprotov6.ValidateEphemeralResourceConfigRequest,
) (*tfprotov6.ValidateEphemeralResourceConfigResponse, error) {
	return withRequestContext(ctx, req, s.wholeServer.ValidateEphemeralResourceConfig)
}

func (s frugalServer) OpenEphemeralResource(ctx context.Context, req *tfprotov6.OpenEphemeralResourceRequest) (
	*tfprotov6.OpenEphemeralResourceResponse, error,
) {
	return withRequestContext(ctx, req, s.wholeServer.OpenEphemeralResource)
}

// CallFunction takes a missing argument for null: OpenTofu 1.12 leaves out those that are null.
func (s frugalServer) CallFunction(ctx context.Context, req *tfprotov6.CallFunctionRequest) (*tfprotov6.CallFunctionResponse, error) {
	for i, argument := range req.Arguments {
		if argument == nil || len(argument.MsgPack)+len(argument.JSON) == 0 {
			req.Arguments[i] = &tfprotov6.DynamicValue{JSON: []byte("null")}
		}
	}
	return s.wholeServer.CallFunction(ctx, req)
}

// withRequestContext makes a request with a requestContext, and ends that with the request.
func withRequestContext[Request, Response any](ctx context.Context, req Request, call func(context.Context,
	Request) (Response, error)) (Response, error) {
	c := &requestContext{done: ctx.Done()}
	c.parent.Store(&ctx)
	defer c.parent.Store(nil)
	return call(c, req)
}

// requestContext is its parent until the request ends. From then on it holds nothing of the parent but the channel
// Done: Value gives nil, and Err context.Canceled. Contexts that were derived from it meanwhile still end with the
// parent.
type requestContext struct {
	parent atomic.Pointer[context.Context] // nil once the request has ended
	done   <-chan struct{}
}

// Deadline is the parent's.
func (c *requestContext) Deadline() (deadline time.Time, ok bool) {
	if parent := c.parent.Load(); parent != nil {
		return (*parent).Deadline()
	}
	return time.Time{}, false
}

// Done is the parent's.
func (c *requestContext) Done() <-chan struct{} { return c.done }

// Err is the parent's, or context.Canceled.
func (c *requestContext) Err() error {
	if parent := c.parent.Load(); parent != nil {
		return (*parent).Err()
	}
	return context.Canceled
}

// Value is the parent's.
func (c *requestContext) Value(key any) any {
	if parent := c.parent.Load(); parent != nil {
		return (*parent).Value(key)
	}
	return nil
}
