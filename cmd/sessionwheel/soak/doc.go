// Package soak looks for broken guarantees of the wheel, the pool and the TCP
// server by doing to them, for as long as asked, what the real world does: steps
// of the wall clock, a failing library beneath, frozen and starved processes,
// callbacks that misbehave, peers that do.
//
// Each [Scenario] is one kind of trouble. It runs in rounds of a few seconds,
// which take turns among the scenarios until the time is up or a round sees a
// guarantee broken. A round draws all that it does from its seed: the first
// round of a scenario from the seed of the soak, the next from that plus one, so
// any round is the first one of a soak of its own. What the scheduler and the
// network make of it differs from run to run all the same.
//
// # Processes
//
// A scenario that freezes, starves or exhausts what it looks at does so to a
// child: the program itself, started again with an environment variable that
// [ChildMain] looks for. Two scenarios build that program anew from a checkout,
// once with a package time whose wall clock can be set and once with a faulty
// library in the place of the real one. They need the checkout and the go
// command, and are left out without.
//
// # How lateness is judged
//
// On a machine that is busy elsewhere everything is late. So each round has a
// goroutine beside it that sleeps and notes how much too long, and lateness is
// allowed a multiple of that, for the goroutines that must take turns until a
// callback runs, over what is promised.
package soak
