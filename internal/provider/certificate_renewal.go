package provider

import (
	"fmt"
	"strconv"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// Attributes of what has dates, as the tls provider calls them.
const (
	readyForRenewal = "ready_for_renewal"
	validityStart   = "validity_start_time"
	validityEnd     = "validity_end_time"
	earlyRenewal    = "early_renewal_hours"
)

// renewal is when something that was signed is to be signed anew.
type renewal struct {
	early    int64 // hours before its end
	end, now time.Time
}

// renewalOf has the end of the state, and how early the plan wants another one. It is not ok where that is not known.
func (r *signedResource) renewalOf(is, was fields) (d renewal, ok bool) {
	_, end, ok := was.dates()
	early, known := is.number(earlyRenewal)
	return renewal{early, end, r.now()}, ok && known
}

// at is when it is due.
func (d renewal) at() time.Time { return d.end.Add(-hours(d.early)) }

func (d renewal) due() bool { return !d.now.Before(d.at()) }

// timeText is a time as attributes have it.
func timeText(t time.Time) types.String { return types.StringValue(t.UTC().Format(time.RFC3339)) }

func hours(n int64) time.Duration { return time.Duration(n) * time.Hour }

// why is a sentence on why it is due.
func (d renewal) why() string {
	end, ends := d.end.UTC().Format(time.RFC3339), "ends"
	if !d.now.Before(d.end) {
		ends = "ended"
	}
	if d.early == 0 {
		return fmt.Sprintf("It %s at %s.", ends, end)
	}
	return fmt.Sprintf("It %s at %s, and is due %s before that (early_renewal_hours), since %s.", ends, end,
		amount(d.early, "hour"), d.at().UTC().Format(time.RFC3339))
}

// amount is such as "1 hour" or "2 hours".
func amount(n int64, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

func certificateDue(d renewal, was fields) diag.Diagnostic {
	return diag.NewAttributeWarningDiagnostic(path.Root(readyForRenewal),
		"Certificate Is Due: "+was.text("serial_number"), d.why()+" So this plan makes a new certificate, which an "+
			"apply signs. Until then the old one stays in the state as it is.")
}

func listDue(d renewal, was fields) diag.Diagnostic {
	number, _ := was.number("crl_number")
	return diag.NewAttributeWarningDiagnostic(path.Root(readyForRenewal),
		"Revocation List Is Due: "+strconv.FormatInt(number, 10), d.why()+" So this plan makes a new list of the same "+
			"revocations, with a higher number, which an apply signs. Until then the old one stays in the state as "+
			"it is.")
}

// dueLater is an error where something would be due as soon as it is signed: every apply would sign it anew. fixed says
// that the configuration has its beginning.
func (r *reading) dueLater(early types.Int64, now, end time.Time, noun string, fixed bool) {
	d := renewal{early.ValueInt64(), end, now}
	if r.blind || early.IsUnknown() || !d.due() {
		return
	}
	argument, do := "validity_period_hours", "Give it more hours, or fewer early_renewal_hours"
	switch {
	case fixed:
		argument, do = "not_before", "Give a later not_before, or more validity_period_hours"
	case d.early > 0:
		argument = earlyRenewal
	}
	r.diags.AddAttributeError(path.Root(argument), "Due As Soon As Signed", fmt.Sprintf(
		"The %s would end at %s, and be due at %s. That is in the past, so that every apply would sign another "+
			"one.\n\nWhat to do: %s.", noun, end.Format(time.RFC3339), d.at().Format(time.RFC3339), do))
}
