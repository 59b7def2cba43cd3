// Package scripts tests the scripts.
package scripts

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A database that knows of one hole, in a function of Go's own library, and programs that call it or do not.
func TestTheCheckForKnownVulnerabilities(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const id, at = `"id":"GO-2026-9999"`, `"modified":"2026-01-01T00:00:00Z"`
	write("db/index/db.json", "{"+at+"}")
	write("db/index/modules.json", `[{"path":"stdlib","vulns":[{`+id+","+at+"}]}]")
	write("db/index/vulns.json", "[{"+id+","+at+"}]")
	write("db/ID/GO-2026-9999.json", "{"+id+","+at+`,"schema_version":"1.3.1","summary":"a hole","affected":[{
		"package":{"name":"stdlib","ecosystem":"Go"},
		"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}],
		"ecosystem_specific":{"imports":[{"path":"unicode/utf8","symbols":["ValidString"]}]}}]}`)
	for name, body := range map[string]string{
		"hole": `ValidString("a")`, "sound": `RuneCountInString("a")`, "broken": `None("a")`,
	} {
		write(name+"/go.mod", "module example.com/"+name+"\n\ngo 1.26.0\n")
		write(name+"/main.go", "package main\n\nimport \"unicode/utf8\"\n\nfunc main() { println(utf8."+body+") }\n")
	}
	answers := func(status int) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		t.Cleanup(server.Close)
		return server.URL
	}
	missing, busy := answers(http.StatusNotFound), answers(http.StatusServiceUnavailable)
	const unusable = "The check for known vulnerabilities fails: the database "
	database := "file://" + filepath.Join(dir, "db")
	for _, test := range []struct {
		name, module, database string
		passes                 bool
		says                   string
	}{
		{"a call of what has a hole fails", "hole", database, false, "GO-2026-9999"},
		{"a module without such a call passes", "sound", database, true, "No vulnerabilities found."},
		{"a module that cannot be read fails", "broken", database, false, "undefined: utf8.None"},
		{"without the database it passes, and says that nothing was checked", "hole", "http://127.0.0.1:1", true,
			"NOT CHECKED for known vulnerabilities: the database http://127.0.0.1:1 cannot be reached."},
		{"a server that is too busy is no failure either", "hole", busy, true,
			"NOT CHECKED for known vulnerabilities: the database " + busy + " cannot be reached."},
		{"an address without a database fails", "sound", missing, false, unusable + missing + " cannot be used."},
		{"a name that nobody has fails", "sound", "http://no.such.invalid", false, unusable},
		{"a scheme that nobody knows fails", "sound", "htps://vuln.go.dev", false, "unsupported scheme"},
		{"a folder that is not there fails", "sound", "file:///no/such", false, "no such file or directory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "../vuln", filepath.Join(dir, test.module))
			cmd.Env = append(os.Environ(), "VULN_DB="+test.database, "GOFLAGS=", "GOWORK=off",
				"NO_PROXY=*", "no_proxy=*") // a proxy answers for every name
			out, err := cmd.CombinedOutput()
			_, failed := errors.AsType[*exec.ExitError](err)
			if failed == test.passes || !strings.Contains(string(out), test.says) {
				t.Errorf("error %v, and it says: %s", err, out)
			}
		})
	}
}
