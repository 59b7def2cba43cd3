package main

import (
	"context"
	"fmt"
	"os/exec"
	"time"
)

// start is the time from the start of the process to its schema.
func (b *bench) start(ctx context.Context) error {
	s, err := b.stand(ctx, b.sizes[0])
	if err != nil {
		return err
	}
	contenders := []contender{
		func(ctx context.Context) (sample, error) { return served(ctx, b.provider) },
		func(ctx context.Context) (sample, error) {
			cost, _, err := s.measured(ctx, 0, func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "CHECKPOINT_DISABLE=1") }, "", b.terraform, "version")
			return cost, err
		},
	}
	names := []string{"terraform version"}
	if b.tls != "" {
		contenders = append(contenders, func(ctx context.Context) (sample, error) { return served(ctx, b.tls) })
		names = append(names, "the tls provider")
	}
	costs, err := sideBySide(ctx, 2*b.runs, contenders...)
	if err != nil {
		return err
	}
	for i, name := range names {
		b.table.add("start of the process to its schema", 0, 1000*costs[0].seconds, 1000*costs[i+1].seconds, "%.0f ms", name, 0)
	}
	return nil
}

// plan is whole runs of terraform plan, where nothing has changed.
func (b *bench) plan(ctx context.Context) error {
	own := map[int]float64{} // seconds a pair beyond Terraform's own
	cpu := map[int]float64{} // seconds of the provider a pair
	for _, n := range b.sizes {
		s, err := b.stand(ctx, n)
		if err != nil {
			return err
		}
		kinds := []string{ofHSM, ofData}
		beside := b.tls != "" && n <= 1000 // Terraform takes many minutes to make the state of more
		if beside {
			kinds = append(kinds, ofTLS)
		}
		var contenders []contender
		for _, kind := range kinds {
			w, err := s.workspace(ctx, kind)
			if err != nil {
				return err
			}
			contenders = append(contenders, w.plan)
		}
		contenders = append(contenders, func(ctx context.Context) (sample, error) { return s.worker(ctx, 0, "raw-read") })
		runs := b.runs
		if n >= 10000 {
			runs = 1 // Terraform alone takes a minute for each
		}
		b.say("plan of %d", n)
		costs, err := sideBySide(ctx, runs, contenders...)
		if err != nil {
			return err
		}
		hsm, data, floor := costs[0], costs[1], costs[len(costs)-1]
		most := 0.0
		if n >= 100 {
			most = float64(2*n+60) / float64(2*n+6)
		}
		b.table.add("calls of a plan that changes nothing", n, hsm.calls, float64(2*n+6), "%.0f", "floor, 2N + 6", most)
		target := func(yes bool) float64 {
			if yes {
				return 1.15
			}
			return 0
		}
		if beside {
			b.table.add("terraform plan", n, hsm.seconds, costs[2].seconds, "%.2f s", "of as many tls_private_key", target(n == 1000))
		}
		b.table.add("terraform plan", n, hsm.seconds, data.seconds, "%.2f s", "of as many terraform_data", target(n == 1000 && !beside))
		own[n] = (hsm.seconds - data.seconds) / float64(n)
		b.table.add("peak memory of the provider in a plan", n, hsm.rss, floor.rss, "%.0f MiB", "raw C calls that read all", 0)
		if n == 10000 {
			last := &b.table.rows[len(b.table.rows)-1]
			last.target = verdict(hsm.rss <= 150, "at most 150 MiB")
		}
		cpu[n] = hsm.cpu / float64(n)
		b.table.add("CPU of the provider in a plan", n, hsm.cpu, floor.cpu, "%.2f s", "raw C calls that read all", 0)
	}
	for _, small := range []int{100, 1000} {
		large := 10000
		if own[small] > 0 && own[large] > 0 {
			most := 0.0
			if small == 1000 {
				most = 1.5
			}
			b.table.add(fmt.Sprintf("growth: a pair in a plan, less terraform_data, at %s", number(large)), large, 1000*own[large], 1000*own[small], "%.2f ms", "at "+number(small), most)
		}
		if cpu[small] > 0 && cpu[large] > 0 {
			b.table.add(fmt.Sprintf("growth: CPU of the provider for a pair in a plan, at %s", number(large)), large, 1000*cpu[large], 1000*cpu[small], "%.2f ms", "at "+number(small), 0)
		}
	}
	return nil
}

// read is package hsm alone, looking pairs up as a refresh does.
func (b *bench) read(ctx context.Context) error {
	each := map[int]float64{}
	for _, n := range b.sizes {
		s, err := b.stand(ctx, n)
		if err != nil {
			return err
		}
		costs, err := sideBySide(ctx, b.runs,
			func(ctx context.Context) (sample, error) { return s.worker(ctx, 0, "read", fmt.Sprint(n)) },
			func(ctx context.Context) (sample, error) { return s.worker(ctx, 0, "raw-read") })
		if err != nil {
			return err
		}
		each[n] = costs[0].seconds / float64(n)
		b.table.add("package hsm reads each pair", n, costs[0].seconds, costs[1].seconds, "%.3f s", "raw C calls", 0)
	}
	for _, small := range []int{100, 1000} {
		if each[small] > 0 && each[10000] > 0 {
			b.table.add("growth: a pair that package hsm reads, at 10,000", 10000, 1e6*each[10000], 1e6*each[small], "%.0f us", "at "+number(small), 0)
		}
	}
	return nil
}

