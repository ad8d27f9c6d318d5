package cluster

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// feed is a watcher of a bucket, with what is needed to detect that it has stalled.
type feed struct {
	w        jetstream.KeyWatcher
	resync   <-chan struct{}
	seen     uint64 // the last revision that it has received, or that existed before it
	expected uint64 // the revision that it must have received at the next check; 0: none
}

// follow calls each with every entry that a feed receives, and check at each beat. It
// returns the first error of them, errResync if watchers must be restarted,
// errWatcherEnded, or the error of ctx.
func (r *reader) follow(ctx context.Context, f *feed, check func(context.Context, *feed) error, each func(jetstream.KeyValueEntry) error) error {
	t := time.NewTicker(r.c.beat())
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-f.resync:
			return errResync
		case <-t.C:
			if err := check(ctx, f); err != nil {
				return err
			}
		case e, ok := <-f.w.Updates():
			if !ok {
				return errWatcherEnded
			}
			if e != nil {
				f.seen, f.expected = e.Revision(), 0
			}
			if err := each(e); err != nil {
				return err
			}
		}
	}
}

// expect records that the revision rev was written. It returns errStalled if the feed has
// not received the revision of the call before: the feed has received nothing since, which
// can last long after a restart of the broker.
func (f *feed) expect(rev uint64) error {
	if f.expected > f.seen {
		return errStalled
	}
	f.expected = rev
	return nil
}

// checkRevision returns a check for a process that writes nothing. It asks the broker for
// the bucket's last revision. If that is lower than before, the bucket was replaced.
func checkRevision(b *bucket) func(context.Context, *feed) error {
	return func(ctx context.Context, f *feed) error {
		last, err := b.lastRevision(ctx)
		switch {
		case err != nil:
			return nil // without a broker there is nothing to receive
		case last < f.seen:
			return errStalled
		}
		return f.expect(last)
	}
}
