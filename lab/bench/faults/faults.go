// Package faults injects faults into the implementations of package timers and
// records the consequences: which sessions are closed early, late or never, what
// blocks, and what ends the process. Each case runs in a process of its own, with
// a limit on time and memory.
//
// A fault is the same for all implementations, and each implementation is used as
// its documentation says.
package faults

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// The names of the implementations.
const (
	Ours      = "sessionwheel"
	Plain     = "plain library"
	AfterFunc = "time.AfterFunc"
	Sweep     = "sweep"
	Deadline  = "read deadlines"
)

// Impl is one way to close idle sessions.
type Impl struct {
	Name string
	How  string

	timers string // its name in package timers; "" if it has none
}

// Impls lists the implementations in the order of the table's columns.
func Impls() []Impl {
	return []Impl{
		{Ours, "this project's wheel and pool, zero Config unless stated otherwise", "sessionwheel"},
		{Plain, "RussellLuo/timingwheel, one timer per session; on activity AfterFunc, and Stop of the old timer; tick 10ms, 512 slots per level unless stated otherwise", "plain"},
		{AfterFunc, "one time.AfterFunc per session; on activity Reset", "time.Timer"},
		{Sweep, "on activity a timestamp; each second a walk over the map under its mutex, and the idle sessions are closed after the walk", "sweep"},
		{Deadline, "SetReadDeadline before each read; only for the fault that needs sockets", ""},
	}
}

// Fault is one kind of fault.
type Fault struct {
	Name  string
	About string // what is injected, and when

	shows []string          // the figures in a cell of the table, in order
	env   []string          // added to the environment of the process
	clock bool              // the process needs a wall clock that can be set
	skip  map[string]string // why the fault is not run, by implementation
	limit time.Duration     // of the process; 0 means defaultLimit

	// run injects the fault, in the child process. The table shows the text that
	// it returns.
	run func(context.Context, Case) (Figures, string, error)

	// beside runs in the parent process, while the child serves. May be nil.
	beside func(context.Context, Case, *process) (Figures, error)
}

// defaultLimit is the limit of a fault that sets none.
const defaultLimit = 90 * time.Second

// Case is a fault and the implementation into which it is injected.
type Case struct {
	Fault string `json:"fault"`
	Impl  string `json:"impl"`
	Short bool   `json:"short,omitempty"` // fewer sessions, less time
}

// scaled returns full, or short in a short run.
func (c Case) scaled(full, short int) int {
	if c.Short {
		return short
	}
	return full
}

// noSockets is why most faults are not run with Deadline.
const noSockets = "the sessions have no sockets"

// needsTimers is the Fault.skip of most faults.
var needsTimers = map[string]string{Deadline: noSockets}

// needsWheel is the Fault.skip of faults that only a wheel can have.
var needsWheel = map[string]string{
	AfterFunc: "the runtime has no such setting or call",
	Sweep:     "it has no timers",
	Deadline:  noSockets,
}

