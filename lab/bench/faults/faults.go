// Package faults does harm to the session keepers of package timers and notes
// what becomes of the sessions: who is closed early, who late and who never,
// what blocks, and what ends the process. Each fault meets each keeper in a
// process of its own, bounded in time and memory.
//
// A fault is injected in the same way whoever it meets, and each keeper is used
// as its documentation says.
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

// Impl is one way to end idle sessions.
type Impl struct {
	Name string
	How  string

	keeper string // its name in package timers; "" if it is none of those
}

// Impls lists the implementations in the order of the table's columns.
func Impls() []Impl {
	return []Impl{
		{Ours, "wheel and pool of this project, zero Config where nothing else is said", "sessionwheel"},
		{Plain, "RussellLuo/timingwheel, one timer for each session, Stop and AfterFunc at activity; tick 10ms, 512 slots, where nothing else is said", "plain"},
		{AfterFunc, "one time.AfterFunc for each session, Reset at activity", "time.Timer"},
		{Sweep, "a timestamp at activity; each second a walk over the map under its mutex, what is idle being closed after it is released", "sweep"},
		{Deadline, "SetReadDeadline before each read; it keeps no timers of its own and meets only the fault that needs sockets", ""},
	}
}

// Fault is one kind of harm.
type Fault struct {
	Name  string
	About string // what is injected, and into what

	shows []string          // the figures of its cells, in order
	env   []string          // of the process
	clock bool              // it needs a wall clock that can be set
	not   map[string]string // by implementation: why it is not run
	limit time.Duration     // 0 means defaultLimit

	// run does it in the child. What it returns as text is for the table too.
	run func(context.Context, Case) (Figures, string, error)

	// beside is what the parent does with a child that serves; nil: nothing.
	beside func(context.Context, Case, *process) (Figures, error)
}

// defaultLimit bounds a measurement that says nothing else.
const defaultLimit = 90 * time.Second

// Case is a fault and whom it meets.
type Case struct {
	Fault string `json:"fault"`
	Impl  string `json:"impl"`
	Short bool   `json:"short,omitempty"` // fewer sessions, less time
}

// scaled is full, or short in a short run.
func (c Case) scaled(full, short int) int {
	if c.Short {
		return short
	}
	return full
}

// Not says why the fault is not run against an implementation; "" if it is.
func (f Fault) Not(impl string) string { return f.not[impl] }

// notHere is why Deadline meets only the fault that needs sockets.
const notHere = "no sockets here"

// notSockets is Fault.not where sessions have no sockets.
var notSockets = map[string]string{Deadline: notHere}

// notWheels is Fault.not where the fault is one of a wheel.
var notWheels = map[string]string{
	AfterFunc: "the runtime has no such setting or call",
	Sweep:     "it has no timers",
	Deadline:  notHere,
}

// All lists the faults in the order of the table's rows.
func All() []Fault {
	all := []Fault{
		{
			Name: "quiet", run: quiet, shows: []string{early, lost, latest, twice},
			About: "nothing: 1,000 sessions due within 3 s, for comparison",
		},
		{
			Name: "clock-back", run: clockBack, clock: true, shows: []string{early, lost, latest, twice},
			About: "the wall clock is set an hour back while 1,000 sessions are pending; 200 more are registered then",
		},
		{
			Name: "clock-forward", run: clockForward, clock: true, shows: []string{early, lost, latest, twice},
			About: "the wall clock is set an hour forward while 1,000 sessions are pending; 200 more are registered then",
		},
		{
			Name: "clock-seconds", run: clockSeconds, clock: true, shows: []string{early, lost, latest, twice},
			About: "the wall clock is set 3 s forward, 5 s back and right again while 1,000 sessions are pending; 100 more are registered at each step",
		},
		{
			Name: "short-timers", run: shortTimers, env: []string{"GOMAXPROCS=32"}, shows: []string{stalled, hung, lost},
			not:   map[string]string{Sweep: "it has no timers", Deadline: notHere},
			About: "10,000 timers of up to two ticks and of about 20, re-armed from their callbacks for 20 s, at a tick of 1 ms and with more threads than processors (the library's issue 53)",
		},
		{
			Name: "freeze", run: freezeServe, beside: freezePeers, shows: []string{wrong, silent, thaw}, not: map[string]string{},
			About: "the server's process is stopped for 4 s with an idle timeout of 2 s; 200 peers send each 200 ms all the while, 20 are silent",
		},
		{
			Name: "starved", run: starved, env: []string{"GOMAXPROCS=1"}, shows: []string{early, lost, latest, twice},
			About: "GOMAXPROCS=1 beside four goroutines that never yield; 1,000 sessions due within 3 s",
		},
		{
			Name: "garbage", run: garbage, env: []string{"GOMEMLIMIT=64MiB"}, shows: []string{early, lost, latest, twice},
			About: "GOMEMLIMIT=64MiB, 48 MiB in use and two goroutines that make garbage; 1,000 sessions due within 3 s",
		},
		{
			Name: "blocked-40", run: blocked40, shows: []string{early, lost, latest, waited, goroutines},
			About: "40 callbacks block for ever; 3,000 other sessions due within 3 s",
		},
		{
			Name: "blocked-300", run: blocked300, shows: []string{early, lost, latest, waited, goroutines},
			About: "300 callbacks block for ever, more than MaxCallbacks, which is 256; 3,000 other sessions due within 3 s",
		},
		{
			Name: "blocked-300-go", run: blockedElsewhere, shows: []string{early, lost, latest, waited, goroutines},
			About: "the same, but each callback does its work on a goroutine that it starts",
		},
		{
			Name: "panic", run: panics, shows: []string{lost, latest},
			About: "ten of 100 callbacks panic, and nobody recovers",
		},
		{
			Name: "panic-recovered", run: panicsRecovered, shows: []string{lost, latest},
			About: "ten of 100 callbacks panic: sessionwheel with OnPanic, the others with a recover of the user's in each callback",
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
			About: "a million sessions registered for an hour and closed at once; then one touched a million times",
		},
		{
			Name: "centuries", run: centuries, shows: []string{early},
			About: "100 sessions whose idle timeout is 250 years, watched for 2 s",
		},
		{
			Name: "smallest", run: smallest, not: notWheels, shows: []string{lost, latest},
			About: "the smallest setting that the constructor takes: a wheel of one slot for the library, a Tick of 1 ms here",
		},
		{
			Name: "stop-twice", run: stopTwice, not: notWheels,
			About: "the wheel is stopped twice",
		},
		{
			Name: "arm-and-stop", run: armAndStop, not: notWheels, shows: []string{hung, stops},
			About: "8 goroutines arm timers of up to 5 ms while the wheel is stopped, 300 wheels one after the other",
		},
	}
	for i, f := range all {
		if f.not == nil {
			all[i].not = notSockets
		}
		if f.limit == 0 {
			all[i].limit = defaultLimit
		}
	}
	return all
}

// ByName finds a fault.
func ByName(name string) (Fault, error) {
	all := All()
	i := slices.IndexFunc(all, func(f Fault) bool { return f.Name == name })
	if i < 0 {
		return Fault{}, fmt.Errorf("faults: there is no fault called %q", name)
	}
	return all[i], nil
}

// implByName finds an implementation.
func implByName(name string) (Impl, error) {
	all := Impls()
	i := slices.IndexFunc(all, func(m Impl) bool { return m.Name == name })
	if i < 0 {
		return Impl{}, fmt.Errorf("faults: there is no implementation called %q", name)
	}
	return all[i], nil
}
