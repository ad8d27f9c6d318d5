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

// LimitLog returns a Logger that passes on at most 100 records per second with the same
// level and message. The next record that it passes on has the attribute "skipped", with
// the number of those that it dropped. So a flood of sessions that are closed or refused
// does not flood the log.
//
// [Config].Logger and the Loggers of the servers pass through LimitLog. Callbacks may use
// it too, if their messages are constants: it remembers every message. LimitLog(nil) is
// nil, and a Logger that is limited already is returned as it is.
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

// Handle passes the record on, unless the limit is reached.
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

// WithAttrs returns a handler with the attributes and the same limits.
func (h *limitedLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &limitedLog{h.Handler.WithAttrs(attrs), h.limits}
}

// WithGroup returns a handler with the group and the same limits.
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
