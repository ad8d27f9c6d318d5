// Package clock reads the clocks that a lease is judged by.
package clock

import (
	"context"
	"time"
)

// Clocks are two clocks of this machine, each counted from a moment of its own. One of them
// may stand still while the machine is suspended.
type Clocks struct {
	Mono func() time.Duration // stands still while the machine is suspended, on most systems
	Boot func() time.Duration // goes on meanwhile
}

// System returns the clocks of the system: the monotonic clock, and CLOCK_BOOTTIME or, where
// there is none, the wall clock. Setting the wall clock forward ends a lease early; setting it
// back has no effect, because the monotonic clock then decides.
func System() Clocks {
	start := time.Now()
	return Clocks{
		Mono: func() time.Duration { return time.Since(start) },
		Boot: func() time.Duration {
			if t, ok := bootTime(); ok {
				return t
			}
			return time.Duration(time.Now().UnixNano())
		},
	}
}

// Instant is a moment, as both clocks show it.
type Instant struct{ mono, boot time.Duration }

// Now returns the current moment.
func (c Clocks) Now() Instant { return Instant{c.Mono(), c.Boot()} }

// Since returns the time since a moment, by the clock that has gone further.
func (c Clocks) Since(then Instant) time.Duration {
	now := c.Now()
	return max(now.mono-then.mono, now.boot-then.boot)
}

// Sub returns the time from then to i, by the clock that has gone further.
func (i Instant) Sub(then Instant) time.Duration {
	return max(i.mono-then.mono, i.boot-then.boot)
}

type key struct{}

// With returns a context for cluster.Join that makes the node use other clocks. It is for
// tests.
func With(ctx context.Context, c Clocks) context.Context { return context.WithValue(ctx, key{}, c) }

// From returns the clocks of With, or those of the system.
func From(ctx context.Context) Clocks {
	if c, ok := ctx.Value(key{}).(Clocks); ok {
		return c
	}
	return System()
}
