package release

import (
	"bytes"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What each system brings along. A provider that asks for anything else does not start there.
var (
	librariesOfLinux   = []string{"libc.so.6", "libdl.so.2", "libpthread.so.0", "libresolv.so.2"}
	librariesOfWindows = []string{"kernel32.dll", "msvcrt.dll"}
)

// checkProtection: loaded at any address, with nothing to write over that the loader has resolved, no stack to execute,
// and libraries of the system alone, found at its own places.
func checkProtection(t *testing.T, a *archive) []string {
	check := map[string]archiveCheck{"linux": checkELF, "windows": checkPE, "darwin": checkMachO}[a.goos()]
	return check(t, a)
}

func checkELF(_ *testing.T, a *archive) (problems []string) {
	binary, err := elf.NewFile(bytes.NewReader(a.binary()))
	if err != nil {
		return []string{err.Error()}
	}
	machine := map[string]elf.Machine{"linux/amd64": elf.EM_X86_64, "linux/arm64": elf.EM_AARCH64}[a.platform]
	loader := map[string]string{
		"linux/amd64": "/lib64/ld-linux-x86-64.so.2",
		"linux/arm64": "/lib/ld-linux-aarch64.so.1",
	}[a.platform]
	if binary.Machine != machine {
		problems = append(problems, "the binary is for "+binary.Machine.String())
	}
	flags, _ := binary.DynValue(elf.DT_FLAGS)
	flags1, _ := binary.DynValue(elf.DT_FLAGS_1)
	has := func(values []uint64, flag uint64) bool { return len(values) == 1 && values[0]&flag != 0 }
	if binary.Type != elf.ET_DYN || !has(flags1, uint64(elf.DF_1_PIE)) {
		problems = append(problems, "the binary is not position-independent")
	}
	if !has(flags, uint64(elf.DF_BIND_NOW)) || !has(flags1, uint64(elf.DF_1_NOW)) {
		problems = append(problems, "the binary has functions bound late (no BIND_NOW)")
	}
	relro, stack, started := false, false, ""
	for _, part := range binary.Progs {
		if part.Type == elf.PT_INTERP {
			path, _ := io.ReadAll(part.Open())
			started = string(bytes.TrimRight(path, "\x00"))
		}
		relro = relro || part.Type == elf.PT_GNU_RELRO
		stack = stack || part.Type == elf.PT_GNU_STACK && part.Flags&elf.PF_X == 0
		if part.Type == elf.PT_LOAD && part.Flags&elf.PF_W != 0 && part.Flags&elf.PF_X != 0 {
			problems = append(problems, "the binary has memory that can be written and executed")
		}
	}
	if started != loader {
		problems = append(problems, fmt.Sprintf("the binary is started by %q, not by %s", started, loader))
	}
	if values, _ := binary.DynValue(elf.DT_TEXTREL); len(values) != 0 || has(flags, uint64(elf.DF_TEXTREL)) {
		problems = append(problems, "the binary has code that the loader writes to (DT_TEXTREL)")
	}
	if !relro {
		problems = append(problems, "the binary has a table of functions that can be written over (no RELRO)")
	}
	if !stack {
		problems = append(problems, "the binary has a stack that can be executed")
	}
	for _, tag := range []elf.DynTag{elf.DT_RPATH, elf.DT_RUNPATH} {
		if values, _ := binary.DynValue(tag); len(values) != 0 {
			problems = append(problems, fmt.Sprintf("the binary looks for libraries at a path of its own (%v)", tag))
		}
	}
	libraries, err := binary.ImportedLibraries()
	if err != nil {
		return append(problems, err.Error())
	}
	return append(problems, strangers(libraries, librariesOfLinux)...)
}

func checkPE(_ *testing.T, a *archive) (problems []string) {
	binary, err := pe.NewFile(bytes.NewReader(a.binary()))
	if err != nil {
		return []string{err.Error()}
	}
	header, ok := binary.OptionalHeader.(*pe.OptionalHeader64)
	if !ok || binary.Machine != pe.IMAGE_FILE_MACHINE_AMD64 {
		return []string{fmt.Sprintf("the binary is for the machine %#x", binary.Machine)}
	}
	for name, flag := range map[string]uint16{
		"DYNAMIC_BASE":    pe.IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE,
		"HIGH_ENTROPY_VA": pe.IMAGE_DLLCHARACTERISTICS_HIGH_ENTROPY_VA,
		"NX_COMPAT":       pe.IMAGE_DLLCHARACTERISTICS_NX_COMPAT,
	} {
		if header.DllCharacteristics&flag == 0 {
			problems = append(problems, "the binary lacks "+name)
		}
	}
	symbols, err := binary.ImportedSymbols()
	if err != nil {
		return append(problems, err.Error())
	}
	var libraries []string
	for _, symbol := range symbols {
		_, library, _ := strings.Cut(symbol, ":")
		libraries = append(libraries, strings.ToLower(library))
	}
	slices.Sort(libraries)
	return append(problems, strangers(slices.Compact(libraries), librariesOfWindows)...)
}

func checkMachO(_ *testing.T, a *archive) (problems []string) {
	binary, err := macho.NewFile(bytes.NewReader(a.binary()))
	if err != nil {
		return []string{err.Error()}
	}
	machine := map[string]macho.Cpu{"darwin/amd64": macho.CpuAmd64, "darwin/arm64": macho.CpuArm64}[a.platform]
	if binary.Cpu != machine {
		problems = append(problems, "the binary is for "+binary.Cpu.String())
	}
	if binary.Flags&macho.FlagPIE == 0 {
		problems = append(problems, "the binary is not position-independent")
	}
	libraries, err := binary.ImportedLibraries()
	if err != nil {
		return append(problems, err.Error())
	}
	for _, library := range libraries {
		if !strings.HasPrefix(library, "/usr/lib/") && !strings.HasPrefix(library, "/System/Library/") {
			problems = append(problems, "the binary wants the library "+library)
		}
	}
	return problems
}

func strangers(libraries, system []string) (problems []string) {
	if len(libraries) == 0 {
		problems = append(problems, "the binary names no library, and so was built without cgo")
	}
	for _, library := range libraries {
		if !slices.Contains(system, library) {
			problems = append(problems, "the binary wants the library "+library)
		}
	}
	return problems
}

// The C library of RHEL 8. Debian 11 has 2.31, and Ubuntu 20.04 too.
const newestGlibc = "2.28"

var glibcVersion = regexp.MustCompile(`GLIBC_([0-9A-Z.]+)`)

// checkSymbols: as objdump sees it, nothing is asked of the C library that an older system lacks.
func checkSymbols(t *testing.T, a *archive) (problems []string) {
	if a.goos() != "linux" {
		return nil
	}
	objdump := map[string]string{"linux/amd64": "x86_64-linux-gnu-objdump", "linux/arm64": "aarch64-linux-gnu-objdump"}[a.platform]
	table, err := exec.Command(objdump, "-T", install(t, a)).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", objdump, err, table)
	}
	found := glibcVersion.FindAllStringSubmatch(string(table), -1)
	if len(found) == 0 {
		problems = append(problems, "the binary asks nothing of the C library")
	}
	for _, version := range found {
		if older(newestGlibc, version[1]) {
			problems = append(problems, fmt.Sprintf("the binary wants GLIBC_%s, and RHEL 8 has %s", version[1], newestGlibc))
		}
	}
	slices.Sort(problems)
	return slices.Compact(problems)
}

// older compares versions number by number. What is no number, such as GLIBC_PRIVATE, is newer than all.
func older(a, b string) bool {
	numbers := func(version string) (list []int) {
		for part := range strings.SplitSeq(version, ".") {
			number, err := strconv.Atoi(part)
			if err != nil {
				number = 1 << 30
			}
			list = append(list, number)
		}
		return list
	}
	return slices.Compare(numbers(a), numbers(b)) < 0
}
