// Package timers holds the session keepers that the benchmarks put side by
// side: this project's pool and what a server would otherwise keep its
// sessions and their idle timeouts with. Each lies in a file of its own and is
// used as its documentation says, at the setting that serves it best here; How
// says which.
package timers

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// What an implementation can be asked to do. Impl.Not says what one cannot.
const (
	Touch    = "touch"    // re-arm the idle timeout
	ArmStop  = "arm-stop" // arm one timer and stop it
	Register = "register" // add a session and remove it
	Expire   = "expire"   // time a session out
)

// Tick is the resolution that each implementation with a choice is given, and
// that of this project by default.
const Tick = 10 * time.Millisecond

// Conn stands for the connection of a session. All share one, so that none
// weighs on the memory that is measured.
type Conn struct{ _ byte }

// Close does nothing.
func (*Conn) Close() error { return nil }

var theConn = new(Conn)

// Config is what a benchmark wants of an implementation.
type Config struct {
	N    int           // sessions have the IDs 0 to N-1, and more that are never touched
	Idle time.Duration // the idle timeout that Touch re-arms
	Keep bool          // handles are kept for Touch, where there are any

	// Expired is called for each session that timed out, when it has left the
	// table, on any goroutine. Nil means that nobody wants to know.
	Expired func(id int64)
}

func (c Config) expired(id int64) {
	if c.Expired != nil {
		c.Expired(id)
	}
}

// Sessions is what an implementation offers. All methods but Stop may be called
// from any goroutine.
type Sessions interface {
	// Register adds a session and arms its timeout, at first for idle, and
	// for Config.Idle from the first Touch on.
	Register(id int64, idle time.Duration)

	// Touch re-arms the timeout of the session with the given ID. Config.Keep
	// was set.
	Touch(id int64)

	// RegisterClose adds a session and removes it again.
	RegisterClose(id int64)

	// Stop ends the implementation's goroutines.
	Stop()
}

// Armer is a Sessions whose timers can be used on their own. NewArm returns a
// function that arms one timer for a minute and stops it; only one goroutine at
// a time calls it.
type Armer interface {
	NewArm() (armStop func())
}

// armFor is how long an Armer's timer is armed for.
const armFor = time.Minute

// Impl describes one implementation.
type Impl struct {
	Name   string
	Module string // with its version; "" for the standard library
	How    string // how it is used, and at which setting
	New    func(Config) (Sessions, error)

	// Not says for each kind of work that the implementation cannot do why not.
	Not map[string]string
}

// All lists the implementations, this project first.
func All() []Impl {
	return []Impl{
		wheelImpl(), plainImpl(), stdlibImpl(), sweepImpl(), antlabsImpl(), ouqiangImpl(), rfyiamcoolImpl(),
		gozeroImpl(), otterImpl(), ttlcacheImpl(), bareStoreImpl(), bareCASImpl(),
	}
}

// ByName finds an implementation.
func ByName(name string) (Impl, error) {
	all := All()
	i := slices.IndexFunc(all, func(m Impl) bool { return m.Name == name })
	if i < 0 {
		return Impl{}, fmt.Errorf("timers: there is no implementation called %q", name)
	}
	return all[i], nil
}

// onlyTouch is the Impl.Not of an implementation that can do nothing else.
func onlyTouch(why string) map[string]string {
	return map[string]string{ArmStop: why, Register: why, Expire: why}
}

// slotsFor is how many slots of one Tick a wheel of a single level needs so that
// one turn holds the idle timeout, which serves such a wheel best: nothing
// waits for several turns.
func slotsFor(idle time.Duration) int {
	return min(int(idle/Tick)+2, 1<<16)
}

// table is the map that most servers keep their sessions in: one, under one
// mutex.
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

// remove reports false if s is not in the table any more.
func (t *table[S]) remove(id int64, s *S) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.m[id] != s {
		return false
	}
	delete(t.m, id)
	return true
}

// handles holds the sessions for Touch, by ID.
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
