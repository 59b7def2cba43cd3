package quirk

import "github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"

// Known gives the make of a token, as the tables have it, and what they say that it does differently. make is "" for a
// token of which they know nothing: it is treated as the specification says.
func Known(module cryptoki.Info, token cryptoki.TokenInfo) (make string, seen []string) {
	if m := MakeOf(module, token); m != nil {
		make = m.Name
		for _, e := range m.Evidence {
			seen = append(seen, e.Seen)
		}
	}
	for _, row := range Rows {
		if row.set != nil && row.holds(module, token) {
			if make == "" {
				make = row.Make
			}
			seen = append(seen, row.Seen)
		}
	}
	return make, seen
}
