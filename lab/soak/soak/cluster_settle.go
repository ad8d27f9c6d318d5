//go:build !nocluster

package soak

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// history reads the journals.
func (f *fleet) history() (history, error) {
	h := history{allowed: append([]allowance(nil), f.allowed...), fenced: make(map[string]bool), left: make(map[string]bool)}
	for _, m := range f.nodes {
		h.fenced[m.name], h.left[m.name] = m.policy == fence, m.left
		tenures, stood, err := readJournal(f.journal(m), m.name, m.killed)
		if err != nil {
			return h, err
		}
		h.tenures = append(h.tenures, tenures...)
		for _, a := range stood { // what it has missed it learns when it goes on
			a.to += int64(f.lease())
			h.allowed = append(h.allowed, a)
		}
	}
	return h, nil
}

// settle ends the load, waits until directory and pools agree, judges all that has
// happened until then, and returns how long after the given moment that was.
func (f *fleet) settle(ctx context.Context, since time.Time) (time.Duration, error) {
	if err := f.load(doRest); err != nil {
		return 0, err
	}
	h, err := f.history()
	if err = errors.Join(err, h.judge()); err != nil { // before the wait for what will not be
		return 0, err
	}
	var c census
	for {
		var differ error
		if c, differ, err = f.look(ctx); err != nil {
			return 0, err
		}
		if differ == nil {
			break
		}
		if took := time.Since(since); took > f.bound() {
			return 0, broken(recovers, "after %v, where %v are allowed, it does not hold that %v", took.Round(time.Millisecond), f.bound(), differ)
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return 0, err
		}
	}
	now := time.Now()
	for i := range f.allowed {
		if f.allowed[i].to == 0 {
			f.allowed[i].to = now.UnixNano()
		}
	}
	if h, err = f.history(); err != nil {
		return 0, err
	}
	took := now.Sub(since)
	return took, firstBroken(h.judge(), c.remembered(h.tenures), inTime("it", took, f.bound()))
}

// look compares directory and pools. Differ is what does not agree, or could not be
// read, at this moment.
func (f *fleet) look(ctx context.Context) (c census, differ, err error) {
	c.pools, c.lists = make(map[string]map[string]uint64), make(map[string]map[string]uint64)
	var mu sync.Mutex
	err = f.each(func(m *member) error {
		rep, err := f.ask(m, nodeDo{Do: doBooks})
		mu.Lock()
		defer mu.Unlock()
		c.pools[m.name], c.lists[m.name] = rep.Pool, rep.List
		if err == nil && rep.Failed != "" {
			differ = fmt.Errorf("node %s cannot list: %s", m.name, rep.Failed)
		}
		return err
	})
	if err != nil || differ != nil {
		return c, differ, err
	}
	if err := readDirectory(ctx, f.brokers.url(), &c); err != nil {
		if ctx.Err() != nil {
			return c, nil, context.Cause(ctx)
		}
		return c, err, nil
	}
	return c, c.balance(), nil
}

// disband has all nodes leave, which leaves nothing behind unless the brokers were
// too slow for it.
func (f *fleet) disband(ctx context.Context) error {
	var unclean atomic.Bool
	err := f.each(func(m *member) error {
		rep, err := f.ask(m, nodeDo{Do: doLeave})
		if rep.Unclean {
			unclean.Store(true)
		}
		if err == nil && rep.Failed != "" {
			err = broken(survival, "node %s could not leave: %s", m.name, rep.Failed)
		}
		if err != nil {
			return err
		}
		m.running = false
		return m.child.wait()
	})
	if err != nil {
		return err
	}
	var c census
	for begun := time.Now(); ; {
		err := readDirectory(ctx, f.brokers.url(), &c)
		if err == nil {
			break
		}
		// A watcher waits in vain for markers that have expired before they were sent.
		if time.Since(begun) > f.bound() || pause(ctx, 50*time.Millisecond) != nil {
			return err
		}
	}
	if len(c.directory)+len(c.alive) > 0 && !unclean.Load() {
		return broken(nothingLeft, "when all nodes have left there are %d entries and %d records", len(c.directory), len(c.alive))
	}
	for _, i := range f.allBrokers() {
		if err := f.brokers.stop(i); err != nil {
			return err
		}
	}
	return nil
}
