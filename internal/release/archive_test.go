package release

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

const native = runtime.GOOS + "/" + runtime.GOARCH

// install writes the archive's binary where it can be started.
func install(t *testing.T, a *archive) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), a.binaryName())
	if err := os.WriteFile(path, a.binary(), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// checkFiles: the program can be started, all can be read, and nothing tells who has built it and when.
func checkFiles(t *testing.T, a *archive) (problems []string) {
	modes := map[string]os.FileMode{"LICENSE": 0o644, licences: 0o644, a.binaryName(): 0o755}
	for _, file := range a.files {
		mode, ok := modes[file.name]
		if !ok {
			problems = append(problems, "the archive has "+file.name+", which is no part of it, or has it twice")
			continue
		}
		delete(modes, file.name)
		if file.mode != mode {
			problems = append(problems, fmt.Sprintf("%s has the mode %v, not %v", file.name, file.mode, mode))
		}
		if !file.date.Equal(a.date) {
			problems = append(problems, fmt.Sprintf("%s has the date %v, not the commit's, %v", file.name, file.date, a.date))
		}
	}
	for name := range modes {
		problems = append(problems, "the archive has no "+name)
	}
	own, err := os.ReadFile("../../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.file("LICENSE").data, own) {
		problems = append(problems, "LICENSE is not the repository's")
	}
	return problems
}

// checkBuild: of this module, for this platform, with cgo, and without a path of the machine.
func checkBuild(t *testing.T, a *archive) (problems []string) {
	info, _, err := a.linked()
	if err != nil {
		return []string{"the binary does not say how it was built: " + err.Error()}
	}
	settings := map[string]string{}
	for _, setting := range info.Settings {
		settings[setting.Key] = setting.Value
	}
	if info.Main.Path != module {
		problems = append(problems, "the binary is of "+info.Main.Path)
	}
	if platform := settings["GOOS"] + "/" + settings["GOARCH"]; platform != a.platform {
		problems = append(problems, "the binary is for "+platform)
	}
	for key, want := range map[string]string{"CGO_ENABLED": "1", "-trimpath": "true", "vcs": ""} {
		if settings[key] != want {
			problems = append(problems, fmt.Sprintf("the binary was built with %s=%q, not %q", key, settings[key], want))
		}
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(a.binary(), []byte(root+"/")) {
		problems = append(problems, "the binary has in it where it was built: "+root)
	}
	return problems
}

// checkVersion asks the binary. One that does not start here must have the text of the version in it.
func checkVersion(t *testing.T, a *archive) (problems []string) {
	if a.platform != native {
		if !bytes.Contains(a.binary(), []byte(a.version)) {
			problems = append(problems, "the binary has nowhere in it "+a.version)
		}
		return problems
	}
	said, err := exec.Command(install(t, a), "-version").CombinedOutput()
	if want := fmt.Sprintf("%s %s %s\n", project, a.version, a.platform); err != nil || string(said) != want {
		problems = append(problems, fmt.Sprintf("the binary says of itself %q, not %q (%v)", said, want, err))
	}
	return problems
}

// The words by which a text is known to be of a licence.
var wordsOf = map[string]string{
	"Apache-2.0":   "Apache License",
	"BSD-2-Clause": "Redistribution and use in source and binary forms",
	"BSD-3-Clause": "Redistribution and use in source and binary forms",
	"ISC":          "Permission to use, copy, modify, and",
	"MIT":          "Permission is hereby granted, free of charge",
	"MPL-2.0":      "Mozilla Public License",
	"ZPL-2.1":      "License: ZPL-2.1",
}

// licencesOf compares the licences that a bill says a part has with the texts that the archive has of it.
func licencesOf(part string, ids []string, texts string) (problems []string) {
	texts = strings.Join(strings.Fields(texts), " ")
	named := map[string]bool{}
	for _, id := range ids {
		words, ok := wordsOf[id]
		named[words] = true
		// The licence of publicsuffix-go's list has no text of its own there: it is the provider's.
		elsewhere := id == "MPL-2.0" && len(ids) > 1
		if !ok || !elsewhere && !strings.Contains(texts, words) {
			problems = append(problems,
				fmt.Sprintf("the bill of materials has %s under %s, and its text is of another licence", part, id))
		}
	}
	if part == "std" || part == "mingw-w64" { // with texts of what is not linked
		return problems
	}
	for _, id := range slices.Sorted(maps.Keys(wordsOf)) {
		if words := wordsOf[id]; !named[words] && strings.Contains(texts, words) {
			problems = append(problems, fmt.Sprintf("the bill of materials does not have %s under %s, as its text says", part, id))
		}
	}
	return problems
}

// checkBill: exactly what the binary says is linked, each with a licence, and what the archive's texts name besides.
func checkBill(_ *testing.T, a *archive) (problems []string) {
	type choices []struct{ License struct{ ID string } }
	type component struct {
		Name, Version string
		Licenses      choices
		Evidence      struct{ Licenses choices }
	}
	var bill struct {
		Format       string `json:"bomFormat"`
		SerialNumber string
		Metadata     struct {
			Timestamp string
			Component component
		}
		Components []component
	}
	if err := json.Unmarshal(a.bill, &bill); err != nil {
		return []string{"the bill of materials is no JSON: " + err.Error()}
	}
	if bill.Format != "CycloneDX" || !strings.HasPrefix(bill.SerialNumber, "urn:uuid:") {
		problems = append(problems, fmt.Sprintf("the bill of materials has the format %q and the number %q", bill.Format, bill.SerialNumber))
	}
	if want := a.date.UTC().Format("2006-01-02T15:04:05Z"); bill.Metadata.Timestamp != want {
		problems = append(problems, fmt.Sprintf("the bill of materials has the time %s, not %s", bill.Metadata.Timestamp, want))
	}
	if of := bill.Metadata.Component; of.Name != module || of.Version != "v"+a.version {
		problems = append(problems, fmt.Sprintf("the bill of materials is of %s %s", of.Name, of.Version))
	}
	_, missing, err := a.linked()
	if err != nil {
		return append(problems, err.Error())
	}
	if a.goos() == "windows" {
		missing["mingw-w64"] = mingw(a)
	}
	texts := a.sections()
	texts[module+" v"+a.version] = string(a.file("LICENSE").data)
	for _, component := range append(bill.Components, bill.Metadata.Component) {
		var ids []string
		for _, choice := range append(component.Licenses, component.Evidence.Licenses...) {
			ids = append(ids, choice.License.ID)
		}
		if len(ids) == 0 {
			problems = append(problems, "the bill of materials has no licence of "+component.Name)
		}
		problems = append(problems, licencesOf(component.Name, ids, texts[component.Name+" "+component.Version])...)
	}
	for _, component := range bill.Components {
		if version, ok := missing[component.Name]; !ok || version != component.Version {
			problems = append(problems, fmt.Sprintf("the bill of materials has %s %s, which is not linked", component.Name, component.Version))
		}
		delete(missing, component.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		problems = append(problems, fmt.Sprintf("the bill of materials lacks %s %s", name, missing[name]))
	}
	return problems
}

// mingw is the version of the C runtime that the archive's texts name.
func mingw(a *archive) string {
	_, rest, _ := strings.Cut(string(a.file(licences).data), "\nmingw-w64 ")
	version, _, _ := strings.Cut(rest, "\n")
	return version
}

// sections are the texts of licences in the archive, by the part and its version.
func (a *archive) sections() map[string]string {
	sections := map[string]string{}
	for section := range strings.SplitSeq(string(a.file(licences).data), "\n"+strings.Repeat("=", 80)+"\n") {
		heading, rest, _ := strings.Cut(section, "\n")
		sections[heading] = rest
	}
	return sections
}

// checkLicences: what is linked has a section with its version, its source and at least one text.
func checkLicences(_ *testing.T, a *archive) (problems []string) {
	_, modules, err := a.linked()
	if err != nil {
		return []string{err.Error()}
	}
	if a.goos() == "windows" {
		modules["mingw-w64"] = mingw(a)
	}
	sections := a.sections()
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		section, ok := sections[name+" "+modules[name]]
		_, text, _ := strings.Cut(section, " ---\n")
		switch {
		case !ok:
			problems = append(problems, fmt.Sprintf("%s has nothing of %s %s", licences, name, modules[name]))
		case !strings.HasPrefix(section, "Source: https://"):
			problems = append(problems, fmt.Sprintf("%s does not say where the source of %s is", licences, name))
		case len(strings.TrimSpace(text)) < 200:
			problems = append(problems, fmt.Sprintf("%s has no text of the licence of %s", licences, name))
		}
	}
	return problems
}
