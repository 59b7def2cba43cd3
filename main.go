// Command terraform-provider-hsm is the Terraform provider that makes and keeps the keys of an HSM.
package main

import (
	"context"
	"flag"
	"log"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider"
)

// version is set by the linker in releases.
var version = "dev"

func main() {
	debug := flag.Bool("debug", false, "serve under a debugger such as delve")
	flag.Parse()
	if !*debug {
		if err := provider.LimitLogs(); err != nil {
			log.Fatal(err)
		}
	}
	err := providerserver.Serve(context.Background(), provider.New(version), providerserver.ServeOpts{
		Address: "registry.terraform.io/terraform-provider-hsm/hsm",
		Debug:   *debug,
	})
	hsm.CloseAll()
	if err != nil {
		log.Fatal(err)
	}
}
