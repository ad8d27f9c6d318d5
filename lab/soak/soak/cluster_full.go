//go:build !nocluster

package soak

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sessionwheel/sessionwheel/cluster"
)

const (
	fillPrefix = "fill-" // of the IDs that fill the directory
	fillMost   = 20_000  // logins that the directory must not have room for
	fillMeta   = 1000    // bytes of the metadata of each, while there is room for them
	fillPeek   = 5       // how many sessions of each node are taken over, and made, as a sample
)

// fillDirectory fills the directory up to its MaxBytes, keeps it full for a lease, and has
// what fills it log out.
func fillDirectory(ctx context.Context, f *fleet) error {
	filled, slowest := 0, time.Duration(0)
	fill := func() error {
		rep, err := f.ask(f.nodes[0], nodeDo{Do: doFill, To: fillMost})
		filled, slowest = filled+rep.Filled, max(slowest, rep.Refusal)
		if err == nil && rep.Failed != "" {
			err = broken(onlyFull, "after %d logins beside the load: %s", filled, rep.Failed)
		}
		return err
	}
	for until := time.Now().Add(f.r.between(f.lease()/2, f.lease())); time.Now().Before(until); {
		if err := fill(); err != nil {
			return err
		}
		if err := f.soak(ctx, time.Duration(f.r.size(1, 5))*progressEvery); err != nil {
			return err
		}
	}
	if most := allowed(f.lease()/6, f.r.delay.delay()); slowest > most {
		return broken(onlyFull, "a login was refused after %v, where %v are allowed", slowest, most)
	}
	if err := f.load(doRest); err != nil { // it might take the room that a takeover makes
		return err
	}
	if err := fill(); err != nil {
		return err
	}
	f.r.tell("%d logins filled the directory; the slowest refusal took %v", filled, slowest.Round(time.Millisecond))
	if err := f.takeOverWhileFull(); err != nil {
		return err
	}
	if err := f.keptLease(f.began, f.nodes...); err != nil {
		return err
	}
	return f.empty()
}

// takeOverWhileFull has each node log in some of the next one's users. What the load's logins
// that were given up still have to write may take the room that a takeover makes, for some
// seconds.
func (f *fleet) takeOverWhileFull() error {
	begun := time.Now()
	for i, m := range f.nodes {
		next := f.nodes[(i+1)%len(f.nodes)].name
		if err := f.loginOf(m, nodeDo{Do: doLogin, Owner: next, To: fillPeek, Within: f.bound(), Anew: true}); err != nil {
			return err
		}
	}
	f.r.tell("%d takeovers succeeded while it was full, within %v", len(f.nodes)*fillPeek, ago(begun))
	return nil
}

// empty has what fills the directory log out, and new users log in on every node.
func (f *fleet) empty() error {
	if _, err := f.ask(f.nodes[0], nodeDo{Do: doEmpty}); err != nil {
		return err
	}
	f.mended = time.Now()
	err := f.each(func(m *member) error {
		return f.loginOf(m, nodeDo{Do: doLogin, Owner: "new-" + m.name, To: fillPeek, Within: f.bound(), Anew: true})
	})
	if err == nil {
		f.r.tell("they logged out, and new users could log in after %v", ago(f.mended))
	}
	return errors.Join(err, f.load(doLoad))
}

// fill logs in one after the other, with less and less metadata, until there is no room.
// What is left then is less than the marker of a deletion takes, as a rule.
func (n *nodeProcess) fill(ctx context.Context, most int, rep *nodeReport) error {
	for meta := fillMeta; meta >= 0; {
		if n.filled == most {
			return fmt.Errorf("there is room for %d more", most)
		}
		err := n.fillOne(ctx, meta, rep)
		switch {
		case errors.Is(err, cluster.ErrFull):
			meta -= 1 + meta/4
		case err != nil:
			return err
		}
	}
	return nil
}

func (n *nodeProcess) fillOne(ctx context.Context, meta int, rep *nodeReport) error {
	ctx, cancel := context.WithTimeout(ctx, reading)
	defer cancel()
	id, begun := fmt.Sprint(fillPrefix, n.o.Name, "-", n.filled), time.Now()
	if _, err := n.pool.RegisterContext(ctx, id, guest{}, make([]byte, meta)); err != nil {
		rep.Refusal = max(rep.Refusal, time.Since(begun))
		return fmt.Errorf("the login of %s: %w", id, err)
	}
	n.filled++
	rep.Filled++
	return nil
}

// empty logs out what fill has logged in.
func (n *nodeProcess) empty() {
	for id, s := range n.pool.All() {
		if strings.HasPrefix(id, fillPrefix) {
			s.Close(loggedOut)
		}
	}
}
