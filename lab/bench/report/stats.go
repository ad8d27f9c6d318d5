// Package report turns measurements into figures: medians with their spread,
// ratios taken pair by pair within a round, goals, tables and files.
package report

import (
	"cmp"
	"slices"

	"github.com/sessionwheel/sessionwheel/lab/bench/works"
)

// Figure is the median of several measurements, and their spread.
type Figure struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	N      int     `json:"n"`
}

// figure reports false if there are no values.
func figure(values []float64) (Figure, bool) {
	if len(values) == 0 {
		return Figure{}, false
	}
	v := slices.Sorted(slices.Values(values))
	mid := len(v) / 2
	f := Figure{Median: v[mid], Min: v[0], Max: v[len(v)-1], N: len(v)}
	if len(v)%2 == 0 {
		f.Median = (v[mid-1] + v[mid]) / 2
	}
	return f, true
}

// Results are the measurements of a run.
type Results []works.Result

// Of returns a metric of an implementation, round by round.
func (rs Results) Of(work, impl string, size int, metric string) (Figure, bool) {
	var values []float64
	for _, r := range rs {
		if v, ok := r.Metrics[metric]; ok && r.Work == work && r.Impl == impl && r.Size == size {
			values = append(values, v)
		}
	}
	return figure(values)
}

// Ratio is metric a of one implementation over metric b of another, taken
// within each round that measured both.
func (rs Results) Ratio(work string, size int, implA, a, implB, b string) (Figure, bool) {
	over := make(map[int]float64)
	for _, r := range rs {
		if v, ok := r.Metrics[b]; ok && r.Work == work && r.Size == size && r.Impl == implB && v != 0 {
			over[r.Round] = v
		}
	}
	var ratios []float64
	for _, r := range rs {
		v, ok := r.Metrics[a]
		if !ok || r.Work != work || r.Size != size || r.Impl != implA {
			continue
		}
		if by, ok := over[r.Round]; ok {
			ratios = append(ratios, v/by)
		}
	}
	return figure(ratios)
}

// Sizes lists the sizes that a work was measured at.
func (rs Results) Sizes(work string) (sizes []int) {
	for _, r := range rs {
		if r.Work == work && !slices.Contains(sizes, r.Size) {
			sizes = append(sizes, r.Size)
		}
	}
	slices.Sort(sizes)
	return sizes
}

// Impls lists the implementations that a work was measured with, in the order
// of the run.
func (rs Results) Impls(work string) (impls []string) {
	for _, r := range rs {
		if r.Work == work && !slices.Contains(impls, r.Impl) {
			impls = append(impls, r.Impl)
		}
	}
	return impls
}

// Largest is the largest size at which all the given implementations have
// figures.
func (rs Results) Largest(work string, impls ...string) (int, bool) {
	sizes := rs.Sizes(work)
	slices.SortFunc(sizes, func(a, b int) int { return cmp.Compare(b, a) })
	for _, size := range sizes {
		if !slices.ContainsFunc(impls, func(impl string) bool { return !rs.has(work, impl, size) }) {
			return size, true
		}
	}
	return 0, false
}

func (rs Results) has(work, impl string, size int) bool {
	return slices.ContainsFunc(rs, func(r works.Result) bool {
		return r.Work == work && r.Impl == impl && r.Size == size && len(r.Metrics) > 0
	})
}

// why is what an implementation has instead of figures.
func (rs Results) why(work, impl string, size int) string {
	for _, r := range rs {
		if r.Work != work || r.Impl != impl || r.Size != size {
			continue
		}
		if r.NA != "" {
			return "n/a: " + r.NA
		}
		if r.Error != "" {
			return "failed: " + r.Error
		}
	}
	return ""
}

// failures counts the rounds that gave nothing.
func (rs Results) failures(work, impl string, size int) (n int) {
	for _, r := range rs {
		if r.Work == work && r.Impl == impl && r.Size == size && r.Error != "" {
			n++
		}
	}
	return n
}
