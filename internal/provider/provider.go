// Package provider is the Terraform side of the hsm provider: schemas, models and plans. What a token holds and
// what can be done to it is package hsm, what a public key looks like as a JWK is package jwk, and what users are
// told of failures is package diagnose.
//
// New makes providers. Each resource, data source, ephemeral resource and function has a file of its name, noun first:
// rsa_keypair_resource.go, jwks_data_source.go. What all resources of keys have in common is in key_*.go, what
// those of key pairs have in common is in keypair_model.go, and a resource's own file says only what differs.
package provider

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/list"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
)

var (
	_ provider.ProviderWithFunctions          = (*hsmProvider)(nil)
	_ provider.ProviderWithListResources      = (*hsmProvider)(nil)
	_ provider.ProviderWithEphemeralResources = (*hsmProvider)(nil)
)

// hsmProvider is one provider instance. Terraform starts a process for each provider block, aliases too. In tests one
// process has several instances, one for each Terraform command.
type hsmProvider struct {
	version string
	hooks   []hsm.Hook
	now     func() time.Time

	mu      sync.Mutex
	clients []*client
}

// Option changes how providers are made.
type Option func(*hsmProvider)

// WithHooks puts hooks between this provider and the PKCS#11 module. With them, tests count calls and inject faults.
func WithHooks(hooks ...hsm.Hook) Option {
	return func(p *hsmProvider) { p.hooks = append(p.hooks, hooks...) }
}

// New gives the function with which the plugin server makes provider instances. An instance has a method Close()
// error, which gives its tokens back. After serving, hsm.CloseAll does that for the whole process.
func New(version string, options ...Option) func() provider.Provider {
	return func() provider.Provider {
		p := &hsmProvider{version: version, now: time.Now}
		if tracesCalls() {
			p.hooks = append(p.hooks, traceCalls)
		}
		for _, option := range options {
			option(p)
		}
		return p
	}
}

// Close gives back every token that this instance opened.
func (p *hsmProvider) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, c := range p.clients {
		errs = append(errs, c.close())
	}
	p.clients = nil
	return errors.Join(errs...)
}

func (p *hsmProvider) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName = "hsm"
	resp.Version = p.version
}

func (p *hsmProvider) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Makes and keeps the keys of an HSM (hardware security module) or smart card through " +
			"PKCS#11, publishes their public halves as JSON Web Key Sets ([RFC " +
			"7517](https://www.rfc-editor.org/rfc/rfc7517)), and signs with them: certificate requests, " +
			"certificates, revocation lists and JSON Web Tokens. Private keys are generated on the token. They never " +
			"leave it unless they are `extractable` and another key wraps them.",
		Attributes: map[string]schema.Attribute{
			"library": schema.StringAttribute{
				MarkdownDescription: "Path of the token's PKCS#11 module, a shared library (`.so`, on Windows `.dll`). A text of HCL has " +
					"`\\\\` for each backslash of a path; a slash does as well. Defaults to the environment variable `HSM_LIBRARY`.",
				Optional:   true,
				Validators: []validator.String{notEmpty{envLibrary}},
			},
			"library_parameters": schema.StringAttribute{
				MarkdownDescription: "Text that the module is given when it is initialised, for the few modules that want one, " +
					"such as `configdir='sql:/path/to/folder'`. Their documentation says what belongs in it. Defaults to `HSM_LIBRARY_PARAMETERS`. It may hold paths, and is not kept secret: a PIN does " +
					"not belong in it.",
				Optional:   true,
				Validators: []validator.String{notEmpty{envLibraryParameters}},
			},
			"token_label": schema.StringAttribute{
				MarkdownDescription: "Label of the token. Defaults to `HSM_TOKEN_LABEL`. All of `token_label`, `token_serial` " +
					"and `slot` that are given must match, and they must match exactly one token.",
				Optional:   true,
				Validators: []validator.String{notEmpty{envTokenLabel}, atMostBytes(hsm.MaxTokenLabel)},
			},
			"token_serial": schema.StringAttribute{
				MarkdownDescription: "Serial number of the token. Defaults to `HSM_TOKEN_SERIAL`.",
				Optional:            true,
				Validators:          []validator.String{notEmpty{envTokenSerial}},
			},
			"slot": schema.StringAttribute{
				MarkdownDescription: "ID of the slot that the token is in, decimal or hexadecimal (`0x1a`): the ID that the " +
					"module gives it, not its position in a list. Some modules renumber their slots, so a label or a serial number " +
					"is the better choice. Defaults to `HSM_SLOT`, unless the label comes from `HSM_TOKEN_LABEL`: then the label " +
					"wins, as in Hydra.",
				Optional:   true,
				Validators: []validator.String{notEmpty{envSlot}, slotID},
			},
			"pin": schema.StringAttribute{
				MarkdownDescription: "PIN of the token's user. Defaults to `HSM_PIN`, or to the first line of the file that " +
					"`HSM_PIN_FILE` names (setting both is an error). The provider writes it to no state and no log. A PIN that " +
					"the token refuses is sent only once in a run, since tokens lock after a few wrong ones. What cannot be meant " +
					"is not sent at all: a PIN with a line ending, with blanks at its ends, or in UTF-16.",
				Optional:   true,
				Sensitive:  true,
				Validators: []validator.String{notEmpty{envPIN}},
			},
			"user_type": schema.StringAttribute{
				MarkdownDescription: "Who logs in with the `pin`: `user`, the default; `so`, the security officer, who makes and " +
					"destroys keys on some makes; `context`; or the number of a user that the token's maker has added, decimal or " +
					"hexadecimal (`0x83`). Defaults to `HSM_USER_TYPE`.",
				Optional:   true,
				Validators: []validator.String{notEmpty{envUserType}, userType},
			},
			"max_sessions": schema.Int64Attribute{
				MarkdownDescription: "How many PKCS#11 sessions may be open at a time. Defaults to 8. The provider never opens " +
					"more than the token allows.",
				Optional:   true,
				Validators: []validator.Int64{atLeast(1)},
			},
		},
	}
}

