package provider

import (
	"errors"
	"os"
	"testing"
	"time"
)

func init() {
	if os.Getenv("HSMTEST_HYDRA") == "" {
		ringPause = 0 // no other program looks at the tokens of tests
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