// network has each call wait.
func (b *bench) network(ctx context.Context) error {
	for _, n := range b.sizes {
		if n > 1000 {
			continue
		}
		s, err := b.stand(ctx, n)
		if err != nil {
			return err
		}
		for _, wait := range []time.Duration{time.Millisecond, 5 * time.Millisecond} {
			costs, err := sideBySide(ctx, min(b.runs, 3),
				func(ctx context.Context) (sample, error) { return s.worker(ctx, wait, "read", fmt.Sprint(n)) },
				func(ctx context.Context) (sample, error) { return s.worker(ctx, wait, "raw-read") })
			if err != nil {
				return err
			}
			most := 0.0
			if n == 1000 {
				most = float64(n) * 2 / 6 * wait.Seconds() / costs[1].waited
			}
			what := fmt.Sprintf("waits for the token, %d ms a call", wait.Milliseconds())
			b.table.add(what, n, 1000*costs[0].waited, 1000*costs[1].waited, "%.0f ms", "one call after the other", most)
		}
	}
	return nil
}

// rivals are what else reads key pairs.
func (b *bench) rivals(ctx context.Context) error {
	for _, n := range b.sizes {
		if n > b.rivalMax {
			continue
		}
		s, err := b.stand(ctx, n)
		if err != nil {
			return err
		}
		tool := min(n, 20) // each is a process of its own
		costs, err := sideBySide(ctx, min(b.runs, 3),
			func(ctx context.Context) (sample, error) { return s.worker(ctx, 0, "read", fmt.Sprint(n)) },
			func(ctx context.Context) (sample, error) { return s.worker(ctx, 0, "crypto11", fmt.Sprint(n)) },
			func(ctx context.Context) (sample, error) { return s.worker(ctx, 0, "crypto11-all", fmt.Sprint(n)) },
			func(ctx context.Context) (total sample, err error) {
				for i := range tool {
					cost, _, err := s.measured(ctx, 0, nil, "", "pkcs11-tool", "--module", b.spy, "--token-label", tokenLabel, "--login", "--pin", "env:HSM_PIN",
						"--read-object", "--type", "pubkey", "--id", fmt.Sprintf("%x", keyID(i)), "--output-file", "/dev/null")
					if err != nil {
						return sample{}, err
					}
					total.seconds += cost.seconds * float64(n) / float64(tool)
					total.calls += cost.calls * float64(n) / float64(tool)
				}
				return total, nil
			})
		if err != nil {
			return err
		}
		for i, name := range []string{"crypto11 FindKeyPair, each", "crypto11 FindAllKeyPairs", "pkcs11-tool, each public key"} {
			b.table.add("calls to read each pair", n, costs[0].calls, costs[i+1].calls, "%.0f", name, 0)
			b.table.add("time to read each pair", n, costs[0].seconds, costs[i+1].seconds, "%.3f s", name, 0)
		}
	}
	return nil
}

// few is three keys among many foreign ones.
func (b *bench) few(ctx context.Context) error {
	if b.foreign == 0 {
		return nil
	}
	s, err := b.stand(ctx, b.foreign)
	if err != nil {
		return err
	}
	costs, err := sideBySide(ctx, b.runs,
		func(ctx context.Context) (sample, error) { return s.worker(ctx, 0, "read", "3") },
		func(ctx context.Context) (sample, error) { return s.worker(ctx, 0, "raw-few", "3") },
		func(ctx context.Context) (sample, error) { return s.worker(ctx, 0, "raw-read") })
	if err != nil {
		return err
	}
	what := fmt.Sprintf("3 pairs among %s others", number(b.foreign))
	b.table.add(what+", calls", 3, costs[0].calls, min(costs[1].calls, costs[2].calls), "%.0f", "the cheaper of searches and reading all, raw", 2)
	b.table.add(what+", time", 3, costs[0].seconds, min(costs[1].seconds, costs[2].seconds), "%.3f s", "the cheaper of searches and reading all, raw", 2)
	return nil
}

