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
// # A cluster
//
// [ClusterScenarios] do the same to a cluster of brokers and nodes, each a process
// of its own, with the network between them. One load runs on all nodes: logins that
// contend for a few IDs, some of them given up soon, logouts, kicks and messages;
// and each node has sessions at rest besides. One judge looks at what each process
// noted, at the moment it happened, of the sessions that opened and closed there, and at
// the nodes' logs; and when the load rests, it compares what the brokers have stored with
// the pools. What it grants is what docs/cluster.md excepts: a node that keeps serving while it is
// cut off, a process that stood still, and brokers that have lost everything.
//
// # Processes
//
// A scenario that freezes, starves or exhausts what it looks at does so to a
// child: the program itself, started again with an environment variable that
// [ChildMain] looks for. Some scenarios build that program again from a checkout,
// once with a package time whose wall clock can be set and once with a faulty
// library in the place of the real one. They need the checkout and the go
// command, and are left out without.
//
// # How lateness is judged
//
// On a machine that is busy elsewhere everything is late. So each round has a
// goroutine beside it that sleeps and notes how much too long, and lateness is
// allowed a multiple of that, for the goroutines that must take turns until a
// callback runs, over what is promised. In the same way a peer may be starved of
// processor time until the server rightly times it out: it tries again.
package soak
