package release

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Where Terraform and OpenTofu look for a provider whose address has no host.
var hosts = []string{"registry.terraform.io", "registry.opentofu.org"}

func TestTerraformInstallsARelease(t *testing.T) {
	r := built(t)
	terraforms := strings.Fields(os.Getenv("HSMTEST_RELEASE_TERRAFORMS"))
	if len(terraforms) == 0 {
		t.Fatal("HSMTEST_RELEASE_TERRAFORMS says with what to install it")
	}
	registry := serve(t, r)
	mirror := r.mirror(t)
	for _, terraform := range terraforms {
		t.Run(filepath.Base(terraform), func(t *testing.T) {
			var zipHashes, hashes, archives []string
			for _, sum := range r.sums(t) {
				zipHashes = append(zipHashes, "zh:"+sum)
			}
			for _, platform := range r.platforms {
				hashes = append(hashes, hash(t, r.path(platform, ".zip")))
				archives = append(archives, "-platform="+strings.ReplaceAll(platform, "/", "_"))
			}

			// What init writes by itself of the archive's files.
			local := []string{hash(t, r.path(native, ".zip"))}

			t.Run("from a mirror", func(t *testing.T) {
				user := newUser(t, terraform, "", mirrorOnly(mirror), r.version)
				user.run("init")
				if said := user.run("version", "-json"); !strings.Contains(said, `/terraform-provider-hsm/hsm": "`+r.version+`"`) {
					t.Errorf("it has not selected %s: %s", r.version, said)
				}
				user.wantLocked(slices.Clone(local))
				user.run(append([]string{"providers", "lock", "-fs-mirror=" + mirror}, archives...)...)
				user.wantLocked(hashes)
				user.run("init", "-lockfile=readonly")
			})

			t.Run("from a registry, and then from a mirror by its lock file", func(t *testing.T) {
				user := newUser(t, terraform, registry.host+"/", registry.configuration, r.version)
				if said := user.run("init"); !strings.Contains(said, "signed, key ID") {
					t.Errorf("it does not say that it has verified the signature: %s", said)
				}
				user.wantLocked(slices.Concat(local, zipHashes))
				user.run(append([]string{"providers", "lock"}, archives...)...)
				user.wantLocked(slices.Concat(hashes, zipHashes))

				onlySums := regexp.MustCompile(`\n *"h1:.*`).ReplaceAllString(user.lock(), "")
				for name, lock := range map[string]string{"all sums": user.lock(), "those of SHA256SUMS": onlySums} {
					for _, host := range hosts {
						other := newUser(t, terraform, host+"/", mirrorOnly(mirror), r.version)
						other.writeLock(strings.ReplaceAll(lock, registry.host, host))
						if said := other.run("init", "-lockfile=readonly"); !strings.Contains(said, "hsm v"+r.version) {
							t.Errorf("%s: %s", name, said)
						}
					}
				}
			})

			t.Run("a changed archive is refused", func(t *testing.T) {
				broken := r
				broken.folder = t.TempDir()
				for _, name := range append(r.summed(), r.name("", "SHA256SUMS"), r.name("", "SHA256SUMS.sig")) {
					copyFile(t, filepath.Join(r.folder, name), filepath.Join(broken.folder, name))
				}
				zipped := broken.path(native, ".zip")
				data, err := os.ReadFile(zipped)
				if err != nil {
					t.Fatal(err)
				}
				// A file has another name, so that it can be unpacked as before.
				data = bytes.ReplaceAll(data, []byte("THIRD-PARTY"), []byte("THIRD-PARTS"))
				if err := os.WriteFile(zipped, data, 0o644); err != nil {
					t.Fatal(err)
				}

				user := newUser(t, terraform, "", mirrorOnly(mirror), r.version)
				user.run("init")
				user.config = mirrorOnly(broken.mirror(t))
				_ = os.RemoveAll(filepath.Join(user.folder, ".terraform"))
				user.refused("checksums", "init")

				user = newUser(t, terraform, registry.host+"/", registry.configuration, r.version)
				registry.release = broken
				user.refused("checksum", "init")
				registry.release = r
			})

			t.Run("another signature is refused", func(t *testing.T) {
				broken := r
				broken.folder = t.TempDir()
				for _, name := range append(r.summed(), r.name("", "SHA256SUMS")) {
					copyFile(t, filepath.Join(r.folder, name), filepath.Join(broken.folder, name))
				}
				other := signedByAnother(t, r.path("", "SHA256SUMS"))(nil)
				if err := os.WriteFile(broken.path("", "SHA256SUMS.sig"), other, 0o644); err != nil {
					t.Fatal(err)
				}
				user := newUser(t, terraform, registry.host+"/", registry.configuration, r.version)
				registry.release = broken
				user.refused("signature", "init")
				registry.release = r
			})
		})
	}
}

// sums are those of SHA256SUMS.
func (r release) sums(t *testing.T) (sums []string) {
	t.Helper()
	text, err := os.ReadFile(r.path("", "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		sums = append(sums, strings.Fields(line)[0])
	}
	return sums
}

// hash is what a lock file has for an archive's files, whatever they are packed in: dirhash's Hash1 of the Go command.
func hash(t *testing.T, path string) string {
	t.Helper()
	packed, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	var lines []string
	for _, file := range packed.File {
		reader, err := file.Open()
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.New()
		if _, err := io.Copy(sum, reader); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("%x  %s\n", sum.Sum(nil), file.Name))
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[66:], b[66:]) })
	sum := sha256.Sum256([]byte(strings.Join(lines, "")))
	return "h1:" + base64.StdEncoding.EncodeToString(sum[:])
}

