package scripts

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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

func TestMakeInstallOnEachSystem(t *testing.T) {
	root := place{t, "../..", nil}
	binary := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(binary, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	for platform, suffix := range map[string]string{
		"linux_amd64": "", "linux_arm64": "", "darwin_amd64": "", "darwin_arm64": "", "windows_amd64": ".exe",
	} {
		plugins := t.TempDir()
		system, processor, _ := strings.Cut(platform, "_")
		root.env = []string{"GOOS=" + system, "GOARCH=" + processor}
		root.must("make", "-s", "-o", "build", "install", "VERSION=0.2.0", "BINARY="+binary, "PLUGINS_DIR="+plugins)
		for _, host := range []string{"registry.terraform.io", "registry.opentofu.org"} {
			name := filepath.Join(plugins, host, "terraform-provider-hsm", "hsm", "0.2.0", platform,
				"terraform-provider-hsm_v0.2.0"+suffix)
			if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o755 {
				t.Errorf("%s: %v, %v", name, info, err)
			}
		}
	}
	for _, usual := range []struct {
		folder    string
		variables []string
	}{
		{"/home/me/.terraform.d/plugins", []string{"HOME=/home/me", "OS="}},
		{"C:/Users/John Doe/AppData/Roaming/terraform.d/plugins",
			[]string{"OS=Windows_NT", `APPDATA=C:\Users\John Doe\AppData\Roaming`}},
	} {
		out := root.must("make", append(usual.variables, "-s", "-n", "install", "VERSION=0.2.0")...)
		if !strings.Contains(out, `dir="`+usual.folder+"/$host/") ||
			!strings.HasSuffix(out, "\nscripts/installed '0.2.0'") {
			t.Errorf("with %q it runs: %s", usual.variables, out)
		}
	}
}

// What make install says to do is done: Terraform then has the provider, from where it was put.
func TestWhatMakeInstallSaysWorks(t *testing.T) {
	terraform := os.Getenv("TF_ACC_TERRAFORM_PATH")
	if terraform == "" {
		t.Skip("runs Terraform: scripts/acceptance go test ./scripts/test")
	}
	binary := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(binary, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	home, other := t.TempDir(), filepath.Join(t.TempDir(), "other plugins")
	for name, c := range map[string]struct {
		install, init []string
		says          string
	}{
		"where Terraform looks": {nil, nil, "Then run: terraform init (or tofu init)\n\n" +
			"As long as the provider is in these folders, neither asks a registry for any version of it."},
		"in another folder": {[]string{"PLUGINS_DIR=" + other}, []string{"-plugin-dir=" + other},
			`Then run: terraform init -plugin-dir="` + other + `" (or tofu)`},
	} {
		t.Run(name, func(t *testing.T) {
			root := place{t, "../..", []string{"HOME=" + home}}
			out := root.must("make",
				append(c.install, "-s", "-o", "build", "install", "VERSION=0.2.0", "BINARY="+binary)...)
			_, block, found := strings.Cut(out, "uses it:\n")
			block, says, ended := strings.Cut(block, "\n\nThen run")
			if !found || !ended || "Then run"+says != c.says {
				t.Fatalf("it says: %s", out)
			}
			user := place{t, t.TempDir(), root.env}
			user.write("main.tf", regexp.MustCompile(`(?m)^  `).ReplaceAllString(strings.TrimSpace(block), "")+"\n")
			user.must(terraform, "fmt", "-check", "-diff")
			said := user.must(terraform, append([]string{"init", "-no-color"}, c.init...)...)
			if !strings.Contains(said, "Installed terraform-provider-hsm/hsm v0.2.0") {
				t.Errorf("terraform init says: %s", said)
			}
		})
	}
}
