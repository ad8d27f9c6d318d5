//go:build unix && !nocluster

package soak

import (
	"context"
	"syscall"
	"time"
)

func stopNode(ctx context.Context, f *fleet) error {
	m := f.nodes[0]
	if m.policy != fence {
		f.allow(m.name)
	}
	length := f.r.between(f.lease()*3/2, f.lease()*5/2)
	if err := m.child.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return m.child.died(err)
	}
	m.running = false
	if err := f.freed(m); err != nil {
		return err
	}
	f.r.late(time.Since(f.began))
	f.r.tell("node %s was stopped; the others had some of its users after %v", m.name, ago(f.began))
	if !f.r.short {
		if err := pause(ctx, length-time.Since(f.began)); err != nil {
			return err
		}
	}
	f.mended = time.Now() // not after the signal: the node notices at once
	if err := m.child.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		return m.child.died(err)
	}
	m.running = true
	f.r.tell("it was continued after %v", ago(f.began))
	if _, err := f.noticed(ctx, f.mended, saysLeaseLost, m); err != nil {
		return err
	}
	if _, err := f.noticed(ctx, f.mended, saysDeclared, m); err != nil {
		return err
	}
	return f.closedAll(ctx, m)
}

// closedAll waits until a node that fences has closed all sessions that it had when it was
// stopped.
func (f *fleet) closedAll(ctx context.Context, m *member) error {
	if m.policy != fence {
		return nil
	}
	for {
		tenures, _, err := readJournal(f.journal(m), m.name, 0)
		if err != nil {
			return err
		}
		open := 0
		for _, t := range tenures {
			if t.from < f.mended.UnixNano() && t.to == 0 {
				open++
			}
		}
		if open == 0 {
			f.r.tell("it had closed all sessions after %v", ago(f.mended))
			return nil
		}
		if most := allowed(f.lease()/6, f.r.delay.delay()); time.Since(f.mended) > most {
			return broken(fences, "node %s has %d sessions from before, %v after it went on", m.name, open, ago(f.mended))
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}
