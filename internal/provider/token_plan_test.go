package provider_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

func TestAPlanOfANewTokenSaysWhatTheApplyNeeds(t *testing.T) {
	t.Parallel()
	atDesk(t, func(d *desk) {
		const known, doing, blank = "12345678", "Unable to Plan Token: ", "No Token To Initialise"
		other := warns("The Provider Needs The New PIN", "-target")
		equal := warns("User PIN Is The SO PIN", "choose two PINs").without(d.blank.PIN, d.blank.SOPIN)
		short := func(which string) remark {
			return fails("PIN Of A Wrong Length", "The "+which+" does not have the length", "4 to 255 bytes")
		}
		everybody := func(which string) remark {
			return warns("Well-Known PIN", "The "+which+" is one that many tokens come with").without(known)
		}
		label := func(text string) lines { return lines{"label": text} }
		unfit := func(why string) remark { return fails("Invalid Token Label", why).pointing("label") }
		with := func(attribute string, value any) lines { return hydra.with(lines{attribute: value}) }
		sixteen := strings.Repeat("é", 16)
		for name, c := range hsmtest.InOrder(map[string]struct {
			env    string // HSM_PIN and HSM_SO_PIN, where they are others than usual
			config lines
			says   []remark
		}{
			"a label of 32 bytes":             {"", label(sixteen), nil},
			"a label of 33 bytes":             {"", label(sixteen + "x"), []remark{unfit("label has 33 bytes")}},
			"a label with a blank at its end": {"", label("hydra "), []remark{unfit("ends with a blank")}},
			"a label with blanks within":      {"", label(" my token"), nil},
			"an empty label":                  {"", label(""), []remark{unfit("is empty")}},
			"a label that is not known yet": {"", lines{"label": unknown}, []remark{
				warns("New Token Not Checked", "label is not known yet"),
			}},
			"a slot that is none": {"", with("slot", "first"), []remark{
				fails("Invalid Slot ID", `"first" is not a slot ID`).pointing("slot"),
			}},
			"a slot that is not there": {"", with("slot", "0x4d"), []remark{
				fails(doing+blank, "There is no token in slot 77"),
			}},
			"a slot that is not known yet": {"", with("slot", unknown), nil},
			"no user PIN":                  {" 44556677", hydra, []remark{fails(doing+"No PIN", "HSM_PIN_FILE")}},
			"no SO PIN":                    {"44556677 ", hydra, []remark{fails(doing+"No SO PIN", "HSM_SO_PIN_FILE")}},
			"a short user PIN":             {"", with("pin_wo", "xyz"), []remark{short("user PIN"), other}},
			"a short SO PIN":               {"", with("so_pin_wo", "xyz"), []remark{short("SO PIN")}},
			"one PIN for both":             {"44556677 44556677", hydra, []remark{equal}},
			"one PIN for both, write-only": {
				"", with("pin_wo", "44556677").with(lines{"so_pin_wo": "44556677"}), []remark{equal, other},
			},
			"a user PIN that everybody knows":  {known + " 44556677", hydra, []remark{everybody("user PIN")}},
			"an SO PIN that everybody knows":   {"44556677 " + known, hydra, []remark{everybody("SO PIN")}},
			"a user PIN that is not known yet": {" 44556677", with("pin_wo", unknown), nil},
			"an SO PIN that is not known yet":  {"44556677 ", with("so_pin_wo", unknown), nil},
			"a policy that is none": {"", with("deletion_policy", "delete"), []remark{
				fails("Unknown Word", `"abandon" or "erase"`).pointing("deletion_policy"),
			}},
		}) {
			t.Log(name)
			pin, so, _ := strings.Cut(c.env, " ")
			if c.env == "" {
				pin, so = d.blank.PIN, d.blank.SOPIN
			}
			d.env("HSM_PIN", pin)
			d.env("HSM_SO_PIN", so)
			m := d.resource()
			m.plans(c.config)
			m.says(c.says...)
		}
		if calls := d.faults.Calls(); slices.Contains(calls, "C_Login") || slices.Contains(calls, "C_InitToken") {
			t.Errorf("plans call %q", calls)
		}
	})
}

