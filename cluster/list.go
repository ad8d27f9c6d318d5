package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// silence is how long the broker may send nothing on the way through the
	// directory. A watcher tells nothing of a broker that is gone.
	silence = 3 * time.Second

	// lull is after how much of it the broker is asked whether there is more to
	// come.
	lull = silence / 12
)

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

// scan reads the directory in one pass. The watcher counts what there is at its
// beginning and waits for as much, of which markers may expire before they are sent:
// so whether that was all is found out when nothing more comes.
func (r *reader) scan(ctx context.Context, f func(key string, rev uint64, e entry) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	last, err := r.dir.lastRevision(ctx)
	if err != nil {
		return err
	}
	// Of each key there is one message, which is the last and all of its history; and
	// for the broker to go through a stream is less work than to look for the last
	// of each subject.
	w, err := r.dir.watch(ctx, jetstream.IncludeHistory())
	if err != nil {
		return err
	}
	defer stopWatcher(w)
	var seen uint64
	heard := time.Now()
	t := time.NewTimer(lull)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
			switch {
			case r.dir.through(ctx, seen, last):
				return nil
			case time.Since(heard) >= silence:
				return fmt.Errorf("%w from the broker: the directory's entries stopped coming", ErrUnavailable)
			}
			t.Reset(lull)
		case e, ok := <-w.Updates():
			switch {
			case !ok:
				return fmt.Errorf("%w from the broker: the watcher ended", ErrUnavailable)
			case e == nil:
				return nil
			case e.Operation() == jetstream.KeyValuePut && !f(e.Key(), e.Revision(), decode[entry](e.Value())):
				return nil
			}
			seen = e.Revision()
			heard = time.Now()
			t.Reset(lull)
		}
	}
}
