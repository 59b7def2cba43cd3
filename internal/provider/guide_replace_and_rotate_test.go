package provider_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// take puts what a folder of the guides' examples has in the place of what an earlier one had.
func (s shell) take(folder string) {
	s.t.Helper()
	files, err := os.ReadDir(filepath.Join(examples, "guides", folder))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, file := range files {
		if err := os.RemoveAll(filepath.Join(s.dir, file.Name())); err != nil {
			s.t.Fatal(err)
		}
	}
	s.copy(folder, "")
}

// onToken is the reader with a token in the environment.
func (s shell) onToken(b *bench) shell {
	return s.with("HSM_LIBRARY="+b.Library, "HSM_TOKEN_LABEL="+b.Label, "HSM_PIN="+b.PIN)
}

// labels are the private keys on the token: the labels by ID.
func (b *bench) labels() map[string]string {
	b.t.Helper()
	labels := map[string]string{}
	for _, half := range b.halves() {
		labels[half.id] = half.label
	}
	return labels
}

func TestTheGuideReplaceAndRotate(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := newReader(t).onToken(b)
	// The key is there already, in a resource of its own.
	s.write(filepath.Join(s.dir, "main.tf"), `
		terraform {
			required_providers {
				hsm = { source = "terraform-provider-hsm/hsm" }
			}
		}
		resource "hsm_ec_keypair" "web" {
			label  = "web"
			key_id = "776562"
			curve  = "P-256"
		}`)
	s.does(true, "terraform", "init")
	s.does(true, "terraform", "apply", "-auto-approve")
	s.take("replace-and-rotate/key")
	s.copy("replace-and-rotate/way-in", "")
	for _, step := range []struct {
		folder, signs string
		published     []string
		onToken       int
		says          string
	}{
		{"replace-and-rotate/1-one", "web", []string{"web"}, 1, "0 added, 0 changed, 0 destroyed"},
		{"replace-and-rotate/2-both", "web", []string{"web", "web-2"}, 2, "1 added, 0 changed, 0 destroyed"},
		{"replace-and-rotate/3-switched", "web-2", []string{"web", "web-2"}, 2, `"web" -> "web-2"`},
		{"replace-and-rotate/4-retired", "web-2", []string{"web-2"}, 2, "0 added, 1 changed, 0 destroyed"},
		{"replace-and-rotate/5-gone", "web-2", []string{"web-2"}, 1, "0 added, 0 changed, 1 destroyed"},
	} {
		s.take(step.folder)
		said := s.does(true, "terraform", "apply", "-auto-approve")
		s.says(said, step.says)
		if step.onToken == 1 && step.signs == "web" {
			s.says(said, `hsm_ec_keypair.web has moved to hsm_ec_keypair.web["web"]`)
		}
		_, outputs, _ := strings.Cut(said, "\nOutputs:")
		s.says(outputs, `signs = "`+step.signs+`"`)
		for _, kid := range []string{"web", "web-2"} {
			want := slices.Contains(step.published, kid)
			if strings.Contains(outputs, `\"kid\":\"`+kid+`\"`) != want {
				t.Errorf("%s: is %s published? It should be %t:\n%s", step.folder, kid, want, outputs)
			}
		}
		if keys := b.labels(); len(keys) != step.onToken {
			t.Errorf("%s: the token holds %v", step.folder, keys)
		}
	}
	s.does(false, "terraform", "apply", "-auto-approve", `-replace=hsm_ec_keypair.web["web-2"]`)
	s.edit("main.tf", `"P-256"`, `"P-384"`)
	s.says(s.does(false, "terraform", "plan"), "Key Is Protected From Replacement")
	if keys := b.labels(); len(keys) != 1 {
		t.Errorf("after -replace, the token holds %v", keys)
	}
}
