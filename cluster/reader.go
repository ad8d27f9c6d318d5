package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// reader is the part that a Node and a Client share: the connection, the buckets, a
// view of the nodes' records, and requests to the owners of sessions. It writes nothing
// to the broker.
type reader struct {
	// Immutable.
	c         Config // for a client: the fields of its ClientConfig, and the minimum lease
	log       *slog.Logger
	nc        *nats.Conn
	ownConn   bool          // nc was made by dial, and is closed with the reader
	beatConn  *nats.Conn    // for the nodes' records; a client has only nc
	dir       directory     // the sessions' entries; a client knows its streams when open has returned
	nodes     *bucket       // the nodes' records
	front     gate          // for claims and lookups
	back      gate          // for evictions, releases and all that runs in the background
	viewReady chan struct{} // closed when peers is complete for the first time
	errClosed error         // the error of methods called after Leave or Close

	// The background goroutines. Leave or Close cancels ctx and waits for wg.
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	losses atomic.Uint64 // how often the directory's stream was found to be lost

	mu sync.Mutex
	// Guarded by mu.
	closing   bool             // Leave or Close has begun
	ownEpochs map[string]bool  // all epochs of this process; empty for a client
	peers     map[string]*peer // the nodes' records as the view knows them, by epoch
	noRecord  map[string]*peer // epochs that have entries and no record; seen is when that was found
	buried    burials          // dead epochs whose tombstones were deleted
	resync    chan struct{}    // closed and replaced when watchers must be restarted
}

// newReader returns a reader on a connection, and on one for the nodes' records, which may
// be the same. closed is the error of methods that are
// called after Leave or Close.
func newReader(c Config, nc, beatConn *nats.Conn, closed error) (*reader, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("cluster: connection to the broker: %w", err)
	}
	beats, err := jetstream.New(beatConn)
	if err != nil {
		return nil, fmt.Errorf("cluster: connection to the broker: %w", err)
	}
	r := &reader{
		c:         c,
		log:       c.Logger,
		nc:        nc,
		ownConn:   c.Conn == nil,
		beatConn:  beatConn,
		dir:       newDirectory(js, &c),
		nodes:     newBucket(beats, c.Namespace+"_nodes", c.attempt(), maxNodesBytes),
		front:     newGate(),
		back:      newGate(),
		viewReady: make(chan struct{}),
		errClosed: closed,
		ownEpochs: make(map[string]bool),
		peers:     make(map[string]*peer),
		noRecord:  make(map[string]*peer),
		buried:    newBurials(),
		resync:    make(chan struct{}),
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r, nil
}

// goBackground calls f on a goroutine that Leave or Close waits for. It reports false,
// and does nothing, if one of them has begun.
func (r *reader) goBackground(f func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closing {
		r.wg.Go(f)
	}
	return !r.closing
}

// open opens the buckets, which must exist. It is called before any other method that
// asks the broker.
func (r *reader) open(ctx context.Context) error {
	if err := r.nodes.open(ctx); err != nil {
		return err
	}
	return r.dir.open(ctx)
}

// awaitView waits until the view of the nodes' records is complete.
func (r *reader) awaitView(ctx context.Context) error {
	for {
		select {
		case <-r.viewReady:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("%w: broker: %w", ErrUnavailable, ctx.Err())
		case <-time.After(r.c.attempt() / 2):
		}
		if err := r.denied(); err != nil {
			return err
		}
	}
}

// denied returns an error with the broker's words if the broker has denied a request for a
// lack of permission. Such a request is not answered.
func (r *reader) denied() error {
	for _, nc := range []*nats.Conn{r.nc, r.beatConn} {
		if err := nc.LastError(); errors.Is(err, nats.ErrPermissionViolation) {
			return fmt.Errorf("cluster: the broker's user may not do what namespace %q needs: %w", r.c.Namespace, err)
		}
	}
	return nil
}

// retry is like the function retry, but ends when the broker has denied a request.
func (r *reader) retry(ctx context.Context, do func(context.Context) error) error {
	return retry(ctx, func(ctx context.Context) error {
		err := do(ctx)
		if errors.Is(err, ErrUnavailable) {
			if denied := r.denied(); denied != nil {
				return denied
			}
		}
		return err
	})
}

