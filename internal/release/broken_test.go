package release

import (
	"bytes"
	"debug/elf"
	"debug/pe"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestABrokenReleaseIsRefused(t *testing.T) {
	whole := built(t)
	zipped, bill := whole.name(native, ".zip"), whole.name(native, ".cdx.json")
	sums, manifest := whole.name("", "SHA256SUMS"), whole.name("", "manifest.json")
	signature := sums + ".sig"
	for _, test := range []struct {
		name, check string
		file        string
		change      func([]byte) []byte // nil removes it
		want        string
	}{
		{"an archive is missing", "names", zipped, nil, zipped + " is missing"},
		{"a signature is missing", "names", signature, nil, signature + " is missing"},
		{"a file is of another version", "names", project + "_0.0.9_linux_amd64.zip", with("PK"), "no file of this release"},
		{"a byte of an archive has changed", "sums", zipped, flip, "another sum of " + zipped},
		{"a byte of a bill of materials has changed", "sums", bill, flip, "another sum of " + bill},
		{"an archive has no sum", "sums", sums, without(zipped), "no sum of " + zipped},
		{"the manifest has no sum", "sums", sums, without(manifest), "no sum of " + manifest},
		{"a sum is cut short", "sums", sums, func(text []byte) []byte { return text[1:] }, "no sum and name"},
		{"a sum is of a file that is not there", "sums", sums, func(text []byte) []byte {
			return append(text, strings.Repeat("0", 64)+"  other.zip\n"...)
		}, "a sum of other.zip"},
		{"a sum is there twice", "sums", sums, func(text []byte) []byte { return append(text, text...) }, "two sums of"},
		{"the sums have changed", "signature", sums, flip, "does not verify"},
		{"the signature has changed", "signature", signature, flip, "does not verify"},
		{"another key has signed", "signature", signature, signedByAnother(t, whole.path("", "SHA256SUMS")), "does not verify"},
		{"the signature is text", "signature", signature, with("-----BEGIN PGP SIGNATURE-----\n"), "binary form"},
		{"the manifest is of another format", "manifest", manifest, replace(`"version": 1`, `"version": 2`), "has version 2"},
		{"the manifest has another protocol", "manifest", manifest, replace("6.0", "5.0"), `"5.0"], and the binary speaks 6.0`},
		{"the manifest has two protocols", "manifest", manifest, replace(`"6.0"`, `"5.0", "6.0"`), "the binary speaks 6.0"},
		{"the manifest is no JSON", "manifest", manifest, with("{"), "no JSON"},
	} {
		t.Run(test.name, func(t *testing.T) {
			broken := whole
			broken.folder = t.TempDir()
			names := append(whole.summed(), sums, signature)
			for _, name := range names {
				copyFile(t, filepath.Join(whole.folder, name), filepath.Join(broken.folder, name))
			}
			path := filepath.Join(broken.folder, test.file)
			data, _ := os.ReadFile(path)
			_ = os.Remove(path)
			if test.change != nil {
				if err := os.WriteFile(path, test.change(data), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			wantProblem(t, releaseChecks[test.check](t, broken), test.want)
		})
	}
}

func TestABrokenArchiveIsRefused(t *testing.T) {
	r := built(t)
	for _, test := range []struct {
		name, platform, check string
		change                func(*testing.T, *archive)
		want                  string
	}{
		{"no licence", "", "files", func(_ *testing.T, a *archive) { a.files = a.files[1:] }, "the archive has no LICENSE"},
		{"a file too much", "", "files", func(_ *testing.T, a *archive) {
			a.files = append(a.files, file{name: ".env", mode: 0o644, date: a.date})
		}, "has .env"},
		{"a program that nobody can start", "", "files", program(func(f *file) { f.mode = 0o644 }), "has the mode -rw-r--r--"},
		{"a program of today", "", "files", program(func(f *file) { f.date = time.Unix(1, 0) }), "not the commit's"},
		{"another licence", "", "files", text("LICENSE", replace("Mozilla", "Godzilla")), "not the repository's"},
		{"the version is another", "", "version", func(_ *testing.T, a *archive) { a.version = "99.98.97" }, "99.98.97"},
		{"the binary of another platform", "linux/arm64", "build", exchange(r, "linux/amd64"), "is for linux/amd64"},
		{"the binary of another processor", "linux/arm64", "protection", exchange(r, "linux/amd64"), "is for EM_X86_64"},
		{"the place of the build", "", "build", func(_ *testing.T, a *archive) {
			root, _ := filepath.Abs("../..")
			f := a.file(a.binaryName())
			f.data = append(slices.Clone(f.data), root+"/main.go"...)
		}, "where it was built"},
		{"a binary that is none", "", "build", program(func(f *file) { f.data = f.data[:100] }), "does not say how it was built"},

		{"loaded at one address", "linux/amd64", "protection", tag(elf.DT_FLAGS_1, uint64(elf.DF_1_NOW)), "not position-independent"},
		{"functions bound late", "linux/amd64", "protection", tag(elf.DT_FLAGS, 0), "no BIND_NOW"},
		{"a path of libraries", "linux/amd64", "protection", retag(elf.DT_DEBUG, elf.DT_RUNPATH), "DT_RUNPATH"},
		{"an older path of libraries", "linux/arm64", "protection", retag(elf.DT_DEBUG, elf.DT_RPATH), "DT_RPATH"},
		{"code that is written to", "linux/amd64", "protection", retag(elf.DT_DEBUG, elf.DT_TEXTREL), "DT_TEXTREL"},
		{"another loader", "linux/amd64", "protection", program(func(f *file) {
			f.data = replace("/lib64/ld-linux-x86-64.so.2\x00", "/lib64/ld-musl-x86_64.so.1\x00\x00")(f.data)
		}), "is started by \"/lib64/ld-musl"},
		{"another library", "linux/amd64", "protection", program(func(f *file) {
			f.data = replace("libresolv.so.2\x00", "libcrypto.so.3\x00")(f.data)
		}), "wants the library libcrypto.so.3"},
		{"a stack that can be executed", "linux/amd64", "protection", segment(elf.PT_GNU_STACK, func(header []byte) {
			header[4] |= byte(elf.PF_X)
		}), "stack that can be executed"},
		{"no read-only table", "linux/arm64", "protection", segment(elf.PT_GNU_RELRO, func(header []byte) {
			binary.LittleEndian.PutUint32(header, uint32(elf.PT_NULL))
		}), "no RELRO"},
		{"a symbol of Debian 12", "linux/amd64", "symbols", program(func(f *file) {
			f.data = replace("GLIBC_2.3.2\x00", "GLIBC_2.34\x00\x00")(f.data)
		}), "wants GLIBC_2.34, and RHEL 8 has 2.28"},
		{"a symbol that is the C library's own", "linux/arm64", "symbols", program(func(f *file) {
			f.data = replace("GLIBC_2.17\x00", "GLIBC_PRIV\x00")(f.data)
		}), "wants GLIBC_PRIV"},
		{"Windows at one address", "windows/amd64", "protection", characteristics(0), "lacks DYNAMIC_BASE"},
		{"Windows with data that can be executed", "windows/amd64", "protection",
			characteristics(pe.IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE), "lacks NX_COMPAT"},
		{"Windows with another library", "windows/amd64", "protection", program(func(f *file) {
			f.data = replace("msvcrt.dll\x00", "zlib1x.dll\x00")(f.data)
		}), "wants the library zlib1x.dll"},

		{"a bill without a module", "", "bill of materials", bill(`"name": "golang.org/x/sys"`, `"name": "golang.org/x/other"`),
			"lacks golang.org/x/sys"},
		{"a bill with a module that is not linked", "", "bill of materials",
			bill(`"name": "golang.org/x/sys"`, `"name": "golang.org/x/other"`), "golang.org/x/other v0"},
		{"a bill of another version", "", "bill of materials", bill(`"version": "v`+r.version+`"`, `"version": "v0.0.0-2026"`), "v0.0.0-2026"},
		{"a bill without Go's library", "", "bill of materials", bill(`"name": "std"`, `"name": "xyz"`), "lacks std go1."},
		{"a bill with an unknown licence", "", "bill of materials", bill(`"licenses"`, `"unknown"`), "no licence of github.com/"},
		{"a bill with another licence", "", "bill of materials", bill(`"id": "ISC"`, `"id": "0BSD"`),
			"secp256k1/v4 under 0BSD"},
		{"a bill with a licence that the texts lack", "", "bill of materials", bill(`"id": "ISC"`, `"id": "MIT"`),
			"secp256k1/v4 under MIT"},
		{"a bill with half of the licences", "", "bill of materials", bill(`"id": "MIT"`, `"id": "Apache-2.0"`),
			"does not have github.com/pelletier/go-toml under MIT"},
		{"a bill of today", "", "bill of materials", bill(`"timestamp": "2`, `"timestamp": "3`), "has the time 3"},
		{"a bill that is none", "", "bill of materials", bill("{", ""), "no JSON"},

		{"no licence of a module", "", "licences", text(licences, replace("\ngolang.org/x/sys v", "\ngolang.org/x/other v")),
			"nothing of golang.org/x/sys"},
		{"a licence of another version", "", "licences", text(licences, replace("\nstd go1.", "\nstd go2.")), "nothing of std go1."},
		{"a module without its source", "", "licences", text(licences, replace("Source: ", "source: ")), "where the source of"},
		{"a module without a text", "", "licences", text(licences, func(data []byte) []byte {
			at := bytes.Index(data, []byte("--- LICENSE ---"))
			end := at + bytes.Index(data[at:], []byte("\n====="))
			return slices.Concat(data[:at], data[end:])
		}), "no text of the licence of github.com/cloudflare/circl"},
		{"no licence of the C runtime", "windows/amd64", "licences", text(licences, replace("\nmingw-w64 ", "\nmingw-w32 ")),
			"nothing of mingw-w64"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.platform == "" {
				test.platform = native
			}
			if !slices.Contains(r.platforms, test.platform) {
				t.Skip("this release has no " + test.platform)
			}
			a := r.unpack(t, test.platform)
			test.change(t, a)
			wantProblem(t, archiveChecks[test.check](t, a), test.want)
		})
	}
}

func wantProblem(t *testing.T, problems []string, want string) {
	t.Helper()
	if !slices.ContainsFunc(problems, func(problem string) bool { return strings.Contains(problem, want) }) {
		t.Errorf("nobody says %q, only %q", want, problems)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Changes of a file.

func flip(data []byte) []byte {
	changed := slices.Clone(data)
	changed[len(changed)/2] ^= 1
	return changed
}

func with(text string) func([]byte) []byte { return func([]byte) []byte { return []byte(text) } }

// replace changes every place, and leaves what has no such place as it is, which its check then does not complain of.
func replace(old, replacement string) func([]byte) []byte {
	return func(data []byte) []byte { return bytes.ReplaceAll(data, []byte(old), []byte(replacement)) }
}

func without(name string) func([]byte) []byte {
	return func(text []byte) (rest []byte) {
		for line := range bytes.Lines(text) {
			if !bytes.HasSuffix(line, []byte("  "+name+"\n")) {
				rest = append(rest, line...)
			}
		}
		return rest
	}
}

// signedByAnother gives a good signature by a key that is not the release's.
func signedByAnother(t *testing.T, path string) func([]byte) []byte {
	t.Helper()
	home, err := os.MkdirTemp("", "hsm") //nolint:usetesting // the path of a socket in it must be short
	if err != nil {
		t.Fatal(err)
	}
	run := func(name string, arguments ...string) []byte {
		command := exec.Command(name, arguments...)
		command.Env = append(os.Environ(), "GNUPGHOME="+home)
		output, err := command.Output()
		if err != nil {
			t.Fatalf("%s: %v", command, err)
		}
		return output
	}
	t.Cleanup(func() {
		run("gpgconf", "--kill", "all")
		_ = os.RemoveAll(home)
	})
	run("gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", "another", "rsa2048", "sign")
	return with(string(run("gpg", "--batch", "--quiet", "--output", "-", "--detach-sign", path)))
}

// Changes of an archive.

func program(change func(*file)) func(*testing.T, *archive) {
	return func(_ *testing.T, a *archive) { change(a.file(a.binaryName())) }
}

func text(name string, change func([]byte) []byte) func(*testing.T, *archive) {
	return func(_ *testing.T, a *archive) { a.file(name).data = change(a.file(name).data) }
}

func bill(old, replacement string) func(*testing.T, *archive) {
	return func(_ *testing.T, a *archive) { a.bill = replace(old, replacement)(a.bill) }
}

// exchange puts another platform's binary in its place.
func exchange(r release, platform string) func(*testing.T, *archive) {
	return func(t *testing.T, a *archive) { a.file(a.binaryName()).data = r.unpack(t, platform).binary() }
}

// dynamic finds the entry of a tag in the dynamic section of an ELF file of 64 bits.
func dynamic(t *testing.T, data []byte, tag elf.DynTag) []byte {
	t.Helper()
	parsed, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	section := parsed.SectionByType(elf.SHT_DYNAMIC)
	for at := section.Offset; at < section.Offset+section.Size; at += 16 {
		if binary.LittleEndian.Uint64(data[at:]) == uint64(tag) {
			return data[at : at+16]
		}
	}
	t.Fatalf("the binary has no %v", tag)
	return nil
}

func tag(tag elf.DynTag, value uint64) func(*testing.T, *archive) {
	return func(t *testing.T, a *archive) { binary.LittleEndian.PutUint64(dynamic(t, a.binary(), tag)[8:], value) }
}

func retag(tag, other elf.DynTag) func(*testing.T, *archive) {
	return func(t *testing.T, a *archive) {
		binary.LittleEndian.PutUint64(dynamic(t, a.binary(), tag), uint64(other))
	}
}

// segment changes a program header of an ELF file of 64 bits.
func segment(kind elf.ProgType, change func(header []byte)) func(*testing.T, *archive) {
	return func(t *testing.T, a *archive) {
		data := a.binary()
		at, size := binary.LittleEndian.Uint64(data[0x20:]), uint64(binary.LittleEndian.Uint16(data[0x36:]))
		for range binary.LittleEndian.Uint16(data[0x38:]) {
			if binary.LittleEndian.Uint32(data[at:]) == uint32(kind) {
				change(data[at : at+size])
				return
			}
			at += size
		}
		t.Fatalf("the binary has no %v", kind)
	}
}

// characteristics writes what a file for Windows says of itself, at its place in the optional header.
func characteristics(flags uint16) func(*testing.T, *archive) {
	return program(func(f *file) {
		header := binary.LittleEndian.Uint32(f.data[0x3c:]) + 4 + 20
		binary.LittleEndian.PutUint16(f.data[header+70:], flags)
	})
}
