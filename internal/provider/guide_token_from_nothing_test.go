package provider_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

// newTrial is a reader who has set the shell up for the guide's trial, and applies without being asked.
func newTrial(t *testing.T, folders ...string) shell {
	t.Helper()
	hsmtest.NeedsCurves(t)
	s := newReader(t, folders...).with("TF_CLI_ARGS_apply=-auto-approve", "TF_CLI_ARGS_destroy=-auto-approve")
	s.does(true, "terraform", "init")
	return s
}

// at runs Terraform where blank.sh has been run, with other values of some of its variables.
func (s shell) at(well bool, variables, command string) string {
	s.t.Helper()
	return s.does(well, "sh", "-ec", ". ./blank.sh\n"+variables+" terraform "+command)
}

func TestTheGuideATokenFromNothing(t *testing.T) {
	t.Parallel()
	const newPIN, newSOPIN = "HSM_PIN=16180339 ", "HSM_SO_PIN=14142135 "
	s := newTrial(t, "token-from-nothing/one-block")
	s.says(s.at(true, "", "apply"), "New Keys Not Checked Against The Token", "2 added", `\"kid\":\"jwt-1\"`)

	// With the new PINs, the policies by which the token and its key are destroyed in the order of their dependency.
	s.take("token-from-nothing/new-pins")
	s.edit("token.tf", "so_pin_wo ", "deletion_policy = \"erase\"\nso_pin_wo ")
	s.edit("main.tf", `curve `, "deletion_policy = \"delete\"\ncurve ")
	s.says(s.at(true, "TF_VAR_new_pin=16180339 TF_VAR_new_so_pin=14142135", "apply"),
		"The Provider Needs The New PIN", "2 changed")
	s.take("token-from-nothing/one-block")
	s.edit("token.tf", `label = "web"`, "deletion_policy = \"erase\"\nlabel = \"web\"")
	s.edit("main.tf", `curve `, "deletion_policy = \"delete\"\ncurve ")
	s.says(s.at(true, newPIN+"HSM_SO_PIN=", "apply"), "0 added, 1 changed, 0 destroyed")

	// A PIN that is lost.
	const both = "HSM_PIN=57721566 " + newSOPIN
	s.edit("token.tf", `label = "web"`, "pin_wo_version = 2\nlabel = \"web\"")
	planned := s.at(false, both, "plan")
	s.says(planned, "Keys Not Read", "PIN Still To Be Set", "-target=ADDRESS")
	if strings.Contains(planned, "Missing Resource Identity") { // the framework's word for a read that leaves none
		t.Errorf("the plan says\n%s", planned)
	}
	s.says(s.at(true, both, "apply -target=hsm_token.web"), "1 changed")

	s.says(s.at(true, both, "destroy"), "2 destroyed")
	s.says(s.at(true, both, "apply"), "2 added") // it takes the erased token, which has the new SO PIN
	if tokens, err := filepath.Glob(filepath.Join(s.dir, "tokens", "*", "token.object")); err != nil || len(tokens) != 1 {
		t.Errorf("the tokens are %v, %v", tokens, err)
	}
	s.does(true, "terraform", "state", "rm", "hsm_token.web")
	s.says(s.at(true, "HSM_PIN=57721566 HSM_SO_PIN=", "import hsm_token.web web"), "Import successful!")
}

func TestTheGuideATokenFromNothingWithTwoBlocks(t *testing.T) {
	t.Parallel()
	s := newTrial(t, "token-from-nothing/two-blocks")
	s.copy("token-from-nothing/one-block", "trial")
	s.does(true, "sh", "-c", "mv trial/blank.sh . && echo unset HSM_TOKEN_LABEL >>blank.sh")
	s.says(s.at(true, "", "apply"), "New Keys Not Checked Against The Token", "token_serial", "2 added")
	s.edit("main.tf", `label = "web"`, "pin_wo_version = 1\nlabel = \"web\"")
	s.says(s.at(true, "HSM_PIN=16180339", "apply -target=hsm_token.web"), "0 added, 1 changed")
	s.edit("main.tf", "token_serial = hsm_token.web.serial", "slot = hsm_token.web.slot_id")
	s.says(s.at(true, "HSM_SO_PIN= HSM_PIN=16180339", "plan"), "No changes.")
}
