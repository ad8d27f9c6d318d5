package cluster

import (
	"context"
	"fmt"
	"hash/maphash"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// scanTimeout is how long the broker may send nothing during a scan. A watcher
	// does not report that the broker is gone.
	scanTimeout = 3 * time.Second

	// scanCheckAfter is the time without an entry after which scan asks the broker
	// whether there are more.
	scanCheckAfter = scanTimeout / 12
)

// List calls f for each session of the cluster, in no particular order, until f returns
// false. It is weakly consistent: a session that exists during the whole call is listed
// once; one that begins or ends during the call may or may not be listed. f is called on
// the caller's goroutine and must not keep the entry's Meta. A slow f makes the broker
// wait, but not this node.
//
// List has no time limit of its own while entries arrive. The error wraps ErrUnavailable
// if the broker sends nothing for three seconds; otherwise it is ErrLeft or the error of
// ctx.
func (n *Node) List(ctx context.Context, f func(Entry) bool) error { return n.list(ctx, f) }

// list calls f for each session whose owner is not dead.
func (r *reader) list(ctx context.Context, f func(Entry) bool) error {
	if err := r.checkOpen(); err != nil {
		return err
	}
	// An entry that is written again during the scan comes twice. Hashes of the sessions
	// take a third of the memory of their IDs.
	type session struct {
		key   string
		token uint64
	}
	seed := maphash.MakeSeed()
	told := make(map[uint64]struct{})
	return r.scan(ctx, func(key string, _ uint64, e entry) bool {
		id, ok := idOf(key)
		if !ok || r.isKnownDead(e.Owner) {
			return true
		}
		hash := maphash.Comparable(seed, session{key, e.Token})
		if _, again := told[hash]; again {
			return true
		}
		told[hash] = struct{}{}
		return f(e.export(id))
	})
}

// scan calls f for each entry of the directory until f returns false. An entry that is
// written again during the scan may come twice.
//
// The scan ends when the broker has nothing more to send. The end that the watcher reports
// would be too early: it waits for as many messages as there were at its beginning, and if an
// entry that was sent is written again, it counts instead of one that comes later. The
// messages that are left may be markers that expire before they are sent, so when no more
// arrive, scan asks the broker whether it has received all.
//
// It also asks when a message says that it is the last: the broker counts an entry that is
// written again as gone a little before it counts it as new. If others write all the time,
// there may always be more. Then the first message that says so scanCheckAfter later ends the
// scan: until then, every entry that the first one had not counted has been sent.
func (r *reader) scan(ctx context.Context, f func(key string, rev uint64, e entry) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Each key has one message, so its history is its last value, and a broker sends a
	// whole stream with less work than the last message of each subject.
	w, err := r.dir.watch(ctx, jetstream.IncludeHistory())
	if err != nil {
		return err
	}
	defer stopWatcher(w)
	var seen uint64
	var endSeen time.Time // when a message first said that it was the last
	lastEntry := time.Now()
	t := time.NewTimer(scanCheckAfter)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
			switch {
			case r.dir.noneAfter(ctx, seen):
				return nil
			case time.Since(lastEntry) >= scanTimeout:
				return fmt.Errorf("%w: broker: no more entries of the directory within %v", ErrUnavailable, scanTimeout)
			}
			t.Reset(scanCheckAfter)
		case e, ok := <-w.Updates():
			switch {
			case !ok:
				return fmt.Errorf("%w: broker: %w", ErrUnavailable, errWatcherEnded)
			case e == nil && seen == 0:
				return nil // there was nothing at the beginning
			case e == nil:
				continue
			case e.Operation() == jetstream.KeyValuePut && !f(e.Key(), e.Revision(), decode[entry](e.Value())):
				return nil
			}
			seen = e.Revision()
			lastEntry = time.Now()
			if e.Delta() == 0 {
				if endSeen.IsZero() {
					endSeen = lastEntry
				}
				if lastEntry.Sub(endSeen) >= scanCheckAfter || r.dir.noneAfter(ctx, seen) {
					return nil
				}
			}
			t.Reset(scanCheckAfter)
		}
	}
}
