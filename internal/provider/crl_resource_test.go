package provider_test

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// revokedList is the argument revoked with these entries.
func revokedList(entries ...string) string { return "revoked = [" + strings.Join(entries, ", ") + "]" }

func revokedEntry(serial string, more ...string) string {
	return "{ " + strings.Join(append([]string{line("serial_number", serial), `time = "2030-01-01T00:00:30Z"`},
		more...), ", ") + " }"
}

// listHas checks the list by Go's parser: its number and its entries, as "serial reason".
func listHas(want ...string) attributes {
	return attributes{theCRL, func(state map[string]any) error {
		block, _ := pem.Decode([]byte(state["crl_pem"].(string)))
		if block == nil {
			return fmt.Errorf("crl_pem is %v", state["crl_pem"])
		}
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return err
		}
		var have []string
		for _, e := range list.RevokedCertificateEntries {
			have = append(have, fmt.Sprintf("%x %d", e.SerialNumber, e.ReasonCode))
		}
		if !slices.Equal(have, want) {
			return fmt.Errorf("the list has %q", have)
		}
		if number := fmt.Sprint(state["crl_number"]); list.Number.String() != number {
			return fmt.Errorf("the list has the number %s, and crl_number is %s", list.Number, number)
		}
		return nil
	}}
}

