package provider_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Whoever follows the guide gets the archives of a release from a folder to a host without the internet. The program of
// these is the tests' own; make release-check has those of a release.
func TestTheGuideInstall(t *testing.T) {
	t.Parallel()
	downloads := newReader(t, "install/release")
	key := newReleaseKey(t)
	downloads.release(key)
	downloads.says(downloads.does(true, "./verify.sh", "0.1.0"),
		"Good signature", "terraform-provider-hsm_0.1.0_linux_amd64.zip: OK", "terraform-provider-hsm_0.1.0_darwin_arm64.zip: OK")

	mirror := filepath.Join(t.TempDir(), "providers")
	downloads.does(true, "./mirror.sh", mirror)
	host := newReader(t, "install/host")
	host.edit("terraformrc", "/srv/terraform/providers", mirror)
	host = host.with("TF_CLI_CONFIG_FILE=" + filepath.Join(host.dir, "terraformrc"))
	// The provider of make install is there too, and is overlooked.
	host.says(host.does(true, "terraform", "init"), "Installed terraform-provider-hsm/hsm v0.1.0 (unauthenticated)",
		"only includes checksums for "+platform)
	host.says(host.does(true, "terraform", "providers", "schema", "-json"), `"hsm_key_ring":`)

	host.says(host.does(true, "./lock.sh", "-fs-mirror="+mirror), "checksums for linux_arm64; Additional checksums",
		"checksums for windows_amd64; Additional checksums")
	if sums := strings.Count(host.read(".terraform.lock.hcl"), `"h1:`); sums < 4 {
		t.Errorf("the lock file has %d checksums:\n%s", sums, host.read(".terraform.lock.hcl"))
	}
	host.remove(".terraform")
	host.says(host.does(true, "terraform", "init", "-lockfile=readonly"), "Installed terraform-provider-hsm/hsm v0.1.0")

	// A lock file that was written where there is a registry has the sums of SHA256SUMS. It fits the mirror's archives.
	address := "registry.terraform.io"
	if os.Getenv("TF_ACC_PROVIDER_HOST") != "" {
		address = os.Getenv("TF_ACC_PROVIDER_HOST")
	}
	archive := filepath.Join(mirror, address, "terraform-provider-hsm/hsm", archiveOf(platform))
	locked := fmt.Sprintf("provider %q {\n  version = \"0.1.0\"\n  hashes = [\"zh:%x\"]\n}\n",
		address+"/terraform-provider-hsm/hsm", sha256.Sum256([]byte(host.read(archive))))
	host.remove(".terraform")
	host.write(filepath.Join(host.dir, ".terraform.lock.hcl"), locked)
	host.says(host.does(true, "terraform", "init"), "Installed terraform-provider-hsm/hsm v0.1.0")
	// Another archive of the same version does not.
	host.remove(".terraform")
	host.write(filepath.Join(host.dir, ".terraform.lock.hcl"), locked)
	host.write(archive, zipped(t, "another program"))
	host.says(host.does(false, "terraform", "init"), "doesn't match any of the checksums previously recorded")
}

// What verify.sh of the guide says where something is not the release's.
func TestTheGuideInstallRefusesOtherArchives(t *testing.T) {
	t.Parallel()
	key, other := newReleaseKey(t), newReleaseKey(t)
	const sums = "terraform-provider-hsm_0.1.0_SHA256SUMS"
	for name, c := range map[string]struct {
		spoil func(shell)
		says  string
	}{
		"an archive that was exchanged": {func(s shell) {
			s.write(filepath.Join(s.dir, archiveOf("linux_arm64")), zipped(s.t, "another program"))
		}, archiveOf("linux_arm64") + ": FAILED"},
		"an archive and its sum": {func(s shell) {
			text := zipped(s.t, "another program")
			s.write(filepath.Join(s.dir, archiveOf("linux_arm64")), text)
			s.write(filepath.Join(s.dir, sums), fmt.Sprintf("%x  %s\n", sha256.Sum256([]byte(text)), archiveOf("linux_arm64")))
		}, "BAD signature"},
		"sums that another key has signed": {func(s shell) {
			s.write(filepath.Join(s.dir, sums+".sig"), other.sign(s.t, s.read(sums)))
		}, "No public key"},
		"no archive at all": {func(s shell) {
			for _, platform := range releasePlatforms() {
				s.remove(archiveOf(platform))
			}
		}, "no file was verified"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newReader(t, "install/release")
			s.release(key)
			c.spoil(s)
			s.says(s.does(false, "./verify.sh", "0.1.0"), c.says)
		})
	}
}

