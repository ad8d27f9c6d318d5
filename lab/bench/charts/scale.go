package charts

import (
	"math"
	"strconv"

	"gonum.org/v1/plot"
)

// Values are drawn by their logarithm on linear axes with the ticks of this
// file: gonum's scaled axes place their labels as if they were linear, and leave
// room for that.

// decades are ticks for logarithms: at powers of ten, named short, with unnamed
// ones between.
type decades struct{}

func (decades) Ticks(lo, hi float64) (ticks []plot.Tick) {
	for e := math.Floor(lo); e <= hi; e++ {
		for m := 1.0; m < 10; m++ {
			t := plot.Tick{Value: e + math.Log10(m)}
			if m == 1 {
				t.Label = short(math.Pow(10, e))
			}
			if t.Value >= lo-1e-9 && t.Value <= hi+1e-9 {
				ticks = append(ticks, t)
			}
		}
	}
	return ticks
}

// short writes a number as people say it.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return strconv.FormatFloat(v/1e6, 'g', -1, 64) + "M"
	case v >= 1e3:
		return strconv.FormatFloat(v/1e3, 'g', -1, 64) + "k"
	default:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
}

// wholeDecades widens an axis of logarithms to powers of ten.
func wholeDecades(a *plot.Axis) {
	a.Tick.Marker = decades{}
	a.Min, a.Max = math.Floor(a.Min+1e-9), math.Ceil(a.Max-1e-9)
	if a.Min == a.Max {
		a.Max++
	}
}

// signed is logarithmic far from zero, on both sides of it, and linear near.
func signed(x float64) float64 {
	return math.Copysign(math.Log10(1+math.Abs(x)), x)
}

// signedTicks are ticks for signed.
type signedTicks struct{}

func (signedTicks) Ticks(lo, hi float64) (ticks []plot.Tick) {
	for _, v := range []float64{-10000, -1000, -100, -10, -1, 0, 1, 10, 100, 1000, 10000, 100000} {
		if at := signed(v); at >= lo && at <= hi {
			ticks = append(ticks, plot.Tick{Value: at, Label: strconv.FormatFloat(v, 'f', 0, 64)})
		}
	}
	return ticks
}
