package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// silence is how long the broker may send nothing on the way through the
// directory. A watcher tells nothing of a broker that is gone.
const silence = 3 * time.Second

// List calls f for each session of the cluster, in no order, until f returns
// false. It is weakly consistent: a session that is there throughout is told once,
// one that comes or goes meanwhile may or may not be. F is called on the caller's
// goroutine; one that is slow makes the broker wait, not this node. It must not
// keep the entry's Meta.
//
// However long it takes, it goes on while entries come. The error is ErrUnavailable
// if the broker is silent for three seconds, at the beginning or on the way, ErrLeft,
// and that of ctx.
func (n *Node) List(ctx context.Context, f func(Entry) bool) error { return n.list(ctx, f) }

func (r *reader) list(ctx context.Context, f func(Entry) bool) error {
	if err := r.ended(); err != nil {
		return err
	}
	return r.scan(ctx, func(key string, _ uint64, e entry) bool {
		id, ok := idOf(key)
		if !ok || r.knownDead(e.Owner) {
			return true
		}
		return f(e.export(id))
	})
}

// scan reads the directory in one pass.
func (r *reader) scan(ctx context.Context, f func(key string, rev uint64, e entry) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := r.dir.watch(ctx)
	if err != nil {
		return err
	}
	defer stopWatcher(w)
	t := time.NewTimer(silence)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
			return fmt.Errorf("%w from the broker: the directory's entries stopped coming", ErrUnavailable)
		case e, ok := <-w.Updates():
			switch {
			case !ok:
				return fmt.Errorf("%w from the broker: the watcher ended", ErrUnavailable)
			case e == nil:
				return nil
			case e.Operation() == jetstream.KeyValuePut && !f(e.Key(), e.Revision(), decode[entry](e.Value())):
				return nil
			}
			t.Reset(silence)
		}
	}
}
