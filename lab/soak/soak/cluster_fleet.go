//go:build !nocluster

package soak

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// clusterPatience is for a process to start, to join, and to leave.
const clusterPatience = 60 * time.Second

// The leases: the shortest there may be.
const (
	lease           = 6 * time.Second  // with one broker
	replicatedLease = 20 * time.Second // with several
)

// policy is what a node does when it loses its lease.
type policy struct {
	lost     cluster.Policy
	degraded cluster.Degraded
}

var (
	keep  = policy{cluster.KeepServing, cluster.RefuseLogin}
	admit = policy{cluster.KeepServing, cluster.AllowLogin}
	fence = policy{cluster.Fence, cluster.RefuseLogin}
)

// plan is what a fleet is made of.
type plan struct {
	brokers   int       // 1 or 3
	nodes     [3]policy // what befalls one node befalls the first
	storage   cluster.Storage
	rest, few int // sessions of each node that rest, in a long and in a short round
	ids       int // that the load contends for
	workers   int // of each node's load
	think     time.Duration
	settable  bool   // the wall clock of the broker's process can be set
	password  string // that the brokers demand; "" for none

	room, fewRoom int // bytes for the directory, in a long and in a short round; 0: the default
}

// fleet is the processes of a round: brokers and nodes, and the network between.
type fleet struct {
	r       *Run
	plan    plan
	dir     string
	brokers *brokers
	nodes   []*member

	allowed []allowance
	began   time.Time // of the fault
	mended  time.Time // from when on all should become right again
}

// member is the process of a node.
type member struct {
	name    string
	policy  policy
	link    *link // to the one broker; nil with three
	child   *child
	running bool
	rest    int   // how many sessions it had that rest
	left    bool  // it has left with all its sessions
	killed  int64 // unix nanoseconds
	done    int64 // operations of its load that are counted
}

func (f *fleet) journal(m *member) string { return filepath.Join(f.dir, m.name+".journal") }
func (f *fleet) log(m *member) string     { return filepath.Join(f.dir, m.name+".log") }

// raise starts all processes. The fleet is to be ended by close, also after an
// error.
func raise(ctx context.Context, r *Run, p plan) (*fleet, error) {
	f := &fleet{r: r, plan: p}
	var err error
	if f.dir, err = os.MkdirTemp("", "sessionwheel-soak-"); err != nil {
		return f, err
	}
	if f.brokers, err = newBrokers(f.dir, p.brokers, p.password); err != nil {
		return f, err
	}
	f.brokers.exe = r.broker
	if p.settable {
		if f.brokers.exe, err = r.builder.buildClock(ctx); err != nil {
			return f, err
		}
	}
	if err := f.brokers.startAll(ctx, f.allBrokers()...); err != nil {
		return f, err
	}
	for i, policy := range p.nodes {
		if err := f.enlist(ctx, string(rune('a'+i)), policy); err != nil {
			return f, err
		}
	}
	return f, f.each(func(m *member) error {
		if err := m.child.hear(&nodeReport{}); err != nil { // it has joined
			return err
		}
		return f.login(m, m.name, 0, m.rest)
	})
}

func (f *fleet) allBrokers() []int {
	all := make([]int, f.plan.brokers)
	for i := range all {
		all[i] = i
	}
	return all
}

// enlist starts a node, whose first report is still to be heard.
func (f *fleet) enlist(ctx context.Context, name string, p policy) error {
	m := &member{name: name, policy: p, rest: f.r.size(f.plan.rest, f.plan.few)}
	f.nodes = append(f.nodes, m)
	if f.plan.brokers == 1 {
		var err error
		if m.link, err = newLink(f.brokers.addrs[0]); err != nil {
			return err
		}
	}
	return f.launch(ctx, m)
}

// launch starts the process of a node, for the first time or again.
func (f *fleet) launch(ctx context.Context, m *member) (err error) {
	url := f.brokers.url()
	if m.link != nil {
		url = f.brokers.urlAt(m.link.addr())
	}
	think := f.plan.think
	if f.r.short { // then other tests run beside it
		think *= 12
	}
	m.child, err = startChild(ctx, "", "node", nodeOrder{
		Name: m.name, URL: url, Journal: f.journal(m), Log: f.log(m),
		Replicas: f.plan.brokers, Storage: f.plan.storage, MaxBytes: int64(f.r.size(f.plan.room, f.plan.fewRoom)),
		Policy: m.policy.lost, Degraded: m.policy.degraded,
		Still: f.still(), Deaf: f.r.drill,
		Load: loadOrder{Seed: f.r.rand.Uint64(), Workers: f.plan.workers, IDs: f.plan.ids, Think: think},
	})
	m.running, m.done = err == nil, 0
	return err
}

