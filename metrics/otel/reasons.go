package otelmetrics

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

// reasons says which reasons are attribute values. A reason that was one stays one,
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

// counts is how many sessions were closed, by attribute value.
func (r *reasons) counts(byReason map[pool.Reason]uint64) map[string]uint64 {
	counts := make(map[string]uint64, len(r.known)+len(byReason))
	for _, k := range r.known {
		counts[string(k)] = 0
	}
	for _, reason := range slices.Sorted(maps.Keys(byReason)) {
		value := attributeOf(reason)
		if _, ok := counts[value]; !ok && !r.admit(value) {
			value = string(pool.OtherReasons)
		}
		counts[value] += byReason[reason]
	}
	return counts
}

// admit reports whether a reason that is not known becomes an attribute value.
func (r *reasons) admit(value string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.more[value] && len(r.more) < maxReasons {
		r.more[value] = true
	}
	return r.more[value]
}

// attributeOf is a reason as an attribute shows it. Exporters may make no difference
// between an empty one and none.
func attributeOf(r pool.Reason) string {
	text := string(r[:min(len(r), maxReasonBytes)])
	return cmp.Or(strings.ToValidUTF8(text, "\uFFFD"), noReason)
}
