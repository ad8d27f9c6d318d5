package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// feed is one watcher of a bucket, and what its watchdog knows.
type feed struct {
	w      jetstream.KeyWatcher
	resync <-chan struct{}
	seen   uint64 // the last revision that it has brought, or that was before it
	due    uint64 // what it is to have brought by the next look
}

// Why a feed ends, but for its context.
var (
	errResync = errors.New("cluster: the connection was made anew")
	errEnded  = errors.New("cluster: the watcher ended")
	errDeaf   = errors.New("cluster: a watcher went deaf")
)

// follow hands on what a feed brings, until each fails or there is a reason to
// begin anew, which it returns. It looks after the watchdog at each beat.
func (r *reader) follow(ctx context.Context, f *feed, look func(context.Context, *feed) error, each func(jetstream.KeyValueEntry) error) error {
	t := time.NewTicker(r.c.beat())
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-f.resync:
			return errResync
		case <-t.C:
			if err := look(ctx, f); err != nil {
				return err
			}
		case e, ok := <-f.w.Updates():
			if !ok {
				return errEnded
			}
			if e != nil {
				f.seen, f.due = e.Revision(), 0
			}
			if err := each(e); err != nil {
				return err
			}
		}
	}
}

// written tells the watchdog of a revision that has been written. A feed that has
// brought nothing between two looks, though there was something at the first, is
// deaf, as one may be for long after a broker's restart.
func (f *feed) written(rev uint64) error {
	if f.due > f.seen {
		return errDeaf
	}
	f.due = rev
	return nil
}

// lookAt is the watchdog of who writes nothing: it goes by the bucket's revision. If
// that has gone back, the bucket is another.
func lookAt(b *bucket) func(context.Context, *feed) error {
	return func(ctx context.Context, f *feed) error {
		last, err := b.lastRevision(ctx)
		switch {
		case err != nil:
			return nil // without a broker there is nothing to bring
		case last < f.seen:
			return errDeaf
		}
		return f.written(last)
	}
}
