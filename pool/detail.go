package pool

import (
	"context"
	"time"

	"github.com/sessionwheel/sessionwheel/wheel"
)

// detail is what few open sessions have, and all closed ones. It is immutable: a
// change, which is made under the shard's mu, makes a new one.
type detail struct {
	idle time.Duration // the session's own idle timeout; 0: the pool's

	// What happened to the session since its last activity, if that was at the
	// time activity; after a later one it counts no more.
	activity  time.Duration
	notBefore time.Duration // the session does not time out before, and is not warned
	warnedAt  time.Duration // when OnIdle was called; 0: it was not
	graceUsed bool          // the session was spared once after a stall

	groups []group                 // those that the open session is in; unlike the rest, guarded by the shard's mu
	done   chan struct{}           // nil until Done asks for it
	ctx    context.Context         // nil until Context asks for it
	cancel context.CancelCauseFunc // of ctx
	reason Reason                  // once the session is closed
}

// warningPending is warnedAt of a session whose OnIdle is about to be called.
const warningPending = wheel.Never

// since returns what happened to the session since its activity at that time.
func (d *detail) since(active time.Duration) (notBefore, warnedAt time.Duration, graceUsed bool) {
	if d == nil || d.activity != active {
		return 0, 0, false
	}
	return d.notBefore, d.warnedAt, d.graceUsed
}

// empty reports whether an open session can do without d.
func (d *detail) empty() bool {
	return d.idle == 0 && d.notBefore == 0 && d.warnedAt == 0 && !d.graceUsed &&
		d.groups == nil && d.done == nil && d.ctx == nil
}

// changeLocked changes the session's detail.
func (s *Session[K, C]) changeLocked(change func(*detail)) {
	var d detail
	if old := s.detail.Load(); old != nil {
		d = *old
	}
	change(&d)
	s.detail.Store(&d)
}

// spareLocked has a session that was active at that time not time out before
// notBefore, once after a stall.
func (s *Session[K, C]) spareLocked(active, notBefore time.Duration) {
	s.changeLocked(func(d *detail) {
		_, warnedAt, _ := d.since(active)
		d.activity, d.notBefore, d.warnedAt, d.graceUsed = active, notBefore, warnedAt, true
	})
}

// warnLocked notes when OnIdle is called for a session that was active at that time.
func (s *Session[K, C]) warnLocked(active, at time.Duration) {
	s.changeLocked(func(d *detail) {
		notBefore, _, graceUsed := d.since(active)
		d.activity, d.notBefore, d.warnedAt, d.graceUsed = active, notBefore, at, graceUsed
	})
}

// Reason returns the reason for which the session was closed, or "" while it is open.
func (s *Session[K, C]) Reason() Reason {
	if s.open() {
		return ""
	}
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	return s.detail.Load().reason
}

// Done returns a channel that is closed when OnSessionClosed has returned. Each call returns
// the same channel.
func (s *Session[K, C]) Done() <-chan struct{} {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	if d := s.detail.Load(); d != nil && d.done != nil {
		return d.done
	}
	done := make(chan struct{})
	s.changeLocked(func(d *detail) { d.done = done })
	if s.state.Or(doneRequested)&ended != 0 {
		close(done)
	}
	return done
}

// ClosedError is the cause of the context of a closed session. See [Session.Context].
type ClosedError struct{ Reason Reason }

// Error returns a text with the reason.
func (e *ClosedError) Error() string { return "pool: session closed: " + string(e.Reason) }

// Context returns a context for work on behalf of the session. It is canceled when the
// session begins to close: after the session has left the pool and before its connection is
// closed. Its cause is a [*ClosedError]. The first call makes the context, and later calls
// return the same.
func (s *Session[K, C]) Context() context.Context {
	ctx, closed := s.context()
	if closed {
		s.cancelContext()
	}
	return ctx
}

func (s *Session[K, C]) context() (ctx context.Context, closed bool) {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	d := s.detail.Load()
	if d == nil || d.ctx == nil {
		ctx, cancel := context.WithCancelCause(context.Background())
		s.changeLocked(func(d *detail) { d.ctx, d.cancel = ctx, cancel })
		d = s.detail.Load()
	}
	return d.ctx, !s.open()
}

// cancelContext cancels the context of a closed session, if it has one.
func (s *Session[K, C]) cancelContext() {
	if d := s.detail.Load(); d.cancel != nil {
		d.cancel(&ClosedError{d.reason})
	}
}