// Configure resolves the configuration. It opens nothing: the token is opened by the first operation that needs it.
func (p *hsmProvider) Configure(ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse) {
	var model providerModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &model)...)
	if resp.Diagnostics.HasError() {
		return
	}
	config, diags := resolveConfiguration(model, environment{
		getenv:   os.Getenv,
		readFile: func(name string) (pinFile, error) { return readPINFile(ctx, name) },
	})
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	config.token.Hooks = p.hooks
	config.token.Record = &hsm.Record{}

	c := newClient(config)
	c.now = p.now
	p.mu.Lock()
	p.clients = append(p.clients, c)
	p.mu.Unlock()

	resp.ResourceData = c
	resp.DataSourceData = c
	resp.EphemeralResourceData = c
	resp.ListResourceData = c
	resp.ActionData = c
}

func (p *hsmProvider) Resources(context.Context) []func() resource.Resource {
	resources := []func() resource.Resource{newTokenResource, newKeyRingResource, newCertificateResource}
	for _, newSigned := range signedResources {
		resources = append(resources, func() resource.Resource { return newSigned() })
	}
	for i := range keyResources() {
		resources = append(resources, func() resource.Resource { return namingResource{keyResources()[i]} })
	}
	return resources
}

// signedResources are those of what keys sign.
var signedResources = []func() *signedResource{
	newCertRequestResource, newSelfSignedCertResource, newLocallySignedCertResource, newCRLResource,
}

// keyResources is one of each resource of keys.
func keyResources() []*keyResource {
	return []*keyResource{newRSAKeyPairResource(), newECKeyPairResource(), newMLDSAKeyPairResource(), newSecretKeyResource()}
}

// ListResources are the resources that can list the keys of their type on the token.
func (p *hsmProvider) ListResources(ctx context.Context) (lists []func() list.ListResource) {
	for _, newResource := range p.Resources(ctx) {
		if _, ok := newResource().(list.ListResource); ok {
			lists = append(lists, func() list.ListResource { return newResource().(list.ListResource) })
		}
	}
	return lists
}

func (p *hsmProvider) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{
		newCertificatesDataSource,
		newJWKSDataSource,
		newKeysDataSource,
		newPublicKeyDataSource,
		newReportDataSource,
		newTokenDataSource,
		newTokensDataSource,
	}
}

// EphemeralResources are what is signed or drawn and never stored.
func (p *hsmProvider) EphemeralResources(context.Context) []func() ephemeral.EphemeralResource {
	return []func() ephemeral.EphemeralResource{
		newJWTEphemeralResource,
		newRandomEphemeralResource,
		newSignatureEphemeralResource,
	}
}

func (p *hsmProvider) Functions(context.Context) []func() function.Function {
	return []func() function.Function{
		newGenerationFunction,
		newJWKSFunction,
		newJWKSPKISHA256Function,
		newJWKThumbprintFunction,
		newJWKToPEMFunction,
		newKIDFunction,
		newKeyIDFunction,
		newPEMToJWKFunction,
	}
}
