package cluster

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Kind is what an Event tells.
type Kind uint8

const (
	// Claimed tells of a session that is in the directory: a new one, or one whose
	// node has listed it anew.
	Claimed Kind = iota
	// Released tells of a session that is no longer in the directory. Its Entry has
	// the ID alone. A takeover by another node is a Released and a Claimed.
	Released
	// Missed tells that others may have been missed before, as after an outage of the
	// broker: whoever keeps a copy lists the directory anew.
	Missed
)

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
	Entry Entry // of a Claimed; a Released has the ID alone
}

// Watch tells of every change of the directory from when it returns: List after
// Watch, and what both say is complete. The sessions of a node that has died are
// told as their entries are deleted. The channel is closed when ctx ends or the node
// leaves. A reader that is slow makes the broker wait and costs a bounded amount of
// memory.
func (n *Node) Watch(ctx context.Context) (<-chan Event, error) { return n.changes(ctx) }

func (r *reader) changes(ctx context.Context) (<-chan Event, error) {
	r.mu.Lock()
	if r.left {
		r.mu.Unlock()
		return nil, r.gone
	}
	r.wg.Add(1) // Leave or Close waits from here on
	r.mu.Unlock()

	ctx, cancel := context.WithCancel(ctx)
	detach := context.AfterFunc(r.ctx, cancel)
	end := func() {
		detach()
		cancel()
		r.wg.Done()
	}
	f, err := r.tap(ctx)
	if err != nil {
		end()
		return nil, err
	}
	events := make(chan Event)
	go func() { // ends with ctx or the reader, which waits for it
		defer end()
		defer close(events)
		r.watch(ctx, f, events)
	}()
	return events, nil
}

// tap makes a feed of the directory's changes.
func (r *reader) tap(ctx context.Context) (*feed, error) {
	f := &feed{resync: r.resyncing()}
	var err error
	if f.seen, err = r.dir.lastRevision(ctx); err != nil {
		return nil, err
	}
	if f.w, err = r.dir.watch(ctx, jetstream.UpdatesOnly()); err != nil {
		return nil, err
	}
	return f, nil
}

// watch sends what feeds bring, one after the other until ctx ends.
func (r *reader) watch(ctx context.Context, f *feed, events chan<- Event) {
	for {
		err := r.follow(ctx, f, lookAt(r.dir), func(e jetstream.KeyValueEntry) error {
			if ev, ok := eventOf(e); ok && !send(ctx, events, ev) {
				return ctx.Err()
			}
			return nil
		})
		stopWatcher(f.w)
		if ctx.Err() != nil {
			return
		}
		r.log.Debug("a watcher of the directory begins anew", "reason", err)
		for f, err = r.tap(ctx); err != nil; f, err = r.tap(ctx) {
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

// eventOf is false for what tells of no session.
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

func send(ctx context.Context, events chan<- Event, ev Event) bool {
	select {
	case <-ctx.Done():
		return false
	case events <- ev:
		return true
	}
}
