package hsm

import "github.com/terraform-provider-hsm/terraform-provider-hsm/internal/hsm/quirk"

// What messages say where no token tells yet of which make it is.
const (
	OwnConfiguration      = quirk.OwnConfiguration
	ConfigurationVariable = quirk.ConfigurationVariable
	HomeRule              = quirk.HomeRule
	PathRule              = quirk.PathRule
	OwnFiles              = quirk.OwnFiles
	OwnLabel              = quirk.OwnLabel
)

// RemovalCommand is a command line that removes a token of that label for good, and the make that it is for.
func RemovalCommand(label string) (maker, command string) {
	maker, words := quirk.RemovalCommand(label)
	return maker, Command(words...)
}
