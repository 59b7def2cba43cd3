package hsm_test

import (
	"flag"
	"log"
	"os"
	"testing"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/hsmtest"
)

func TestMain(m *testing.M) {
	if order := os.Getenv("HSMTEST_ORDER"); order != "" {
		os.Exit(obey(order))
	}
	hsmtest.Tokens = 32
	if err := flag.Set("test.parallel", "6"); err != nil { // they wait for the module more than they compute
		log.Fatal(err)
	}
	os.Exit(hsmtest.Main(m))
}
