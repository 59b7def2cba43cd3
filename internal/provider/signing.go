package provider

import (
	"context"
	"crypto"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
)

// signer opens the token and gives the signer of the pair that has the public key.
func (c *client) signer(ctx context.Context, pub crypto.PublicKey) (*hsm.Token, *hsm.Signer, error) {
	token, err := c.token(ctx)
	if err != nil {
		return nil, nil, err
	}
	signer, err := token.Signer(ctx, pub)
	return token, signer, err
}

// WithClock has the provider take the time from a function instead of the system: when certificates begin, end and are
// due.
func WithClock(now func() time.Time) Option { return func(p *hsmProvider) { p.now = now } }
