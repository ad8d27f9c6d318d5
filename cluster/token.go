package cluster

import (
	"sync/atomic"
	"time"
)

// tokens names logins. A stream's revision would not do: it begins at 1 again
// when a broker has lost the stream.
type tokens struct{ last atomic.Uint64 }

// next is greater than previous and than all that came before on this node, and
// at least the time in microseconds, so that a new token is greater than an old
// one also where nobody knows of the old one.
func (t *tokens) next(previous uint64) uint64 {
	for {
		last := t.last.Load()
		token := max(previous+1, last+1, uint64(time.Now().UnixMicro()))
		if t.last.CompareAndSwap(last, token) {
			return token
		}
	}
}
