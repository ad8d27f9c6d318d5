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

// Config says how a [Wheel] works. The zero value is a good one.
type Config struct {
	// Tick is the resolution: a timer fires at most one Tick after its
	// deadline, and timers due in the same Tick fire together. 0 means 10ms.
	// Less than 1ms, and so anything negative, is an error.
	Tick time.Duration

	// MaxCallbacks is how many callbacks run at once, each on a goroutine of
	// its own. 0 means 256; a negative number is an error. Callbacks that find
	// no place wait for one, and delay nobody else until the bound is reached.
	// Some 2,000 of them wait at most; timers that are due beyond them stay
	// pending, so they can still be extended or stopped.
	MaxCallbacks int

	// OnPanic is called when a callback panics, on the callback's goroutine
	// and with no lock held, with the panic's value and the stack as
	// runtime/debug.Stack formats it. Nil means that the panic goes on and
	// ends the process, as with time.AfterFunc.
	OnPanic func(v any, stack []byte)

	// Logger is told, each at most once in 10 seconds, when the library had to be
	// helped (warn, rescued is how often so far) and when it is given up (error),
	// when the wheel stood still for more than 100ms (warn, stalled is for how long)
	// and when it waits for callbacks that block (warn, running and waiting). It is
	// called on a goroutine of its own, and holds up nothing. Nil means silent.
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
