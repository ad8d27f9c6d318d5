package tcp

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
)

// bindings is the pool of the sessions that have an ID of the protocol's.
type bindings = pool.Pool[string, *binding]

// binding is a session that has such an ID, or is about to, as that pool sees
// it: something to close.
type binding struct {
	s     *Session
	gone  bool // the session's last callback has returned; guarded by Server.bindingsGone
	ready bool // entry is set, or there will be none; guarded by Server.bindingsReady
	entry atomic.Pointer[pool.Session[string, *binding]]
	claim atomic.Pointer[context.CancelFunc] // ends the Directory's Claim; nil unless it runs

	prev    atomic.Pointer[binding] // the one that had the ID before, until it is gone
	dropped atomic.Bool             // the session goes on without the ID
}

// peerLooks is the time between two looks for whether the peer of a session that waits in Bind
// is there.
const peerLooks = 100 * time.Millisecond

// unbound stands in Session.bound when the session has ended.
var unbound = new(binding)

// Bind gives the session an ID of the protocol, for example after a login. If another session
// has the ID, that session is closed with pool.Replaced, and is sent its Farewell. A session
// can be bound once. When it ends, its ID is released after its OnSessionClosed.
//
// Bind blocks until the session that had the ID before has had its last callback, or until ctx
// ends. So a record for each ID that the callbacks keep is that of one session at a time: the
// earlier session's OnSessionClosed has deleted it before the later one makes it. Bind does not
// wait for the earlier session's peer. It must not be called from a callback of the session
// that has the ID, which it would wait for.
//
// With a Directory, Bind claims the ID there and stores meta for others to read; the session
// that had the ID before may be on another server. Without a Directory, meta is ignored.
//
// The error is ErrEmptyID if id is "" and there is no Directory, since all sessions without a
// name would replace one another, ErrBound if the session has an ID already,
// ErrSessionClosed if it is closed before or during Bind, ErrServerClosed
// after Shutdown or Close, ErrPeerGone, or that of the Directory or of ctx. A session that is
// closed before Bind takes the ID from nobody; if it is closed during Bind, the context that the
// Directory was given ends.
//
// If the peer closes or resets the connection while Bind waits, that context ends too, and the
// error is ErrPeerGone: a login that nobody waits for takes the ID from nobody. What is sent
// after that still reaches a peer that has closed only its own side. On Linux Bind notices
// within about a tenth of a second, on other Unix systems only when all that the peer has sent
// was read, elsewhere not.
//
// After ErrPeerGone or an error of the Directory or of ctx the session stays open and may be
// bound again. Bind may be called from any goroutine, callbacks included.
func (s *Session) Bind(ctx context.Context, id string, meta []byte) error {
	if s.ending() { // nobody loses an ID to it
		return ErrSessionClosed
	}
	if id == "" && s.server.Directory == nil {
		return ErrEmptyID
	}
	names, err := s.server.bindings()
	if err != nil {
		return err
	}
	ctx, unwatch := s.watchPeer(ctx)
	defer unwatch()
	b := &binding{s: s}
	if s.server.Directory != nil {
		claim, cancel := context.WithCancel(ctx)
		defer cancel()
		b.claim.Store(&cancel)
		defer b.claim.Store(nil)
		ctx = claim
	}
	if !s.bound.CompareAndSwap(nil, b) {
		if s.bound.Load() == unbound {
			return ErrSessionClosed
		}
		return ErrBound
	}
	// Whoever closes the session looks for a claim afterwards: either it sees this one, or
	// this sees the close.
	var entry *pool.Session[string, *binding]
	if s.ending() {
		err = ErrSessionClosed
	} else {
		entry, err = s.server.register(ctx, names, id, b, meta)
	}
	if err != nil {
		b.endRegister()
		switch {
		case !s.bound.CompareAndSwap(b, nil), s.ending():
			return ErrSessionClosed
		case errors.Is(err, pool.ErrPoolClosed):
			return ErrServerClosed
		case errors.Is(context.Cause(ctx), ErrPeerGone):
			return fmt.Errorf("%w: %w", ErrPeerGone, err)
		}
		return err
	}
	b.entry.Store(entry)
	b.endRegister()
	if err := b.await(ctx); err != nil {
		return err
	}
	if s.bound.Load() != b { // it has ended meanwhile, and could not give up what it did not have
		entry.Close(s.ps.Reason())
	}
	if s.ps.Reason() != "" {
		return ErrSessionClosed
	}
	return nil
}

// register registers a binding. Without a Directory, which waits for that, it notes the one
// that it replaces.
func (srv *Server) register(ctx context.Context, names *bindings, id string, b *binding, meta []byte) (
	*pool.Session[string, *binding], error,
) {
	if srv.Directory != nil {
		return names.RegisterContext(ctx, id, b, meta)
	}
	srv.binding.Lock() // so that no other comes in between
	defer srv.binding.Unlock()
	if old, ok := names.Get(id); ok {
		b.prev.Store(old.Conn())
	}
	return names.RegisterContext(ctx, id, b, meta)
}

// await waits until the sessions that had the ID before have had their last callback: one that
// is replaced while it waits ends before the one that it waits for. If ctx ends first, the
// session gives the ID up.
func (b *binding) await(ctx context.Context) error {
	for p := b.prev.Load(); p != nil; p = p.prev.Load() {
		select {
		case <-p.awaitGone():
		case <-b.s.Context().Done():
			return nil // the caller sees it
		case <-ctx.Done():
			return b.drop(ctx)
		}
	}
	b.prev.Store(nil)
	return nil
}

