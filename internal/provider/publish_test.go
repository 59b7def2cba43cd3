package provider

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

// publisher reads data sources from a token, as Terraform does, without Terraform.
type publisher struct {
	*hsmtest.Token
	faults hsmtest.Faults
	client *client
}

// fresh is a process that has seen nothing of the token yet.
func (p *publisher) fresh(t *testing.T) {
	t.Helper()
	p.faults.Clear()
	p.client = newClient(configuration{token: p.Config(p.faults.Hook)})
	opened := p.client
	t.Cleanup(func() {
		if opened.opened != nil {
			_ = opened.opened.Close()
		}
	})
}

func newPublisher(t *testing.T) *publisher {
	t.Helper()
	p := &publisher{Token: hsmtest.New(t)}
	p.fresh(t)
	return p
}

type arguments map[string]any // each is a string, a bool or a []string

// read reads a data source with these arguments.
func (p *publisher) read(
	t *testing.T, source datasource.DataSourceWithConfigure, given arguments,
) (tfsdk.State, diag.Diagnostics) {
	t.Helper()
	ctx := context.Background()
	source.Configure(ctx, datasource.ConfigureRequest{ProviderData: p.client}, &datasource.ConfigureResponse{})
	var s datasource.SchemaResponse
	source.Schema(ctx, datasource.SchemaRequest{}, &s)
	object := s.Schema.Type().TerraformType(ctx).(tftypes.Object)
	values := map[string]tftypes.Value{}
	for name, kind := range object.AttributeTypes {
		var value any
		switch v := given[name].(type) {
		case string, bool:
			value = v
		case []string:
			var list []tftypes.Value
			for _, text := range v {
				list = append(list, tftypes.NewValue(tftypes.String, text))
			}
			value = list
		}
		values[name] = tftypes.NewValue(kind, value)
	}
	resp := datasource.ReadResponse{State: tfsdk.State{Schema: s.Schema, Raw: tftypes.NewValue(object, nil)}}
	config := tfsdk.Config{Schema: s.Schema, Raw: tftypes.NewValue(object, values)}
	source.Read(ctx, datasource.ReadRequest{Config: config}, &resp)
	return resp.State, resp.Diagnostics
}

// reads gives what the data source says: its errors, or its JSON, or the JWK.
func (p *publisher) reads(
	t *testing.T, source datasource.DataSourceWithConfigure, given arguments,
) (json, errs string) {
	t.Helper()
	state, diags := p.read(t, source, given)
	for _, d := range diags {
		errs += d.Summary() + "\n" + d.Detail() + "\n"
	}
	if diags.HasError() {
		if !state.Raw.IsNull() {
			t.Errorf("it is published in spite of %s", errs)
		}
		return "", errs
	}
	name := "json"
	if _, ok := state.Schema.(schema.Schema).Attributes["jwk"]; ok {
		name = "jwk"
	}
	var text types.String
	if diags := state.GetAttribute(context.Background(), path.Root(name), &text); diags.HasError() {
		t.Fatal(diags)
	}
	return text.ValueString(), errs
}

// refused wants an error whose text has all of the parts.
func (p *publisher) refused(t *testing.T, source datasource.DataSourceWithConfigure, given arguments, parts ...string) {
	t.Helper()
	json, errs := p.reads(t, source, given)
	for _, part := range parts {
		if json != "" || !strings.Contains(errs, part) {
			t.Errorf("%v: no %q in %s%s", given, part, json, errs)
		}
	}
	for _, hole := range []string{"(ID )", "(key_id )", "key ID  ", `""`, "  is "} {
		if strings.Contains(errs, hole) {
			t.Errorf("%v: a hole %q in %s", given, hole, errs)
		}
	}
}

// selections are all the ways to select a pair labelled team.web, of the ID 31.
var selections = []arguments{
	{}, {"labels": []string{"team.web"}}, {"label_prefix": "team."}, {"key_ids": []string{"31"}},
	{"uris": []string{"pkcs11:id=%31"}},
	{"uris": []string{"pkcs11:object=team.web;type=private"}}, {"labels": []string{"team.web"}, "profile": "hydra"},
	{"key_ids": []string{"31"}, "profile": "hydra"}, {"profile": "hydra"},
}

// with gives the arguments with one more.
func (a arguments) with(name string, value any) arguments {
	more := arguments{name: value}
	maps.Copy(more, a)
	return more
}

// The names that hsm_public_key may be given of the same pair.
var namings = []arguments{
	{"label": "team.web"}, {"key_id": "31"}, {"uri": "pkcs11:id=%31"}, {"uri": "pkcs11:object=team.web;type=private"},
}

