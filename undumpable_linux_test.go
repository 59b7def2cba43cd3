package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain is the provider itself where a test has started it.
func TestMain(m *testing.M) {
	if os.Getenv("HSMTEST_MAIN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// The program runs as a user that is not root, since to root belong all the files of a process that is not dumpable.
func TestNobodyReadsTheMemoryOfTheProvider(t *testing.T) {
	folder := t.TempDir()
	for _, way := range []string{filepath.Dir(folder), folder} { // the user that is not root runs what is in it
		if err := os.Chmod(way, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(folder, "terraform-provider-hsm")
	text, err := os.ReadFile(os.Args[0])
	if err == nil {
		err = os.WriteFile(program, text, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name      string
		arguments []string
		protected bool
	}{
		{"a provider that Terraform starts", nil, true},
		{"one that waits for a debugger", []string{"-debug"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command(program, c.arguments...)
			user := os.Getuid()
			if user == 0 {
				user = 65534
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(user), Gid: uint32(user)}}
			}
			// The cookie is what Terraform shows a plugin.
			const cookie = "TF_PLUGIN_MAGIC_COOKIE=d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2"
			cmd.Env = append(os.Environ(), cookie, "HSMTEST_MAIN=1")
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
			})
			line := make(chan string, 1)
			go func() {
				text, _ := bufio.NewReader(out).ReadString('\n')
				line <- text
			}()
			select {
			case text := <-line: // it serves
				if text == "" {
					t.Fatal("the provider ends without serving")
				}
			case <-time.After(30 * time.Second):
				t.Fatal("the provider does not serve")
			}
			process := filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid))
			for _, file := range []string{"mem", "environ"} {
				info, err := os.Stat(filepath.Join(process, file))
				if err != nil {
					t.Fatal(err)
				}
				owner := int(info.Sys().(*syscall.Stat_t).Uid)
				if protected := owner == 0; protected != c.protected {
					t.Errorf("%s belongs to the user %d, and the process to %d", file, owner, user)
				}
			}
			if none := coreLimit(t, process) == "0 0"; none != (c.protected || coreLimit(t, "/proc/self") == "0 0") {
				t.Errorf("core files may have %s bytes", coreLimit(t, process))
			}
		})
	}
}

// coreLimit is the soft and the hard limit of a process's core files.
func coreLimit(t *testing.T, process string) string {
	limits, err := os.ReadFile(filepath.Join(process, "limits"))
	if err != nil {
		t.Fatal(err)
	}
	for limit := range strings.Lines(string(limits)) {
		if rest, ok := strings.CutPrefix(limit, "Max core file size"); ok {
			fields := strings.Fields(rest)
			return fields[0] + " " + fields[1]
		}
	}
	t.Fatalf("%s has no limit of core files", process)
	return ""
}
