// Command terraform-provider-hsm is the Terraform provider that makes and keeps the keys of an HSM.
package main

import (
	"flag"
	"log"
	"runtime"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider"
)

// version is set by the linker in releases.
var version = "dev"

func main() {
	debug := flag.Bool("debug", false, "serve under a debugger such as delve")
	flag.Parse()
	var options []tf6server.ServeOpt
	if *debug {
		options = append(options, tf6server.WithManagedDebug())
	} else if err := provider.LimitLogs(); err != nil {
		log.Fatal(err)
	}
	// Never used, so that it takes no memory, but counted as some: the garbage collector, which runs whenever as much was
	// allocated as is in use, waits for so much more. Else it would run every few milliseconds in a plan of many keys.
	slack := make([]byte, 32<<20)
	err := tf6server.Serve("registry.terraform.io/terraform-provider-hsm/hsm", provider.NewServer(provider.New(version)), options...)
	runtime.KeepAlive(slack)
	hsm.CloseAll()
	if err != nil {
		log.Fatal(err)
	}
}