// All lists the faults in the order of the table's rows.
func All() []Fault {
	all := []Fault{
		{
			Name: "quiet", run: undisturbed, shows: []string{early, lost, latest, twice},
			About: "none, for comparison: 1,000 sessions due within 3 s",
		},
		{
			Name: "clock-back", run: clockBack, clock: true, shows: []string{early, lost, latest, twice},
			About: "the wall clock is set back by an hour while 1,000 sessions are pending; 200 more are registered afterwards",
		},
		{
			Name: "clock-forward", run: clockForward, clock: true, shows: []string{early, lost, latest, twice},
			About: "the wall clock is set forward by an hour while 1,000 sessions are pending; 200 more are registered afterwards",
		},
		{
			Name: "clock-seconds", run: clockSeconds, clock: true, shows: []string{early, lost, latest, twice},
			About: "the wall clock is set to 3 s ahead, 5 s behind and right again while 1,000 sessions are pending; 100 more are registered after each step",
		},
		{
			Name: "short-timers", run: shortTimers, env: []string{"GOMAXPROCS=32"}, shows: []string{stalled, hung, lost},
			skip:  map[string]string{Sweep: "it has no timers", Deadline: noSockets},
			About: "10,000 timers of up to 2 ticks or about 20 ticks of 1 ms re-arm themselves in their callbacks for 20 s, with more threads than processors (the library's issue 53)",
		},
		{
			Name: "freeze", run: freezeServe, beside: freezePeers, shows: []string{wrong, silent, thaw}, skip: map[string]string{},
			About: "the server's process is stopped for 4 s with an idle timeout of 2 s; 200 peers go on sending each 200 ms, and 20 are silent",
		},
		{
			Name: "starved", run: starved, env: []string{"GOMAXPROCS=1"}, shows: []string{early, lost, latest, twice},
			About: "GOMAXPROCS=1 and four goroutines that never yield; 1,000 sessions due within 3 s",
		},
		{
			Name: "garbage", run: garbage, env: []string{"GOMEMLIMIT=64MiB"}, shows: []string{early, lost, latest, twice},
			About: "GOMEMLIMIT=64MiB, 48 MiB in use and two goroutines that allocate; 1,000 sessions due within 3 s",
		},
		{
			Name: "blocked-40", run: blocked40, shows: []string{early, lost, latest, waited, goroutines},
			About: "40 callbacks block forever; 3,000 other sessions due within 3 s",
		},
		{
			Name: "blocked-300", run: blocked300, shows: []string{early, lost, latest, waited, goroutines},
			About: "300 callbacks block forever, more than MaxCallbacks, which is 256; 3,000 other sessions due within 3 s",
		},
		{
			Name: "blocked-300-go", run: blocked300Go, shows: []string{early, lost, latest, waited, goroutines},
			About: "the same, but each callback starts a goroutine and returns",
		},
		{
			Name: "panic", run: panics, shows: []string{lost, latest},
			About: "ten of 100 callbacks panic without a recover",
		},
		{
			Name: "panic-recovered", run: panicsRecovered, shows: []string{lost, latest},
			About: "ten of 100 callbacks panic: sessionwheel has OnPanic, the others have a recover in each callback",
		},
		{
			Name: "reentry", run: reentry, shows: []string{early, lost, latest},
			About: "each of 1,000 callbacks registers a session, touches another, and registers and closes a third",
		},
		{
			Name: "million", run: million, limit: 4 * time.Minute, shows: []string{early, lost, latest, goroutines, memory, waited},
			About: "a million sessions due at one instant",
		},
		{
			Name: "stopped", run: stopped, shows: []string{held, heldTouched},
			About: "a million sessions with a timeout of an hour are registered and closed at once; then one is touched a million times",
		},
		{
			Name: "centuries", run: centuries, shows: []string{early},
			About: "100 sessions whose idle timeout is 250 years, watched for 2 s",
		},
		{
			Name: "smallest", run: smallest, skip: needsWheel, shows: []string{lost, latest},
			About: "the smallest setting that the constructor accepts: a wheel of one slot for the library, a Tick of 1 ms for sessionwheel",
		},
		{
			Name: "stop-twice", run: stopTwice, skip: needsWheel,
			About: "the wheel is stopped twice",
		},
		{
			Name: "arm-and-stop", run: armAndStop, skip: needsWheel, shows: []string{hung, stops},
			About: "8 goroutines arm timers of up to 5 ms while the wheel is stopped; 300 wheels, one after another",
		},
	}
	for i, f := range all {
		if f.skip == nil {
			all[i].skip = needsTimers
		}
		if f.limit == 0 {
			all[i].limit = defaultLimit
		}
	}
	return all
}

// ByName returns the fault with the given name.
func ByName(name string) (Fault, error) {
	all := All()
	i := slices.IndexFunc(all, func(f Fault) bool { return f.Name == name })
	if i < 0 {
		return Fault{}, fmt.Errorf("faults: unknown fault %q", name)
	}
	return all[i], nil
}

// implByName returns the implementation with the given name.
func implByName(name string) (Impl, error) {
	all := Impls()
	i := slices.IndexFunc(all, func(m Impl) bool { return m.Name == name })
	if i < 0 {
		return Impl{}, fmt.Errorf("faults: unknown implementation %q", name)
	}
	return all[i], nil
}
