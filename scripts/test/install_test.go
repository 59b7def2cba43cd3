package scripts

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestMakeInstallTakesOnlyWhatTerraformTakesForAVersion(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "terraform-provider-hsm")
	if err := os.WriteFile(binary, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	for version, taken := range map[string]bool{
		"0.2.0": true, "10.20.30": true, "0.2.0-rc.1": true,
		"": false, "v0.3.0": false, "0.3": false, "0.3.0.1": false, "0.03.0": false, "0.3.0-": false, "../0.3.0": false,
		"0.3.0 0.4.0": false,
	} {
		t.Run(version, func(t *testing.T) {
			plugins := t.TempDir()
			// without the building, which would take longer than the test
			out, err := exec.CommandContext(t.Context(), "make", "-s", "-C", "../..", "-o", "build", "install",
				"VERSION="+version, "BINARY="+binary, "PLUGINS_DIR="+plugins).CombinedOutput()
			installed, globErr := filepath.Glob(filepath.Join(plugins, "*", "*", "hsm", version, "*",
				"terraform-provider-hsm_v"+version))
			if globErr != nil || (err == nil) != taken || (len(installed) == 2) != taken {
				t.Errorf("error %v, %v, installed %v, and it says: %s", err, globErr, installed, out)
			}
			if says := strings.Contains(string(out), `VERSION is "`+version+`". It must be`); says == taken {
				t.Errorf("it says: %s", out)
			}
			if left, err := os.ReadDir(plugins); err != nil || (len(left) > 0) != taken {
				t.Errorf("%s has %v, %v", plugins, left, err)
			}
		})
	}
}
