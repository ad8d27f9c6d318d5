package otelmetrics

import (
	"cmp"
	"strings"

	"github.com/sessionwheel/sessionwheel/pool"
)

const (
	maxReasonBytes = 128
	noReason       = "(none)"
)

// byAttribute returns the number of closed sessions by attribute value, with an entry for
// each of the known reasons. The pool bounds the number of other reasons, and never
// stops counting one separately.
func byAttribute(byReason map[pool.Reason]uint64, known []pool.Reason) map[string]uint64 {
	counts := make(map[string]uint64, len(known)+len(byReason))
	for _, k := range known {
		counts[string(k)] = 0
	}
	for reason, n := range byReason {
		counts[attributeOf(reason)] += n
	}
	return counts
}

// attributeOf returns a reason as an attribute value. Exporters may drop an empty
// value.
func attributeOf(r pool.Reason) string {
	text := string(r[:min(len(r), maxReasonBytes)])
	return cmp.Or(strings.ToValidUTF8(text, "\uFFFD"), noReason)
}
