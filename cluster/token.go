package cluster

import (
	"sync/atomic"
	"time"
)

// tokens makes the tokens of logins. The revisions of a stream cannot be used as
// tokens, because they begin at 1 again when a broker has lost the stream.
type tokens struct{ last atomic.Uint64 }

// next returns a token greater than previous and than all earlier ones of this node.
// It is at least the current time in microseconds, so that it is very likely also
// greater than a token that is not known here.
func (t *tokens) next(previous uint64) uint64 {
	for {
		last := t.last.Load()
		token := max(previous+1, last+1, uint64(time.Now().UnixMicro()))
		if t.last.CompareAndSwap(last, token) {
			return token
		}
	}
}