// What the token is made of is looked for in the plan, and again in the apply.
func TestATokenThatIsInUseIsNeverInitialised(t *testing.T) {
	t.Parallel()
	atDesk(t, func(d *desk) {
		taken := func(more ...string) remark {
			more = append(more, "import it", "never initialised again")
			return fails("Unable to Plan Token: Token Label Taken", more...)
		}
		refused := func(more ...string) remark {
			return fails("Unable to Create Token: Token Label Taken", append(more, "On the token: ", "import it")...)
		}
		found := warns("Token Of That Label Found", "if it accepts both PINs and holds nothing").pointing("label")
		key := []string{"--keypairgen", "--key-type", "EC:prime256v1", "--label", "web", "--id", "01"}
		m := d.resource()
		of := func(label string) lines { return hydra.with(lines{"label": label}) }

		public := d.blank.Add(t, "public")
		public.Tool(t, key...)
		m.applies(of("public"))
		m.says(taken("it holds objects (1)", "terraform import hsm_token.NAME "))

		// The apply alone can see what is private.
		private := d.blank.Add(t, "private")
		private.Tool(t, key...)
		private.Tool(t, "--delete-object", "--type", "pubkey", "--id", "01")
		m.applies(of("private"))
		m.says(found, refused("it holds objects (1)"))

		d.blank.Add(t, "twice")
		d.blank.Add(t, "twice")
		m.applies(of("twice"))
		m.says(fails("Unable to Plan Token: Token Label Taken", `2 tokens have the label "twice"`, "that no token has"))

		// An empty one that takes both PINs, as one that was interrupted does.
		d.blank.Add(t, "empty")
		if before := d.blank.Folders(t); !m.applies(of("empty")) || !slices.Equal(before, d.blank.Folders(t)) {
			t.Errorf("it is not taken: %v, %q", m.heard, d.blank.Folders(t))
		}
		m.says(found)
		m.settled(of("empty"))

		// By its slot, and one that somebody else initialises between plan and apply.
		m = d.resource()
		slot := d.slots(false)
		m.applies(hydra.with(lines{"slot": d.slots(true)}))
		m.says(fails("Unable to Plan Token: No Token To Initialise", "is initialised already", "import it"))
		config := hydra.with(lines{"slot": slot})
		m.plans(config)
		m.says()
		mine := d.blank.Add(t, "hydra")
		mine.Tool(t, key...)
		d.command()
		m.goesOn(config)
		m.says(taken("it holds objects (1)"))
		m.plans(of("other"))
		m.says()
		d.blank.Add(t, "third") // has taken the slot: the apply takes the next one
		d.command()
		if !m.goesOn(of("other")) {
			t.Error(m.heard)
		}

		for _, token := range []*hsmtest.Token{public, private, mine} {
			if left := token.Tool(t, "--list-objects"); !strings.Contains(left, "web") {
				t.Errorf("the token %s has lost its key", token.Label)
			}
		}
		if n := len(d.blank.Folders(t)); n != 8 {
			t.Errorf("there are %d tokens", n)
		}
	})
}

// slots is the slot ID of a token that is initialised, or of the one that is not.
func (d *desk) slots(initialised bool) (id string) {
	d.t.Helper()
	m, err := cryptoki.Open(d.t.Context(), d.blank.Library)
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	slots, err := m.GetSlotList(d.t.Context(), true)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, slot := range slots {
		if info, err := m.GetTokenInfo(d.t.Context(), slot); err == nil && info.Initialised() == initialised {
			return fmt.Sprint(slot)
		}
	}
	d.t.Fatal("no such slot")
	return ""
}

// shows has the module show tokens otherwise than they are.
func (d *desk) shows(change func(*cryptoki.TokenInfo)) {
	d.faults.Clear()
	do := func(_ context.Context, c *cryptoki.Call, next func() error) error {
		err := next()
		if info, ok := c.Result.(*cryptoki.TokenInfo); ok && err == nil {
			change(info)
		}
		return err
	}
	d.faults.Inject(hsmtest.Fault{Function: "C_GetTokenInfo", Do: do})
}

func TestNoTokenIsBlank(t *testing.T) {
	t.Parallel()
	atDesk(t, func(d *desk) {
		d.blank.Add(t, "other")
		d.shows(func(info *cryptoki.TokenInfo) { info.Flags |= cryptoki.CKF_TOKEN_INITIALIZED })
		m := d.resource()
		m.plans(hydra)
		m.says(fails("Unable to Plan Token: No Token To Initialise", "Every token is initialised already",
			`label "other"`, "import it"))
		m.plans(hydra.with(lines{"slot": unknown}))
		m.says()
		d.shows(func(info *cryptoki.TokenInfo) { info.Flags |= cryptoki.CKF_WRITE_PROTECTED })
		m.plans(hydra)
		m.says(fails("Unable to Plan Token: Token Is Read-Only"))
	})
}

// A token with a keypad takes no PIN from a program.
func TestATokenWithAKeypadIsPlannedWithoutPINs(t *testing.T) {
	t.Parallel()
	atDesk(t, func(d *desk) {
		m := d.resource()
		m.applies(hydra)
		d.env("HSM_PIN", "")
		d.env("HSM_SO_PIN", "")
		d.shows(func(info *cryptoki.TokenInfo) { info.Flags |= cryptoki.CKF_PROTECTED_AUTHENTICATION_PATH })
		for name, config := range hsmtest.InOrder(map[string]lines{
			"new PINs": hydra.with(lines{"pin_wo_version": 1, "so_pin_wo_version": 1}), "the end": nil,
		}) {
			t.Log(name)
			m.plans(config)
			m.says()
		}
		m.state = nil
		m.plans(hydra.with(lines{"label": "other"}))
		m.says()
	})
}

