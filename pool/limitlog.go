package pool

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// What LimitLog lets through of one message: so many records in so long a time.
const (
	logBurst    = 100
	logInterval = time.Second
)

// LimitLog returns a Logger that passes on at most 100 records of the same level
// and message in a second. How many it left out is said by the next of that kind
// that it passes on, as the attribute "skipped". So whoever makes many sessions
// end at once, or be refused, does not get to fill the disk.
//
// It is what [Config].Logger and the servers' Loggers go through, and serves as
// well for callbacks that log, whose messages are constants: it remembers each
// message that it has seen. LimitLog of nil is nil, and of what is limited
// already that itself.
func LimitLog(l *slog.Logger) *slog.Logger {
	if l == nil {
		return nil
	}
	if _, limited := l.Handler().(*limitedLog); limited {
		return l
	}
	return slog.New(&limitedLog{l.Handler(), &logLimits{kinds: make(map[logKind]*logCount)}})
}

// limitedLog is a slog.Handler. Those derived from it share its limits.
type limitedLog struct {
	slog.Handler
	limits *logLimits
}

// Handle passes the record on, if its kind may have one more.
func (h *limitedLog) Handle(ctx context.Context, r slog.Record) error {
	pass, skipped := h.limits.pass(logKind{r.Level, r.Message}, time.Now())
	if !pass {
		return nil
	}
	if skipped > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Uint64("skipped", skipped))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs is for slog.
func (h *limitedLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &limitedLog{h.Handler.WithAttrs(attrs), h.limits}
}

// WithGroup is for slog.
func (h *limitedLog) WithGroup(name string) slog.Handler {
	return &limitedLog{h.Handler.WithGroup(name), h.limits}
}

type logKind struct {
	level   slog.Level
	message string
}

// logCount is what was done with the records of a kind.
type logCount struct {
	since   time.Time // when the first of passed was
	passed  int       // within logInterval from then
	skipped uint64    // since the last that passed
}

type logLimits struct {
	mu sync.Mutex
	// Guarded by mu.
	kinds map[logKind]*logCount
}

// pass reports whether a record passes, and how many before it did not.
func (l *logLimits) pass(k logKind, now time.Time) (ok bool, skipped uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.kinds[k]
	if c == nil {
		c = new(logCount)
		l.kinds[k] = c
	}
	if now.Sub(c.since) >= logInterval {
		c.since, c.passed = now, 0
	}
	if c.passed == logBurst {
		c.skipped++
		return false, 0
	}
	c.passed++
	skipped, c.skipped = c.skipped, 0
	return true, skipped
}