// TestARevocationListLives is the life of a list by a clock. Its number rises whatever happens, also where the clock
// goes back and where the state is lost, and what was published stays.
func TestARevocationListLives(t *testing.T) {
	t.Parallel()
	hsmtest.NeedsCurves(t, "P-256")
	b := newBench(t)
	key := b.keyPEM("EC:prime256v1", "6b31")
	var c clock
	var k remembered
	ca := func(lines ...string) string { return root("root", key, lines...) }
	const (
		update = plancheck.ResourceActionUpdate
		noop   = plancheck.ResourceActionNoop
	)
	risesTo := int64(0)
	rises := attributes{theCRL, func(state map[string]any) error {
		var n int64
		if _, err := fmt.Sscan(fmt.Sprint(state["crl_number"]), &n); err != nil || n <= risesTo {
			return fmt.Errorf("the number is %v after %d", state["crl_number"], risesTo)
		}
		risesTo = n
		return nil
	}}
	same := k.stays(theCRL, "crl_pem", "crl_number", "validity_start_time")
	turnAt := func(at, blocks string, what plancheck.ResourceActionType, says []remark, checks ...attributes) turn {
		step := resource.TestStep{PreConfig: c.at(at), Config: b.config(blocks), ConfigPlanChecks: action(theCRL, what)}
		for _, check := range append(checks, k.remember(theCRL)) {
			step.ConfigStateChecks = append(step.ConfigStateChecks, check)
		}
		return turn{step, says}
	}
	refusedAt := func(at, blocks string, says remark) turn {
		return turn{resource.TestStep{PreConfig: c.at(at), Config: b.config(blocks), PlanOnly: true}, []remark{says}}
	}
	list := func(lines ...string) string { return ca() + crl(rootPEM, lines...) }
	const t0, t1, t2 = "2030-01-01T00:01:00Z", "2030-01-02T00:00:00Z", "2030-01-03T00:00:00Z"
	last := revokedList(revokedEntry("0a", `reason = "key_compromise"`), revokedEntry("0d"))
	both := ca() + root("again", key, "validity_period_hours = 9000") + root("other", key,
		`subject { common_name = "Other" }`)
	leaf := revokedEntry("0a", `reason = "key_compromise"`)
	held := revokedEntry("0b", `reason = "certificate_hold"`)
	plain := revokedEntry("0c")
	b.testWith(b.clocked(&c),
		turnAt(t0, list(), plancheck.ResourceActionCreate, nil, rises, listHas()),
		turnAt(t0, list(), noop, nil, same),
		turnAt(t0, list(revokedList()), update, nil, same),
		turnAt(t0, list(revokedList(leaf)), update, nil, rises, listHas("a 1")),
		turnAt(t0, list(revokedList(leaf, held)), update, nil, rises, listHas("a 1", "b 6")), // the clock stands still
		turnAt(t0, list(revokedList(held, leaf)), update, nil, same),
		turnAt(t0, list(revokedList(held, revokedEntry("0A", `reason = "key_compromise"`,
			`expires = "2030-01-01T12:00:00Z"`))), update, nil, same),
		turnAt(t0, list(revokedList(held, leaf, plain)), update, nil, rises, listHas("a 1", "b 6", "c 0")),
		// Nothing is dropped, and nothing says something else.
		refusedAt(t1, list(revokedList(held, leaf)), fails("Published Revocation Dropped", "serial number 0c",
			"expires").pointing("revoked")),
		refusedAt(t1, list(), fails("Published Revocation Dropped", "serial number 0a").pointing("revoked")).besides(
			fails("Published Revocation Dropped", "serial number 0c").pointing("revoked")),
		refusedAt(t1, list(revokedList(held, revokedEntry("0a", `reason = "superseded"`), plain)),
			fails("Published Revocation Changes", "reason key_compromise").pointing("revoked[1]reason")),
		refusedAt(t1, list(revokedList(held, leaf, `{ serial_number = "0c", time = "2030-01-01T00:00:31Z" }`)),
			fails("Published Revocation Changes", "time 2030-01-01T00:00:30Z").pointing("revoked[2]time")),
		// What says little may say more, and what is held may be let go.
		turnAt(t1, list(revokedList(leaf, revokedEntry("0c", `reason = "superseded"`))), update, nil, rises,
			listHas("a 1", "c 4")),
		// An entry may go once a list has had it that was signed after its certificate's end.
		turnAt(t1, list(revokedList(leaf, revokedEntry("0c", `reason = "superseded"`,
			`expires = "2030-01-02T12:00:00Z"`))), update, nil, same),
		refusedAt(t2, list(revokedList(leaf)), fails("Published Revocation Dropped", "ends at "+
			"2030-01-02T12:00:00Z", "the last one is of 2030-01-01T23:59:00Z").pointing("revoked")),
		turnAt(t2, list(revokedList(leaf, revokedEntry("0c", `reason = "superseded"`,
			`expires = "2030-01-02T12:00:00Z"`)), "validity_period_hours = 24"),
			update, nil, rises, listHas("a 1", "c 4")),
		turnAt(t2, list(revokedList(leaf), "validity_period_hours = 24"), update, nil, rises, listHas("a 1")),
		// It is due.
		turnAt(t2, list(revokedList(leaf), "validity_period_hours = 24", "early_renewal_hours = 1"), update, nil, same),
		turn{resource.TestStep{PreConfig: c.at("2030-01-03T22:59:00Z"), RefreshState: true,
			ExpectNonEmptyPlan: true}, []remark{
			warns("Revocation List Is Due", "1 hour before that").pointing("ready_for_renewal"),
		}},
		turnAt("2030-01-03T22:59:00Z", list(revokedList(leaf), "validity_period_hours = 24", "early_renewal_hours = "+
			"1"), update, []remark{
			warns("Revocation List Is Due").pointing("ready_for_renewal"),
		}, rises, listHas("a 1")),
		// The clock goes back, and the list's beginning does not.
		turnAt(t1, list(last), update, nil, rises, listHas("a 1", "d 0"), k.stays(theCRL, "validity_start_time")),
		// Another certificate of the same CA: nothing is signed. Another CA begins another list.
		turnAt(t1, both+crl(rootPEM, last), noop, nil, same),
		turnAt(t1, both+crl("hsm_self_signed_cert.again.cert_pem", last), update, nil, same),
		turnAt(t1, both+crl("hsm_self_signed_cert.other.cert_pem"), update, nil, rises, listHas()),
	)
}
