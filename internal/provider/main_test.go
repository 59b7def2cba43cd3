package provider_test

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"

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
	if os.Getenv(resource.EnvTfAcc) == "" {
		tell("internal/provider: the tests that run Terraform are skipped, since TF_ACC is not set: " +
			"scripts/acceptance go test ./... runs them, and so does make test")
	}
	// They wait for other processes and for locks a good part of their time.
	if err := flag.Set("test.parallel", strconv.Itoa(max(4, runtime.GOMAXPROCS(0)))); err != nil {
		tell(err.Error())
	}
	code := hsmtest.Main(m)
	for _, folder := range cleanUp {
		_ = os.RemoveAll(folder)
	}
	os.Exit(code)
}

// tell says something to whoever started the tests. "go test" shows nothing of what a package prints that passes, so on
// Linux the line goes to where go test itself writes its errors.
func tell(line string) {
	where := io.Writer(os.Stderr)
	parent := filepath.Join("/proc", strconv.Itoa(os.Getppid()))
	if name, err := os.ReadFile(filepath.Join(parent, "comm")); err == nil && string(name) == "go\n" {
		if file, err := os.OpenFile(filepath.Join(parent, "fd", "2"), os.O_WRONLY|os.O_APPEND, 0); err == nil {
			defer file.Close()
			where = file
		}
	}
	_, _ = fmt.Fprintln(where, line)
}

// cleanUp are the folders of the whole test process.
var cleanUp []string
