// Command bench measures what this provider costs beside what it cannot cost less than, and beside what else one
// would use. It makes tokens of SoftHSM with many keys (and keeps them in .cache/bench), runs each contender several
// times in turn, and prints one table of medians and of their ratios:
//
//	make bench
//	make bench SIZES="10 100" RUNS=3
//
// Every contender runs in a process of its own, behind spy/spy.c, which counts the calls into the module and can let
// each wait as a network HSM does. It needs Linux, a C compiler, SoftHSM, OpenSC and a Terraform.
package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

//go:embed spy/spy.c
var spySource string

func main() {
	if len(os.Args) > 1 && os.Args[1] == "worker" {
		if err := work(os.Args[2], os.Args[3:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	var b bench
	var sizes string
	flag.StringVar(&sizes, "sizes", "10 100 1000 10000", "numbers of key pairs on a token")
	flag.IntVar(&b.runs, "runs", 5, "how often each contender runs; the median counts")
	flag.IntVar(&b.rivalMax, "rivals", 100, "the most pairs that other programs read one after the other, which takes them minutes for 1000")
	flag.IntVar(&b.foreign, "foreign", 5000, "pairs on the token of which three are managed; 0 leaves that out")
	flag.IntVar(&b.created, "created", 16, "RSA keys of 4096 bits to make, which take seconds each; 0 leaves that out")
	flag.IntVar(&b.signatures, "signatures", 2000, "how often a key signs; 0 leaves that out")
	flag.StringVar(&b.only, "only", "", "only the parts that are named so: "+strings.Join(partNames(), ", "))
	flag.StringVar(&b.provider, "provider", "", "the provider's binary")
	flag.StringVar(&b.terraform, "terraform", "terraform", "the Terraform to run")
	flag.StringVar(&b.module, "module", "", "the path of SoftHSM's module")
	flag.StringVar(&b.tls, "tls", os.Getenv("BENCH_TLS_PROVIDER"), "a binary of hashicorp/tls to plan beside, terraform-provider-tls in a folder of its own, if there is one")
	flag.StringVar(&b.cache, "cache", ".cache/bench", "a folder for keys that are made once")
	flag.Parse()
	for word := range strings.FieldsSeq(sizes) {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 {
			fmt.Fprintf(os.Stderr, "bench: %q is no number of pairs\n", word)
			os.Exit(2)
		}
		b.sizes = append(b.sizes, n)
	}
	slices.Sort(b.sizes)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := b.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run of the program.
type bench struct {
	sizes                                  []int
	runs, rivalMax, foreign, created       int
	signatures                             int
	provider, terraform, module, tls, only string
	cache, scratch, spy, self              string
	stands                                 map[int]*stand
	plans                                  map[string]map[int]sample // medians by kind and size
	table                                  table
}

// parts are what can be run alone, in the order of the table.
var parts = []struct {
	name string
	run  func(*bench, context.Context) error
}{
	{"start", (*bench).start},
	{"plan", (*bench).plan},
	{"read", (*bench).read},
	{"network", (*bench).network},
	{"rivals", (*bench).rivals},
	{"few", (*bench).few},
	{"jwks", (*bench).jwks},
	{"create", (*bench).create},
	{"sign", (*bench).sign},
	{"certificates", (*bench).certificates},
}

func partNames() (names []string) {
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

func (b *bench) run(ctx context.Context) (err error) {
	for _, path := range []*string{&b.provider, &b.tls, &b.cache} {
		if *path == "" {
			continue
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	memory := "/dev/shm" // SoftHSM syncs each write, and a disk is no part of what is measured
	if _, err := os.Stat(memory); err != nil {
		memory = ""
	}
	if b.scratch, err = os.MkdirTemp(memory, "bench-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(b.scratch) }()
	b.spy = filepath.Join(b.scratch, "spy.so")
	cc := exec.CommandContext(ctx, "cc", "-O2", "-shared", "-fPIC", "-o", b.spy, "-x", "c", "-", "-ldl")
	cc.Stdin = strings.NewReader(spySource)
	if out, err := cc.CombinedOutput(); err != nil {
		return fmt.Errorf("cc: %w: %s", err, out)
	}
	b.stands, b.plans = map[int]*stand{}, map[string]map[int]sample{}
	load := loadAverage()
	for _, part := range parts {
		if b.only != "" && !slices.Contains(strings.Fields(b.only), part.name) {
			continue
		}
		b.say("%s", part.name)
		if err := part.run(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	b.table.print(os.Stdout, fmt.Sprintf("Medians of %d. Load of the machine: %s before, %s after.", b.runs, load, loadAverage()))
	return nil
}

func (b *bench) say(format string, values ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", values...)
}

// loadAverage is that of the last minute.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}
