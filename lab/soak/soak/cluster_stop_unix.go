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
	if err := pause(ctx, length-time.Since(f.began)); err != nil {
		return err
	}
	if err := m.child.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		return m.child.died(err)
	}
	m.running = true
	f.mended = time.Now()
	return nil
}
