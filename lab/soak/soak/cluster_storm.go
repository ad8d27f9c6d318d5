//go:build !nocluster

package soak

import (
	"context"
	"fmt"
	"time"
)

// Storms: all users of a node log in elsewhere at once.

// storm has each node log in at once what the next had at rest, when the broker is back.
func storm(ctx context.Context, f *fleet) error {
	if err := restartBroker(ctx, f); err != nil {
		return err
	}
	return f.storm()
}

// storm has each node that runs log in at once what the next had at rest.
func (f *fleet) storm() error {
	begun := time.Now()
	next := make(map[*member]*member)
	for i, m := range f.nodes {
		next[m] = f.nodes[(i+1)%len(f.nodes)]
	}
	err := f.each(func(m *member) error { return f.login(m, next[m].name, 0, next[m].rest) })
	if err == nil {
		f.r.tell("%d users logged in elsewhere within %v", len(f.nodes)*f.nodes[0].rest, ago(begun))
	}
	return err
}

// stormAtDeath has all users of a node that is killed log in on both others at once.
func stormAtDeath(ctx context.Context, f *fleet) error {
	m, others := f.nodes[0], f.nodes[1:]
	f.kill(m)
	err := forAll(others, func(o *member) error { return f.login(o, m.name, 0, m.rest) })
	if err != nil {
		return err
	}
	f.r.tell("its %d users logged in on both others within %v", m.rest, ago(f.began))
	if err := f.keptLease(f.began, others...); err != nil {
		return err
	}
	f.r.late(time.Since(f.began))
	f.mended = time.Now()
	return f.declared(ctx, others)
}

// stormAtLeader has all users log in elsewhere at once while the brokers have no leader.
func stormAtLeader(ctx context.Context, f *fleet) error {
	i, err := f.brokers.leader(ctx)
	if err != nil {
		return fmt.Errorf("looking for the leader: %w", err)
	}
	f.killBroker(i)
	if err := f.storm(); err != nil {
		return err
	}
	f.r.late(time.Since(f.began))
	if err := f.brokers.start(ctx, i); err != nil {
		return err
	}
	f.mended = time.Now()
	return nil
}

// declared waits until one of the nodes has declared another dead.
func (f *fleet) declared(ctx context.Context, by []*member) error {
	for {
		for _, m := range by {
			at, err := f.logged(m, f.began, saysDead)
			if err != nil {
				return err
			}
			if !at.IsZero() {
				f.r.tell("node %s logged %q after %v", m.name, saysDead, at.Sub(f.began).Round(time.Millisecond))
				return nil
			}
		}
		if time.Since(f.began) > f.bound() {
			return broken(notices, "no node has logged %q for %v", saysDead, ago(f.began))
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}
