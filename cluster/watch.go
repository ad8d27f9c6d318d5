package cluster

import (
	"context"
	"errors"
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
func (n *Node) Watch(ctx context.Context) (<-chan Event, error) {
	n.mu.Lock()
	if n.left {
		n.mu.Unlock()
		return nil, ErrLeft
	}
	n.wg.Add(1) // Leave waits from here on
	resync := n.resync
	n.mu.Unlock()

	ctx, cancel := context.WithCancel(ctx)
	detach := context.AfterFunc(n.ctx, cancel)
	end := func() {
		detach()
		cancel()
		n.wg.Done()
	}
	f, err := n.feed(ctx)
	if err != nil {
		end()
		return nil, err
	}
	f.resync = resync
	events := make(chan Event)
	go func() { // ends with ctx or the node, whose Leave waits for it
		defer end()
		defer close(events)
		n.watch(ctx, f, events)
	}()
	return events, nil
}

// feed is one watcher of the directory.
type feed struct {
	w      jetstream.KeyWatcher
	resync <-chan struct{}
	seen   uint64 // the last revision that it has brought, or that was before it
}

func (n *Node) feed(ctx context.Context) (feed, error) {
	f := feed{resync: n.resyncing()}
	var err error
	if f.seen, err = n.dir.lastRevision(ctx); err != nil {
		return f, err
	}
	f.w, err = n.dir.watch(ctx, jetstream.UpdatesOnly())
	return f, err
}

// watch sends what feeds bring, one after the other until ctx ends.
func (n *Node) watch(ctx context.Context, f feed, events chan<- Event) {
	for {
		err := n.forward(ctx, f, events)
		stopWatcher(f.w)
		if ctx.Err() != nil {
			return
		}
		n.log.Debug("a watcher of the directory begins anew", "reason", err)
		for f, err = n.feed(ctx); err != nil; f, err = n.feed(ctx) {
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

var (
	errResync = errors.New("cluster: the connection was made anew")
	errEnded  = errors.New("cluster: the watcher ended")
)

// forward sends what one feed brings. Its watchdog is the directory's revision: a
// watcher that has brought nothing between two looks, though there was something
// at the first, is deaf, as one may be for long after a broker's restart; and if
// the revision has gone back, the directory is another.
func (n *Node) forward(ctx context.Context, f feed, events chan<- Event) error {
	look := time.NewTicker(n.c.beat())
	defer look.Stop()
	var due uint64 // what it should have brought by the next look
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-f.resync:
			return errResync
		case <-look.C:
			last, err := n.dir.lastRevision(ctx)
			if err != nil {
				continue // without a broker there is nothing to bring
			}
			if due > f.seen || last < f.seen {
				return errDeaf
			}
			due = last
		case e, ok := <-f.w.Updates():
			if !ok {
				return errEnded
			}
			if e == nil {
				continue
			}
			f.seen, due = e.Revision(), 0
			if ev, ok := eventOf(e); ok && !send(ctx, events, ev) {
				return ctx.Err()
			}
		}
	}
}

func eventOf(e jetstream.KeyValueEntry) (Event, bool) {
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
