package scripts

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A repository that is ready to be released as 0.3.0, of the scripts and the makefile of this one. In place of the
// script that checks a release, which takes long, stands a command.
func releasable(t *testing.T, check string) place {
	p := place{t, t.TempDir(), []string{"GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_SYSTEM=" + os.DevNull}}
	for _, name := range []string{"scripts/tag", "scripts/changelog", "GNUmakefile"} {
		text, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		p.write(name, string(text))
	}
	p.write("scripts/deps", "#!/bin/sh\n")
	p.write("scripts/release-check", "#!/bin/sh\n"+check+"\n")
	for _, name := range []string{"tag", "changelog", "deps", "release-check"} {
		if err := os.Chmod(filepath.Join(p.dir, "scripts", name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	p.write("CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n\n## [0.3.0] - 2026-12-24\n\n- A gift.\n\n"+
		"## [0.2.1]\n\n- No date.\n\n## [0.2.0] - 2026-12-01\n\n## [0.1.0] - 2026-11-01\n\n- The first.\n")
	p.write(".gitignore", "/.cache/\n")
	p.must("git", "init", "-q", "-b", "main")
	p.must("git", "config", "user.name", "A maintainer")
	p.must("git", "config", "user.email", "maintainer@example.com")
	p.must("git", "add", ".")
	p.must("git", "commit", "-qm", "All of it")
	p.must("git", "tag", "-am", "Version 0.1.0", "v0.1.0")
	return p
}

func TestMakeReleaseTagsOnlyWhatIsReady(t *testing.T) {
	const passes = "echo checked $VERSION"
	t.Setenv("VERSION", "") // for the time after the test
	if err := os.Unsetenv("VERSION"); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, version, check string
		before               func(p place)
		says                 string // empty where it is released
	}{
		{"a version that the changelog describes, of a clean main", "0.3.0", passes, nil, ""},
		{"with files that git ignores", "0.3.0", passes, func(p place) { p.write(".cache/bin/tool", "x") }, ""},
		{"without a version", "", passes, nil, `say which version it is to be, such as: make release VERSION=0.3.0`},
		{"a version that is none", "v0.3.0", passes, nil, `VERSION is "v0.3.0". It must be three numbers without a v`},
		{"a version that the changelog lacks", "0.4.0", passes, nil,
			`CHANGELOG.md has no section "## [0.4.0] - YEAR-MONTH-DAY". Say there what users will notice`},
		{"one that is a regular expression for another", "0.3.0-x", passes, nil, "CHANGELOG.md has no section"},
		{"a version that has no date there", "0.2.1", passes, nil, `YEAR-MONTH-DAY", but "## [0.2.1]"`},
		{"a version of which it says nothing", "0.2.0", passes, nil, `CHANGELOG.md says nothing of 0.2.0`},
		{"a version that is tagged", "0.1.0", passes, nil, "v0.1.0 is there already, on commit "},
		{"a work tree with a change", "0.3.0", passes, func(p place) { p.write(".gitignore", "") }, " M .gitignore"},
		{"a work tree with a file that no commit has", "0.3.0", passes, func(p place) { p.write("new/file", "") },
			"?? new/file"},
		{"another branch", "0.3.0", passes, func(p place) { p.must("git", "switch", "-qc", "topic") },
			"this is topic, and releases are made from main. Run: git switch main"},
		{"no branch", "0.3.0", passes, func(p place) { p.must("git", "switch", "-q", "--detach") },
			"this is no branch, and"},
		{"checks that fail", "0.3.0", "false", nil, "make release-check has failed"},
		{"checks that leave a file", "0.3.0", "touch left", nil, "the checks have changed the work tree"},
		{"another commit during the checks", "0.3.0", "git commit -q --allow-empty -m Another", nil,
			"another commit was checked out during the checks"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := releasable(t, test.check)
			if test.before != nil {
				test.before(p)
			}
			commit, tags := p.must("git", "rev-parse", "HEAD"), p.must("git", "tag", "--list")
			args := []string{"release"}
			if test.version != "" {
				args = append(args, "VERSION="+test.version)
			}
			out, ok := p.run("make", args...)
			if ok != (test.says == "") || !strings.Contains(out, test.says) {
				t.Errorf("ends well: %t, and says: %s", ok, out)
			}
			if test.says != "" {
				if now := p.must("git", "tag", "--list"); now != tags {
					t.Errorf("the tags are %s", now)
				}
				return
			}
			if !strings.Contains(out, "checked 0.3.0\n") || !strings.Contains(out, "git push origin main v0.3.0") {
				t.Errorf("it says: %s", out)
			}
			kind, at := p.must("git", "cat-file", "-t", "v0.3.0"), p.must("git", "rev-parse", "v0.3.0^{commit}")
			if kind != "tag" || at != commit {
				t.Errorf("v0.3.0 is a %s of %s, not of %s", kind, at, commit)
			}
		})
	}
}

// The workflow looks again: somebody may have tagged by hand.
func TestOnlyATagOfMainIsPublished(t *testing.T) {
	p := releasable(t, "false")
	upstream := t.TempDir()
	p.must("git", "init", "-q", "--bare", upstream)
	p.must("git", "remote", "add", "origin", upstream)
	p.must("git", "push", "-q", "origin", "main")
	p.must("git", "tag", "v0.3.0")
	p.must("git", "tag", "v0.4.0")
	p.must("git", "tag", "next")
	p.must("git", "tag", "v0.3")
	p.must("git", "fetch", "-q", "origin")
	check := func(tag, says string) {
		t.Helper()
		out, ok := p.run("make", "-s", "release-version", "TAG="+tag)
		if ok != (says == "") || !strings.Contains(out, says) {
			t.Errorf("of %s it ends well: %t, and says: %s", tag, ok, out)
		}
		if ok && out != "version="+strings.TrimPrefix(tag, "v")+"\n" {
			t.Errorf("of %s it prints %q", tag, out)
		}
	}
	check("v0.3.0", "")
	check("v0.4.0", "CHANGELOG.md does not describe it")
	check("next", `the tag "next" is not a v and a version`)
	check("", `the tag "" is not a v and a version`)
	check("v0.3", `"0.3" is no version`)
	for _, tag := range []string{"v0.3.0\"`>run`\"", "v0.3.0';>run;'", "v0.3.0$(>run)"} {
		p.must("git", "tag", tag)
		p.env = append(p.env, "TAG="+tag) // as in the workflow
		out, ok := p.run("make", "-s", "release-version")
		if ok || !strings.Contains(out, "is no version") {
			t.Errorf("of %s it ends well: %t, and says: %s", tag, ok, out)
		}
		if _, err := os.Stat(filepath.Join(p.dir, "run")); err == nil {
			t.Errorf("a shell has run what the tag %s says", tag)
			_ = os.Remove(filepath.Join(p.dir, "run"))
		}
	}
	p.must("git", "commit", "-q", "--allow-empty", "-m", "Not in main there")
	check("v0.3.0", "the tag v0.3.0 is not on the commit that is checked out")
	p.must("git", "tag", "-f", "v0.3.0")
	check("v0.3.0", "the tag v0.3.0 is on a commit that is not in main")
}

// What make builds and installs where no version is asked for is the newest that the changelog describes.
func TestTheUsualVersionIsTheChangelogs(t *testing.T) {
	root := place{t, "../..", nil}
	text, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	newest := regexp.MustCompile(`(?m)^## \[?(\d+\.\d+\.\d+)`).FindSubmatch(text)
	if newest == nil {
		t.Fatal("CHANGELOG.md has no version")
	}
	if out := root.must("make", "-n", "build"); !strings.Contains(out, "main.version="+string(newest[1])+`"`) {
		t.Errorf("the newest version is %s, and make build runs: %s", newest[1], out)
	}
}

// The key that signs releases comes from the environment, with a passphrase or without one.
func TestTheKeyOfReleases(t *testing.T) {
	if _, err := exec.LookPath("gpg"); err != nil {
		t.Skip(err)
	}
	const passphrase = "not-to-be-seen"
	gnupg := func() place {
		folder, err := os.MkdirTemp("", "gpg") //nolint:usetesting // the path of the agent's socket is short
		if err != nil {
			t.Fatal(err)
		}
		p := place{t, "..", []string{"GNUPGHOME=" + folder}}
		t.Cleanup(func() {
			p.run("gpgconf", "--kill", "all")
			_ = os.RemoveAll(folder)
		})
		return p
	}
	source := gnupg()
	key := func(name, passphrase string) string {
		batch := []string{"--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", passphrase}
		source.must("gpg", append(batch, "--quick-generate-key", name, "rsa2048", "sign", "never")...)
		return source.must("gpg", append(batch, "--armor", "--export-secret-keys", "="+name)...)
	}
	locked, open := key("locked", passphrase), key("open", "")
	armour := regexp.MustCompile(`[A-Za-z0-9+/]{64}`).FindString(locked)
	for _, test := range []struct {
		name, key, passphrase string
		says                  string // empty where it signs
	}{
		{"a key with a passphrase signs", locked, passphrase, ""},
		{"a key without one signs", open, "", ""},
		{"another passphrase is refused", locked, "another-" + passphrase, "Is GPG_PASSPHRASE its passphrase?"},
		{"a passphrase that is missing is refused", locked, "", "Is GPG_PASSPHRASE its passphrase?"},
		{"a text that is no key is refused", "x" + passphrase, "", "GPG_PRIVATE_KEY is no key in ASCII armour"},
		{"two keys are refused", locked + "\n" + open, "", "not exactly one secret key"},
		{"no key is refused", "", "", "GPG_PRIVATE_KEY must be the key that signs"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := gnupg()
			p.t, p.env = t, append(p.env, "GPG_PRIVATE_KEY="+test.key, "GPG_PASSPHRASE="+test.passphrase)
			out, ok := p.run("make", "-s", "-C", "..", "--no-print-directory", "release-key")
			if ok != (test.says == "") || !strings.Contains(out, test.says) {
				t.Errorf("ends well: %t, and says: %s", ok, out)
			}
			if strings.Contains(out, passphrase) || strings.Contains(out, armour) {
				t.Errorf("it betrays the key: %s", out)
			}
			if !ok {
				return
			}
			fingerprint, found := strings.CutPrefix(strings.TrimSpace(out), "GPG_FINGERPRINT=")
			if !found || len(fingerprint) != 40 {
				t.Errorf("it prints %q", out)
			}
			file := filepath.Join(t.TempDir(), "sums")
			if err := os.WriteFile(file, []byte("sums"), 0o600); err != nil {
				t.Fatal(err)
			}
			// as goreleaser has it sign
			p.must("gpg", "--batch", "--local-user", fingerprint, "--output", file+".sig", "--detach-sign", file)
			p.must("gpg", "--batch", "--verify", file+".sig", file)
		})
	}
}