// retry calls do until it returns nil, returns an error other than ErrUnavailable, or
// ctx is done. It then returns the last error, if possible one that was not caused by
// ctx.
func retry(ctx context.Context, do func(context.Context) error) error {
	var last error
	for {
		err := do(ctx)
		if err == nil || !errors.Is(err, ErrUnavailable) {
			return err
		}
		if last == nil || ctx.Err() == nil {
			last = err
		}
		if !sleep(ctx, 200*time.Millisecond) {
			return fmt.Errorf("%w (%w)", last, ctx.Err())
		}
	}
}

// connLoop calls onConnected and restarts all watchers after each reconnection of a
// connection: the broker may be another one, and may have lost data.
func (r *reader) connLoop(nc *nats.Conn, onConnected func()) {
	status := nc.StatusChanged(nats.CONNECTED)
	defer nc.RemoveStatusListener(status)
	for {
		select {
		case <-r.ctx.Done():
			return
		case _, ok := <-status:
			if !ok { // the connection is closed for good
				return
			}
			onConnected()
			r.restartWatchers()
		}
	}
}

// restartWatchers makes all watchers start again. A watcher may receive nothing for many
// seconds after a restart of the broker.
func (r *reader) restartWatchers() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.resync)
	r.resync = make(chan struct{})
}

// resyncSignal returns a channel that the next restartWatchers closes.
func (r *reader) resyncSignal() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.resync
}

// checkOpen returns an error if Leave or Close has begun.
func (r *reader) checkOpen() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closing {
		return r.errClosed
	}
	return nil
}

// dirEntry is an ID's entry in the directory, or the lack of one.
type dirEntry struct {
	entry
	rev  uint64 // of the entry, or of the marker of its deletion; 0: neither exists
	gen  uint64 // the generation of rev
	live bool   // there is an entry
}

// readEntry reads the entry of an ID when the request may pass a gate.
func (r *reader) readEntry(ctx context.Context, g gate, id string) (dirEntry, error) {
	if err := g.enter(ctx); err != nil {
		return dirEntry{}, err
	}
	defer g.leave()
	return r.readEntryNow(ctx, id)
}

// readEntryNow reads the entry of an ID. The caller has passed a gate.
func (r *reader) readEntryNow(ctx context.Context, id string) (dirEntry, error) {
	gen := r.generation()
	p := r.dir.of(id)
	f, err := p.get(ctx, keyOf(id))
	p.knows(f.rev)
	s := dirEntry{rev: f.rev, gen: gen, live: f.live}
	if err == nil && f.live {
		s.entry = decode[entry](f.data)
	}
	return s, err
}

// findEntry returns the entry of a session whose owner is not dead. It calls isDead for
// an owner that is not in the view, because its record was not received yet or does not
// exist.
func (r *reader) findEntry(ctx context.Context, id string, isDead func(context.Context, string) (bool, error)) (dirEntry, error) {
	if err := checkID(id); err != nil {
		return dirEntry{}, err
	}
	if err := r.checkOpen(); err != nil {
		return dirEntry{}, err
	}
	for {
		s, err := r.readEntry(ctx, r.front, id)
		switch {
		case err != nil:
			return dirEntry{}, err
		case !s.live || r.isKnownDead(s.Owner):
			return dirEntry{}, ErrNotFound
		case r.hasRecord(s.Owner):
			return s, nil
		}
		dead, err := isDead(ctx, s.Owner)
		switch {
		case err != nil:
			return dirEntry{}, err
		case dead:
			return dirEntry{}, ErrNotFound
		}
		// A dead owner's record is deleted after its entries, so if the record is gone,
		// the entry may be gone too.
		again, err := r.readEntry(ctx, r.front, id)
		switch {
		case err != nil:
			return dirEntry{}, err
		case again.rev == s.rev:
			return s, nil
		}
	}
}

// hasRecord reports whether the view has a record of an epoch.
func (r *reader) hasRecord(epoch string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.peers[epoch] != nil
}

// isKnownDead reports whether the view has a tombstone of an epoch, or had one a short time
// ago: an entry may have been read before it was deleted, or from a broker that lags behind.
// The epoch of an entry without an owner is dead.
func (r *reader) isKnownDead(epoch string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.peers[epoch]
	return epoch == "" || r.buried.has(epoch) || p != nil && p.rec.Dead
}

// readRecord reads the record of an epoch and adds it to the view.
func (r *reader) readRecord(ctx context.Context, epoch string) (kvEntry, beatRecord, error) {
	f, err := r.nodes.get(ctx, epoch)
	if err != nil || !f.live {
		return f, beatRecord{}, err
	}
	rec := decode[beatRecord](f.data)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.addRecordLocked(epoch, rec, f.rev)
	return f, rec, nil
}
