package consoletest

import (
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Output is what a program has written so far. The zero value is empty.
type Output struct {
	mu sync.Mutex
	b  strings.Builder // guarded by mu
}

// Write is as io.Writer says.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

// String is all of it.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// Await waits until the output matches, and returns the last group.
func (o *Output) Await(t *testing.T, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(Patience); ; time.Sleep(10 * time.Millisecond) {
		if m := re.FindStringSubmatch(o.String()); m != nil {
			return m[len(m)-1]
		}
		require.True(t, time.Now().Before(deadline), "%q in:\n%s", pattern, o.String())
	}
}
