// Package timers has one interface to many ways of closing idle sessions: this
// project's pool, and what a server would use in its place. Each implementation
// has a file of its own. It is used as its documentation says, at the setting
// that suits the benchmarks best; Impl.How states that setting.
package timers

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// The operations of an implementation, as keys of Impl.Unsupported.
const (
	Touch    = "touch"    // re-arm the idle timeout
	ArmStop  = "arm-stop" // arm one timer and stop it
	Register = "register" // add a session and remove it
	Expire   = "expire"   // time a session out
)

// Tick is the resolution of each implementation that has a choice. It is this
// project's default.
const Tick = 10 * time.Millisecond

// Conn stands for the connection of a session. All sessions share one, so that
// connections do not count in the memory that is measured.
type Conn struct{ _ byte }

// Close does nothing.
func (*Conn) Close() error { return nil }

var sharedConn = new(Conn)

// Config configures an implementation.
type Config struct {
	N    int           // sessions that may be touched; their IDs are 0 to N-1
	Idle time.Duration // the idle timeout that Touch re-arms
	Keep bool          // keep handles of the sessions, so that Touch may be called

	// Expired is called for each session that timed out, on any goroutine, after
	// the session has left the table. May be nil.
	Expired func(id int64)
}

func (c Config) expired(id int64) {
	if c.Expired != nil {
		c.Expired(id)
	}
}

// Sessions is a table of sessions with idle timeouts. All methods but Stop may be
// called from any goroutine.
type Sessions interface {
	// Register adds a session. Its timeout is idle until the first Touch, and
	// Config.Idle from then on.
	Register(id int64, idle time.Duration)

	// Touch re-arms the timeout of a session. It requires Config.Keep.
	Touch(id int64)

	// RegisterClose adds a session and closes it.
	RegisterClose(id int64)

	// Stop ends the implementation's goroutines.
	Stop()
}

// Armer is implemented by Sessions whose timers work without sessions. NewArm
// returns a function that arms one timer for a minute and stops it. The function
// must not be called by two goroutines at once.
type Armer interface {
	NewArm() (armStop func())
}

// armDuration is the duration of an Armer's timers.
const armDuration = time.Minute

// Impl describes one implementation.
type Impl struct {
	Name   string
	Module string // with its version; "" for the standard library
	How    string // how it is used, and at which setting
	New    func(Config) (Sessions, error)

	// Unsupported says of each operation that the implementation lacks why it
	// lacks it.
	Unsupported map[string]string
}

// All lists the implementations, this project first.
func All() []Impl {
	return []Impl{
		sessionwheelImpl(), plainImpl(), stdlibImpl(), sweepImpl(), antlabsImpl(), ouqiangImpl(), rfyiamcoolImpl(),
		gozeroImpl(), otterImpl(), ttlcacheImpl(), baselineStoreImpl(), baselineCASImpl(),
	}
}

// ByName returns the implementation with the given name.
func ByName(name string) (Impl, error) {
	all := All()
	i := slices.IndexFunc(all, func(m Impl) bool { return m.Name == name })
	if i < 0 {
		return Impl{}, fmt.Errorf("timers: unknown implementation %q", name)
	}
	return all[i], nil
}

// onlyTouch returns the Impl.Unsupported of an implementation that has no
// operation but Touch.
func onlyTouch(why string) map[string]string {
	return map[string]string{ArmStop: why, Register: why, Expire: why}
}

// slotsFor returns the number of slots with which one turn of a single-level
// wheel holds the idle timeout. That suits such a wheel best, since no timer
// waits for several turns.
func slotsFor(idle time.Duration) int {
	return min(int(idle/Tick)+2, 1<<16)
}

// table is a map under a mutex, as most servers have for their sessions.
type table[S any] struct {
	mu sync.Mutex
	// Guarded by mu.
	m map[int64]*S
}

func newTable[S any]() *table[S] {
	return &table[S]{m: make(map[int64]*S)}
}

func (t *table[S]) add(id int64, s *S) {
	t.mu.Lock()
	t.m[id] = s
	t.mu.Unlock()
}

// remove removes s and reports whether s was in the table.
func (t *table[S]) remove(id int64, s *S) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.m[id] != s {
		return false
	}
	delete(t.m, id)
	return true
}

// handles holds the sessions that Touch looks up by ID.
type handles[S any] []*S

func newHandles[S any](c Config) handles[S] {
	if !c.Keep {
		return nil
	}
	return make(handles[S], c.N)
}

func (h handles[S]) keep(id int64, s *S) {
	if id < int64(len(h)) {
		h[id] = s
	}
}
