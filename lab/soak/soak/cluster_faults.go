//go:build !nocluster

package soak

import (
	"context"
	"fmt"
	"time"
)

// The faults. The load goes on during them on all nodes that run, and cannot do much
// on some. What is mended at the end of a fault is timed from then on, and a node
// that does not come back from its death.

// rush is no fault: the load is all there is.
func rush(ctx context.Context, f *fleet) error {
	before := f.r.operations.Load()
	least := int64(f.r.size(5000, 500)) + before
	for f.r.operations.Load() < least {
		if err := f.soak(ctx, f.r.span()); err != nil {
			return err
		}
	}
	f.r.tell("%d operations contended for %d IDs", f.r.operations.Load()-before, f.plan.ids)
	f.mended = time.Now()
	return nil
}

func killNode(ctx context.Context, f *fleet) error {
	f.kill(f.nodes[0])
	return f.freed(f.nodes[0])
}

// kill ends the process of a node as a crash does.
func (f *fleet) kill(m *member) {
	m.running = false
	m.killed = time.Now().UnixNano()
	m.child.kill()
	f.r.tell("node %s was killed, with %d sessions at rest", m.name, m.rest)
}

// killBroker ends the process of a broker as a crash does.
func (f *fleet) killBroker(i int) {
	f.brokers.kill(i)
	f.r.tell("%s was killed", f.brokers.orders[i].Name)
}

// freed has the others log in some of the sessions that a node had at rest, for
// which they wait until they take it for dead.
func (f *fleet) freed(m *member) error {
	var others []*member
	for _, o := range f.running() {
		if o != m {
			others = append(others, o)
		}
	}
	fifth := m.rest / 5
	return forAll(others, func(o *member) error {
		from := 0
		if o == others[0] {
			from = fifth
		}
		return f.login(o, m.name, from, from+fifth)
	})
}

func cutNode(ctx context.Context, f *fleet) error {
	m := f.nodes[0]
	if m.policy != fence {
		f.allow(m.name)
	}
	m.link.sever()
	if err := f.freed(m); err != nil {
		return err
	}
	f.r.late(time.Since(f.began))
	f.r.tell("node %s was cut off; the others had some of its users after %v", m.name, ago(f.began))
	if err := f.fenced(m); err != nil {
		return err
	}
	if err := pause(ctx, f.r.between(0, f.lease())); err != nil {
		return err
	}
	m.link.heal()
	f.mended = time.Now()
	return nil
}

// fenced looks for sessions of a cut-off node that should have none.
func (f *fleet) fenced(m *member) error {
	if m.policy != fence {
		return nil
	}
	rep, err := f.ask(m, nodeDo{Do: doBooks})
	if err == nil && len(rep.Pool) > 0 {
		return broken(fences, "it has %d, and some that it had are on other nodes", len(rep.Pool))
	}
	return err
}

func restartBroker(ctx context.Context, f *fleet) error {
	return f.restart(ctx, f.r.rand.IntN(2) == 0, f.r.between(0, time.Second))
}

func outage(ctx context.Context, f *fleet) error {
	return f.restart(ctx, f.r.rand.IntN(2) == 0, f.r.between(f.lease(), f.lease()*3/2))
}

func loseAll(ctx context.Context, f *fleet) error {
	f.allow("") // the owners are forgotten, so no node asks them
	return f.restart(ctx, f.r.rand.IntN(2) == 0, f.r.between(0, f.lease()*3/2))
}

// restart has the one broker end, in good order or killed, and starts it again after
// a time.
func (f *fleet) restart(ctx context.Context, kill bool, after time.Duration) error {
	begun := time.Now()
	if err := f.endBroker(0, kill); err != nil {
		return err
	}
	if err := pause(ctx, after); err != nil {
		return err
	}
	if err := f.brokers.start(ctx, 0); err != nil {
		return err
	}
	for _, m := range f.nodes {
		m.link.lead(f.brokers.addrs[0])
	}
	f.r.tell("it was back after %v", ago(begun))
	f.mended = time.Now()
	return nil
}

// endBroker ends the process of a broker, in good order or as a crash does.
func (f *fleet) endBroker(i int, kill bool) error {
	if kill {
		f.killBroker(i)
		return nil
	}
	f.r.tell("%s was stopped", f.brokers.orders[i].Name)
	return f.brokers.stop(i)
}

func slowBroker(ctx context.Context, f *fleet) error {
	for _, m := range f.nodes {
		m.link.slowDown(true)
	}
	f.r.tell("each answer of the broker took %v to %v", slowLeast, slowMost)
	if err := f.soak(ctx, 2*f.lease()); err != nil {
		return err
	}
	for _, m := range f.nodes {
		m.link.slowDown(false)
	}
	f.mended = time.Now()
	return nil
}

// setClock sets the broker's wall clock by hours, which must not matter, and by more
// than a day, after which the nodes' records are gone.
func setClock(ctx context.Context, f *fleet) error {
	hours := []int64{-1, 1, 25 + f.r.rand.Int64N(1000)}
	for _, h := range hours {
		if err := f.brokers.child[0].ask(brokerStep{Seconds: h * 3600}, &brokerHello{}); err != nil {
			return err
		}
		f.r.tell("the broker's clock was set to %d h after the true time", h)
		if err := f.recovered(ctx); err != nil {
			return err
		}
		if err := f.soak(ctx, f.lease()/2); err != nil {
			return err
		}
	}
	return nil
}

func rollBrokers(ctx context.Context, f *fleet) error {
	first := f.r.rand.IntN(3)
	for i := range 3 {
		which := (first + i) % 3
		if err := f.endBroker(which, false); err != nil {
			return err
		}
		if err := f.brokers.start(ctx, which); err != nil {
			return err
		}
		if err := f.recovered(ctx); err != nil {
			return err
		}
	}
	return nil
}

func killLeader(ctx context.Context, f *fleet) error {
	i, err := f.brokers.leader(ctx)
	if err != nil {
		return fmt.Errorf("looking for the leader: %w", err)
	}
	f.killBroker(i)
	if err := f.recovered(ctx); err != nil { // by the other two
		return err
	}
	if err := f.brokers.start(ctx, i); err != nil {
		return err
	}
	f.mended = time.Now()
	return nil
}

func loseQuorum(ctx context.Context, f *fleet) error {
	i := f.r.rand.IntN(3)
	j := (i + 1 + f.r.rand.IntN(2)) % 3
	f.killBroker(i)
	f.killBroker(j)
	if err := pause(ctx, f.r.between(time.Second, f.lease()*3/2)); err != nil {
		return err
	}
	if err := f.brokers.startAll(ctx, i, j); err != nil {
		return err
	}
	f.mended = time.Now()
	return nil
}

// recovered waits until logins go on, and notes how long that took.
func (f *fleet) recovered(ctx context.Context) error {
	f.mended = time.Now()
	err := f.goesOn(ctx, f.mended)
	if err == nil {
		f.r.late(time.Since(f.mended))
		f.r.tell("logins went on on every node after %v", ago(f.mended))
	}
	return err
}
