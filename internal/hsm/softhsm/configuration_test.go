package softhsm

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestTheConfigurationIsTheOneThatSoftHSMReads(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv(configurationVariable, "") // so that the test sets it back
	if err := os.Unsetenv(configurationVariable); err != nil {
		t.Fatal(err)
	}
	check := func(wantPath, wantVariable string) {
		t.Helper()
		if path, variable := ConfigurationPath(); path != wantPath || variable != wantVariable {
			t.Errorf("it is %q, which %q names", path, variable)
		}
	}
	check(built(usualConfiguration, homebrew[runtime.GOOS]), "")
	own := ownConfiguration()
	if err := os.MkdirAll(filepath.Dir(own), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(own, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	check(own, "")
	t.Setenv(configurationVariable, "/elsewhere")
	check("/elsewhere", configurationVariable)
	for path, says := range map[string]string{own: "", home: "it is a folder", "/elsewhere": "no such file or directory",
		"": "no such file or directory"} {
		err := Readable(path)
		if err == nil && says != "" || err != nil && err.Error() != says {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func TestTheUsualConfigurationIsHomebrewsWhereThatHasOne(t *testing.T) {
	none, first, second := t.TempDir(), t.TempDir(), t.TempDir()
	for _, folder := range []string{first, second} {
		if err := os.MkdirAll(filepath.Join(folder, filepath.Dir(usualConfiguration)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(folder+usualConfiguration, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		folders []string
		want    string
	}{
		{nil, usualConfiguration},
		{[]string{none}, usualConfiguration},
		{[]string{none, second}, second + usualConfiguration},
		{[]string{first, second}, first + usualConfiguration},
	} {
		if path := built(usualConfiguration, c.folders); path != c.want {
			t.Errorf("with %q it is %s", c.folders, path)
		}
	}
	if len(homebrew["linux"]) != 0 || len(homebrew["darwin"]) != 2 {
		t.Errorf("Homebrew's folders are %q", homebrew)
	}
}

func TestTheFolderOfTokensIsTheOneThatSoftHSMReads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "softhsm2.conf")
	for text, want := range map[string]string{
		"":                            "",
		"log.level = INFO\n":          "",
		"directories.tokendir = /a\n": "/a",
		"\tdirectories.tokendir=  ~/my tokens \t\r\n":            "~/my tokens",
		"directories.tokendir = /a\ndirectories.tokendir = /b":   "/b",
		"directories.tokendir = /a\ndirectories.tokendir = \t\n": "/a",
		"directories.tokendir = /a # = /b\n":                     "/a",
		"# directories.tokendir = /a\n":                          "",
		"directories.tokendir = /a=b\n":                          "/a",
		"= directories.tokendir = /a\n":                          "/a",
		"directories.tokendirs = /a\n":                           "",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		folder, named, err := TokensIn(path)
		if err != nil || named != (want != "") || named && folder != want || !named && folder != usualTokens {
			t.Errorf("%q: %q, %t, %v", text, folder, named, err)
		}
	}
	if _, _, err := TokensIn(path + "x"); err == nil {
		t.Error("a file that is not there names a folder")
	}
}

func TestAFolderOfTokensThatCannotBeListed(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, says := range map[string]string{
		folder: "", file: "it is no folder", "~/no such folder": "no such file or directory", file + "/x": "not a directory",
	} {
		if err := Listable(path); err == nil && says != "" || err != nil && err.Error() != says {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func TestAModuleIsSoftHSMByTheNameOfItsFile(t *testing.T) {
	file, link := filepath.Join(t.TempDir(), "libsofthsm2.so"), filepath.Join(t.TempDir(), "module.so")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{file: true, link: true, "/usr/lib/p11-kit-client.so": false} {
		if IsModule(path) != want {
			t.Errorf("%s is taken for SoftHSM: %t", path, !want)
		}
	}
}
