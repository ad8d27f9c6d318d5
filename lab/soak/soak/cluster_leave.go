//go:build !nocluster

package soak

import (
	"context"
	"time"
)

// leaveNode has a node leave while the others log in what it had. No two sessions may have
// an ID meanwhile, although it takes the node longer than its lease to close all.
func leaveNode(ctx context.Context, f *fleet) error {
	_, err := f.leave(ctx, f.nodes[0], true)
	return err
}

// comeAndGo has the nodes leave and join again, one after the other, while the others log in
// what the one had that leaves.
func comeAndGo(ctx context.Context, f *fleet) error {
	order := f.r.rand.Perm(len(f.nodes))
	for _, i := range order[:f.r.size(len(order), 2)] {
		m := f.nodes[i]
		took, err := f.leave(ctx, m, false)
		if err != nil {
			return err
		}
		if most := allowed(f.lease()/2, f.r.delay.delay()); took > most {
			return broken(frees, "the last of %d logins succeeded %v after node %s began to leave, where %v are allowed", m.rest, took, m.name, most)
		}
		if err := f.keptLease(f.began, f.running()...); err != nil {
			return err
		}
		if err := m.child.wait(); err != nil {
			return err
		}
		if err := f.comeBack(ctx, m); err != nil {
			return err
		}
	}
	f.mended = time.Now()
	return nil
}

// leave has a node leave amid the load while the others log in what it had. It returns how
// long it took until the last of them had.
func (f *fleet) leave(ctx context.Context, m *member, slowly bool) (took time.Duration, err error) {
	m.left = true
	begun := time.Now()
	err = forAll([]func() error{
		func() error {
			rep, err := f.ask(m, nodeDo{Do: doQuit, Slowly: slowly})
			if err == nil && rep.Failed != "" {
				err = broken(survival, "node %s could not leave: %s", m.name, rep.Failed)
			}
			m.running = false
			f.r.tell("node %s left, with %d sessions at rest, within %v", m.name, m.rest, ago(begun))
			return err
		},
		func() error {
			if err := pause(ctx, 100*time.Millisecond); err != nil {
				return err
			}
			var others []*member
			for _, o := range f.nodes {
				if o != m {
					others = append(others, o)
				}
			}
			err := forAll(others, func(o *member) error {
				from := 0
				if o == others[1] {
					from = m.rest / 2
				}
				return f.login(o, m.name, from, from+m.rest/2)
			})
			f.mended = time.Now()
			took = f.mended.Sub(begun)
			f.r.tell("the others had logged in its users after %v", took.Round(time.Millisecond))
			return err
		},
	}, func(do func() error) error { return do() })
	return took, err
}

// comeBack has a node that has left join again, with its users and its load.
func (f *fleet) comeBack(ctx context.Context, m *member) error {
	begun := time.Now()
	if err := f.launch(ctx, m); err != nil {
		return err
	}
	if err := m.child.hear(&nodeReport{}); err != nil { // it has joined
		return err
	}
	if _, err := f.ask(m, nodeDo{Do: doLoad}); err != nil {
		return err
	}
	if err := f.login(m, m.name, 0, m.rest); err != nil {
		return err
	}
	f.r.tell("node %s was back with its users after %v", m.name, ago(begun))
	return nil
}
