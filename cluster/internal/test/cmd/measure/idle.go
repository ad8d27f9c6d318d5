package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// idleFor is how long idle sessions are measured: ten heartbeats of each node.
const idleFor = 20 * time.Second

// idle measures what many idle sessions cost, with a second node that knows them.
func idle(ctx context.Context, m *measurement) error {
	b, err := m.start(1)
	if err != nil {
		return err
	}
	defer b.stop()
	two, leave, err := nodes(ctx, 2, cluster.Config{URL: b.url()})
	if err != nil {
		return err
	}
	err = idleOn(ctx, m, b, two[0])
	return errors.Join(err, leave())
}

func idleOn(ctx context.Context, m *measurement, b *brokers, node *cluster.Node) error {
	heapBefore := heap()
	residentBefore, err := b.resident()
	if err != nil {
		return err
	}
	_, took, err := atOnce(m.sessions, 64, func(i int) error {
		return node.Claim(ctx, fmt.Sprintf("user-%08d", i), nil, activated)
	})
	if err != nil {
		return err
	}
	m.add("claims of all", m.sessions, 1, "s", took.Seconds())
	if err := pause(ctx, 5*time.Second); err != nil { // lets the effects of the claims fade
		return err
	}
	resident, err := b.resident()
	if err != nil {
		return err
	}
	m.add("idle sessions", m.sessions, 1, "bytes each, in the node", float64(heap()-heapBefore)/float64(m.sessions))
	m.add("idle sessions", m.sessions, 1, "bytes each, in the broker", float64(resident-residentBefore)/float64(m.sessions))

	broker, own, err := b.used()
	if err != nil {
		return err
	}
	if err := pause(ctx, idleFor); err != nil {
		return err
	}
	broker2, own2, err := b.used()
	if err != nil {
		return err
	}
	m.add("idle sessions", m.sessions, 1, "% of a core, two nodes", 100*(own2-own).Seconds()/idleFor.Seconds())
	m.add("idle sessions", m.sessions, 1, "% of a core, broker", 100*(broker2-broker).Seconds()/idleFor.Seconds())
	return nil
}

// used returns the CPU time of the brokers and of this process.
func (b *brokers) used() (brokers, own time.Duration, err error) {
	brokers, err = b.cpu()
	if err != nil {
		return 0, 0, err
	}
	own, err = ownCPU()
	return brokers, own, err
}

// reconcile measures how long it takes to restore the directory after the broker has lost
// all of it, and to find out that it has lost nothing.
func reconcile(ctx context.Context, m *measurement) error {
	for _, storage := range []struct {
		name string
		is   cluster.Storage
	}{{"memory, all lost", cluster.Memory}, {"file, nothing lost", cluster.File}} {
		if err := reconcileWith(ctx, m, "reconciliation: "+storage.name, storage.is); err != nil {
			return err
		}
	}
	return nil
}

func reconcileWith(ctx context.Context, m *measurement, work string, storage cluster.Storage) error {
	b, err := m.start(1)
	if err != nil {
		return err
	}
	defer b.stop()
	done := make(reconciliations, 16)
	two, leave, err := nodes(ctx, 2, cluster.Config{URL: b.url(), Storage: storage, Logger: slog.New(done)})
	if err != nil {
		return err
	}
	_, _, err = atOnce(m.sessions, 64, func(i int) error {
		return two[0].Claim(ctx, fmt.Sprintf("user-%08d", i), nil, activated)
	})
	if err != nil {
		return errors.Join(err, leave())
	}
	if err := b.end(0); err != nil {
		return errors.Join(err, leave())
	}
	if err := b.run(0); err != nil {
		return errors.Join(err, leave())
	}
	start := time.Now()
	broker, own, err := b.used()
	if err != nil {
		return errors.Join(err, leave())
	}
	if storage == cluster.Memory {
		for restored := int64(0); restored < int64(m.sessions); {
			select {
			case s := <-done:
				restored += s.restored
				m.add(work, m.sessions, 1, fmt.Sprintf("s, the reconciliation of %d", s.restored), s.took.Seconds())
			case <-ctx.Done():
				return errors.Join(ctx.Err(), leave())
			}
		}
	}
	broker2, own2, err := b.used()
	if err != nil {
		return errors.Join(err, leave())
	}
	if storage == cluster.Memory {
		m.add(work, m.sessions, 1, "s of CPU for it, two nodes", (own2 - own).Seconds())
		m.add(work, m.sessions, 1, "s of CPU for it, broker", (broker2 - broker).Seconds())
	}
	// The directory is restored when the other node lists each session.
	for whole := false; !whole; {
		if err := ctx.Err(); err != nil {
			return errors.Join(err, leave())
		}
		listed := 0
		err := two[1].List(ctx, func(cluster.Entry) bool { listed++; return true })
		whole = err == nil && listed == m.sessions
	}
	m.add(work, m.sessions, 1, "s, from the broker's return until all are listed", time.Since(start).Seconds())
	begun := time.Now()
	if err := two[1].List(ctx, func(cluster.Entry) bool { return true }); err != nil {
		return errors.Join(err, leave())
	}
	m.add(work, m.sessions, 1, "s, one List of all", time.Since(begun).Seconds())
	return leave()
}

// reconciliation is what a node logs about a reconciliation that has restored sessions.
type reconciliation struct {
	restored int64
	took     time.Duration
}

// reconciliations is a slog.Handler that sends the logged reconciliations.
type reconciliations chan reconciliation

func (reconciliations) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }
func (s reconciliations) WithAttrs([]slog.Attr) slog.Handler         { return s }
func (s reconciliations) WithGroup(string) slog.Handler              { return s }
func (s reconciliations) Handle(_ context.Context, r slog.Record) error {
	var w reconciliation
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "restored":
			w.restored = a.Value.Int64()
		case "took":
			w.took = a.Value.Duration()
		}
		return true
	})
	if w.restored > 0 {
		select {
		case s <- w:
		default:
		}
	}
	return nil
}
