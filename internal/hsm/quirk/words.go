package quirk

// What messages say where no token tells yet of which make it is.
const (
	// OwnConfiguration is an example of a module's own configuration.
	OwnConfiguration = "for SoftHSM, the file that SOFTHSM2_CONF names"
	// ConfigurationVariable names the configuration file of the module that cannot use its own.
	ConfigurationVariable = "SOFTHSM2_CONF"
	// HomeRule and PathRule say how the module that cannot use its folder of tokens reads a path.
	HomeRule = "SoftHSM does not expand ~. "
	PathRule = "SoftHSM looks for a relative path from the folder in which Terraform runs. "
	// OwnFiles says why a user may not be able to read the files of another one's objects.
	OwnFiles = "SoftHSM makes each file for its own user alone"
	// OwnLabel says how a token's label is changed where no call does that.
	OwnLabel = "with NSS, by the word dbTokenDescription in library_parameters"
)

// RemovalCommand is the command that removes a token of that label for good, and the make that it is for.
func RemovalCommand(label string) (maker string, command []string) {
	return "SoftHSM", []string{"softhsm2-util", "--delete-token", "--token", label}
}

// UsualModules are where distributions and vendors put PKCS#11 modules: patterns of paths.
var UsualModules = []string{
	"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/*/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so",
	"/usr/local/lib/softhsm/libsofthsm2.so", "/opt/homebrew/lib/softhsm/libsofthsm2.so",
	"/usr/lib/*/opencryptoki/libopencryptoki.so", "/usr/lib64/opencryptoki/libopencryptoki.so",
	"/usr/lib/*/libtpm2_pkcs11.so.1", "/usr/lib/*/pkcs11/libtpm2_pkcs11.so", "/usr/lib/*/pkcs11/p11-kit-client.so",
	"/usr/lib/*/pkcs11/yubihsm_pkcs11.so", "/usr/lib/*/libykcs11.so*", "/opt/nfast/toolkits/pkcs11/libcknfast.so",
	"/usr/safenet/lunaclient/lib/libCryptoki2_64.so", "/opt/cloudhsm/lib/libcloudhsm_pkcs11.so",
	"/opt/utimaco/lib/libcs_pkcs11_R3.so",
	`C:\SoftHSM2\lib\softhsm2-x64.dll`, `C:\Program Files\OpenSC Project\OpenSC\pkcs11\opensc-pkcs11.dll`,
	`C:\Program Files\Yubico\YubiHSM Shell\bin\pkcs11\yubihsm_pkcs11.dll`, `C:\Program Files\SafeNet\LunaClient\cryptoki.dll`,
}
