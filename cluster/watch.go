package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Kind says what an Event reports.
type Kind uint8

const (
	// Claimed reports a session in the directory: a new one, or one whose entry its
	// node has written again.
	Claimed Kind = iota
	// Released reports a session that is no longer in the directory. Only the ID of
	// its Entry is set. A takeover by another node is a Released and a Claimed, or a
	// Claimed alone if the earlier session hands something over or its node is dead.
	Released
	// Missed reports that changes may have been lost before it, for example during an
	// outage of the broker. Its Entry is empty. A program that keeps a copy of the
	// directory must call List again.
	Missed
)

// String returns the name of the kind.
func (k Kind) String() string {
	switch k {
	case Claimed:
		return "Claimed"
	case Released:
		return "Released"
	case Missed:
		return "Missed"
	default:
		return "Kind(?)"
	}
}

// Event is a change of the directory.
type Event struct {
	Kind  Kind
	Entry Entry // complete for Claimed; only the ID for Released; empty for Missed
}

// Watch returns a channel of all changes of the directory from now on. Call List after
// Watch to get a complete copy. The changes of one ID come in their order. The sessions of a
// dead node are reported as Released when their entries are deleted. The channel is
// unbuffered, and is closed when ctx ends or the node leaves. A slow receiver makes the
// broker wait and takes a limited amount of memory.
//
// The error is ErrLeft, or wraps ErrUnavailable if the broker does not answer.
func (n *Node) Watch(ctx context.Context) (<-chan Event, error) { return n.subscribe(ctx) }

// subscribe starts the goroutine of a Watch.
func (r *reader) subscribe(ctx context.Context) (<-chan Event, error) {
	r.mu.Lock()
	if r.closing {
		r.mu.Unlock()
		return nil, r.errClosed
	}
	r.wg.Add(1) // from here on Leave or Close waits for end
	r.mu.Unlock()

	ctx, cancel := context.WithCancel(ctx)
	detach := context.AfterFunc(r.ctx, cancel)
	end := func() {
		detach()
		cancel()
		r.wg.Done()
	}
	feeds := make([]*feed, len(r.dir))
	for i, p := range r.dir {
		var err error
		if feeds[i], err = r.openFeed(ctx, p); err != nil {
			for _, f := range feeds[:i] {
				stopWatcher(f.w)
			}
			end()
			return nil, err
		}
	}
	events := make(chan Event)
	var all sync.WaitGroup
	for i, p := range r.dir {
		all.Go(func() { r.watch(ctx, p, feeds[i], events) }) // ends with ctx
	}
	go func() { // ends with ctx or the reader, which waits for it
		all.Wait()
		close(events)
		end()
	}()
	return events, nil
}

// openFeed returns a feed of the changes of a part of the directory.
func (r *reader) openFeed(ctx context.Context, p *part) (*feed, error) {
	f := &feed{resync: r.resyncSignal()}
	var err error
	if f.seen, err = p.lastRevision(ctx); err != nil {
		return nil, err
	}
	if f.w, err = p.watch(ctx, jetstream.UpdatesOnly()); err != nil {
		return nil, err
	}
	return f, nil
}

// watch sends the changes that a feed receives until ctx ends. It opens a new feed when
// one ends.
func (r *reader) watch(ctx context.Context, p *part, f *feed, events chan<- Event) {
	for {
		err := r.follow(ctx, f, checkRevision(p.bucket), func(e jetstream.KeyValueEntry) error {
			if ev, ok := eventOf(e); ok && !send(ctx, events, ev) {
				return ctx.Err()
			}
			return nil
		})
		stopWatcher(f.w)
		if ctx.Err() != nil {
			return
		}
		r.log.Debug("restarting a watcher of the directory", "reason", err)
		for f, err = r.openFeed(ctx, p); err != nil; f, err = r.openFeed(ctx, p) {
			if !sleep(ctx, 100*time.Millisecond) {
				return
			}
		}
		if !send(ctx, events, Event{Kind: Missed}) {
			stopWatcher(f.w)
			return
		}
	}
}

// eventOf returns the event of a watcher's entry. It reports false if the entry is not of
// a session.
func eventOf(e jetstream.KeyValueEntry) (Event, bool) {
	if e == nil { // the end of a snapshot
		return Event{}, false
	}
	id, ok := idOf(e.Key())
	if !ok {
		return Event{}, false
	}
	if e.Operation() != jetstream.KeyValuePut {
		return Event{Kind: Released, Entry: Entry{ID: id}}, true
	}
	entry := decode[entry](e.Value())
	return Event{Kind: Claimed, Entry: entry.export(id)}, true
}

// send sends an event. It reports false if ctx ends first.
func send(ctx context.Context, events chan<- Event, ev Event) bool {
	select {
	case <-ctx.Done():
		return false
	case events <- ev:
		return true
	}
}
