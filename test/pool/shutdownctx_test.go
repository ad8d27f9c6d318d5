package pool_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// watchedContext ends when it has been looked at some times, and notes how many
// sessions the pool has at each time.
type watchedContext struct {
	context.Context
	end   context.CancelFunc
	looks int // until it ends
	pool  *testPool
	left  []int
}

func (c *watchedContext) Err() error {
	c.left = append(c.left, c.pool.Len())
	if len(c.left) == c.looks {
		c.end()
	}
	return c.Context.Err()
}

// Shutdown looks at its context between a few hundred sessions, and closes few more on
// the caller's goroutine once it has ended.
func TestShutdown_LooksAtItsContextWhileItClosesManySessions(t *testing.T) {
	for _, looks := range []int{1, 10, 0} {
		harness.Bubble(t, func(t *testing.T) {
			const sessions, between, ended = 20_000, 256, 1024
			p := newPool(t, testConfig{})
			for id := range sessions {
				mustRegister(t, p, id)
			}
			c := &watchedContext{looks: looks, pool: p}
			c.Context, c.end = context.WithCancel(t.Context())
			defer c.end()
			if err := p.Shutdown(c); looks == 0 {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, context.Canceled)
				c.left = c.left[:len(c.left)-1] // the last look is for the error, while others close the rest
				require.LessOrEqual(t, c.left[looks-1]-c.left[len(c.left)-1], ended)
			}
			require.Equal(t, sessions, c.left[0])
			for i, left := range c.left[1:] {
				require.LessOrEqual(t, c.left[i]-left, between)
			}
			require.NoError(t, p.Shutdown(context.Background()))
			require.Zero(t, p.Len())
		})
	}
}
