package release

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	project  = "terraform-provider-hsm"
	module   = "github.com/terraform-provider-hsm/terraform-provider-hsm"
	licences = "THIRD-PARTY-LICENSES.txt"
)

// release is a folder of files as they are published.
type release struct {
	folder, version string
	platforms       []string  // such as linux/amd64
	key             string    // a file with the public key that signs, as text
	date            time.Time // of the commit
}

// archive is the package of a platform, unpacked.
type archive struct {
	release
	platform string
	files    []file
	bill     []byte // of materials
}

type file struct {
	name string
	mode fs.FileMode
	date time.Time
	data []byte
}

// built returns the release that scripts/release-check has built.
func built(t *testing.T) release {
	t.Helper()
	r := release{
		folder:    os.Getenv("HSMTEST_RELEASE"),
		version:   os.Getenv("HSMTEST_RELEASE_VERSION"),
		platforms: strings.Fields(os.Getenv("HSMTEST_RELEASE_PLATFORMS")),
		key:       os.Getenv("HSMTEST_RELEASE_KEY"),
	}
	if r.folder == "" {
		t.Skip("no release to look at: make release-check builds one")
	}
	var err error
	if r.date, err = time.Parse(time.RFC3339, os.Getenv("HSMTEST_RELEASE_DATE")); err != nil {
		t.Fatal(err)
	}
	if len(r.platforms) == 0 || r.version == "" || r.key == "" {
		t.Fatal("HSMTEST_RELEASE_VERSION, HSMTEST_RELEASE_PLATFORMS and HSMTEST_RELEASE_KEY say what to expect")
	}
	return r
}

// name is a file's: of the platform, or of all with "".
func (r release) name(platform, end string) string {
	if platform != "" {
		end = strings.ReplaceAll(platform, "/", "_") + end
	}
	return fmt.Sprintf("%s_%s_%s", project, r.version, end)
}

func (r release) path(platform, end string) string {
	return filepath.Join(r.folder, r.name(platform, end))
}

// summed are the names of the files whose sums are signed.
func (r release) summed() []string {
	names := []string{r.name("", "manifest.json")}
	for _, platform := range r.platforms {
		names = append(names, r.name(platform, ".zip"), r.name(platform, ".cdx.json"))
	}
	slices.Sort(names)
	return names
}

func (r release) unpack(t *testing.T, platform string) *archive {
	t.Helper()
	a := &archive{release: r, platform: platform}
	packed, err := zip.OpenReader(r.path(platform, ".zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	for _, entry := range packed.File {
		a.files = append(a.files, file{entry.Name, entry.Mode(), entry.Modified, nil})
		reader, err := entry.Open()
		if err != nil {
			t.Fatal(err)
		}
		if a.files[len(a.files)-1].data, err = io.ReadAll(reader); err != nil {
			t.Fatalf("%s: %v", entry.Name, err)
		}
	}
	if a.bill, err = os.ReadFile(r.path(platform, ".cdx.json")); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *archive) goos() string { return strings.Split(a.platform, "/")[0] }

// binaryName is what Terraform looks for in the archive.
func (a *archive) binaryName() string {
	if a.goos() == "windows" {
		return project + "_v" + a.version + ".exe"
	}
	return project + "_v" + a.version
}

// file returns a file of the archive, which is empty where it is missing.
func (a *archive) file(name string) *file {
	for i := range a.files {
		if a.files[i].name == name {
			return &a.files[i]
		}
	}
	return &file{}
}

func (a *archive) binary() []byte { return a.file(a.binaryName()).data }

// linked are the modules in the binary, by path and version.
func (a *archive) linked() (*buildinfo.BuildInfo, map[string]string, error) {
	info, err := buildinfo.Read(bytes.NewReader(a.binary()))
	if err != nil {
		return nil, nil, err
	}
	modules := map[string]string{"std": info.GoVersion}
	for _, dependency := range info.Deps {
		modules[dependency.Path] = dependency.Version
	}
	return info, modules, nil
}

// A problem is a sentence. Every check returns all that it finds.
type (
	releaseCheck func(*testing.T, release) []string
	archiveCheck func(*testing.T, *archive) []string
)

var releaseChecks = map[string]releaseCheck{
	"names":     checkNames,
	"sums":      checkSums,
	"signature": checkSignature,
	"manifest":  checkManifest,
}

var archiveChecks = map[string]archiveCheck{
	"files":             checkFiles,
	"build":             checkBuild,
	"version":           checkVersion,
	"protection":        checkProtection,
	"symbols":           checkSymbols,
	"bill of materials": checkBill,
	"licences":          checkLicences,
}

func TestTheReleaseIsAsTheRegistryWantsIt(t *testing.T) {
	r := built(t)
	for name, check := range releaseChecks {
		t.Run(name, func(t *testing.T) { report(t, check(t, r)) })
	}
}

func TestEachArchiveIsAsUsersWantIt(t *testing.T) {
	r := built(t)
	for _, platform := range r.platforms {
		a := r.unpack(t, platform)
		for name, check := range archiveChecks {
			t.Run(platform+" "+name, func(t *testing.T) { report(t, check(t, a)) })
		}
	}
}

func report(t *testing.T, problems []string) {
	t.Helper()
	for _, problem := range problems {
		t.Error(problem)
	}
}

// checkNames: nothing is missing, and nothing else goes to users.
func checkNames(t *testing.T, r release) (problems []string) {
	want := append(r.summed(), r.name("", "SHA256SUMS"), r.name("", "SHA256SUMS.sig"))
	entries, err := os.ReadDir(r.folder)
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), project) {
			have = append(have, entry.Name())
		}
	}
	for _, name := range want {
		if !slices.Contains(have, name) {
			problems = append(problems, name+" is missing")
		}
	}
	for _, name := range have {
		if !slices.Contains(want, name) {
			problems = append(problems, name+" is no file of this release")
		}
	}
	return problems
}

