package harness

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"runtime/pprof"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Goroutines labels the calling goroutine, and so each that is started from it or from another of
// those. It returns a function that counts the ones that there are, whatever other tests
// run at the same time.
func Goroutines(t testing.TB) (count func() int) {
	t.Helper()
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels("test", t.Name())))
	label := fmt.Sprintf("%q:%q", "test", t.Name())
	return func() (n int) {
		var profile bytes.Buffer
		require.NoError(t, pprof.Lookup("goroutine").WriteTo(&profile, 1))
		alike := 0 // goroutines of one stack and the same labels
		for lines := bufio.NewScanner(&profile); lines.Scan(); {
			if before, _, ok := strings.Cut(lines.Text(), " @ "); ok {
				alike, _ = strconv.Atoi(before) // of a line of a stack it is not used
			}
			if strings.HasPrefix(lines.Text(), "# labels: ") && strings.Contains(lines.Text(), label) {
				n += alike
			}
		}
		return n
	}
}