// close ends all that runs, and removes what was written unless that may tell why
// a guarantee was broken.
func (f *fleet) close(err error) error {
	for _, m := range f.nodes {
		if m.child != nil {
			m.child.kill()
		}
		if m.link != nil {
			m.link.close()
		}
	}
	if f.brokers != nil {
		for i := range f.brokers.child {
			f.brokers.kill(i)
		}
	}
	var b *Broken
	if errors.As(err, &b) && !f.r.drill {
		b.Seen += "; the journals and logs of the nodes are in " + f.dir
		return err
	}
	return errors.Join(err, os.RemoveAll(f.dir))
}

func (f *fleet) lease() time.Duration {
	if f.plan.brokers > 1 {
		return replicatedLease
	}
	return lease
}

// still is how long a process may stand still without a note.
func (f *fleet) still() time.Duration { return f.lease() / 12 }

// bound is how long it may take until all is right again: others wait for a lease
// and a half until they take a node for dead, one that comes back needs a
// reconciliation, and brokers elect a leader.
func (f *fleet) bound() time.Duration {
	sessions := len(f.nodes) * f.r.size(f.plan.rest, f.plan.few)
	return allowed(2*f.lease()+20*time.Second+time.Duration(sessions)*2*time.Millisecond, f.r.delay.delay())
}

// each calls f for all nodes that run, at once.
func (f *fleet) each(do func(*member) error) error {
	return forAll(f.running(), do)
}

func (f *fleet) running() []*member {
	var some []*member
	for _, m := range f.nodes {
		if m.running {
			some = append(some, m)
		}
	}
	return some
}

// forAll calls do for all at once, and returns the error that says most.
func forAll[T any](all []T, do func(T) error) error {
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, v := range all {
		wg.Go(func() { errs[i] = do(v) })
	}
	wg.Wait()
	return firstBroken(errs...)
}

// ask gives a node an order. What could not be carried out is an error but for the
// report's caller to judge.
func (f *fleet) ask(m *member, do nodeDo) (nodeReport, error) {
	var rep nodeReport
	if err := m.child.ask(do, &rep); err != nil {
		return rep, err
	}
	f.r.count(int(rep.Done - m.done))
	m.done = rep.Done
	if rep.Strange != "" {
		return rep, broken(survival, "node %s: %s", m.name, rep.Strange)
	}
	return rep, nil
}

// login has a node log in sessions at rest of an owner, the numbers from to to.
func (f *fleet) login(m *member, owner string, from, to int) error {
	return f.loginOf(m, nodeDo{Do: doLogin, Owner: owner, From: from, To: to, Within: f.bound()})
}

func (f *fleet) loginOf(m *member, do nodeDo) error {
	rep, err := f.ask(m, do)
	if err == nil && rep.Failed != "" {
		return broken(recovers, "%d logins on node %s, of the IDs of %s, failed for %v: %s", do.To-do.From, m.name, do.Owner, do.Within, rep.Failed)
	}
	return err
}

// load begins or ends the load of all nodes that run.
func (f *fleet) load(do string) error {
	return f.each(func(m *member) error {
		_, err := f.ask(m, nodeDo{Do: do})
		return err
	})
}

// soak leaves the load to itself for a while.
func (f *fleet) soak(ctx context.Context, d time.Duration) error {
	for end := time.Now().Add(d); time.Now().Before(end); {
		if err := pause(ctx, min(d, progressEvery)); err != nil {
			return err
		}
		if err := f.load(doStatus); err != nil {
			return err
		}
	}
	return nil
}

// goesOn waits until the load has logged in on every node that runs, by logins that
// were begun after the given moment.
func (f *fleet) goesOn(ctx context.Context, since time.Time) error {
	return f.each(func(m *member) error {
		for {
			rep, err := f.ask(m, nodeDo{Do: doStatus})
			switch {
			case err != nil:
				return err
			case rep.Won > since.UnixNano():
				return nil
			case time.Since(since) > f.bound():
				return broken(recovers, "node %s has accepted no login for %v; it has a lease: %v", m.name, time.Since(since).Round(time.Millisecond), rep.Active)
			}
			if err := pause(ctx, 20*time.Millisecond); err != nil {
				return err
			}
		}
	})
}

// allow grants the node's sessions, or all if that is "", others of their ID beside
// them, from now on until all is right again.
func (f *fleet) allow(node string) {
	f.allowed = append(f.allowed, allowance{node: node, from: time.Now().UnixNano()})
}
