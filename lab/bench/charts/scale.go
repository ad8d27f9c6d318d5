package charts

import (
	"math"
	"strconv"

	"gonum.org/v1/plot"
)

// The charts draw logarithms on linear axes with the ticks of this file, because
// gonum places the labels of a logarithmic axis as if the axis were linear.

// decadeTicks marks logarithms: powers of ten with a label, and their multiples
// without one.
type decadeTicks struct{}

func (decadeTicks) Ticks(lo, hi float64) (ticks []plot.Tick) {
	for e := math.Floor(lo); e <= hi; e++ {
		for m := 1.0; m < 10; m++ {
			t := plot.Tick{Value: e + math.Log10(m)}
			if m == 1 {
				t.Label = shortNumber(math.Pow(10, e))
			}
			if t.Value >= lo-1e-9 && t.Value <= hi+1e-9 {
				ticks = append(ticks, t)
			}
		}
	}
	return ticks
}

// shortNumber formats a number as 10k or 1M.
func shortNumber(v float64) string {
	switch {
	case v >= 1e6:
		return strconv.FormatFloat(v/1e6, 'g', -1, 64) + "M"
	case v >= 1e3:
		return strconv.FormatFloat(v/1e3, 'g', -1, 64) + "k"
	default:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
}

// toDecades extends an axis of logarithms to powers of ten.
func toDecades(a *plot.Axis) {
	a.Tick.Marker = decadeTicks{}
	a.Min, a.Max = math.Floor(a.Min+1e-9), math.Ceil(a.Max-1e-9)
	if a.Min == a.Max {
		a.Max++
	}
}

// symlog maps x to a scale that is linear near zero and logarithmic far from it,
// on both sides.
func symlog(x float64) float64 {
	return math.Copysign(math.Log10(1+math.Abs(x)), x)
}

// symlogTicks marks the scale of symlog.
type symlogTicks struct{}

func (symlogTicks) Ticks(lo, hi float64) (ticks []plot.Tick) {
	for _, v := range []float64{-10000, -1000, -100, -10, -1, 0, 1, 10, 100, 1000, 10000, 100000} {
		if at := symlog(v); at >= lo && at <= hi {
			ticks = append(ticks, plot.Tick{Value: at, Label: strconv.FormatFloat(v, 'f', 0, 64)})
		}
	}
	return ticks
}
