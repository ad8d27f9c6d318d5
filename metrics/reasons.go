package metrics

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/sessionwheel/sessionwheel/pool"
)

const (
	maxReasons     = 64 // beside the known ones
	maxReasonBytes = 128
	noReason       = "(none)"
)

// reasons says which reasons are label values. A reason that was one stays one,
// and a reason that was none stays none, so that no counter goes down.
type reasons struct {
	known []pool.Reason // shown even before a session is closed for them

	mu sync.Mutex
	// Guarded by mu.
	more map[string]bool // at most maxReasons beside the known ones
}

func newReasons(known ...pool.Reason) *reasons {
	return &reasons{known: known, more: make(map[string]bool)}
}

// labelled is how many sessions were closed, by label value.
func (r *reasons) labelled(byReason map[pool.Reason]uint64) map[string]uint64 {
	counts := make(map[string]uint64, len(r.known)+len(byReason))
	for _, k := range r.known {
		counts[string(k)] = 0
	}
	for _, reason := range slices.Sorted(maps.Keys(byReason)) {
		label := labelOf(reason)
		if _, ok := counts[label]; !ok && !r.admit(label) {
			label = string(pool.OtherReasons)
		}
		counts[label] += byReason[reason]
	}
	return counts
}

// admit reports whether a reason that is not known becomes a label value.
func (r *reasons) admit(label string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.more[label] && len(r.more) < maxReasons {
		r.more[label] = true
	}
	return r.more[label]
}

// labelOf is a reason as a label can hold it. Prometheus has no difference
// between an empty label and none.
func labelOf(r pool.Reason) string {
	text := string(r[:min(len(r), maxReasonBytes)])
	return cmp.Or(strings.ToValidUTF8(text, "\uFFFD"), noReason)
}