// jwks is the data source with all keys of the token.
func (b *bench) jwks(ctx context.Context) error {
	for _, n := range b.sizes {
		s, err := b.stand(ctx, n)
		if err != nil {
			return err
		}
		w, err := s.workspace(ctx, ofJWKS)
		if err != nil {
			return err
		}
		costs, err := sideBySide(ctx, min(b.runs, 3),
			func(ctx context.Context) (sample, error) { return s.worker(ctx, 0, "jwks") },
			func(ctx context.Context) (sample, error) { return s.worker(ctx, 0, "raw-read") },
			w.plan)
		if err != nil {
			return err
		}
		most := 0.0
		if n == 10000 {
			most = 1.3
		}
		b.table.add("hsm_jwks of all keys, the provider's part", n, costs[0].seconds, costs[1].seconds, "%.3f s", "raw C calls that read all", most)
		b.table.add("hsm_jwks of all keys, terraform plan", n, costs[2].seconds, costs[1].seconds, "%.3f s", "raw C calls that read all", 0)
	}
	return nil
}

// create makes RSA keys of 4096 bits, ten at a time. How long one takes is chance, so that what is compared is how many
// cores are kept busy with nothing but the making.
func (b *bench) create(ctx context.Context) error {
	if b.created == 0 {
		return nil
	}
	s, err := b.stand(ctx, 0)
	if err != nil {
		return err
	}
	n, parallel := fmt.Sprint(b.created), fmt.Sprint(terraformsParallelism)
	costs, err := sideBySide(ctx, 1,
		func(ctx context.Context) (sample, error) { return s.worker(ctx, 0, "create", n, parallel) },
		func(ctx context.Context) (sample, error) { return s.worker(ctx, 0, "raw-create", n, parallel) })
	if err != nil {
		return err
	}
	rate := func(c sample) float64 { return 60 * float64(b.created) / c.seconds }
	b.table.add("RSA-4096 pairs a minute, ten at a time (chance decides much)", b.created, rate(costs[0]), rate(costs[1]), "%.1f", "raw C_GenerateKeyPair", 0)
	cores := func(c sample) float64 { return c.generating / c.seconds }
	b.table.add("cores that making these keeps busy", b.created, cores(costs[0]), cores(costs[1]), "%.2f", "raw C_GenerateKeyPair", 0)
	last := &b.table.rows[len(b.table.rows)-1]
	last.target = verdict(cores(costs[0]) >= 0.9*cores(costs[1]), "at least 0.9")
	return nil
}

// sign is signatures, each of which the provider verifies before anyone gets it.
func (b *bench) sign(ctx context.Context) error {
	if b.signatures == 0 {
		return nil
	}
	for _, key := range []struct {
		name string
		bits int
	}{{"P-256", 0}, {"RSA-2048", 2048}} {
		s, err := b.stand(ctx, 0)
		if err != nil {
			return err
		}
		bits, times := fmt.Sprint(key.bits), fmt.Sprint(b.signatures)
		if _, err := s.worker(ctx, 0, "make-signer", bits); err != nil {
			return err
		}
		costs, err := sideBySide(ctx, b.runs,
			func(ctx context.Context) (sample, error) { return s.worker(ctx, 0, "sign", bits, times) },
			func(ctx context.Context) (sample, error) { return s.worker(ctx, 0, "raw-sign", bits, times) })
		if err != nil {
			return err
		}
		each := func(c sample) float64 { return 1e6 * c.seconds / float64(b.signatures) }
		b.table.add("a signature, verified, "+key.name, b.signatures, each(costs[0]), each(costs[1]), "%.0f us",
			"raw C_Sign, not verified", 0)
		b.table.add("calls of these signatures, "+key.name, b.signatures, costs[0].calls, costs[1].calls, "%.0f",
			"raw C_Sign", 0)
	}
	return nil
}

// certificates is whole runs of terraform plan over certificates and requests that do not change, beside as many of the
// tls provider.
func (b *bench) certificates(ctx context.Context) error {
	for _, n := range b.sizes {
		if n > 1000 { // Terraform takes many minutes to make the state of more
			continue
		}
		s, err := b.stand(ctx, n)
		if err != nil {
			return err
		}
		for _, kind := range []struct{ ours, theirs string }{{ofRequests, ofTLSRequests}, {ofCerts, ofTLSCerts}} {
			beside, what := kind.theirs, "of as many "+kind.theirs
			if b.tls == "" {
				beside, what = ofData, "of as many terraform_data"
			}
			ours, err := s.workspace(ctx, kind.ours)
			if err != nil {
				return err
			}
			theirs, err := s.workspace(ctx, beside)
			if err != nil {
				return err
			}
			costs, err := sideBySide(ctx, b.runs, ours.plan, theirs.plan)
			if err != nil {
				return err
			}
			most := 0.0
			if b.tls != "" && n == 1000 {
				most = 1.1
			}
			b.table.add("terraform plan of "+kind.ours, n, costs[0].seconds, costs[1].seconds, "%.2f s", what, most)
			b.table.add("calls of a plan of "+kind.ours, n, costs[0].calls, 0, "%.0f", "none", 0)
			last := &b.table.rows[len(b.table.rows)-1]
			last.target = verdict(costs[0].calls == 0, "none")
		}
	}
	return nil
}
