// Command terraform-provider-hsm is the Terraform provider that makes and keeps the keys of an HSM.
package main

import (
	"flag"
	"fmt"
	"log"
	"runtime"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"

	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm"
	"github.com/terraform-provider-hsm/terraform-provider-hsm/internal/provider"
)

// version is set by the linker in releases.
var version = "dev"

func main() {
	debug := flag.Bool("debug", false, "serve under a debugger such as delve: others may read the PIN in the memory")
	about := flag.Bool("version", false, "print the version and exit")
	flag.Parse()
	if *about {
		fmt.Printf("terraform-provider-hsm %s %s/%s\n", version, runtime.GOOS, runtime.GOARCH)
		return
	}
	var options []tf6server.ServeOpt
	if *debug { // a debugger has to read the memory
		options = append(options, tf6server.WithManagedDebug())
	} else {
		if err := makeUndumpable(); err != nil {
			log.Printf("[WARN] the memory of this process, in which the PIN will be, is not protected: %v", err)
		}
		if err := provider.LimitLogs(); err != nil {
			log.Fatal(err)
		}
	}
	// The garbage collector runs whenever as much has been allocated as is in use. This counts as in use, so the
	// collector waits for that much more, and takes no memory, since nobody touches it. Without it, the collector
	// would run every few milliseconds in a plan of many keys.
	slack := make([]byte, 32<<20)
	err := tf6server.Serve("registry.terraform.io/terraform-provider-hsm/hsm", provider.NewServer(provider.New(version)), options...)
	runtime.KeepAlive(slack)
	hsm.CloseAll()
	if err != nil {
		log.Fatal(err)
	}
}
