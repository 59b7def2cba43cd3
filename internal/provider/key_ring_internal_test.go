package provider

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/object"
)

var pauseOfUsers = ringPause // outside of tests

func init() {
	if os.Getenv("HSMTEST_HYDRA") == "" {
		ringPause = 0 // no other program looks at the tokens of tests
	}
}

// No other test would miss the pause but those with a real Hydra.
func TestRingPauses(t *testing.T) {
	defer func(was time.Duration) { ringPause = was }(ringPause)
	ringPause = pauseOfUsers
	m := keyRingModel{}
	if r := m.ring(t.Context(), nil); r.Pause < 100*time.Millisecond {
		t.Errorf("a ring pauses for %s before it takes a label", r.Pause)
	}
}

func TestGenerationByTheCalendar(t *testing.T) {
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		period, at string
		want       int64
	}{
		"before the start":           {"90d", "2025-06-01T00:00:00Z", 1},
		"at the start":               {"90d", "2026-01-01T00:00:00Z", 1},
		"at the end of a period":     {"90d", "2026-03-31T23:59:59Z", 1},
		"at the next one's start":    {"90d", "2026-04-01T00:00:00Z", 2},
		"in another time zone":       {"90d", "2026-04-01T01:00:00+02:00", 1},
		"after many":                 {"1d12h", "2026-01-31T00:00:00Z", 21},
		"by the minute":              {"1m", "2026-01-01T00:59:59Z", 60},
		"no length of time":          {"90", "2026-01-01T00:00:00Z", 0},
		"a day that is no number":    {"xd", "2026-01-01T00:00:00Z", 0},
		"days behind hours":          {"12h1d", "2026-01-01T00:00:00Z", 0},
		"a negative one":             {"-12h", "2026-01-01T00:00:00Z", 0},
		"a day and a negative one":   {"1d-12h", "2026-01-01T00:00:00Z", 0},
		"after more than 292 years":  {"90d", "2400-01-01T00:00:00Z", 0},
		"292 years before":           {"90d", "1600-01-01T00:00:00Z", 1},
		"over a leap day":            {"365d", "2028-12-31T00:00:00Z", 4},
		"of the longest period":      {"106751d", "2200-01-01T00:00:00Z", 1},
		"of more days than fit":      {"106752d", "2026-01-01T00:00:00Z", 0},
		"of far more":                {"99999999999999999999d", "2026-01-01T00:00:00Z", 0},
		"of days and hours too long": {"106751d2562047h", "2026-01-01T00:00:00Z", 0},
		"of a leap second":           {"90d", "2026-12-31T23:59:60Z", 0},
	} {
		start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		period, err := parsePeriod(c.period)
		var got int64
		at, parsed := time.Parse(time.RFC3339, c.at)
		if err = errors.Join(err, parsed); err == nil {
			got, err = generationAt(start, period, at)
		}
		if got != c.want || (err != nil) != (c.want == 0) {
			t.Errorf("%s: generation %d, %v; want %d", name, got, err, c.want)
		}
	}
	if length, err := parsePeriod("2d"); err != nil || length != 2*day {
		t.Errorf("2d is %s, %v", length, err)
	}
}

// The note knows since when a pair is published, where the state has lost that: of the same pair alone, and only as
// long as it is published.
func TestRingNoteKnowsSinceWhen(t *testing.T) {
	const noted, later = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"
	ring := hsm.Ring{RingLabels: hsm.RingLabels{Current: "web", Standby: "web.standby", Retired: "web.retired"},
		Prefix: "web-", Generation: 1, Previous: 1}
	for name, c := range map[string]struct {
		fingerprint, since string // in the state
		label              string // on the token
		keeps, gives       string // what the note has after it was written, and the pair after a change of labels
	}{
		"the state has lost it":            {"f", "", "web.standby", noted, noted},
		"of another pair":                  {"g", "", "web.standby", "", ""},
		"of one that is published no more": {"f", "", "aside", noted, ""},
		"the state knows it":               {"f", later, "web.standby", later, later},
	} {
		key := ringKey{Fingerprint: types.StringValue(c.fingerprint), PublishedSince: types.StringNull()}
		if c.since != "" {
			key.PublishedSince = types.StringValue(c.since)
		}
		known := map[int]ringKey{2: key}
		note := ringNote{Places: map[int]hsm.Place{2: {Label: c.label}}, Since: map[int]publication{2: {"f", noted}}}
		note.renamed(ring, known)
		if have := known[2].PublishedSince.ValueString(); have != c.gives {
			t.Errorf("%s: the pair is published since %q, and not %q", name, have, c.gives)
		}
		held := hsm.RingState{Pairs: map[int]object.Key{2: {Label: c.label, PublicLabel: c.label}}}
		note.take(ring, held, map[int]ringKey{2: key})
		if have := note.Since[2].Since; have != c.keeps || note.Highest != 2 {
			t.Errorf("%s: the note has %q, and not %q, and %d as the highest", name, have, c.keeps, note.Highest)
		}
	}
}

// An import gives the ring the arguments with which it would be as the token holds it.
func TestRingResemblesWhatIsThere(t *testing.T) {
	pair := func(label string) object.Key {
		claims := object.Claims{Extractable: new(true)}
		return object.Key{Type: object.EC, Label: label, PublicLabel: label, Claims: claims}
	}
	for name, c := range map[string]struct {
		labels           []string // of the pairs from generation 1 on; "" is not there
		previous         int64
		standby, retired string
	}{
		"three past ones":             {[]string{"s", "s", "s", "web", "s"}, 3, "s", "web.retired"},
		"none":                        {[]string{"", "", "", "web", "s"}, 1, "s", "web.retired"},
		"the last but one is retired": {[]string{"r", "r", "s", "web", "s"}, 1, "s", "r"},
		"all are":                     {[]string{"r", "r", "r", "web"}, 0, "web.standby", "r"},
	} {
		held := hsm.RingState{Pairs: map[int]object.Key{}}
		for i, label := range c.labels {
			if label != "" {
				held.Pairs[i+1] = pair(label)
			}
		}
		m := keyRingModel{Label: types.StringValue("web"), StandbyLabel: types.StringValue("web.standby"),
			RetiredLabel: types.StringValue("web.retired"), KeyIDPrefix: types.StringValue("web-"),
			Generation: types.Int64Value(4)}
		m.resemble(t.Context(), held)
		if m.Previous.ValueInt64() != c.previous || m.StandbyLabel.ValueString() != c.standby ||
			m.RetiredLabel.ValueString() != c.retired || !m.Extractable.ValueBool() {
			t.Errorf("%s: previous = %s, %s, %s, extractable = %s", name, m.Previous, m.StandbyLabel, m.RetiredLabel,
				m.Extractable)
		}
	}
}
