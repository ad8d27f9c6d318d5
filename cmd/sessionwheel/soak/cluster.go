package soak

import (
	"context"
	"fmt"
	"time"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// ClusterScenarios returns the scenarios of a cluster, in the order in which they
// take turns. Each round starts brokers and three nodes, each a process of its own,
// and puts the same load on them, until the fault, during it and after it.
func ClusterScenarios() []Scenario {
	var all []Scenario
	for _, t := range []trouble{
		{"takeover", "thousands of logins contend for five IDs on three nodes", contended(), rush},
		{"kill", "a node with 10,000 sessions is killed", crowded(), killNode},
		{"stop-keep", "a node stands still longer than its lease; KeepServing", one(keep), stopNode},
		{"stop-fence", "the same; Fence", one(fence), stopNode},
		{"cut-keep", "a node is cut off from the broker; KeepServing, RefuseLogin", one(keep), cutNode},
		{"cut-admit", "the same; KeepServing, AllowLogin", one(admit), cutNode},
		{"cut-fence", "the same; Fence", one(fence), cutNode},
		{"restart", "the broker is restarted or killed, and back at once", one(keep), restartBroker},
		{"outage", "the broker is away for longer than the leases", one(keep), outage},
		{"memory", "the broker is restarted and has lost all: memory storage", inMemory(), loseAll},
		{"storm", "everybody logs in elsewhere as the broker is back", one(keep), storm},
		{"slow", "the broker's answers take 0.2 to 0.9 s, as with a slow disk", one(keep), slowBroker},
		{"clock", "the broker's wall clock is set; after a day its records expire", withClock(), setClock},
		{"rolling", "three brokers are restarted one by one", three(), rollBrokers},
		{"leader", "the broker that leads of three is killed", three(), killLeader},
		{"quorum", "two brokers of three are killed, for up to a lease and a half", three(), loseQuorum},
	} {
		all = append(all, Scenario{t.name, t.about, t.round})
	}
	return all
}

// trouble is a scenario of a cluster: a fault, and what it is done to.
type trouble struct {
	name, about string
	plan        plan
	strike      func(context.Context, *fleet) error // does it, and mends it if it can be
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

// round lets the load run, strikes, waits until all is right again, and lets the
// load run once more.
func (t trouble) round(ctx context.Context, r *Run) (err error) {
	clock := time.Now()
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
	if off := time.Now().Round(0).Sub(clock.Round(0)) - time.Since(clock); off.Abs() > 10*time.Millisecond {
		return fmt.Errorf("somebody set this machine's wall clock by %v meanwhile, by which the sessions are dated", off)
	}
	return f.disband(ctx)
}

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
