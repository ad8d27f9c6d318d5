package harness

import (
	"log/slog"
	"strings"
	"sync"
)

// LogBuffer is a buffer that several goroutines may write to and read.
type LogBuffer struct {
	mu sync.Mutex
	b  strings.Builder // guarded by mu
}

// Write appends p.
func (b *LogBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// String returns what was written.
func (b *LogBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Logger writes lines without the time.
func Logger(log *LogBuffer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}