// A pair that someone made without a PIN is published nowhere, unless that is allowed.
func TestAnUnprotectedPairIsNotPublished(t *testing.T) {
	p := newPublisher(t)
	s := hsmtest.NewStranger(t, p.Token)
	for _, kind := range []string{hsmtest.StrangerP256, hsmtest.StrangerRSA} {
		s.MakesPair(t, kind, "team.web", "31")
		p.fresh(t)
		says := []string{"Key Not Protected By The PIN", `private key "team.web" (ID 31)`, "CKA_PRIVATE=false",
			"can sign with it", "fingerprint", "allow_unprotected = true"}
		for _, selection := range selections {
			p.refused(t, &jwksDataSource{}, selection, says...)
			if _, hydra := selection["profile"]; hydra {
				continue // which has rules of its own
			}
			if json, errs := p.reads(t, &jwksDataSource{}, selection.with("allow_unprotected", true)); errs != "" ||
				strings.Count(json, `"kty"`) != 1 {
				t.Errorf("%v, allowed: %s%s", selection, json, errs)
			}
		}
		for _, naming := range namings {
			p.refused(t, &publicKeyDataSource{}, naming, says...)
			if json, errs := p.reads(t, &publicKeyDataSource{}, naming.with("allow_unprotected", true)); errs != "" ||
				json == "" {
				t.Errorf("%v, allowed: %s", naming, errs)
			}
		}
		p.Tool(t, "--delete-object", "--type", "privkey", "--id", "31")
		p.Tool(t, "--delete-object", "--type", "pubkey", "--id", "31")
	}
}

// A public half that someone wrote over is published nowhere.
func TestASwappedPublicHalfIsPublishedNowhere(t *testing.T) {
	p := newPublisher(t)
	s := hsmtest.NewStranger(t, p.Token)
	p.signing(t, "team.web", "31")
	json, errs := p.reads(t, &jwksDataSource{}, arguments{"profile": "hydra"})
	if json == "" || errs != "" {
		t.Fatal(errs)
	}
	s.SwapsPublicHalf(t, hsmtest.StrangerP256, "team.web", "31")
	p.fresh(t)
	says := []string{"Halves Of Different Keys",
		`EC private key "team.web" (ID 31) and EC public key "team.web" (ID 31)`, "needs no PIN", "backup"}
	for _, selection := range selections {
		p.refused(t, &jwksDataSource{}, selection, says...)
	}
	for _, naming := range namings {
		p.refused(t, &publicKeyDataSource{}, naming, says...)
	}
	for _, code := range []cryptoki.RV{cryptoki.CKR_DEVICE_ERROR, cryptoki.CKR_FUNCTION_NOT_SUPPORTED,
		cryptoki.CKR_USER_NOT_LOGGED_IN} {
		p.fresh(t)
		p.faults.Inject(hsmtest.Fault{Function: "C_SignInit", Code: code})
		p.refused(t, &jwksDataSource{}, arguments{}, code.Error())
		p.refused(t, &publicKeyDataSource{}, namings[0], code.Error())
	}
}