// mirror lays the archives out as a filesystem_mirror has them.
func (r release) mirror(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for _, host := range hosts {
		at := filepath.Join(folder, host, project, "hsm")
		if err := os.MkdirAll(at, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, platform := range r.platforms {
			copyFile(t, r.path(platform, ".zip"), filepath.Join(at, r.name(platform, ".zip")))
		}
	}
	return folder
}

func mirrorOnly(folder string) string {
	return fmt.Sprintf("provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", folder)
}

// registry speaks the provider registry protocol for a release.
type registry struct {
	release             release
	host, configuration string
}

var authority string // trusted by every user of the tests

func serve(t *testing.T, r release) *registry {
	t.Helper()
	key, err := os.ReadFile(r.key)
	if err != nil {
		t.Fatal(err)
	}
	this := &registry{release: r, configuration: "provider_installation {\n  direct {}\n}\n"}
	answer := func(w http.ResponseWriter, value any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(value)
	}
	type object = map[string]any
	at := "/providers/" + project + "/hsm/"
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/terraform.json", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, object{"providers.v1": "/providers/"})
	})
	mux.HandleFunc(at+"versions", func(w http.ResponseWriter, _ *http.Request) {
		var platforms []object
		for _, platform := range r.platforms {
			goos, goarch, _ := strings.Cut(platform, "/")
			platforms = append(platforms, object{"os": goos, "arch": goarch})
		}
		answer(w, object{"versions": []object{{"version": r.version, "protocols": []string{"6.0"}, "platforms": platforms}}})
	})
	mux.HandleFunc(at+r.version+"/download/{os}/{arch}", func(w http.ResponseWriter, q *http.Request) {
		platform := q.PathValue("os") + "/" + q.PathValue("arch")
		zipped, sums := r.name(platform, ".zip"), "/files/"+r.name("", "SHA256SUMS")
		text, _ := os.ReadFile(r.path("", "SHA256SUMS"))
		before, _, _ := strings.Cut(string(text), "  "+zipped+"\n")
		answer(w, object{
			"protocols": []string{"6.0"}, "os": q.PathValue("os"), "arch": q.PathValue("arch"), "filename": zipped,
			"download_url": "/files/" + zipped, "shasums_url": sums, "shasums_signature_url": sums + ".sig",
			"shasum":       before[max(0, len(before)-2*sha256.Size):],
			"signing_keys": object{"gpg_public_keys": []object{{"key_id": "", "ascii_armor": string(key)}}},
		})
	})
	mux.HandleFunc("/files/{name}", func(w http.ResponseWriter, q *http.Request) {
		http.ServeFile(w, q, filepath.Join(this.release.folder, q.PathValue("name")))
	})
	server := httptest.NewTLSServer(mux)
	t.Cleanup(server.Close)
	this.host = server.Listener.Addr().String()
	authority = filepath.Join(t.TempDir(), "authority.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(authority, block, 0o644); err != nil {
		t.Fatal(err)
	}
	return this
}

// user is a folder with a configuration that wants the provider.
type user struct {
	t                         *testing.T
	terraform, folder, config string
}

// newUser names the provider with the host, which ends in a slash or is empty.
func newUser(t *testing.T, terraform, host, config, version string) *user {
	t.Helper()
	u := &user{t, terraform, t.TempDir(), config}
	text := "terraform {\n  required_providers {\n    hsm = {\n      source  = %q\n      version = %q\n    }\n  }\n}\n"
	u.write("main.tf", fmt.Sprintf(text, host+project+"/hsm", version))
	return u
}

func (u *user) write(name, text string) {
	u.t.Helper()
	if err := os.WriteFile(filepath.Join(u.folder, name), []byte(text), 0o644); err != nil {
		u.t.Fatal(err)
	}
}

func (u *user) writeLock(text string) { u.t.Helper(); u.write(".terraform.lock.hcl", text) }

func (u *user) lock() string {
	u.t.Helper()
	text, err := os.ReadFile(filepath.Join(u.folder, ".terraform.lock.hcl"))
	if err != nil {
		u.t.Fatal(err)
	}
	return string(text)
}

func (u *user) try(arguments ...string) (string, error) {
	u.write("cli.tfrc", u.config)
	command := exec.Command(u.terraform, arguments...)
	command.Dir = u.folder
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + u.folder, "CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1",
		"TF_CLI_CONFIG_FILE=" + filepath.Join(u.folder, "cli.tfrc"), "SSL_CERT_FILE=" + authority, "TF_CLI_ARGS_init=-no-color"}
	output, err := command.CombinedOutput()
	return string(output), err
}

func (u *user) run(arguments ...string) string {
	u.t.Helper()
	said, err := u.try(arguments...)
	if err != nil {
		u.t.Fatalf("%s: %v\n%s", strings.Join(arguments, " "), err, said)
	}
	return said
}

// refused wants an error that has this word in it.
func (u *user) refused(word string, arguments ...string) {
	u.t.Helper()
	said, err := u.try(arguments...)
	if err == nil || !strings.Contains(said, word) {
		u.t.Errorf("%s was not refused for its %s (%v):\n%s", strings.Join(arguments, " "), word, err, said)
	}
}

func (u *user) wantLocked(want []string) {
	u.t.Helper()
	have := regexp.MustCompile(`(h1|zh):[0-9A-Za-z+/=]+`).FindAllString(u.lock(), -1)
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		u.t.Errorf("the lock file has the sums\n%s\nnot\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
}
