package dashboard

import (
	"testing"
	"time"
)

func TestRescues_AreDatedByWhenTheirCountGrew(t *testing.T) {
	r := rescues{count: 3} // from before the dashboard was made
	start := time.Now()
	for _, step := range []struct {
		count uint64
		at    time.Duration
		want  float64 // seconds; negative: never
	}{
		{count: 3, at: 0, want: -1},
		{count: 4, at: 5 * time.Second, want: 0},
		{count: 4, at: 65 * time.Second, want: 60},
		{count: 9, at: 70 * time.Second, want: 0},
		{count: 8, at: 71 * time.Second, want: 1}, // taken before the one above
		{count: 9, at: 69 * time.Second, want: 0}, // likewise
		{count: 9, at: 670 * time.Second, want: 600},
	} {
		ago := r.observe(step.count, start.Add(step.at))
		switch {
		case step.want < 0 && ago != nil:
			t.Errorf("%+v: %v seconds ago", step, *ago)
		case step.want >= 0 && (ago == nil || *ago != step.want):
			t.Errorf("%+v: %v", step, ago)
		}
	}
}
