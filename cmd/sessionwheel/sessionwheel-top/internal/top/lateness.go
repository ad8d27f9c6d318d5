package top

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// lateness is a histogram of how long after their deadlines callbacks started.
type lateness struct {
	Count   uint64   `json:"count"`
	P50     float64  `json:"p50_seconds"`
	P99     float64  `json:"p99_seconds"`
	Buckets []bucket `json:"buckets"`
}

// bucket counts what is at most its bound and more than the bound before.
type bucket struct {
	Bound *float64 `json:"le_seconds"` // nil: beyond all bounds
	Count uint64   `json:"count"`
}

func (b bucket) bound() float64 {
	if b.Bound == nil {
		return math.Inf(1)
	}
	return *b.Bound
}

// since returns what l has counted since earlier, which must be of the same
// server.
func (l lateness) since(earlier lateness) []bucket {
	before := make(map[float64]uint64, len(earlier.Buckets))
	for _, b := range earlier.Buckets {
		before[b.bound()] = b.Count
	}
	fresh := make([]bucket, 0, len(l.Buckets))
	for _, b := range l.Buckets {
		if was := before[b.bound()]; b.Count > was {
			fresh = append(fresh, bucket{b.Bound, b.Count - was})
		}
	}
	return fresh
}

// quantile is the least bound that at least the share q of what the buckets
// count lies at or below. It reports false if they count nothing; beyond all
// bounds it is the longest duration.
func quantile(buckets []bucket, q float64) (time.Duration, bool) {
	sorted := slices.SortedFunc(slices.Values(buckets), func(a, b bucket) int { return cmp.Compare(a.bound(), b.bound()) })
	total := 0.0 // not an integer, which a lying server could make overflow
	for _, b := range sorted {
		total += float64(b.Count)
	}
	seen := 0.0
	for _, b := range sorted {
		if seen += float64(b.Count); b.Count > 0 && seen >= q*total {
			return seconds(b.bound()), true
		}
	}
	return 0, false
}
