package provider_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// imports is terraform import, by an ID or by an identity, and the refresh after it.
func (w ringWire) imports(importID string, identity words) (r *wired, said diagnostics) {
	w.t.Helper()
	w.begins()
	r = newRing(nil)
	req := &tfprotov6.ImportResourceStateRequest{TypeName: r.typeName, ID: importID}
	if identity != nil {
		text := tftypes.Object{AttributeTypes: map[string]tftypes.Type{
			"token_serial": tftypes.String, "label": tftypes.String, "key_id_prefix": tftypes.String,
		}}
		values := map[string]tftypes.Value{}
		for name, kind := range text.AttributeTypes {
			values[name] = tftypes.NewValue(kind, identity[name])
		}
		req.Identity = &tfprotov6.ResourceIdentityData{IdentityData: w.dynamic(tftypes.NewValue(text, values))}
	}
	resp, err := w.server.ImportResourceState(w.t.Context(), req)
	if err != nil {
		w.t.Fatal(err)
	}
	if said = resp.Diagnostics; said.failed() {
		return r, said
	}
	one := resp.ImportedResources[0]
	r.state, r.private, r.identity = w.static(r, one.State), one.Private, one.Identity
	return r, append(said, w.refresh(r)...)
}

// A ring comes back by an import as it was, and what it has retired stays so.
func TestKeyRingIsImported(t *testing.T) {
	t.Parallel()
	w := newRingWire(t)
	r := newRing(words{"standby_label": "spare", "retired_label": "old", "min_publish_time": "0s"})
	w.goes(r)
	w.goes(r.says("generation", 2))
	serial := r.attribute("token_serial")
	attributes := func(r *wired, want map[string]any) {
		t.Helper()
		for name, value := range want {
			if have := fields(r.state)[name]; have != value {
				t.Errorf("%s is %v, and not %v", name, have, value)
			}
		}
	}
	for _, by := range []words{nil, {"label": "web"}, {"label": "web", "token_serial": serial,
		"key_id_prefix": "web-"}} {
		imported, said := w.imports(map[bool]string{true: "web"}[by == nil], by)
		w.heard(said)
		attributes(imported, map[string]any{
			"generation": "2", "previous": "1", "key_id_prefix": "web-", "standby_label": "spare", "curve": "P-256",
			"modulus_bits": nil, "deletion_policy": "prevent", "min_publish_time": "24h", "retired": "keep",
		})
		if have := pairs(imported.state); have != "1 previous spare, 2 current web, 3 next spare" {
			t.Errorf("it imports %s", have)
		}
	}
	_, said := w.imports("", words{"label": "web", "token_serial": "another"})
	w.heard(said, fails("Unable to Import Key Ring: Another Token"))
	_, said = w.imports("nobody", nil)
	w.heard(said, fails("Unable to Import Key Ring: Not One Ring", `No key pair on the token has the label "nobody"`))

	// IDs that no configuration of a ring gives: a number alone, a text that is none, and a moment.
	for _, other := range []string{"37", "fffe31", id("20261129101112"), id("1764410000")} {
		w.bench.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign", "--label", "other",
			"--id", other)
		_, said = w.imports("other", nil)
		w.heard(said, fails("Unable to Import Key Ring: Not One Ring", `has the label "other"`))
		w.bench.destroy(other, "privkey", "pubkey")
	}

	// Two rings with pairs of one label.
	w.bench.Tool(t, "--keypairgen", "--key-type", "EC:prime256v1", "--usage-sign", "--label", "web", "--id", id("x-1"))
	_, said = w.imports("web", nil)
	w.heard(said, fails("Unable to Import Key Ring: Not One Ring", `"web-"`, `"web-x-"`, "by an identity"))
	_, said = w.imports("", words{"label": "web", "key_id_prefix": "web-"})
	w.heard(said, warns("Other Pairs Beside The Ring"))
	w.bench.destroy(id("x-1"), "privkey", "pubkey")

	// A turn that was interrupted has left the label on the pair of before, too.
	w.bench.relabel("web-1", "web")
	imported, said := w.imports("web", nil)
	w.heard(said)
	attributes(imported, map[string]any{"generation": "2"})
	w.bench.relabel("web-1", "spare")

	// The pair that was retired in an emergency is not published again, whatever previous is.
	w.goes(r.says("generation", 3).says("previous", 0))
	imported, said = w.imports("web", nil)
	w.heard(said)
	attributes(imported, map[string]any{"previous": "0", "retired_label": "old"})
	imported.says("generation", 3).says("previous", 2)
	for range 2 {
		w.goes(imported.says("standby_label", "spare"))
		if have := pairs(imported.state); have != "3 current web, 4 next spare" ||
			w.labels()[id("2")] != "web.retired web.retired" {
			t.Errorf("the ring is %s, and the token has %v", have, w.labels())
		}
	}

	// What is not there any more is not counted: generation 3 was destroyed, and 2 is retired.
	w.goes(imported.says("generation", 4).says("previous", 1))
	w.goes(imported.says("generation", 5).says("retired", "destroy"))
	imported, said = w.imports("web", nil)
	w.heard(said)
	attributes(imported, map[string]any{"previous": "1"})
}

// Someone without a PIN is told of, and what they make is never taken for the ring's.
func TestKeyRingAndAStranger(t *testing.T) {
	t.Parallel()
	w := newRingWire(t)
	stranger := hsmtest.NewStranger(t, w.bench.Token)
	r := newRing(nil)
	w.goes(r)
	stranger.MakesPublicHalf(t, hsmtest.StrangerP256, "web.standby", id("2"))
	w.settled(r, warns("Other Public Halves Beside The Key"))
	stranger.MakesPair(t, hsmtest.StrangerP256, "web", id("x-9"))
	stranger.MakesPair(t, hsmtest.StrangerP256, "aside", id("7"))
	beside := warns("Other Pairs Beside The Ring", "(key_id "+id("x-9")+"), SHA-256", "not protected by the PIN",
		"(key_id "+id("7")+")")
	w.settled(r, warns("Other Public Halves Beside The Key"), beside)

	w.empty()
	stranger.MakesPair(t, hsmtest.StrangerP256, "web", id("x-9"))
	w.goes(newRing(nil), warns("Other Pairs Beside The Ring", "(key_id "+id("x-9")+")"))
	imported, said := w.imports("web", nil)
	w.heard(said, warns("Other Pairs Beside The Ring"))
	if have := pairs(imported.state); have != "1 current web, 2 next web.standby" {
		t.Errorf("it imports %s", have)
	}
	stranger.SwapsPublicHalf(t, hsmtest.StrangerP256, "web.standby", id("2"))
	_, said = w.imports("web", nil)
	w.heard(said, fails("Unable to Import Key Ring: Halves Of Different Keys", "Generation 2"))
}

// Terraform writes the configuration of a ring that is imported, and then plans nothing.
func TestKeyRingsConfigurationIsGenerated(t *testing.T) {
	t.Parallel()
	w := newRingWire(t)
	r := newRing(nil)
	w.goes(r)
	w.goes(r.says("generation", 2))
	s := crashShell(t, w.bench)
	s.blocks("import {\n  to = hsm_key_ring.r\n  id = \"web\"\n}\n")
	if printed, ok := s.try("plan", "-generate-config-out=generated.tf"); !ok ||
		!strings.Contains(printed, "1 to import, 0 to add, 0 to change, 0 to destroy") {
		text, _ := os.ReadFile(filepath.Join(s.dir, "generated.tf"))
		t.Errorf("it plans\n%s\nof\n%s", printed, text)
	}
}
