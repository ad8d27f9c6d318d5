package tcp

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/sessionwheel/sessionwheel/pool"
)

// bindings is the pool of the sessions that have an ID of the protocol's.
type bindings = pool.Pool[string, *binding]

// binding is a session that has such an ID, or is about to, as that pool sees
// it: something to close.
type binding struct {
	s     *Session
	gone  chan struct{} // closed when the session's last callback has returned
	ready chan struct{} // closed when entry is set, or there will be none
	entry atomic.Pointer[pool.Session[string, *binding]]
}

// unbound stands in Session.bound when the session has ended.
var unbound = new(binding)

// Bind gives the session an ID of the protocol's own, as after a login. If
// another session has it, that one is closed with pool.Replaced. A session is
// bound once.
//
// With a Directory the ID is claimed there, with meta for others to read, within
// the time that ctx allows; Bind then returns when the session that had the ID
// before, here or elsewhere, has had its last callback. Its error is the
// Directory's. Without one the earlier session is on its way to its end when
// Bind returns, and ctx and meta are not looked at.
//
// When the session ends, its ID is given up after its OnSessionClosed.
//
// The error is ErrBound if the session has an ID, ErrSessionClosed if it is closed,
// before or meanwhile, and ErrServerClosed when the server ends. After an error
// of the Directory's the session goes on and may be bound again. Bind may be called from any goroutine, callbacks included.
func (s *Session) Bind(ctx context.Context, id string, meta []byte) error {
	if s.ps.Reason() != "" { // nobody loses an ID to it
		return ErrSessionClosed
	}
	names, err := s.server.bindings()
	if err != nil {
		return err
	}
	b := &binding{s: s, gone: make(chan struct{}), ready: make(chan struct{})}
	if !s.bound.CompareAndSwap(nil, b) {
		if s.bound.Load() == unbound {
			return ErrSessionClosed
		}
		return ErrBound
	}
	entry, err := names.RegisterContext(ctx, id, b, meta)
	if err != nil {
		close(b.ready)
		switch {
		case !s.bound.CompareAndSwap(b, nil):
			return ErrSessionClosed
		case errors.Is(err, pool.ErrPoolClosed):
			return ErrServerClosed
		}
		return err
	}
	b.entry.Store(entry)
	close(b.ready)
	if s.bound.Load() != b { // it has ended meanwhile, and could not give up what it did not have
		entry.Close(s.ps.Reason())
	}
	if s.ps.Reason() != "" {
		return ErrSessionClosed
	}
	return nil
}

// Close is called by the pool of bindings when somebody else takes the ID, or
// the session has ended. It returns when its last callback has returned.
func (b *binding) Close() error {
	<-b.ready
	if entry := b.entry.Load(); entry != nil {
		b.s.ps.Close(entry.Reason())
	}
	<-b.gone
	return nil
}

// unbind gives up the session's ID. It is called when its last callback has
// returned.
func (s *Session) unbind() {
	b := s.bound.Swap(unbound)
	if b == nil {
		return
	}
	close(b.gone)
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

// BoundID is the ID that Bind gave the session; "" if it has none.
func (s *Session) BoundID() string {
	if e := s.entry(); e != nil {
		return e.ID()
	}
	return ""
}

// Token is what the Directory has named this session's ownership of its ID; 0
// without a Directory or an ID.
func (s *Session) Token() uint64 {
	if e := s.entry(); e != nil {
		return e.Token()
	}
	return 0
}

// Bound finds the open session that has the given ID.
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

// CloseToken closes the session that has the given ID under the token, and
// reports whether this call closed it. Also when somebody else has, it returns
// only when OnSessionClosed has returned, and the session processes nothing
// more. It is for the Directory to call, or who acts for it, and not from the
// session's own callbacks, which it would wait for.
func (srv *Server) CloseToken(id string, token uint64, r pool.Reason) bool {
	names := srv.names.Load()
	return names != nil && names.CloseToken(id, token, r)
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
		Wheel:       srv.Wheel,
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