// signing makes a pair on P-256 that signs and does nothing else, as Hydra wants it.
func (p *publisher) signing(t *testing.T, label, id string) {
	t.Helper()
	p.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign", "--label", label, "--id", id)
	err := p.Session(func(ctx context.Context, s *cryptoki.Session) error {
		found, err := s.FindObjects(ctx, []cryptoki.Attribute{
			cryptoki.ULong(cryptoki.CKA_CLASS, cryptoki.CKO_PRIVATE_KEY), cryptoki.Bytes(cryptoki.CKA_LABEL, []byte(label)),
		})
		if err != nil || len(found) != 1 {
			return fmt.Errorf("%d private halves: %w", len(found), err)
		}
		return s.SetAttributeValue(ctx, found[0], []cryptoki.Attribute{
			cryptoki.Bool(cryptoki.CKA_DECRYPT, false), cryptoki.Bool(cryptoki.CKA_UNWRAP, false),
			cryptoki.Bool(cryptoki.CKA_DERIVE, false),
		})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A set with a selected private half whose public half is gone, or makes no sense, is no set.
func TestASetDoesNotShrinkInSilence(t *testing.T) {
	p := newPublisher(t)
	s := hsmtest.NewStranger(t, p.Token)
	p.signing(t, "team.web", "31")
	p.signing(t, "other", "32")
	p.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign", "--label", "team.web", "--id", "33")
	s.TakesPublicHalf(t, "team.web", "33")
	p.fresh(t)
	set := []arguments{
		{}, {"labels": []string{"team.web"}}, {"label_prefix": "team."}, {"key_ids": []string{"31", "33"}},
		{"uris": []string{"pkcs11:object=team.web"}}, {"uris": []string{"pkcs11:id=%31", "pkcs11:id=%33"}},
		{"labels": []string{"team.web"}, "profile": "hydra"}, {"profile": "hydra"},
	}
	for _, selection := range set {
		p.refused(t, &jwksDataSource{}, selection, "Half A Key Pair", `EC private key "team.web" (ID 33)`)
	}
	p.refused(t, &jwksDataSource{}, arguments{"key_ids": []string{"31"}, "profile": "hydra"}, "Not Fit For Hydra",
		`"team.web" (key_id 33)`)
	s.PlantsMalformed(t, "elsewhere", "33")
	p.fresh(t)
	for _, selection := range set {
		p.refused(t, &jwksDataSource{}, selection, "Malformed Object", `EC private key "team.web" (ID 33)`,
			`EC public key "elsewhere" (ID 33)`, "CKA_EC_POINT")
	}
	for _, selection := range []arguments{{"labels": []string{"other"}}, {"key_ids": []string{"31"}},
		{"labels": []string{"other"}, "profile": "hydra"}} {
		if json, errs := p.reads(t, &jwksDataSource{}, selection); errs != "" || strings.Count(json, `"kty"`) != 1 {
			t.Errorf("%v: %s%s", selection, json, errs)
		}
	}
}

// Two RSA pairs of one ID are a set of two under a kid that tells them apart, and none where one has lost its public
// half.
func TestTwoPairsOfOneIDAreBothTold(t *testing.T) {
	p := newPublisher(t)
	s := hsmtest.NewStranger(t, p.Token)
	for range 2 {
		p.Tool(t, "--keypairgen", "--key-type", "rsa:1024", "--usage-sign", "--label", "team.web", "--id", "31")
	}
	byThumbprint := arguments{"key_ids": []string{"31"}, "kid_format": "thumbprint"}
	if json, errs := p.reads(t, &jwksDataSource{}, byThumbprint); errs != "" || strings.Count(json, `"kty"`) != 2 {
		t.Errorf("two pairs: %s%s", json, errs)
	}
	s.TakesPublicHalf(t, "team.web", "31") // both
	s.MakesPublicHalf(t, hsmtest.StrangerRSA, "team.web", "31")
	p.fresh(t)
	p.refused(t, &jwksDataSource{}, byThumbprint, "Malformed Object", "belongs to none of the other halves",
		`RSA public key "team.web" (ID 31)`)
}

// A resource's URI has the key's ID alone. What else has that ID, on many tokens anyone has made.
func TestAURIThatNamesSeveralPairsPublishesNone(t *testing.T) {
	p := newPublisher(t)
	p.Tool(t, "--keypairgen", "--key-type", "rsa:1024", "--usage-sign", "--label", "mine", "--id", "31")
	p.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign", "--label", "theirs", "--id", "31")
	p.refused(t, &jwksDataSource{}, arguments{"uris": []string{"pkcs11:id=%31"}, "kid_format": "thumbprint"},
		"Several Key Pairs Of One URI", `"mine" (key_id 31), SHA-256 fingerprint `, `"theirs" (key_id 31), SHA-256`)
	json, errs := p.reads(t, &jwksDataSource{}, arguments{"uris": []string{"pkcs11:object=mine;id=%31"}})
	if errs != "" || strings.Count(json, `"kty"`) != 1 || !strings.Contains(json, `"RSA"`) {
		t.Errorf("the one that is named by its label too: %s%s", json, errs)
	}
	for range 2 {
		p.Tool(t, "--keypairgen", "--key-type", "rsa:1024", "--usage-sign", "--label", "twin", "--id", "32")
	}
	p.fresh(t)
	for uri, n := range hsmtest.InOrder(map[string]int{
		"pkcs11:object=twin;id=%32":                 2, // kid_format tells them apart
		"pkcs11:token=" + p.Label + ";type=private": 4,
	}) {
		json, errs := p.reads(t, &jwksDataSource{}, arguments{"uris": []string{uri}, "kid_format": "thumbprint"})
		if errs != "" || strings.Count(json, `"kty"`) != n {
			t.Errorf("%s names %d: %s%s", uri, n, json, errs)
		}
	}
	p.Tool(t, "--delete-object", "--type", "pubkey", "--id", "32") // of one of the two
	p.fresh(t)
	if _, errs := p.reads(t, &jwksDataSource{}, arguments{"uris": []string{"pkcs11:id=%32"}}); errs == "" ||
		strings.Contains(errs, "Several Key Pairs Of One URI") {
		t.Errorf("one pair beside half of another: %s", errs)
	}
}

// What strangers make is in nobody's way who does not select it.
func TestWhatIsNotSelectedDoesNotMatter(t *testing.T) {
	p := newPublisher(t)
	s := hsmtest.NewStranger(t, p.Token)
	p.signing(t, "team.web", "31")
	for _, label := range []string{"key1", "key2", "twins", "twins"} {
		p.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign", "--label", label)
	}
	for _, label := range []string{"one", "another"} {
		s.MakesPair(t, hsmtest.StrangerP256, label, "32")
	}
	s.PlantsMalformed(t, "planted", hsmtest.NoID)
	s.PlantsMalformed(t, "planted", "33")
	s.MakesSecret(t, "secret", hsmtest.NoID)
	p.fresh(t)
	for _, selection := range selections[1 : len(selections)-1] { // but for those that select all
		json, errs := p.reads(t, &jwksDataSource{}, selection)
		if errs != "" || strings.Count(json, `"kty"`) != 1 {
			t.Errorf("%v: %s%s", selection, json, errs)
		}
	}
	for _, naming := range namings {
		if json, errs := p.reads(t, &publicKeyDataSource{}, naming); errs != "" || json == "" {
			t.Errorf("%v: %s", naming, errs)
		}
	}
	// What is selected counts. A pair without an ID has its label for a name.
	for _, name := range []string{"key1", "key2"} {
		uri := "pkcs11:object=" + name + ";type=private"
		for _, selection := range []arguments{{"uris": []string{uri}}, {"labels": []string{name}}} {
			if json, errs := p.reads(t, &jwksDataSource{}, selection); errs != "" || strings.Count(json, `"kty"`) != 1 ||
				strings.Contains(json, `"kid"`) {
				t.Errorf("%s: %s%s", name, json, errs)
			}
		}
		if json, errs := p.reads(t, &publicKeyDataSource{}, arguments{"uri": uri}); errs != "" || json == "" {
			t.Errorf("%s: %s", name, errs)
		}
	}
	for label, parts := range hsmtest.InOrder(map[string][]string{
		"twins": {"Several Keys With One ID", `EC private key "twins" (without an ID)`, "those without an ID",
			"what is not selected does not matter"},
		"one":     {"Several Keys With One ID", `EC private key "one" (ID 32)`, `EC private key "another" (ID 32)`},
		"planted": {"Malformed Object", `EC public key "planted" (ID 33)`, `EC public key "planted" (without an ID)`},
		"secret":  {"No JWK For A Secret Key", `"secret" (without an ID)`},
	}) {
		p.refused(t, &jwksDataSource{}, arguments{"labels": []string{label}}, parts...)
	}
	p.refused(t, &jwksDataSource{}, arguments{"labels": []string{"key1", "key2"}}, "Two Keys With One kid",
		`"key1" (without an ID)`, "no kid", "kid_format")
	p.refused(t, &jwksDataSource{}, arguments{}, `"twins"`, `"one"`, `"planted"`)
	p.refused(t, &publicKeyDataSource{}, arguments{"label": "twins"}, "Several Keys With One ID",
		`"twins" (without an ID)`)
}

// A list of keys to adopt has none without an ID, and says how one gets it. What is broken elsewhere hides nothing.
func TestAListLeavesOutWhatCannotBeAdopted(t *testing.T) {
	p := newPublisher(t)
	s := hsmtest.NewStranger(t, p.Token)
	for _, id := range []string{"31", "32"} {
		p.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign", "--label", "web", "--id", id)
	}
	p.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign", "--label", "nameless")
	s.PlantsMalformed(t, "planted", "32")
	s.PlantsMalformed(t, "planted", hsmtest.NoID)
	s.MakesPublicHalf(t, hsmtest.StrangerP256, "half", "33")
	r := newECKeyPairResource()
	r.client = p.client
	var diags diag.Diagnostics
	_, keys := r.listed(t.Context(), "", &diags)
	if len(keys) != 1 || string(keys[0].ID) != "1" {
		t.Errorf("listed: %v", keys)
	}
	text := ""
	for _, d := range diags {
		text += d.Summary() + "\n" + d.Detail() + "\n"
	}
	for _, part := range []string{"Left Out Of The List", `"planted" (ID 32)`, "Keys Without An ID Are Not Listed",
		`- "nameless"`, "--type privkey --label LABEL --set-id NEW_ID"} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in %s", part, text)
		}
	}
	if diags.HasError() || strings.Contains(text, "half") && strings.Contains(text, "(ID 33)") {
		t.Errorf("it says %s", text)
	}
}

// A plan of a new key looks at the keys that it may be, and at nothing else.
func TestAPlanIsNotWarnedByStrangers(t *testing.T) {
	p := newPublisher(t)
	s := hsmtest.NewStranger(t, p.Token)
	for _, label := range []string{"twins", "twins", "web"} {
		p.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign", "--label", label)
	}
	s.MakesPair(t, hsmtest.StrangerP256, "theirs", "31")
	s.PlantsMalformed(t, "planted", "31")
	s.MakesPair(t, hsmtest.StrangerRSA, "other", "33")
	s.MakesPair(t, hsmtest.StrangerRSA, "both", "34")
	p.Tool(t, "--keypairgen", "--key-type", "rsa:1024", "--usage-sign", "--label", "both", "--id", "34")
	for _, keyType := range []string{"rsa:1024", "EC:prime256v1"} { // each is the only one of its type
		p.Tool(t, "--keypairgen", "--key-type", keyType, "--usage-sign", "--label", "two types", "--id", "35")
	}
	token, err := p.client.token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	chosen := "" // of the two pairs of one ID, the one that the PIN protects
	if found, err := p.client.unmanaged(t.Context(), token, object.RSA, []byte("4"), ""); err == nil {
		for _, key := range found.keys {
			if !key.Unprotected() {
				chosen = "terraform import hsm_rsa_keypair.NAME 34@" + key.Fingerprint()
			}
		}
	}
	if chosen == "" {
		t.Fatal("no pair is protected")
	}
	const unprotected = "Do not adopt one that is not protected"
	for _, c := range []struct {
		planned object.KeyType
		label   string
		id      string // "": none is planned
		keys    int    // of the type that are found
		parts   []string
		not     []string
	}{
		{object.EC, "new", "32", 0, nil, nil},
		{object.EC, "new", "", 0, nil, nil},
		{object.EC, "web", "", 1, []string{"Label Already On The Token", "without an ID", "First make sure",
			"--type privkey --label web --set-id NEW_ID", "--type pubkey --label web --set-id NEW_ID"},
			[]string{"terraform import"}},
		{object.EC, "theirs", "", 1, []string{"Label Already On The Token", "do not adopt it", "CKA_PRIVATE=false"},
			[]string{"terraform import"}},
		{object.EC, "new", "31", 1, []string{"Key ID Already On The Token", "do not adopt it", "CKA_PRIVATE=false"},
			[]string{"terraform import"}},
		{object.EC, "new", "33", 0, []string{"Key ID Already On The Token", "cannot be imported here"},
			[]string{"terraform import"}},
		{object.EC, "new", "34", 0, []string{"Key ID Already On The Token", "a key of another type", chosen}, nil},
		{object.Secret, "new", "35", 0, []string{"Key ID Already On The Token", "terraform import hsm_", ".NAME 35"},
			[]string{"35@"}},
		{object.RSA, "new", "34", 2, []string{"Key ID Already On The Token", chosen, unprotected}, nil},
		{object.RSA, "both", "", 2, []string{"Label Already On The Token", chosen, unprotected}, nil},
	} {
		a := &keyAttributes{Label: types.StringValue(c.label), KeyID: types.StringNull()}
		if c.id != "" {
			a.KeyID = types.StringValue(c.id)
		}
		found, err := p.client.unmanaged(t.Context(), token, c.planned, a.id(), c.label)
		if err != nil || len(found.keys) != c.keys || found.empty() != (c.parts == nil) {
			t.Errorf("%+v: found %d, %v", c, len(found.keys), err)
			continue
		}
		if c.parts == nil {
			continue
		}
		d := unmanagedWarning(kindOf(c.planned), a, found, token.Command)
		text := d.Summary() + "\n" + d.Detail()
		for _, part := range c.parts {
			if !strings.Contains(text, part) {
				t.Errorf("%+v: no %q in %s", c, part, text)
			}
		}
		if slices.ContainsFunc(c.not, func(part string) bool { return strings.Contains(text, part) }) {
			t.Errorf("%+v: it says %s", c, text)
		}
	}
}
