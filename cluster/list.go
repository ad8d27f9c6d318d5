package cluster

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"time"
)

// scanTimeout is how long the broker may send nothing during a scan.
const scanTimeout = 3 * time.Second

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
	err := r.scan(ctx, func(key string, _ uint64, e entry) bool {
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
	if denied := r.denied(); denied != nil && errors.Is(err, ErrUnavailable) {
		return denied
	}
	return err
}

// scan calls f for each entry of the directory until f returns false. An entry that is
// written again during the scan may come twice.
func (r *reader) scan(ctx context.Context, f func(key string, rev uint64, e entry) bool) error {
	for _, p := range r.dir {
		stopped := false
		err := scan(ctx, p, func(key string, e kvEntry) bool {
			stopped = e.live && !f(key, e.rev, decode[entry](e.data))
			return !stopped
		})
		if err != nil || stopped {
			return err
		}
	}
	return nil
}

// stream is what scan reads.
type stream interface {
	getFrom(ctx context.Context, rev uint64, f func(key string, e kvEntry) bool) (end bool, err error)
	lastRevision(ctx context.Context) (uint64, error)
	noneAfter(ctx context.Context, rev uint64) bool
}

// scan calls f for each entry and marker of a stream until f returns false.
//
// It reads the stream in the order of revisions. An entry that is written again moves to the
// end, so none is missed if the scan ends where the stream does. That is where the leader has
// nothing more. If others write all the time, it always has. Then the scan ends with one answer
// that reaches the end of a broker's stream and is not behind what the leader had before: the
// brokers that answer may lag, and one that answers later may lag more.
func scan(ctx context.Context, s stream, f func(key string, e kvEntry) bool) error {
	var seen, last uint64 // what was read; what the leader had
	newest := time.Now()  // when something was read
	for {
		before, stopped := seen, false
		end, err := s.getFrom(ctx, seen+1, func(key string, e kvEntry) bool {
			seen = e.rev
			stopped = !f(key, e)
			return !stopped
		})
		if seen > before {
			newest = time.Now()
		}
		switch {
		case stopped:
			return nil
		case err == nil && !end || errors.Is(err, errInterrupted) && time.Since(newest) < scanTimeout:
			last = 0 // the broker that answered may have had more than the next one
			continue
		case err != nil:
			return err
		case last > 0 && seen >= last || s.noneAfter(ctx, seen):
			return nil
		case seen > before:
		case time.Since(newest) > scanTimeout:
			return fmt.Errorf("%w: broker: nothing after revision %d within %v, but there is more", ErrUnavailable, seen, scanTimeout)
		case !sleep(ctx, minBackoff):
			return ctx.Err()
		}
		if last, err = s.lastRevision(ctx); err != nil {
			return err
		}
	}
}
