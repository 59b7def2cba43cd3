package scripts

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

const workflow = `name: test
on: push
permissions: {}
jobs:
  linux:
    strategy:
      matrix:
        target: [demo, vuln]
    runs-on: ubuntu-24.04
    container:
      image: golang:1.26@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    permissions:
      contents: read
    timeout-minutes: 60
    steps:
      - uses: actions/checkout@0123456789abcdef0123456789abcdef01234567 # v7.0.1
        with:
          persist-credentials: false
      - run: scripts/deps tests # why
      - run: make -s build VERSION=0.2.0 >>"$GITHUB_OUTPUT"
      - run: make ${{ matrix.target }}
      - run: bash .ci/run
  macos: # the same
    runs-on: macos-15
    permissions:
      contents: read
    timeout-minutes: 60
    steps:
      - name: Install
        run: brew install softhsm
`

func TestWorkflowsAreChecked(t *testing.T) {
	dir := place{t, t.TempDir(), nil}
	for i, test := range []struct {
		name, old, new string
		says           string // empty where it passes
	}{
		{"a workflow as they are written here", "", "", ""},
		{"a key that the forge does not know", "runs-on: macos-15", "run-on: macos-15", `unexpected key "run-on"`},
		{"a runner that it does not have", "macos-15", "macos-3", `label "macos-3" is unknown`},
		{"an expression that is none", "matrix.target", "matrix.targets", `property "targets" is not defined`},
		{"what shellcheck finds", "bash .ci/run", "echo $HOME/*.x | grep `x`", "shellcheck reported issue"},
		{"an action by its tag", "@0123456789abcdef0123456789abcdef01234567 # v7.0.1", "@v7",
			":16: an action is not pinned"},
		{"an action by half a digest", "67 # v7", " # v7", ":16: an action is not pinned"},
		{"an action of no version", " # v7.0.1", "", ":16: an action is not pinned"},
		{"an image by its tag", "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "",
			":11: an image is not pinned"},
		{"an image by its tag in one line", "container:\n      image: golang:1.26@", "container: golang:1.26#",
			":10: an image is not pinned"},
		{"a job that asks for nothing", "    permissions:\n      contents: read\n", "",
			"the job linux, which ends here, has no permissions"},
		{"the last job without an end", "    timeout-minutes: 60\n    steps:\n      - name", "    steps:\n      - name",
			"the job macos, which ends here, has no timeout-minutes"},
		{"jobs that get the usual permissions", "permissions: {}\n", "", `has no line "permissions: {}"`},
		{"a token that is left behind", "        with:\n          persist-credentials: false\n", "",
			"the job linux, which ends here, checks out without persist-credentials: false"},
		{"a target that make does not have", "make -s build", "make -s built", `:20: make has no target "built"`},
		{"a target of a list that it does not have", "[demo, vuln]", "[demo, vulns]", `:8: make has no target "vulns"`},
		{"a script that is not there", "scripts/deps tests", "scripts/dep tests", ":19: scripts/dep is not there"},
		{"a command of its own", "bash .ci/run", "go test ./...", ":22: workflows run make"},
		{"a command after another", "bash .ci/run", "make demo && make test", ":22: runs more than one command"},
		{"a step of several lines", "bash .ci/run", "|\n          make demo", ":22: a step runs several lines"},
		{"a name of the forge in a command", "make -s build", "make -s build VERSION=${{ github.sha }}",
			":20: what the forge fills in may be anybody's"},
		{"a job that this check cannot see", "  linux:", "  linux: {}\n  other:",
			"a job in one line cannot be checked here"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if strings.Count(workflow, test.old) == 0 {
				t.Fatalf("the workflow has no %q", test.old)
			}
			name := fmt.Sprintf("%d.yml", i)
			dir.write(name, strings.Replace(workflow, test.old, test.new, 1))
			out, ok := place{t, "..", nil}.run("./workflows", filepath.Join(dir.dir, name))
			if ok != (test.says == "") || !strings.Contains(out, test.says) {
				t.Errorf("passes: %t, and it says: %s", ok, out)
			}
		})
	}
}
