package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// reader is what a Node and a Client have in common: a connection, the buckets, a
// view of the nodes' records, and a way to the sessions' owners. It writes nothing.
type reader struct {
	// Immutable.
	c       Config // a client's has what a ClientConfig has, and the least lease
	log     *slog.Logger
	nc      *nats.Conn
	ownConn bool
	js      jetstream.JetStream
	dir     *bucket       // the sessions' entries
	nodes   *bucket       // the nodes' records
	viewed  chan struct{} // closed when the view is whole for the first time
	gone    error         // what methods return once it has left

	// The background, which Leave or Close ends and waits for.
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu sync.Mutex
	// Guarded by mu.
	left   bool            // Leave or Close has begun
	mine   map[string]bool // all epochs that this process had; none for a client
	peers  map[string]*peer
	missed map[string]*peer // epochs without a record, seen when that was found
	resync chan struct{}    // closed, and made anew, when watchers must be rebuilt
}

func newReader(c Config, nc *nats.Conn, gone error) (*reader, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("cluster: the connection to the broker: %w", err)
	}
	r := &reader{
		c:       c,
		log:     c.Logger,
		nc:      nc,
		ownConn: c.Conn == nil,
		js:      js,
		dir:     &bucket{js: js, name: c.Namespace + "_dir", attempt: c.attempt()},
		nodes:   &bucket{js: js, name: c.Namespace + "_nodes", attempt: c.attempt()},
		viewed:  make(chan struct{}),
		gone:    gone,
		mine:    make(map[string]bool),
		peers:   make(map[string]*peer),
		missed:  make(map[string]*peer),
		resync:  make(chan struct{}),
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r, nil
}

// run starts a goroutine of the background; false if it is to end.
func (r *reader) run(f func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.left {
		r.wg.Go(f)
	}
	return !r.left
}

// open makes the buckets ready to be read. It is called once, before all else.
func (r *reader) open(ctx context.Context) error {
	if err := r.nodes.open(ctx); err != nil {
		return err
	}
	return r.dir.open(ctx)
}

// whole waits until the view is.
func (r *reader) whole(ctx context.Context) error {
	select {
	case <-r.viewed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w from the broker: %w", ErrUnavailable, ctx.Err())
	}
}

// persist tries until the error is nil, or more than no answer, or ctx ends. The
// error is then the last that did not come of ctx itself.
func persist(ctx context.Context, do func(context.Context) error) error {
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

// connLoop looks again at everything whenever the connection is made anew: the
// broker may be another one, and may have lost some or all.
func (r *reader) connLoop(again func()) {
	status := r.nc.StatusChanged(nats.CONNECTED)
	defer r.nc.RemoveStatusListener(status)
	for {
		select {
		case <-r.ctx.Done():
			return
		case _, ok := <-status:
			if !ok { // closed by whoever made it
				return
			}
			again()
			r.rebuildWatchers()
		}
	}
}

// rebuildWatchers ends all watchers of the broker, which then begin anew: one may
// stay deaf for many seconds after a broker's restart.
func (r *reader) rebuildWatchers() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.resync)
	r.resync = make(chan struct{})
}

func (r *reader) resyncing() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.resync
}

// ended is the error of a method that is called too late.
func (r *reader) ended() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left {
		return r.gone
	}
	return nil
}

// standing is what the directory has of an ID.
type standing struct {
	entry
	rev  uint64
	live bool
}

func (r *reader) entry(ctx context.Context, id string) (standing, error) {
	f, err := r.dir.get(ctx, keyOf(id))
	s := standing{rev: f.rev, live: f.live}
	if err == nil && f.live {
		s.entry = decode[entry](f.data)
	}
	return s, err
}

// find is the entry of a session whose owner is not dead. Dead is asked about an
// owner that the view does not have: its record has not been seen yet, or is gone.
func (r *reader) find(ctx context.Context, id string, dead func(context.Context, string) (bool, error)) (standing, error) {
	if err := checkID(id); err != nil {
		return standing{}, err
	}
	if err := r.ended(); err != nil {
		return standing{}, err
	}
	for {
		s, err := r.entry(ctx, id)
		switch {
		case err != nil:
			return standing{}, err
		case !s.live || r.knownDead(s.Owner):
			return standing{}, ErrNotFound
		case r.knows(s.Owner):
			return s, nil
		}
		gone, err := dead(ctx, s.Owner)
		switch {
		case err != nil:
			return standing{}, err
		case gone:
			return standing{}, ErrNotFound
		}
		// A record is gone too when the entries of a dead owner have been deleted: then
		// this one is no more.
		again, err := r.entry(ctx, id)
		switch {
		case err != nil:
			return standing{}, err
		case again.rev == s.rev:
			return s, nil
		}
	}
}

// knows reports whether the view has a record of an epoch.
func (r *reader) knows(epoch string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.peers[epoch] != nil
}

// knownDead reports whether an epoch is dead as far as the view goes.
func (r *reader) knownDead(epoch string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.peers[epoch]
	return epoch == "" || p != nil && p.rec.Dead
}

// recordOf reads the record of an epoch.
func (r *reader) recordOf(ctx context.Context, epoch string) (found, beatRecord, error) {
	f, err := r.nodes.get(ctx, epoch)
	if err != nil || !f.live {
		return f, beatRecord{}, err
	}
	rec := decode[beatRecord](f.data)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.learnLocked(epoch, rec, f.rev)
	return f, rec, nil
}
