package release

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A forge takes one release, as GitHub does.
type forge struct {
	sync.Mutex
	said   []map[string]any // of the release, when it was made and later
	assets map[string][]byte
	late   []string // assets that came when users could see the release
}

func (f *forge) serve(t *testing.T) *httptest.Server {
	answer := func(w http.ResponseWriter, status int, value any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(value)
	}
	type object = map[string]any
	releases := "/repos/" + project + "/" + project + "/releases"
	says := func(w http.ResponseWriter, q *http.Request) {
		f.Lock()
		defer f.Unlock()
		var said object
		if err := json.NewDecoder(q.Body).Decode(&said); err != nil {
			t.Error(err)
		}
		f.said = append(f.said, said)
		answer(w, http.StatusCreated, object{"id": 1, "html_url": "http://localhost/"})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v3/rate_limit", func(w http.ResponseWriter, _ *http.Request) {
		core := object{"limit": 5000, "remaining": 5000, "reset": 1 << 40}
		answer(w, http.StatusOK, object{"resources": object{"core": core}})
	})
	mux.HandleFunc("GET /api/v3"+releases+"/tags/{tag}", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusNotFound, object{"message": "Not Found"})
	})
	mux.HandleFunc("POST /api/v3"+releases, says)
	mux.HandleFunc("PATCH /api/v3"+releases+"/1", says)
	mux.HandleFunc("POST /api/uploads"+releases+"/1/assets", func(w http.ResponseWriter, q *http.Request) {
		data, err := io.ReadAll(q.Body)
		if err != nil {
			t.Error(err)
		}
		f.Lock()
		defer f.Unlock()
		name := q.URL.Query().Get("name")
		f.assets[name] = data
		if len(f.said) != 1 {
			f.late = append(f.late, name)
		}
		answer(w, http.StatusCreated, object{"id": len(f.assets) + 1, "name": name, "state": "uploaded"})
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, q *http.Request) {
		t.Errorf("nobody asks a forge for %s %s", q.Method, q.URL)
		answer(w, http.StatusNotFound, object{"message": "Not Found"})
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

// The second build of make release-check publishes, here.
func TestAReleaseGoesOutAsAWhole(t *testing.T) {
	clone := os.Getenv("HSMTEST_RELEASE_REHEARSAL")
	if clone == "" {
		t.Skip("nothing to publish: make release-check has a clone for it")
	}
	r := built(t)
	f := &forge{assets: map[string][]byte{}}
	arguments := append([]string{"--rehearse"}, r.platforms...)
	command := exec.CommandContext(t.Context(), filepath.Join(clone, "scripts/release"), arguments...)
	command.Env = append(os.Environ(), "FORGE="+f.serve(t).URL, "GITHUB_TOKEN=none", "VERSION="+r.version)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}

	r.folder = filepath.Join(clone, ".cache/release/dist")
	r.platforms = append(slices.Clone(r.platforms), "darwin/amd64", "darwin/arm64")
	for _, name := range append(r.summed(), r.name("", "SHA256SUMS"), r.name("", "SHA256SUMS.sig")) {
		data, err := os.ReadFile(filepath.Join(r.folder, name))
		if asset, ok := f.assets[name]; !ok || err != nil || !bytes.Equal(asset, data) {
			t.Errorf("%s was not published as it was built (%t, %v)", name, ok, err)
		}
		delete(f.assets, name)
	}
	for name := range f.assets {
		t.Errorf("%s was published, which is no file of this release", name)
	}
	report(t, checkNames(t, r))
	report(t, checkSums(t, r))
	report(t, checkSignature(t, r))

	if len(f.said) != 2 || len(f.late) != 0 {
		t.Fatalf("users could see a part of the release: %v, and then came %q", f.said, f.late)
	}
	made, shown := f.said[0], f.said[1]
	if made["tag_name"] != "v"+r.version || made["draft"] != true || shown["draft"] != false {
		t.Errorf("it was made as %v, and shown as %v", made, shown)
	}
	if early := strings.Contains(r.version, "-"); made["prerelease"] != early {
		t.Errorf("%s is a prerelease: %v", r.version, made["prerelease"])
	}
	// A version to come may have nothing there yet.
	if notes, err := exec.CommandContext(t.Context(), "../../scripts/changelog", r.version).Output(); err == nil {
		body, _ := made["body"].(string)
		text := strings.TrimSpace(string(notes))
		text = strings.ReplaceAll(text, "](docs/", "](https://github.com/"+project+"/"+project+"/blob/v"+r.version+"/docs/")
		if text == "" || strings.TrimSpace(body) != text {
			t.Errorf("its notes are not what CHANGELOG.md says of it, but: %s", body)
		}
		for _, link := range regexp.MustCompile(`\]\([^)]*\)`).FindAllString(body, -1) {
			if !strings.HasPrefix(link, "](https://") {
				t.Errorf("its notes have a link that leads nowhere there: %s", link)
			}
		}
	}
}
