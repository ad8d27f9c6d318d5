//go:build !nocluster

package soak

import (
	"context"
	"time"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/flags"
)

func init() {
	roles["broker"], roles["node"] = brokerChild, nodeChild
}

// ClusterScenarios returns the scenarios of a cluster, in the order in which they
// take turns. Each round starts brokers and three nodes, each a process of its own,
// and puts the same load on them, until the fault, during it and after it.
func ClusterScenarios() []Scenario {
	rounds := make(map[string]func(context.Context, *Run) error)
	for name, t := range map[string]trouble{
		"takeover":   {contended(), rush},
		"kill":       {crowded(), killNode},
		"stop-keep":  {one(keep), stopNode},
		"stop-fence": {one(fence), stopNode},
		"cut-keep":   {one(keep), cutNode},
		"cut-admit":  {one(admit), cutNode},
		"cut-fence":  {one(fence), cutNode},
		"restart":    {one(keep), restartBroker},
		"outage":     {one(keep), outage},
		"memory":     {inMemory(), loseAll},
		"storm":      {one(keep), storm},
		"storm-node": {stormy(), stormAtDeath},
		"leave":      {lingering(), leaveNode},
		"rejoin":     {allFence(), comeAndGo},
		"lost":       {one(keep), loseStream},
		"full":       {limited(), fillDirectory},
		"denied":     {withPassword(), denyNodes},
		"slow":       {one(keep), slowBroker},
		"clock":      {withClock(), setClock},
		"rolling":    {three(), rollBrokers},
		"leader":     {three(), killLeader},
		"quorum":     {three(), loseQuorum},
		"storm-lead": {three(), stormAtLeader},
		"corrupt":    {three(), corruptBroker},
	} {
		rounds[name] = t.round
	}
	return inOrder(flags.ClusterScenarios, rounds)
}

// trouble is a scenario of a cluster: a fault, and what it is done to.
type trouble struct {
	plan   plan
	strike func(context.Context, *fleet) error // does it, and mends it if it can be
}

// one is one broker, and the policy of the node that something befalls.
func one(p policy) plan {
	return plan{brokers: 1, nodes: [3]policy{p, keep, fence}, rest: 300, few: 40, ids: 40, workers: 4, think: 8 * time.Millisecond}
}

func contended() plan {
	p := one(fence)
	p.ids, p.workers, p.think = 5, 8, 0
	return p
}

func crowded() plan {
	p := one(keep)
	p.rest, p.few = 10_000, 300
	return p
}

// lingering is a node with many sessions that take long to close when it leaves.
func lingering() plan {
	p := one(fence)
	p.rest, p.few = 6000, 3000
	return p
}

// stormy is a node with many users.
func stormy() plan {
	p := one(keep)
	p.rest, p.few = 2000, 100
	return p
}

func allFence() plan {
	p := one(fence)
	p.nodes = [3]policy{fence, fence, fence}
	return p
}

// limited is a directory with room for little more than it has.
func limited() plan {
	p := one(fence)
	p.room, p.fewRoom = 512<<10, 96<<10
	return p
}

func withPassword() plan {
	p := one(keep)
	p.password = "secret"
	return p
}

func inMemory() plan {
	p := one(keep)
	p.storage = cluster.Memory
	return p
}

func withClock() plan {
	p := one(keep)
	p.settable = true
	return p
}

func three() plan {
	p := one(keep)
	p.brokers = 3
	return p
}

// round is one attempt, or more if the wall clock, which dates the sessions, was set meanwhile.
func (t trouble) round(ctx context.Context, r *Run) error {
	return r.steadily(ctx, readClocks, func() error { return t.attempt(ctx, r) })
}

// attempt lets the load run, strikes, waits until all is right again, and lets the
// load run once more.
func (t trouble) attempt(ctx context.Context, r *Run) (err error) {
	f, err := raise(ctx, r, t.plan)
	defer func() { err = f.close(err) }()
	if err != nil {
		return err
	}
	if err := f.calm(ctx); err != nil {
		return err
	}
	if err := f.load(doLoad); err != nil {
		return err
	}
	f.began = time.Now()
	f.mended = f.began
	if err := t.strike(ctx, f); err != nil {
		return err
	}
	if err := f.goesOn(ctx, f.mended); err != nil {
		return err
	}
	took, err := f.settle(ctx, f.mended)
	if err != nil {
		return err
	}
	r.late(took)
	if err := f.calm(ctx); err != nil {
		return err
	}
	h, err := f.history()
	if err != nil {
		return err
	}
	f.r.tell("%s", h.summary())
	return f.disband(ctx)
}

// ago is how long ago something was, for the report.
func ago(begun time.Time) time.Duration { return time.Since(begun).Round(time.Millisecond) }

// calm lets the load run while nothing befalls the fleet.
func (f *fleet) calm(ctx context.Context) error {
	if err := f.load(doLoad); err != nil {
		return err
	}
	if err := f.soak(ctx, f.r.span()); err != nil {
		return err
	}
	_, err := f.settle(ctx, time.Now())
	return err
}
