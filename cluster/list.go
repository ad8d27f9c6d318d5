package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// List calls f for each session of the cluster, in no order, until f returns
// false. It is weakly consistent: a session that is there throughout is told once,
// one that comes or goes meanwhile may or may not be. F is called on the caller's
// goroutine; one that is slow makes the broker wait, not this node. It must not
// keep the entry's Meta.
//
// The error is ErrUnavailable if the broker stopped answering on the way, and that
// of ctx.
func (n *Node) List(ctx context.Context, f func(Entry) bool) error {
	return n.scan(ctx, func(key string, _ uint64, e entry) bool {
		id, ok := idOf(key)
		if !ok || n.knownDead(e.Owner) {
			return true
		}
		return f(e.export(id))
	})
}

// knownDead reports whether an epoch is dead as far as this node has seen.
func (n *Node) knownDead(epoch string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.peers[epoch]
	return epoch == "" || p != nil && p.rec.Dead
}

// scan reads the directory in one pass.
func (n *Node) scan(ctx context.Context, f func(key string, rev uint64, e entry) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := n.dir.watch(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return err
	}
	defer stopWatcher(w)
	// A watcher tells nothing of a broker that is gone.
	silence := 3 * n.c.attempt()
	t := time.NewTimer(silence)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
			return fmt.Errorf("%w from the broker: the directory's entries stopped coming", ErrUnavailable)
		case e, ok := <-w.Updates():
			if !ok {
				return fmt.Errorf("%w from the broker: the watcher ended", ErrUnavailable)
			}
			if e == nil || !f(e.Key(), e.Revision(), decode[entry](e.Value())) {
				return nil
			}
			t.Reset(silence)
		}
	}
}
