// Package report turns measurements into figures: medians with their spread,
// ratios within each round, goals, tables and files.
package report

import (
	"cmp"
	"slices"

	"github.com/sessionwheel/sessionwheel/lab/bench/measure"
)

// Figure is the median of several measurements, with their spread.
type Figure struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	N      int     `json:"n"`
}

// figure returns the figure of values. It reports false if there are none.
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
type Results []measure.Result

// Of returns a metric of an implementation over all rounds.
func (rs Results) Of(workload, impl string, size int, metric string) (Figure, bool) {
	var values []float64
	for _, r := range rs {
		if v, ok := r.Metrics[metric]; ok && r.Workload == workload && r.Impl == impl && r.Size == size {
			values = append(values, v)
		}
	}
	return figure(values)
}

// Ratio returns metric a of one implementation over metric b of another. It takes
// the ratio within each round that measured both.
func (rs Results) Ratio(workload string, size int, implA, a, implB, b string) (Figure, bool) {
	over := make(map[int]float64)
	for _, r := range rs {
		if v, ok := r.Metrics[b]; ok && r.Workload == workload && r.Size == size && r.Impl == implB && v != 0 {
			over[r.Round] = v
		}
	}
	var ratios []float64
	for _, r := range rs {
		v, ok := r.Metrics[a]
		if !ok || r.Workload != workload || r.Size != size || r.Impl != implA {
			continue
		}
		if by, ok := over[r.Round]; ok {
			ratios = append(ratios, v/by)
		}
	}
	return figure(ratios)
}

// Sizes lists the sizes at which a workload was measured.
func (rs Results) Sizes(workload string) (sizes []int) {
	for _, r := range rs {
		if r.Workload == workload && !slices.Contains(sizes, r.Size) {
			sizes = append(sizes, r.Size)
		}
	}
	slices.Sort(sizes)
	return sizes
}

// Impls lists the implementations that were measured with a workload, in the
// order of the run.
func (rs Results) Impls(workload string) (impls []string) {
	for _, r := range rs {
		if r.Workload == workload && !slices.Contains(impls, r.Impl) {
			impls = append(impls, r.Impl)
		}
	}
	return impls
}

// Largest returns the largest size at which all the given implementations have
// figures.
func (rs Results) Largest(workload string, impls ...string) (int, bool) {
	sizes := rs.Sizes(workload)
	slices.SortFunc(sizes, func(a, b int) int { return cmp.Compare(b, a) })
	for _, size := range sizes {
		if !slices.ContainsFunc(impls, func(impl string) bool { return !rs.has(workload, impl, size) }) {
			return size, true
		}
	}
	return 0, false
}

func (rs Results) has(workload, impl string, size int) bool {
	return slices.ContainsFunc(rs, func(r measure.Result) bool {
		return r.Workload == workload && r.Impl == impl && r.Size == size && len(r.Metrics) > 0
	})
}

// failure returns the error of a round that gave no figures, or "".
func (rs Results) failure(workload, impl string, size int) string {
	for _, r := range rs {
		if r.Workload == workload && r.Impl == impl && r.Size == size && r.Error != "" {
			return r.Error
		}
	}
	return ""
}

// failures counts the rounds that gave no figures.
func (rs Results) failures(workload, impl string, size int) (n int) {
	for _, r := range rs {
		if r.Workload == workload && r.Impl == impl && r.Size == size && r.Error != "" {
			n++
		}
	}
	return n
}