const platform = runtime.GOOS + "_" + runtime.GOARCH

// releasePlatforms are those of lock.sh, and the one that the test runs on.
func releasePlatforms() []string {
	platforms := []string{"linux_amd64", "linux_arm64", "windows_amd64", "darwin_arm64"}
	if !slices.Contains(platforms, platform) {
		platforms = append(platforms, platform)
	}
	return platforms
}

func archiveOf(platform string) string {
	return "terraform-provider-hsm_0.1.0_" + platform + ".zip"
}

// release puts a release of version 0.1.0 into the reader's folder, signed by a key. For other platforms than this one,
// which Terraform only computes sums of, its program is a few words.
func (s shell) release(key releaseKey) {
	s.t.Helper()
	bin, err := build()
	if err != nil {
		s.t.Fatal(err)
	}
	var sums strings.Builder
	for _, p := range releasePlatforms() {
		program := "the program for " + p
		if p == platform {
			program = s.read(filepath.Join(bin, "terraform-provider-hsm"))
		}
		archive := zipped(s.t, program)
		s.write(filepath.Join(s.dir, archiveOf(p)), archive)
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256([]byte(archive)), archiveOf(p))
	}
	fmt.Fprintf(&sums, "%x  terraform-provider-hsm_0.1.0_manifest.json\n", sha256.Sum256(nil)) // which nobody downloads by hand
	const name = "terraform-provider-hsm_0.1.0_SHA256SUMS"
	s.write(filepath.Join(s.dir, name), sums.String())
	s.write(filepath.Join(s.dir, name+".sig"), key.sign(s.t, sums.String()))
	s.write(filepath.Join(s.dir, "hsm.asc"), key.public)
}

// zipped is an archive with a program in it.
func zipped(t *testing.T, program string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	header := &zip.FileHeader{Name: "terraform-provider-hsm_v0.1.0"}
	header.SetMode(0o755)
	file, err := w.CreateHeader(header)
	if err == nil {
		_, err = io.WriteString(file, program)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// read is the text of a file, in the reader's folder or elsewhere.
func (s shell) read(file string) string {
	s.t.Helper()
	if !filepath.IsAbs(file) {
		file = filepath.Join(s.dir, file)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// remove removes a file or folder of the reader's.
func (s shell) remove(name string) {
	s.t.Helper()
	if err := os.RemoveAll(filepath.Join(s.dir, name)); err != nil {
		s.t.Fatal(err)
	}
}

// releaseKey is a key that signs as a release is signed. It is made without gpg's agent, which a busy machine starts too
// late for gpg.
type releaseKey struct {
	entity *openpgp.Entity
	public string
}

func newReleaseKey(t *testing.T) releaseKey {
	t.Helper()
	// A clock behind this one must not find it in the future.
	config := &packet.Config{Algorithm: packet.PubKeyAlgoRSA, RSABits: 3072, Time: func() time.Time { return time.Now().Add(-time.Hour) }}
	entity, err := openpgp.NewEntity("Releases of a test", "", "", config)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w, err := armor.Encode(&b, openpgp.PublicKeyType, nil)
	if err == nil {
		err = entity.Serialize(w)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return releaseKey{entity, b.String() + "\n"}
}

func (k releaseKey) sign(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	if err := openpgp.DetachSign(&b, k.entity, strings.NewReader(text), nil); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
