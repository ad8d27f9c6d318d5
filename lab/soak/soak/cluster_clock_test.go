//go:build !nocluster

package soak

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRound_IsRunAgainIfTheWallClockWasSet(t *testing.T) {
	failure := errors.New("two owners")
	for name, c := range map[string]struct {
		set      []time.Duration // by how much, in one attempt after the other
		attempts int
		err      string
	}{
		"not set":          {set: []time.Duration{0}, attempts: 1, err: "two owners"},
		"synchronized":     {set: []time.Duration{-40 * time.Millisecond}, attempts: 1, err: "two owners"},
		"set once":         {set: []time.Duration{34 * time.Second, 0}, attempts: 2, err: "two owners"},
		"set back":         {set: []time.Duration{-time.Second, time.Hour, 0}, attempts: 3, err: "two owners"},
		"set all the time": {set: []time.Duration{time.Hour, -time.Hour, time.Second}, attempts: 3, err: "was set during each of 3 attempts, in the last by 1s"},
	} {
		t.Run(name, func(t *testing.T) {
			var mono, wall time.Duration
			attempts := 0
			r := new(Run)
			err := r.steadily(t.Context(), func() (time.Duration, time.Duration) { return mono, wall }, func() error {
				mono += time.Minute
				wall += time.Minute + c.set[attempts]
				attempts++
				return failure
			})
			require.ErrorContains(t, err, c.err)
			require.Equal(t, c.attempts, attempts)
			require.Len(t, r.lines(), attempts-1)
		})
	}
}
