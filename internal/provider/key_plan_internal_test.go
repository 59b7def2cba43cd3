package provider

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

func TestAPlanMakesUnknownWhatAChangePublishesOtherwise(t *testing.T) {
	of := func(id string, usage ...string) *keyPairAttributes {
		var words []attr.Value
		for _, word := range usage {
			words = append(words, types.StringValue(word))
		}
		a := &keyPairAttributes{}
		a.KeyID, a.Usage = types.StringValue(id), types.SetValueMust(types.StringType, words)
		a.URI, a.KID, a.JWK = types.StringValue("uri"), types.StringValue("kid"), types.StringValue("jwk")
		return a
	}
	unknown := &keyPairAttributes{}
	unknown.KeyID, unknown.Usage = types.StringValue("31"), types.SetUnknown(types.StringType)
	for _, c := range []struct {
		name          string // a sentence
		before, after *keyPairAttributes
		left          object.Usage
		uri, kid, jwk bool // unknown
	}{
		{"nothing that is published changes", of("31", "sign"), of("31", "sign"), 0, false, false, false},
		{"the ID is the same in other letters", of("3a", "sign"), of("3A", "sign"), 0, false, false, false},
		{"unwrapping is in hsm_public_key alone", of("31", "sign"), of("31", "sign", "unwrap"), 0, true, false, false},
		{"the use changes", of("31", "sign"), of("31", "decrypt"), 0, true, false, true},
		{"the use changes, and not for Hydra", of("31", "sign", "decrypt"), of("31", "decrypt"), 0, true, false, true},
		{"the use changes for Hydra alone", of("31", "sign"), of("31", "sign", "decrypt"), 0, true, false, false},
		{"what no such key can do goes, and changes the use for Hydra", of("31", "sign"), of("31", "sign"), object.Decrypt, true, false, false},
		{"what no such key can do goes, and is in hsm_public_key alone", of("31", "sign"), of("31", "sign"), object.Unwrap, true, false, false},
		{"nobody knows the usage yet", of("31", "sign"), unknown, 0, true, false, true},
		{"there is a new ID", of("31", "sign"), of("32", "sign"), 0, true, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			changes := consequencesOf(t.Context(), c.after.common(), c.before.common(), c.left)
			c.after.forget(changes)
			uri, kid, jwk := c.after.URI.IsUnknown(), c.after.KID.IsUnknown(), c.after.JWK.IsUnknown()
			if uri != c.uri || kid != c.kid || jwk != c.jwk {
				t.Errorf("unknown: uri %t, kid %t, jwk %t", uri, kid, jwk)
			}
			secret := &secretKeyModel{keyAttributes: c.after.keyAttributes}
			secret.URI = types.StringValue("uri")
			if secret.forget(changes); secret.URI.IsUnknown() != changes.newID {
				t.Errorf("a secret key's uri is unknown: %t", secret.URI.IsUnknown())
			}
		})
	}
}

// Terraform calls an apply that ends otherwise than its plan a bug of the provider.
func TestAnApplyEndsAsItsPlanSays(t *testing.T) {
	var planned, m ecKeyPairModel
	planned.JWK, planned.Local = types.StringValue("of the state, not refreshed"), types.BoolUnknown()
	planned.PublicKeyOpenSSH = types.StringNull()
	m.JWK, m.Local, m.PublicKeyOpenSSH = types.StringValue("of the token"), types.BoolValue(true), types.StringValue("of the token")
	keepPlanned(&m, &planned)
	if !m.JWK.Equal(planned.JWK) || !m.Local.ValueBool() || !m.PublicKeyOpenSSH.IsNull() {
		t.Errorf("the state would be %+v", m)
	}
}

// One error of many refers to nothing, and every other one to it, whichever comes first.
func TestOfManyNewKeysOneTellsWhatTheyAllMeet(t *testing.T) {
	for range 200 {
		r := newRSAKeyPairResource()
		r.client = newClient(configuration{})
		told := make([]diag.Diagnostics, 8)
		var wait sync.WaitGroup
		for i := range told {
			wait.Go(func() { r.once(nil, hsm.ErrPINIncorrect, "\n\nMore.", &told[i]) })
		}
		wait.Wait()
		long := 0
		for _, diags := range told {
			if !diags.HasError() {
				t.Fatal("a plan would go on")
			}
			if strings.Contains(diags[0].Detail(), "is not sent again") {
				long++
			}
		}
		if long != 1 {
			t.Fatalf("%d of %d errors say what to do: %v", long, len(told), told)
		}
	}
}

