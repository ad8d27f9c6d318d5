//go:build !nocluster

package soak

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// The faults. The load goes on during them on all nodes that run, and cannot do much
// on some. What is mended at the end of a fault is timed from then on, and a node
// that does not come back from its death.

// rush is no fault: the load is all there is.
func rush(ctx context.Context, f *fleet) error {
	least := int64(f.r.size(5000, 500)) + f.r.operations.Load()
	for f.r.operations.Load() < least {
		if err := f.soak(ctx, f.r.span()); err != nil {
			return err
		}
	}
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
	if kill {
		f.brokers.kill(0)
	} else if err := f.brokers.stop(0); err != nil {
		return err
	}
	if err := pause(ctx, after); err != nil {
		return err
	}
	if err := f.brokers.start(ctx, 0); err != nil {
		return err
	}
	for _, m := range f.nodes {
		m.link.lead(strings.TrimPrefix(f.brokers.url(), "nats://"))
	}
	f.mended = time.Now()
	return nil
}

// storm has each node log in at once what the next had at rest.
func storm(ctx context.Context, f *fleet) error {
	if err := restartBroker(ctx, f); err != nil {
		return err
	}
	next := make(map[*member]*member)
	for i, m := range f.nodes {
		next[m] = f.nodes[(i+1)%len(f.nodes)]
	}
	return f.each(func(m *member) error { return f.login(m, next[m].name, 0, next[m].rest) })
}

// leaveNode has a node leave while the others log in what it had. No two sessions may have
// an ID meanwhile, although it takes the node longer than its lease to close all.
func leaveNode(ctx context.Context, f *fleet) error {
	m := f.nodes[0]
	m.left = true
	return forAll([]func() error{
		func() error {
			rep, err := f.ask(m, nodeDo{Do: doQuit})
			if err == nil && rep.Failed != "" {
				err = broken(survival, "node %s could not leave: %s", m.name, rep.Failed)
			}
			m.running = false
			return err
		},
		func() error {
			if err := pause(ctx, 100*time.Millisecond); err != nil {
				return err
			}
			err := forAll(f.nodes[1:], func(o *member) error {
				from := 0
				if o == f.nodes[2] {
					from = m.rest / 2
				}
				return f.login(o, m.name, from, from+m.rest/2)
			})
			f.mended = time.Now()
			return err
		},
	}, func(do func() error) error { return do() })
}

// loseStream deletes or purges the directory's stream, while all connections stay.
func loseStream(ctx context.Context, f *fleet) error {
	f.allow("") // the owners are forgotten, so no node asks them
	what := []string{"DELETE", "PURGE"}[f.r.rand.IntN(2)]
	nc, err := nats.Connect(f.brokers.url())
	if err != nil {
		return err
	}
	defer nc.Close()
	if _, err := nc.RequestWithContext(ctx, "$JS.API.STREAM."+what+".KV_sessions_dir", nil); err != nil {
		return err
	}
	f.mended = time.Now()
	return nil
}

func slowBroker(ctx context.Context, f *fleet) error {
	for _, m := range f.nodes {
		m.link.slowDown(true)
	}
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
		if err := f.brokers.child[0].ask(brokerStep{h * 3600}, &brokerHello{}); err != nil {
			return err
		}
		f.mended = time.Now()
		if err := f.goesOn(ctx, f.mended); err != nil {
			return err
		}
		f.r.late(time.Since(f.mended))
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
		if err := f.brokers.stop(which); err != nil {
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
	f.brokers.kill(i)
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
	f.brokers.kill(i)
	f.brokers.kill(j)
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
	}
	return err
}
