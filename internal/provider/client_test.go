package provider

import (
	"errors"
	"slices"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider/diagnose"
)

func TestWhatAnOperationNeedsOfTheConfiguration(t *testing.T) {
	all := []string{"library", "pin", "token_label"}
	with := func(change func(*configuration)) *client {
		c := configuration{}
		c.token.Library = "/module.so"
		change(&c)
		return newClient(c)
	}
	for name, c := range hsmtest.InOrder(map[string]struct {
		client  *client
		needs   []string
		want    error
		unknown []string
	}{
		"a configuration that is whole":        {client: with(func(*configuration) {}), needs: all},
		"none at all":                          {client: nil, needs: all, want: diagnose.ErrNotConfigured},
		"one that is switched off":             {client: with(func(c *configuration) { c.disabled, c.unknown = true, []string{"library"} }), needs: []string{"library"}, want: diagnose.ErrDisabled},
		"no library":                           {client: with(func(c *configuration) { c.token.Library = "" }), needs: []string{"library"}, want: hsm.ErrLibrary},
		"a PIN that is unknown and needed":     {client: with(func(c *configuration) { c.unknown = []string{"max_sessions", "pin"} }), needs: all, unknown: []string{"pin"}},
		"a PIN that is unknown and not needed": {client: with(func(c *configuration) { c.unknown = []string{"pin", "token_label"} }), needs: []string{"library"}},
		"a library that is unknown, not missing": {
			client: with(func(c *configuration) { c.token.Library, c.unknown = "", []string{"library", "pin"} }), needs: []string{"library"}, unknown: []string{"library"},
		},
	}) {
		t.Run(name, func(t *testing.T) {
			err := c.client.needs(c.needs...)
			if unknown, ok := errors.AsType[*diagnose.UnknownError](err); ok || c.unknown != nil {
				if !ok || !slices.Equal(unknown.Attributes, c.unknown) {
					t.Errorf("got %v", err)
				}
				return
			}
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, not %v", err, c.want)
			}
		})
	}
}
