package hsm_test

import (
	"os"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

func TestMain(m *testing.M) {
	if order := os.Getenv("HSMTEST_ORDER"); order != "" {
		os.Exit(obey(order))
	}
	hsmtest.Tokens = 24
	os.Exit(hsmtest.Main(m))
}
