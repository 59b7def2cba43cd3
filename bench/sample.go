package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// sample is what one run of a contender cost.
type sample struct {
	seconds    float64 // of what is measured, not of the process around it
	calls      float64 // into the module
	waited     float64 // seconds in which at least one call waited, as the spy lets them
	generating float64 // seconds of CPU in C_GenerateKeyPair
	cpu        float64 // seconds of CPU, of the process that uses the token
	rss        float64 // its peak resident size, MiB
}

// measured runs a command, which has the tally's path in its environment, and takes its cost: of CPU and memory that of
// the program that it starts, where one is named.
func (s *stand) measured(ctx context.Context, wait time.Duration, prepare func(*exec.Cmd), program string, command ...string) (sample, []byte, error) {
	tally := filepath.Join(s.b.scratch, "tally")
	if err := os.WriteFile(tally, make([]byte, 32), 0o600); err != nil {
		return sample{}, nil, err
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = s.environment(tally, int(wait.Microseconds()))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if prepare != nil {
		prepare(cmd)
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return sample{}, nil, err
	}
	done, seen := make(chan struct{}), make(chan struct{})
	var rss, cpu float64
	go func() {
		defer close(seen)
		if program != "" {
			rss, cpu = watch(cmd.Process.Pid, program, done)
		}
	}()
	err := cmd.Wait()
	took := time.Since(start)
	close(done)
	<-seen
	if err != nil {
		return sample{}, nil, fmt.Errorf("%s: %w: %s%s", strings.Join(command, " "), err, lastLines(stdout.Bytes()), lastLines(stderr.Bytes()))
	}
	counts, err := os.ReadFile(tally)
	if err != nil {
		return sample{}, nil, err
	}
	if program == "" {
		rss = float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) / 1024
		cpu = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	}
	count := func(i int) float64 { return float64(binary.NativeEndian.Uint64(counts[8*i:])) }
	return sample{
		seconds: took.Seconds(), calls: count(0), waited: count(1) / 1e9, generating: count(2) / 1e9, cpu: cpu, rss: rss,
	}, stdout.Bytes(), nil
}

func lastLines(text []byte) []byte { return text[max(0, len(text)-2000):] }

// worker runs this program as one of its workers.
func (s *stand) worker(ctx context.Context, wait time.Duration, args ...string) (sample, error) {
	cost, out, err := s.measured(ctx, wait, nil, "", append([]string{s.b.self, "worker"}, args...)...)
	if err != nil {
		return sample{}, err
	}
	var took struct{ Seconds float64 }
	if err := json.Unmarshal(out, &took); err != nil {
		return sample{}, fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
	}
	cost.seconds = took.Seconds
	return cost, nil
}

// contender is one of those that are measured side by side.
type contender func(context.Context) (sample, error)

// sideBySide runs the contenders in turn, several times, and gives the median of each.
func sideBySide(ctx context.Context, runs int, contenders ...contender) ([]sample, error) {
	all := make([][]sample, len(contenders))
	for range runs {
		for i, run := range contenders {
			cost, err := run(ctx)
			if err != nil {
				return nil, err
			}
			all[i] = append(all[i], cost)
		}
	}
	medians := make([]sample, len(contenders))
	for i, costs := range all {
		median := func(of func(sample) float64) float64 {
			values := make([]float64, len(costs))
			for j, c := range costs {
				values[j] = of(c)
			}
			slices.Sort(values)
			return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
		}
		medians[i] = sample{
			seconds: median(func(c sample) float64 { return c.seconds }), calls: median(func(c sample) float64 { return c.calls }),
			waited: median(func(c sample) float64 { return c.waited }), generating: median(func(c sample) float64 { return c.generating }),
			cpu: median(func(c sample) float64 { return c.cpu }), rss: median(func(c sample) float64 { return c.rss }),
		}
	}
	return medians, nil
}

// watch looks at the processes of a program that a process has started, until done is closed, and gives the greatest
// peak resident size (MiB) and CPU time (seconds) of one of them.
func watch(parent int, program string, done <-chan struct{}) (rss, cpu float64) {
	for {
		select {
		case <-done:
			return rss, cpu
		case <-time.After(25 * time.Millisecond):
		}
		for _, folder := range childrenOf(parent) {
			if exe, err := os.Readlink(filepath.Join(folder, "exe")); err != nil || filepath.Base(exe) != program {
				continue
			}
			status, _ := os.ReadFile(filepath.Join(folder, "status"))
			if _, rest, ok := strings.Cut(string(status), "VmHWM:"); ok {
				kib, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
				rss = max(rss, kib/1024)
			}
			stat, _ := os.ReadFile(filepath.Join(folder, "stat"))
			if fields := strings.Fields(string(stat)); len(fields) > 15 {
				user, _ := strconv.ParseFloat(fields[13], 64)
				system, _ := strconv.ParseFloat(fields[14], 64)
				cpu = max(cpu, (user+system)/100)
			}
		}
	}
}

// childrenOf are the folders of a process's children in /proc.
func childrenOf(parent int) (folders []string) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for pid := range strings.FieldsSeq(string(text)) {
			folders = append(folders, "/proc/"+pid)
		}
	}
	return folders
}
