package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// manyNodes is how many nodes share the sessions in restart.
const manyNodes = 20

// restart measures what a restart of the broker costs many nodes, when nothing was lost.
func restart(ctx context.Context, m *measurement) error {
	b, err := m.start(1)
	if err != nil {
		return err
	}
	defer b.stop()
	compared := new(comparisons)
	all, leave, err := nodes(ctx, manyNodes, cluster.Config{URL: b.url(), LeaseTTL: 20 * time.Second, MaxBytes: -1, Logger: slog.New(compared)})
	if err != nil {
		return err
	}
	return errors.Join(restartUnder(ctx, m, b, all, compared), leave())
}

func restartUnder(ctx context.Context, m *measurement, b *brokers, all []*cluster.Node, compared *comparisons) error {
	work := fmt.Sprintf("restart of the broker, %d nodes", len(all))
	_, _, err := atOnce(m.sessions, 128, func(i int) error {
		return all[i%len(all)].Claim(ctx, fmt.Sprintf("user-%08d", i), nil, activated)
	})
	if err != nil {
		return err
	}
	if err := pause(ctx, 5*time.Second); err != nil { // lets the effects of the claims fade
		return err
	}
	_, own, err := b.used()
	if err != nil {
		return err
	}
	before := compared.n.Load()
	if err := b.end(0); err != nil {
		return err
	}
	start := time.Now()
	if err := b.run(0); err != nil {
		return err
	}
	m.add(work, m.sessions, 1, "s, until the broker is there", time.Since(start).Seconds())
	start = time.Now()
	for compared.n.Load() < before+int64(len(all)) {
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	m.add(work, m.sessions, 1, "s, until all nodes have compared their sessions", time.Since(start).Seconds())
	broker, own2, err := b.used()
	if err != nil {
		return err
	}
	m.add(work, m.sessions, 1, "s of CPU, all nodes", (own2 - own).Seconds())
	m.add(work, m.sessions, 1, "s of CPU, broker, with its start", broker.Seconds())
	return nil
}

// comparisons is a slog.Handler that counts the reconciliations that have succeeded.
type comparisons struct{ n atomic.Int64 }

func (*comparisons) Enabled(context.Context, slog.Level) bool { return true }
func (c *comparisons) WithAttrs([]slog.Attr) slog.Handler     { return c }
func (c *comparisons) WithGroup(string) slog.Handler          { return c }
func (c *comparisons) Handle(_ context.Context, r slog.Record) error {
	if r.Message != "compared the directory with the sessions" {
		return nil
	}
	ok := true
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "error" && a.Value.Any() != nil {
			ok = false
		}
		return true
	})
	if ok {
		c.n.Add(1)
	}
	return nil
}
