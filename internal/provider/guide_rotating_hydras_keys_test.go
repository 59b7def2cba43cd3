package provider_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

const rotatingHydrasKeys = "rotating-hydras-keys.md.tmpl"

// inSets are the pairs on the token by their IDs as texts: the label of each, less the name of Hydra's set.
func (b *bench) inSets() map[string]string {
	b.t.Helper()
	pairs := map[string]string{}
	for id, label := range b.labels() {
		var text []byte
		if _, err := fmt.Sscanf(id, "%x", &text); err != nil {
			b.t.Fatal(err)
		}
		label = strings.TrimPrefix(strings.TrimPrefix(label, "hydra.jwt.access-token"), "hydra.openid.id-token")
		pairs[string(text)] = label
	}
	return pairs
}

// holds fails the test where the token has other pairs of access tokens, or where one has another label.
func (b *bench) holds(want map[string]string) {
	b.t.Helper()
	have := b.inSets()
	maps.DeleteFunc(have, func(id, _ string) bool { return strings.HasPrefix(id, "id-token-") })
	if !maps.Equal(have, want) {
		b.t.Errorf("the token has the pairs %v, and not %v", have, want)
	}
}

// Keys on a curve, and no time of publication, since RSA keys of 4096 bits take seconds, and nobody waits a day.
func (s shell) hurries(published string) {
	s.t.Helper()
	s.write(filepath.Join(s.dir, "a_override.tf"), fmt.Sprintf(`
		resource "hsm_key_ring" "id_token" {
			curve            = "P-521"
			min_publish_time = %[1]q
		}
		resource "hsm_key_ring" "access_token" {
			curve            = "P-521"
			min_publish_time = %[1]q
		}`, published))
}