// checkSums: lines as sha256sum writes them, one for each file.
func checkSums(t *testing.T, r release) (problems []string) {
	text, err := os.ReadFile(r.path("", "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]string{}
	for line := range strings.Lines(string(text)) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if _, err := hex.DecodeString(sum); !ok || err != nil || len(sum) != 2*sha256.Size {
			problems = append(problems, fmt.Sprintf("SHA256SUMS has a line that is no sum and name: %q", line))
		}
		if sums[name] != "" {
			problems = append(problems, "SHA256SUMS has two sums of "+name)
		}
		sums[name] = sum
	}
	for _, name := range r.summed() {
		data, err := os.ReadFile(filepath.Join(r.folder, name))
		sum := sha256.Sum256(data)
		switch {
		case sums[name] == "":
			problems = append(problems, "SHA256SUMS has no sum of "+name)
		case err != nil:
			problems = append(problems, err.Error())
		case sums[name] != hex.EncodeToString(sum[:]):
			problems = append(problems, "SHA256SUMS has another sum of "+name)
		}
		delete(sums, name)
	}
	for name := range sums {
		problems = append(problems, "SHA256SUMS has a sum of "+name+", which is no file of this release")
	}
	return problems
}

// checkSignature: detached, in OpenPGP's binary form.
func checkSignature(t *testing.T, r release) (problems []string) {
	sums := r.path("", "SHA256SUMS")
	signature, err := os.ReadFile(sums + ".sig")
	if err != nil {
		t.Fatal(err)
	}
	if len(signature) == 0 || signature[0]&0x80 == 0 {
		problems = append(problems, "the signature is not in OpenPGP's binary form, which the registry asks for")
	}
	keyring := filepath.Join(t.TempDir(), "key.gpg")
	said, err := exec.Command("gpg", "--homedir", t.TempDir(), "--output", keyring, "--dearmor", r.key).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", r.key, err, said)
	}
	if said, err := exec.Command("gpgv", "--keyring", keyring, sums+".sig", sums).CombinedOutput(); err != nil {
		problems = append(problems, fmt.Sprintf("the signature does not verify with the release's key: %v\n%s", err, said))
	}
	return problems
}

// checkManifest: the registry's, with the protocol that the binary speaks.
func checkManifest(t *testing.T, r release) (problems []string) {
	text, err := os.ReadFile(r.path("", "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		Version  int `json:"version"`
		Metadata struct {
			Protocols []string `json:"protocol_versions"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		return []string{"the manifest is no JSON: " + err.Error()}
	}
	if manifest.Version != 1 {
		problems = append(problems, fmt.Sprintf("the manifest has version %d, not 1", manifest.Version))
	}
	spoken := handshake(t, r) + ".0"
	if !slices.Equal(manifest.Metadata.Protocols, []string{spoken}) {
		problems = append(problems,
			fmt.Sprintf("the manifest has the protocols %q, and the binary speaks %s", manifest.Metadata.Protocols, spoken))
	}
	return problems
}

// handshake starts this machine's binary as Terraform does, and returns the version of the protocol that it says it speaks.
func handshake(t *testing.T, r release) string {
	t.Helper()
	command := exec.Command(install(t, r.unpack(t, native)))
	command.Env = append(os.Environ(), "PLUGIN_PROTOCOL_VERSIONS=5,6",
		"TF_PLUGIN_MAGIC_COOKIE=d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2")
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	}()
	var line []byte
	for one := make([]byte, 1); !bytes.HasSuffix(line, []byte("\n")); line = append(line, one[0]) {
		if _, err := io.ReadFull(output, one); err != nil {
			t.Fatalf("the binary said %q to Terraform's greeting: %v", line, err)
		}
	}
	fields := strings.Split(string(line), "|")
	if len(fields) < 2 {
		t.Fatalf("the binary said %q to Terraform's greeting", line)
	}
	return fields[1]
}
