//go:build !windows

package provider

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestReadPINFile(t *testing.T) {
	folder := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil { // the mode whatever the umask is
			t.Fatal(err)
		}
		return path
	}
	link := filepath.Join(folder, "link")
	if err := os.Symlink(file("target", "0123", 0o600), link); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(folder, "socket")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	full := strings.Repeat("x", maxPINFile)
	const write, read = "its group or others may write to it", "every user of this machine may read"
	for _, c := range []struct {
		name, path string
		text       string
		risks      []string // parts
		err        string   // part
	}{
		{name: "a file for its owner alone", path: file("a", "0123\n", 0o600), text: "0123\n"},
		{name: "a file that the group may read", path: file("b", "0123\n", 0o640), text: "0123\n"},
		{
			name: "a file that the group may write", path: file("c", "0123", 0o620), text: "0123",
			risks: []string{"its mode is 0620, so " + write},
		},
		{
			name: "a file that others may read", path: file("d", "0123", 0o604), text: "0123",
			risks: []string{"its mode is 0604, so " + read},
		},
		{name: "a file for all", path: file("e", "0123", 0o666), text: "0123", risks: []string{write, read}},
		{name: "a link to a file", path: link, text: "0123"},
		{name: "as much as is read", path: file("f", full, 0o600), text: full},
		{name: "more than is read", path: file("g", full+"x", 0o600), err: "more than 4096 bytes"},
		{name: "an empty file", path: file("h", "", 0o600)},
		{name: "zeros without an end", path: "/dev/zero", err: "it is a device, not a file"},
		{name: "a folder", path: folder, err: "it is a folder, not a file"},
		{name: "a socket", path: socket, err: "it is a socket"},
		{name: "nothing", path: filepath.Join(folder, "48151623"), err: "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			have, err := readPINFile(t.Context(), c.path)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), folder) ||
					have.text != nil {
					t.Errorf("it gives %q and says %v", have.text, err)
				}
				return
			}
			if err != nil || string(have.text) != c.text || len(have.risks) != len(c.risks) {
				t.Fatalf("it gives %q, says %q, and fails with %v", have.text, have.risks, err)
			}
			for i, part := range c.risks {
				if !strings.Contains(have.risks[i], part) || !strings.Contains(have.risks[i], `chmod 600 "$HSM_PIN_FILE"`) {
					t.Errorf("it says %q", have.risks[i])
				}
			}
		})
	}
}

func TestAFolderInWhichAnyoneMayExchangeThePINFile(t *testing.T) {
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	folder := func(name string, mode os.FileMode) string {
		path := filepath.Join(base, name)
		if err := errors.Join(os.MkdirAll(path, 0o700), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file := func(folder string) string {
		path := filepath.Join(folder, "pin")
		if err := os.WriteFile(path, []byte("0123"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := func(to, folder, name string) string {
		path := filepath.Join(folder, name)
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	mine, open, sticky := folder("mine", 0o700), folder("an open one", 0o777), folder("sticky", 0o777|os.ModeSticky)
	within := folder("an open one/mine", 0o700)
	for _, c := range []struct {
		name, path string
		warned     bool
	}{
		{"a folder of its owner", file(mine), false},
		{"a folder like /tmp", file(sticky), false},
		{"a folder for the group", file(folder("group", 0o770)), false},
		{"an open folder", file(open), true},
		{"a folder in an open one", file(within), true},
		{"a link to an open folder", link(file(open), mine, "link"), true},
		{"a link in an open folder", link(file(mine), open, "link"), true},
		{"a link to a folder, in an open one", filepath.Join(link(mine, open, "folder"), "pin"), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			read, err := readPINFile(t.Context(), c.path)
			if err != nil || len(read.risks) > 0 != c.warned || len(read.risks) > 1 {
				t.Fatalf("it says %q, %v", read.risks, err)
			}
			if c.warned && !strings.HasSuffix(read.risks[0], "chmod o-w '"+open+"'") {
				t.Errorf("it says %q", read.risks)
			}
		})
	}
}

func TestAPINFileOfAnotherUser(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pin")
	if err := os.WriteFile(path, []byte("0123"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 4711, -1); err != nil {
		t.Skipf("only root gives files away: %v", err)
	}
	read, err := readPINFile(t.Context(), path)
	if err != nil || len(read.risks) != 1 || !strings.Contains(read.risks[0], "belongs to the user with the number 4711") {
		t.Errorf("it says %q, %v", read.risks, err)
	}
}

func TestAPipeIsReadOnceAndNobodyWaitsForEver(t *testing.T) {
	// One pipe would not do: who gave up waiting may have it open for a moment more, and a writer would take it for the
	// next reader.
	pipe, silentPipe := filepath.Join(t.TempDir(), "pipe"), filepath.Join(t.TempDir(), "pipe")
	for _, path := range []string{pipe, silentPipe} {
		if err := unix.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	brief, cancel := context.WithTimeout(t.Context(), 3*pipePause)
	defer cancel()
	if _, err := readPINFile(brief, silentPipe); !errors.Is(err, errNobodyWrites) {
		t.Errorf("a pipe without a writer: %v", err)
	}

	// Whoever writes may come later, in pieces, and may keep the pipe open.
	type outcome struct {
		file pinFile
		err  error
	}
	outcomes := make(chan outcome, 1)
	read := func() {
		file, err := readPINFile(t.Context(), pipe)
		outcomes <- outcome{file, err}
	}
	for name, pieces := range map[string][]string{
		"a writer that closes it": {"01", "23"}, "a writer that keeps it": {"01", "23\n"},
	} {
		go read()
		writer, err := os.OpenFile(pipe, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, piece := range pieces {
			if _, err := writer.WriteString(piece); err != nil {
				t.Fatal(err)
			}
			time.Sleep(pipePause)
		}
		if !strings.HasSuffix(pieces[1], "\n") {
			_ = writer.Close()
		}
		select {
		case have := <-outcomes:
			if have.err != nil || strings.TrimSpace(string(have.file.text)) != "0123" || len(have.file.risks) > 0 {
				t.Errorf("%s: %q, %q, %v", name, have.file.text, have.file.risks, have.err)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: the reader waits", name)
		}
		_ = writer.Close()
	}

	// One that keeps the pipe open and says nothing.
	writer, err := os.OpenFile(pipe, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	silent, cancel := context.WithTimeout(t.Context(), 3*pipePause)
	defer cancel()
	if _, err := readPINFile(silent, pipe); !errors.Is(err, errNobodyWrites) {
		t.Errorf("a pipe with a silent writer: %v", err)
	}
}
