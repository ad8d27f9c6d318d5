package metrics

import (
	"cmp"
	"strings"

	"github.com/sessionwheel/sessionwheel/pool"
)

const (
	maxReasonBytes = 128
	noReason       = "(none)"
)

// labelled is how many sessions were closed, by label value: the known reasons
// even if none was. How many others there are is bounded by the pool, which also
// sees to it that none that it tells apart ceases to be one.
func labelled(byReason map[pool.Reason]uint64, known []pool.Reason) map[string]uint64 {
	counts := make(map[string]uint64, len(known)+len(byReason))
	for _, k := range known {
		counts[string(k)] = 0
	}
	for reason, n := range byReason {
		counts[labelOf(reason)] += n
	}
	return counts
}

// labelOf is a reason as a label can hold it. Prometheus has no difference
// between an empty label and none.
func labelOf(r pool.Reason) string {
	text := string(r[:min(len(r), maxReasonBytes)])
	return cmp.Or(strings.ToValidUTF8(text, "\uFFFD"), noReason)
}
