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
	if err := m.child.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		return m.child.died(err)
	}
	m.running = true
	f.mended = time.Now()
	f.r.tell("it was continued after %v", ago(f.began))
	if _, err := f.noticed(ctx, f.mended, saysLeaseLost, m); err != nil {
		return err
	}
	_, err := f.noticed(ctx, f.mended, saysDeclared, m)
	return err
}
