package softhsm

import (
	"os"
	"path/filepath"
	"testing"
)

func TestOnWindowsSoftHSMLooksInTheHomeFolderThenInTheCurrentOne(t *testing.T) {
	home := t.TempDir()
	drive := filepath.VolumeName(home)
	t.Setenv("HOMEDRIVE", drive)
	t.Setenv("HOMEPATH", home[len(drive):])
	t.Setenv(configurationVariable, "") // so that the test sets it back
	if err := os.Unsetenv(configurationVariable); err != nil {
		t.Fatal(err)
	}
	if path, variable := ConfigurationPath(); path != "softhsm2.conf" || variable != "" {
		t.Errorf("it is %s, which %q names", path, variable)
	}
	own := filepath.Join(home, "softhsm2.conf")
	if err := os.WriteFile(own, []byte("log.level = INFO\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if path, variable := ConfigurationPath(); path != own || variable != "" {
		t.Errorf("it is %s, which %q names", path, variable)
	}
	if folder, named, err := TokensIn(own); folder != "tokens" || named || err != nil {
		t.Errorf("the tokens are in %s, %t, %v", folder, named, err)
	}
	// As the installer for Windows writes it.
	const text = `directories.tokendir = C:\SoftHSM2\var\softhsm2\tokens\` + "\r\n"
	if err := os.WriteFile(own, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if folder, named, err := TokensIn(own); folder != `C:\SoftHSM2\var\softhsm2\tokens\` || !named || err != nil {
		t.Errorf("the tokens are in %s, %t, %v", folder, named, err)
	}
	t.Setenv(configurationVariable, `C:\elsewhere`)
	if path, variable := ConfigurationPath(); path != `C:\elsewhere` || variable != configurationVariable {
		t.Errorf("it is %s, which %q names", path, variable)
	}
}
