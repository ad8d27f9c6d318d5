package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/pool"
)

// none is a Local without sessions: only the node's own work is measured.
type none struct{}

func (none) Close(context.Context, string, uint64, pool.Reason) (bool, error) { return true, nil }

func (none) Deliver(context.Context, string, uint64, []byte) (bool, error) { return true, nil }

func activated(uint64) {}

// nodes starts a number of nodes.
func nodes(ctx context.Context, n int, c cluster.Config) (all []*cluster.Node, leave func() error, err error) {
	leave = func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		var err error
		for _, node := range all {
			err = errors.Join(err, node.Leave(ctx))
		}
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	c.Local = none{}
	for i := range n {
		c.Name = fmt.Sprint("n", i)
		node, err := cluster.Join(ctx, c)
		if err != nil {
			return nil, nil, errors.Join(err, leave())
		}
		all = append(all, node)
	}
	return all, leave, nil
}

// atOnce calls do for 0 to n-1 on a number of goroutines. It returns how long each call
// took, sorted, and how long all took.
func atOnce(n, workers int, do func(i int) error) (took []time.Duration, all time.Duration, err error) {
	took = make([]time.Duration, n)
	errs := make([]error, workers)
	start := time.Now()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n && errs[w] == nil; i += workers {
				begun := time.Now()
				errs[w] = do(i)
				took[i] = time.Since(begun)
			}
		})
	}
	wg.Wait()
	all = time.Since(start)
	slices.Sort(took)
	return took, all, errors.Join(errs...)
}

// rates measures claims, takeovers from another node, and messages to and kicks of sessions
// of another node.
func rates(ctx context.Context, m *measurement) error {
	for _, n := range []int{1, 3} {
		for _, workers := range []int{1, 64} {
			if err := ratesWith(ctx, m, n, workers); err != nil {
				return err
			}
		}
	}
	return nil
}

func ratesWith(ctx context.Context, m *measurement, n, workers int) error {
	b, err := m.start(n)
	if err != nil {
		return err
	}
	defer b.stop()
	two, leave, err := nodes(ctx, 2, cluster.Config{URL: b.url(), Replicas: n})
	if err != nil {
		return err
	}
	count := 2000 * min(workers, 5)
	id := func(i int) string { return fmt.Sprintf("user-%08d", i) }
	for _, work := range []struct {
		name string
		do   func(i int) error
	}{
		{"claim", func(i int) error { return two[0].Claim(ctx, id(i), nil, activated) }},
		{"send to another node", func(i int) error { return two[1].Send(ctx, id(i), []byte("hello")) }},
		{"takeover from another node", func(i int) error { return two[1].Claim(ctx, id(i), nil, activated) }},
		{"kick on another node", func(i int) error { return two[0].Kick(ctx, id(i), "Kicked") }},
	} {
		took, all, err := atOnce(count, workers, work.do)
		if err != nil {
			return errors.Join(fmt.Errorf("%s: %w", work.name, err), leave())
		}
		name := fmt.Sprintf("%s, %d at once", work.name, workers)
		m.add(name, count, n, "per second", float64(count)/all.Seconds())
		m.add(name, count, n, "p50 µs", float64(took[count/2].Nanoseconds())/1e3)
		m.add(name, count, n, "p99 µs", float64(took[count*99/100].Nanoseconds())/1e3)
	}
	return leave()
}
