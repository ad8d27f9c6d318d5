package soak

import (
	"context"
	"time"
)

// The child has one processor, goroutines that keep it busy, and a limit of
// memory that its garbage fills again and again. How late the scheduler is then
// is measured in the child.
func starvationRound(ctx context.Context, r *Run) error {
	order := r.timersOrder()
	order.Busy = 1 + r.rand.IntN(8)
	env := []string{"GOMAXPROCS=1"}
	if r.rand.IntN(2) == 0 {
		order.Garbage = 24 << 20
		env = append(env, "GOMEMLIMIT=64MiB")
	}
	// The sessions that are touched must have a chance to be.
	order.Idle += 500 * time.Millisecond
	order.Given = r.given(order.Idle)
	rep, _, err := r.playTimers(ctx, "", order, env...)
	if err != nil {
		return err
	}
	return rep.judge(r)
}