// A thousand keys look for a token that is not there once.
func TestATokenThatIsNotThereIsLookedForOnce(t *testing.T) {
	on, faults, nobody := hsmtest.New(t), &hsmtest.Faults{}, "nobody"
	config := configuration{token: on.Config(faults.Hook)}
	config.token.Selector = hsm.Selector{Label: &nobody}
	c := newClient(config)
	_, first := c.token(t.Context())
	faults.Clear()
	_, later := c.token(t.Context())
	if !errors.Is(first, hsm.ErrNoToken) || !errors.Is(later, hsm.ErrNoToken) || len(faults.Calls()) != 0 {
		t.Errorf("%v, then %v after %v", first, later, faults.Calls())
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	c.configuration.token.Selector = hsm.Selector{Label: &on.Label}
	if _, err := c.token(t.Context()); err != nil {
		t.Errorf("after the client was closed: %v", err)
	}
	_ = c.close()

	// It may be in a slot that does not answer for once, and the module may fail for once.
	for function, want := range map[string]error{"C_GetTokenInfo": hsm.ErrNoToken, "C_GetSlotList": cryptoki.CKR_DEVICE_ERROR} {
		faults.Inject(hsmtest.Fault{Function: function, Nth: 1, Onwards: true, Code: cryptoki.CKR_DEVICE_ERROR})
		if _, err := c.token(t.Context()); !errors.Is(err, want) {
			t.Errorf("%s fails: %v", function, err)
		}
		faults.Clear()
		if _, err := c.token(t.Context()); err != nil {
			t.Errorf("after %s has failed: %v", function, err)
		}
		_ = c.close()
	}
}

// A plan of a new key goes on where the token does not list its objects, and says what it does not show.
func TestAPlanThatDoesNotSeeTheObjectsGoesOn(t *testing.T) {
	p, r := newPublisher(t), newECKeyPairResource()
	r.client = p.client
	p.faults.Inject(hsmtest.Fault{Function: "C_FindObjectsInit", Code: cryptoki.CKR_DEVICE_ERROR})
	var s resource.SchemaResponse
	r.Schema(t.Context(), resource.SchemaRequest{}, &s)
	m := r.kind.newModel().(*ecKeyPairModel)
	m.Label, m.Usage = types.StringValue("web"), types.SetUnknown(types.StringType)
	resp := resource.ModifyPlanResponse{Plan: tfsdk.Plan{
		Schema: s.Schema, Raw: tftypes.NewValue(s.Schema.Type().TerraformType(t.Context()), nil),
	}}
	r.planNew(t.Context(), claim{}, m, m, &resp)
	if len(resp.Diagnostics) != 1 || resp.Diagnostics.WarningsCount() != 1 {
		t.Fatalf("it says %v", resp.Diagnostics)
	}
	text := resp.Diagnostics[0].Summary() + ": " + resp.Diagnostics[0].Detail()
	for _, part := range []string{
		"New Keys Not Checked Against The Token: ", "C_FindObjectsInit: CKR_DEVICE_ERROR", "does not show whether",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in %s", part, text)
		}
	}
}

// A change of key_id that was interrupted has given one half of the key its new ID, or both. They are in nobody's way.
func TestHalvesThatHaveTheirNewIDAreNoOthers(t *testing.T) {
	hsmtest.Needs(t, hsmtest.OtherEyes)
	p, r := newPublisher(t), newRSAKeyPairResource()
	p.Tool(t, "--keypairgen", "--key-type", "rsa:1024", "--usage-sign", "--label", "web", "--id", "31")
	token, err := p.client.token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	key, err := token.Key(t.Context(), object.Ref{Type: object.RSA, ID: []byte("1")})
	if err != nil {
		t.Fatal(err)
	}
	of := func(id string) keyModel {
		m := r.kind.newModel().(*rsaKeyPairModel)
		m.Label, m.KeyID = types.StringValue("web"), types.StringValue(id)
		m.PublicKeyFingerprintSHA256 = types.StringValue(key.Fingerprint())
		return m
	}
	for _, half := range []string{"pubkey", "privkey"} {
		p.Tool(t, "--type", half, "--id", "31", "--set-id", "32")
		p.fresh(t)
		r.client = p.client
		var diags diag.Diagnostics
		r.planNewID(t.Context(), claim{}, of("32"), of("31"), &diags)
		if len(diags) != 1 || diags[0].Summary() != "Key ID Changes" {
			t.Errorf("with the new ID of the %s it says %v", half, diags)
		}
	}
}
