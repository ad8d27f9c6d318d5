package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// watch returns a watcher that sends the values of all keys, then nil, then every change.
// The caller must call stopWatcher.
func (b *bucket) watch(ctx context.Context, opts ...jetstream.WatchOpt) (jetstream.KeyWatcher, error) {
	// The time limit is for starting the watcher; the context must stay valid after that.
	ctx, cancel := context.WithCancel(ctx)
	limit := time.AfterFunc(3*b.attempt, cancel)
	kv, err := b.js.KeyValue(ctx, b.name)
	if err != nil {
		cancel()
		return nil, unavailable(err)
	}
	w, err := kv.WatchAll(ctx, opts...)
	if err != nil {
		cancel()
		return nil, unavailable(err)
	}
	if !limit.Stop() {
		stopWatcher(w)
		return nil, fmt.Errorf("%w: broker: watcher did not start within %v", ErrUnavailable, 3*b.attempt)
	}
	return w, nil
}

// stopWatcher stops a watcher and drains its channel. Otherwise a goroutine of nats.go
// could block for ever.
func stopWatcher(w jetstream.KeyWatcher) {
	_ = w.Stop() // fails if it has ended already
	for range w.Updates() {
	}
}