func TestTheGuideRotatingHydrasKeys(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t)
	b := newBench(t)
	s := newReader(t, "../hydra-rotation").onToken(b)
	apply := func() string { return s.does(true, "terraform", "apply", "-auto-approve") }
	s.hurries("24h")
	s.does(true, "terraform", "init")
	_, outputs, _ := strings.Cut(apply(), "\nOutputs:")
	s.says(outputs, `\"kid\":\"access-token-1\"`, `\"kid\":\"access-token-2\"`, `\"kid\":\"id-token-2\"`)
	b.holds(map[string]string{"access-token-1": "", "access-token-2": ".standby"})

	// Hydra's configuration names the labels that the token has.
	settings, err := os.ReadFile(filepath.Join(s.dir, "hydra.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var sets []string
	for _, line := range regexp.MustCompile(`(?m)^ +- (\S+)$`).FindAllStringSubmatch(string(settings), -1) {
		sets = append(sets, line[1])
	}
	if on := slices.Sorted(maps.Values(b.labels())); !slices.Equal(slices.Sorted(slices.Values(sets)), on) {
		t.Errorf("hydra.yml names the sets %v, and the token has %v", sets, on)
	}

	s.take("rotating-hydras-keys/rotated")
	s.shows(rotatingHydrasKeys, "cannot rotate to generation", s.does(false, "terraform", "plan"))
	s.hurries("0s")
	s.take("rotating-hydras-keys/ec")
	said := apply()
	s.shows(rotatingHydrasKeys, `"next" -> "current"`, said)
	_, outputs, _ = strings.Cut(said, "\nOutputs:")
	algs := map[string]string{"access-token-1": "ES512", "access-token-2": "ES512", "access-token-3": "ES256"}
	for kid, alg := range algs {
		if !regexp.MustCompile(`\\"kid\\":\\"` + kid + `\\"[^}]*\\"` + alg + `\\"`).MatchString(outputs) {
			t.Errorf("%s is not published for %s:\n%s", kid, alg, outputs)
		}
	}
	b.holds(map[string]string{"access-token-1": ".standby", "access-token-2": "", "access-token-3": ".standby"})

	s.edit("rotation.auto.tfvars", "access_token = 2", "access_token = 1") // back
	if said := apply(); strings.Contains(said, "will be read during apply") {
		t.Errorf("the set waits for a step back:\n%s", said)
	}
	b.holds(map[string]string{"access-token-1": "", "access-token-2": ".standby", "access-token-3": ".standby"})

	s.hurries("24h")
	s.edit("rotation.auto.tfvars", "access_token = 1", "access_token = 2")
	s.does(false, "terraform", "plan")
	s.take("rotating-hydras-keys/wrong-hands")
	s.shows(rotatingHydrasKeys, `- "1" = {`, apply())
	b.holds(map[string]string{"access-token-2": "", "access-token-3": ".standby"})

	s.hurries("0s")
	s.take("rotating-hydras-keys/calendar")
	s.edit("override.tf", "2026-01-01T00:00:00Z", time.Now().Add(-200*24*time.Hour).UTC().Format(time.RFC3339))
	s.says(s.does(true, "terraform", "plan"), "generation = 2 -> 3", "previous = 0 -> 1", `retired = "destroy" -> "keep"`)
}

// publicKeys are the public keys on the token, by the IDs of access tokens.
func (b *bench) publicKeys(ids ...string) map[string]string {
	b.t.Helper()
	keys := map[string]string{}
	for _, id := range ids {
		keys[id] = b.Tool(b.t, "--read-object", "--type", "pubkey", "--id", fmt.Sprintf("%x", id))
	}
	return keys
}

// Two pairs come into a ring and out of it again, and stay what they are.
func TestTheGuideRotatingHydrasKeysOfSingleKeyPairs(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t)
	b := newBench(t)
	s := newReader(t, "rotating-hydras-keys/singles").onToken(b)
	s.does(true, "terraform", "init")
	s.does(true, "terraform", "apply", "-auto-approve")
	ids := []string{"access-token-1", "access-token-2"}
	sorted := func() []string { return slices.Sorted(strings.Lines(b.Tool(t, "--list-objects"))) }
	keys, halves := b.publicKeys(ids...), sorted()
	for _, step := range []struct{ folder, says string }{
		{"rotating-hydras-keys/into-a-ring", "1 to import, 0 to add, 0 to change, 0 to destroy"},
		{"rotating-hydras-keys/apart", "2 to import, 0 to add, 0 to change, 0 to destroy"},
	} {
		s.take(step.folder)
		said := s.does(true, "terraform", "apply", "-auto-approve")
		s.says(said, step.says, `kid = "access-token-1"`, `kid = "access-token-2"`)
		if now := sorted(); !maps.Equal(b.publicKeys(ids...), keys) || !slices.Equal(now, halves) {
			t.Errorf("%s: the token has\n%s\nand not\n%s", step.folder, now, halves)
		}
	}
	s.says(s.does(true, "terraform", "plan"), "No changes.")
}

// A ring takes the place of a pair whose ID ends in no number. The ring has the label before the pair loses it.
func TestTheGuideRotatingHydrasKeysOfAnotherID(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t)
	b := newBench(t)
	s := newReader(t, "rotating-hydras-keys/beside").onToken(b)
	s.does(true, "terraform", "init")
	s.does(true, "terraform", "apply", "-auto-approve")
	b.holds(map[string]string{"first": "", "access-token-1": ".new", "access-token-2": ".standby"})
	s.take("rotating-hydras-keys/in-its-place")
	said := s.does(true, "terraform", "apply", "-auto-approve")
	b.holds(map[string]string{"first": ".standby", "access-token-1": "", "access-token-2": ".standby"})
	if !regexp.MustCompile(`(?s)ring.access_token: Modifications complete.*keypair.first: Modifying`).MatchString(said) {
		t.Errorf("the pair loses its label before the ring has it:\n%s", said)
	}
	s.says(s.does(true, "terraform", "plan"), "No changes.")
}
