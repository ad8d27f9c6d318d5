package wheel

import (
	"fmt"
	"log/slog"
	"time"
)

const (
	defaultTick         = 10 * time.Millisecond
	minTick             = time.Millisecond
	defaultMaxCallbacks = 256
)

// Config configures a [Wheel]. The zero value is ready to use.
type Config struct {
	// Tick is the resolution of the wheel: a timer fires at most one Tick after its
	// deadline, and timers that are due in the same Tick fire together. 0 means 10ms;
	// less than 1ms and negative are errors.
	Tick time.Duration

	// MaxCallbacks is the maximum number of callbacks that run at the same time, each
	// on a goroutine of its own. 0 means 256; negative is an error. While that many
	// run, further callbacks wait. About 2,000 can wait, and up to 127 more for each
	// goroutine; beyond that, timers that are due stay pending, so they can still be
	// extended or stopped.
	MaxCallbacks int

	// OnPanic is called when a callback panics, on the callback's goroutine and with no
	// lock held. Its arguments are the panic's value and the stack as formatted by
	// runtime/debug.Stack. If nil, the panic is not recovered and ends the process, as
	// with time.AfterFunc.
	OnPanic func(v any, stack []byte)

	// Logger receives a record when the library did not wake the wheel in time (warn;
	// rescued is how often this has happened), when the wheel stops using the library
	// (error), when the wheel did not run for more than 100ms although it should have
	// (warn; stalled is for how long), and when it waits for callbacks that block
	// (warn; running and waiting are their numbers). Each of them is logged at most
	// once in 10 seconds. The Logger is called on a goroutine of its own, so a slow one
	// delays no timer. If nil, nothing is logged.
	Logger *slog.Logger
}

// withDefaults fills in what is zero, and names the first field that is wrong.
func (c Config) withDefaults() (Config, error) {
	if c.Tick == 0 {
		c.Tick = defaultTick
	}
	if c.Tick < minTick {
		return c, fmt.Errorf("wheel: Config.Tick is %v: use at least %v, or 0 for %v", c.Tick, minTick, defaultTick)
	}
	if c.MaxCallbacks < 0 {
		return c, fmt.Errorf("wheel: Config.MaxCallbacks is %d: use at least 1, or 0 for %d", c.MaxCallbacks, defaultMaxCallbacks)
	}
	if c.MaxCallbacks == 0 {
		c.MaxCallbacks = defaultMaxCallbacks
	}
	return c, nil
}
