package cluster

import (
	"sync/atomic"
	"time"
)

// tokens makes the tokens of logins. The revisions of a stream cannot be used as
// tokens, because they begin at 1 again when a broker has lost the stream.
type tokens struct{ last atomic.Uint64 }

// next returns a token greater than previous. Unless previous is from the future, it is also
// greater than all earlier ones of this node, and at least the current time in microseconds,
// so that it is greater than a token that is not known here, as far as the nodes' clocks
// agree. A token from the future, of a node whose clock was wrong, raises those of its own
// ID and no others.
func (t *tokens) next(previous uint64) uint64 {
	for {
		last := t.last.Load()
		token := max(last+1, uint64(time.Now().UnixMicro()))
		if t.last.CompareAndSwap(last, token) {
			return max(token, previous+1)
		}
	}
}