func TestTwoResourcesDoNotShareAToken(t *testing.T) {
	t.Parallel()
	another := fails("Unable to Plan Token: Token Has Another Resource", `has the token "hydra"`,
		"choose another label", "a moved block", "terraform state rm")
	atDesk(t, func(d *desk) {
		a, b := d.resource(), d.resource()
		a.plan(hydra)
		a.says()
		b.plan(hydra)
		b.says(another)

		// Two new ones, at the same time.
		d.command()
		other := hydra.with(lines{"label": "other"})
		a.heard, b.heard = nil, nil
		var both sync.WaitGroup
		both.Go(func() { a.goesOn(hydra) })
		both.Go(func() { b.goesOn(other) })
		both.Wait()
		a.says()
		b.says()
		if a.state["serial"] == b.state["serial"] || len(d.blank.Folders(t)) != 2 {
			t.Fatal(a.heard, b.heard, a.state, b.state, d.blank.Folders(t))
		}
		b.settled(other)

		// One that was imported a second time: none of the two can be planned, and none can be destroyed.
		copied := d.resource()
		copied.imports("hydra", nil)
		for _, config := range []lines{hydra, nil} {
			d.command()
			a.heard, copied.heard = nil, nil
			a.refresh()
			copied.refresh()
			a.plan(hydra)
			a.says()
			copied.plan(config)
			copied.says(another)
		}

		// A new name without a moved block, whichever of the two is planned first.
		for _, oldFirst := range []bool{true, false} {
			d.command()
			a.heard = nil
			a.refresh()
			fresh := d.resource()
			if oldFirst {
				a.plan(nil)
				a.says()
				fresh.plan(hydra)
				fresh.says(another)
				continue
			}
			fresh.plan(hydra)
			a.plan(nil)
			a.says(another)
		}
	})
}

func TestATokenIsNotRenamed(t *testing.T) {
	t.Parallel()
	atDesk(t, func(d *desk) {
		m := d.resource()
		m.applies(hydra)
		m.says()
		m.applies(hydra.with(lines{"label": "other"}))
		m.says(fails("Token Cannot Be Renamed", `the label "other"`, `write label = "hydra"`).pointing("label"))
		calls := len(d.faults.Calls())
		for _, slot := range []any{"1", "77", unknown} {
			if differ := m.plans(hydra.with(lines{"slot": slot})); len(differ) != 1 {
				t.Errorf("slot = %v changes %v", slot, differ)
			}
		}
		if !m.applies(hydra.with(lines{"slot": "77"})) {
			t.Error(m.heard)
		}
		m.says()
		called := d.faults.Calls()[calls:]
		if slices.Contains(called, "C_Login") || slices.Contains(called, "C_InitToken") {
			t.Errorf("a change of the slot calls %q", called)
		}
		if differ := m.plans(hydra.with(lines{"label": unknown, "slot": "77"})); len(differ) != 1 {
			t.Errorf("a label that is not known changes %v", differ)
		}
		m.says()
	})
}

func TestATokenIsReadAsItIs(t *testing.T) {
	t.Parallel()
	atDesk(t, func(d *desk) {
		m := d.resource()
		m.applies(hydra)
		kept := m.state
		serial := m.state["serial"].(string)
		d.blank.Add(t, "other")

		// Two of one serial number, and one of another label.
		d.shows(func(info *cryptoki.TokenInfo) { info.Serial = serial })
		m.settled(hydra)
		d.shows(func(info *cryptoki.TokenInfo) {
			if info.Serial == serial {
				info.Label = "renamed"
			}
		})
		m.plans(hydra)
		m.says(fails("Unable to Read Token: Token Has Another Label", `had the label "hydra"`, "terraform state rm"))
		m.state = kept

		// Blank again.
		d.shows(func(info *cryptoki.TokenInfo) {
			if info.Serial == serial {
				info.Flags &^= cryptoki.CKF_TOKEN_INITIALIZED
			}
		})
		m.state = kept.with(lines{"deletion_policy": "prevent"})
		m.plans(hydra)
		m.says(fails("Unable to Read Token: Token Erased", `The token "hydra"`, "terraform state rm"))
		m.state = kept
		d.command()
		m.heard = nil
		m.refresh()
		m.says(warns("Token No Longer Initialised", `is "erase", so it leaves the state`, "do not apply"))
		if m.state != nil {
			t.Errorf("the state is %v", m.state)
		}
		d.faults.Clear()

		// Initialised by somebody else: SoftHSM has no user PIN then.
		m.state = kept
		out, err := exec.Command("pkcs11-tool", "--module", d.blank.Library, "--slot", fmt.Sprint(kept["slot_id"]),
			"--init-token", "--label", "hydra", "--so-pin", d.blank.SOPIN).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if !m.applies(hydra) {
			t.Error(m.heard)
		}
		m.says(warns("Token Has No User PIN", "somebody has erased the token", "This apply sets the PIN"))
		m.settled(hydra)

		// Gone.
		for _, name := range d.blank.Folders(t) {
			if strings.HasSuffix(strings.ReplaceAll(name, "-", ""), serial) {
				if err := os.RemoveAll(filepath.Join(d.blank.Folder, name)); err != nil {
					t.Fatal(err)
				}
			}
		}
		m.plans(hydra)
		m.says(fails("Unable to Read Token: Token Of The State Not Found", `"hydra" (serial number `+serial+")",
			`label "other"`, "the state is kept"))
		if m.state == nil {
			t.Error("it has left the state")
		}
	})
}
