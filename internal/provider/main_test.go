package provider_test

import (
	"os"
	"strings"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

func TestMain(m *testing.M) {
	if os.Getenv("HSMTEST_SERVE") != "" {
		serve()
		return
	}
	for _, variable := range os.Environ() { // no test may reach an HSM that holds real keys
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "HSM_") {
			_ = os.Unsetenv(name)
		}
	}
	code := hsmtest.Main(m)
	for _, folder := range cleanUp {
		_ = os.RemoveAll(folder)
	}
	os.Exit(code)
}

// cleanUp are the folders of the whole test process.
var cleanUp []string
