package cluster

import (
	"context"
	"fmt"
)

// maxAtOnce is how many requests of each of two kinds a node sends the broker at a time. With
// more of them, the last requests of a storm of logins would be answered after their time
// limit, and be repeated; and a broker that has some ten thousand requests waiting drops them
// all. So the others wait here, without a time limit of their own.
const maxAtOnce = 128

// gate lets so many requests pass at the same time, in the order in which they came.
//
// A request that has passed waits for nothing but the broker. Requests of one node to another
// have no gate: one that waits for a silent node would hold up all others.
type gate chan struct{}

func newGate() gate { return make(gate, maxAtOnce) }

// enter waits for a place until ctx ends. leave must be called if it returns no error.
func (g gate) enter(ctx context.Context) error {
	select {
	case g <- struct{}{}:
		return nil
	default:
	}
	select {
	case g <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %d other requests were under way: %w", ErrUnavailable, maxAtOnce, ctx.Err())
	}
}

func (g gate) leave() { <-g }