// drop gives up the ID of a session that goes on.
func (b *binding) drop(ctx context.Context) error {
	if b.s.ending() || !b.s.bound.CompareAndSwap(b, nil) {
		return nil // its end gives the ID up
	}
	b.dropped.Store(true)
	b.end() // for a Close that has not seen dropped
	b.entry.Load().Close(pool.Closed)
	return fmt.Errorf("tcp: Bind: the session that had the ID has not ended: %w", context.Cause(ctx))
}

// awaitGone returns a channel that is closed when the binding has ended.
func (b *binding) awaitGone() <-chan struct{} { return b.s.server.bindingsGone.Done(b, &b.gone) }

func (b *binding) end() { b.s.server.bindingsGone.End(b, &b.gone) }

// endRegister tells Close that entry is set, or will not be.
func (b *binding) endRegister() { b.s.server.bindingsReady.End(b, &b.ready) }

// ending reports whether the session is closed.
func (s *Session) ending() bool { return s.ps.Reason() != "" }

// watchPeer returns a context that ends with ctx, or with ErrPeerGone as its cause when the peer
// has gone. stop must be called. In a callback nobody reads the connection, so its socket is
// asked, on a timer's goroutine.
func (s *Session) watchPeer(ctx context.Context) (watched context.Context, stop func()) {
	raw := s.socket()
	if raw == nil {
		return ctx, func() {}
	}
	watched, cancel := context.WithCancelCause(ctx)
	ready := make(chan struct{}) // closed when t is set
	var t *time.Timer
	t = time.AfterFunc(peerLooks, func() {
		<-ready
		if watched.Err() != nil {
			return
		}
		gone := false
		if err := raw.Control(func(fd uintptr) { gone = hasEnded(fd) }); err != nil || gone {
			cancel(ErrPeerGone)
			return
		}
		t.Reset(peerLooks)
	})
	close(ready)
	return watched, func() {
		cancel(nil)
		t.Stop()
	}
}

// stopClaim ends the Claim of a session that has just been closed.
func (s *Session) stopClaim() {
	if b := s.bound.Load(); b != nil {
		if cancel := b.claim.Load(); cancel != nil {
			(*cancel)()
		}
	}
}

// Close closes the session and waits until its last callback has returned. The pool of
// bindings calls it when another session takes the ID, or when the session has ended.
func (b *binding) Close() error {
	<-b.s.server.bindingsReady.Done(b, &b.ready)
	if b.dropped.Load() {
		return nil
	}
	if entry := b.entry.Load(); entry != nil {
		b.s.ps.Close(entry.Reason())
	}
	<-b.awaitGone()
	return nil
}

// unbind gives up the session's ID. It is called when its last callback has
// returned.
func (s *Session) unbind() {
	b := s.bound.Swap(unbound)
	if b == nil {
		return
	}
	b.end()
	if entry := b.entry.Load(); entry != nil {
		entry.Close(s.ps.Reason())
	}
}

// entry is what the session is bound by; nil if it is not.
func (s *Session) entry() *pool.Session[string, *binding] {
	if b := s.bound.Load(); b != nil {
		return b.entry.Load()
	}
	return nil
}

// BoundID returns the ID that Bind gave the session, or "" if it has none.
func (s *Session) BoundID() string {
	if e := s.entry(); e != nil {
		return e.ID()
	}
	return ""
}

// Token returns the token with which the Directory identifies this session's ownership of its
// ID. It returns 0 without a Directory or an ID.
func (s *Session) Token() uint64 {
	if e := s.entry(); e != nil {
		return e.Token()
	}
	return 0
}

// Bound returns the open session with the given ID of Bind, and reports whether there is one.
func (srv *Server) Bound(id string) (*Session, bool) {
	names := srv.names.Load()
	if names == nil {
		return nil, false
	}
	e, ok := names.Get(id)
	if !ok {
		return nil, false
	}
	return e.Conn().s, true
}

// CloseToken closes the session with the given ID of Bind and token, and reports whether this
// call closed it. It returns when OnSessionClosed has returned, so that the session processes
// nothing more, or with the error of ctx if that ends first. The connection is closed in any
// case. It is meant for the Directory. From the session's own callbacks it waits until ctx ends,
// since they do not return before.
func (srv *Server) CloseToken(ctx context.Context, id string, token uint64, r pool.Reason) (bool, error) {
	names := srv.names.Load()
	if names == nil {
		return false, nil
	}
	return names.CloseToken(ctx, id, token, r)
}

// bindings makes the pool of bindings at its first use.
func (srv *Server) bindings() (*bindings, error) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.closing.Load() {
		return nil, ErrServerClosed
	}
	if names := srv.names.Load(); names != nil {
		return names, nil
	}
	names, err := pool.New(pool.Config[string, *binding]{
		IdleTimeout: -1, // the session has its own
		OnDuplicate: pool.Replace,
		Directory:   srv.Directory,
		Wheel:       srv.wheel,
		OnPanic:     srv.logPanic,
	})
	if err != nil {
		return nil, fmt.Errorf("tcp: %w", err)
	}
	srv.names.Store(names)
	return names, nil
}

// stopBindings ends the pool of bindings. It waits no longer than ctx for
// sessions to give up their IDs.
func (srv *Server) stopBindings(ctx context.Context) error {
	if names := srv.names.Load(); names != nil {
		return names.Shutdown(ctx)
	}
	return nil
}
