package softhsm

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/cryptoki"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"
)

// TestWhereTheLockOfATokenLies looks for the files of tokens as their makes do.
func TestWhereTheLockOfATokenLies(t *testing.T) {
	root := t.TempDir()
	if real, err := filepath.EvalSymlinks(root); err == nil {
		root = real
	}
	at := func(words ...string) string { return filepath.Join(append([]string{root}, words...)...) }
	for _, folder := range []string{
		"tokens/08807cc6-2244-f1d5-6d0c-b2aa63ace19e", "tokens/11111111-2222-3333-4444-555555555555",
		"twice/08807cc6-2244-f1d5-6d0c-b2aa63ace19e", "twice/18807cc6-2244-f1d5-6d0c-b2aa63ace19e", "home/.config/softhsm2", "database",
	} {
		if err := os.MkdirAll(at(folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for path, text := range map[string]string{
		"conf":       fmt.Sprintf("# directories.tokendir = /nowhere\n directories.tokendir =  %s/ # ours\nlog.level = ERROR\n", at("tokens")),
		"twice.conf": "directories.tokendir = " + at("twice"), "gone.conf": "directories.tokendir = " + at("gone"),
		"home/.config/softhsm2/softhsm2.conf": "directories.tokendir=" + at("tokens"),
	} {
		if err := os.WriteFile(at(path), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const serial = "6d0cb2aa63ace19e"
	ours := at("tokens", "08807cc6-2244-f1d5-6d0c-b2aa63ace19e")
	softHSM, nss := quirk.Files{BySerial: true}, quirk.Files{Parameter: "configdir", Variable: "HSMTEST_PARAMETERS"}
	for _, c := range []struct {
		name, conf, home, serial, parameters string
		variable                             string // parameters in the environment
		files                                quirk.Files
		folder, why                          string // one of them
	}{
		{name: "as SOFTHSM2_CONF says", conf: at("conf"), serial: serial, files: softHSM, folder: ours},
		{name: "as the user's own configuration says", home: at("home"), serial: serial, files: softHSM, folder: ours},
		{name: "a serial number that no folder has", conf: at("conf"), serial: "6d0cb2aa63ace19f", files: softHSM, why: "has 0 tokens"},
		{name: "a token that is not initialised", conf: at("conf"), files: softHSM, folder: at("tokens")},
		{name: "a copy of the token", conf: at("twice.conf"), serial: serial, files: softHSM, why: "has 2 tokens"},
		{name: "no configuration", conf: at("none"), serial: serial, files: softHSM, why: "SoftHSM's configuration"},
		{name: "a folder as configuration", conf: root, serial: serial, files: softHSM, why: "it is a folder"},
		{name: "a folder of tokens that is gone", conf: at("gone.conf"), serial: serial, files: softHSM, why: "folder of the token's files"},
		{name: "NSS's database", parameters: "configdir='sql:" + at("database") + "' flags=readWrite", files: nss, folder: at("database")},
		{name: "NSS's database, bare", parameters: "flags=readWrite configdir=" + at("database"), files: nss, folder: at("database")},
		{name: "NSS's database, by the environment", variable: "configdir=" + at("database"), files: nss, folder: at("database")},
		{name: "NSS's database, where the environment has another", parameters: "configdir=" + at("database"), variable: "configdir=/",
			files: nss, folder: at("database")},
		{name: "NSS without parameters", files: nss, why: "have no configdir"},
		{name: "a folder that is always the same", files: quirk.Files{Path: at("database")}, folder: at("database")},
		{name: "nothing known", why: "nothing shows"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("SOFTHSM2_CONF", c.conf) // and puts it back
			if c.conf == "" {
				_ = os.Unsetenv("SOFTHSM2_CONF")
			}
			t.Setenv("HOME", c.home)
			t.Setenv("HSMTEST_PARAMETERS", c.variable)
			t.Setenv("XDG_CACHE_HOME", at("cache"))
			p := placeOf(cryptoki.TokenInfo{Serial: c.serial}, c.parameters, c.files)
			switch {
			case c.why != "" && (p.why == nil || !strings.Contains(p.why.Error(), c.why) || !p.own || p.token || p.folder != at("cache", lockName)):
				t.Errorf("it lies in %s, because of %v", p.folder, p.why)
			case c.why == "" && (p.folder != c.folder || p.own || p.why != nil || p.token != (c.serial != "")):
				t.Errorf("it lies in %s, because of %v", p.folder, p.why)
			}
		})
	}
}

func TestSoftHSMsCountIsCountedUp(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SoftHSM's way to lock its files is not known there")
	}
	folder := t.TempDir()
	path := filepath.Join(folder, "generation")
	if err := bump(folder); err != nil {
		t.Errorf("a token in a database has no count, and that is said to be wrong: %v", err)
	}
	for _, c := range []struct{ before, after uint64 }{{3, 4}, {1 << 40, 1<<40 + 1}, {^uint64(0), 1}} {
		if err := os.WriteFile(path, binary.BigEndian.AppendUint64(nil, c.before), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := bump(folder); err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(path); err != nil || binary.BigEndian.Uint64(text) != c.after {
			t.Errorf("%d became %x, %v", c.before, text, err)
		}
	}
	if err := os.WriteFile(path, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := bump(folder); err == nil {
		t.Error("a file of another form was written to")
	}
	if text, _ := os.ReadFile(path); string(text) != "another" {
		t.Errorf("it is %q now", text)
	}
}
