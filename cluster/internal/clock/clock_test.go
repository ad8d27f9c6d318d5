package clock

import (
	"testing"
	"time"
)

func TestSince_GoesByTheClockThatHasGoneFurther(t *testing.T) {
	var mono, boot time.Duration
	c := Clocks{Mono: func() time.Duration { return mono }, Boot: func() time.Duration { return boot }}
	start := c.Now()
	for _, tt := range []struct{ mono, boot, want time.Duration }{
		{0, 0, 0},
		{1, 5, 5},
		{5, 1, 5},
		{5, -3, 5}, // the wall clock, set back
	} {
		mono, boot = tt.mono, tt.boot
		if got := c.Since(start); got != tt.want {
			t.Errorf("with %d and %d on the clocks %d have passed, not %d", tt.mono, tt.boot, got, tt.want)
		}
		if got := c.Now().Sub(start); got != tt.want {
			t.Errorf("Sub says %d, not %d", got, tt.want)
		}
	}
}

func TestSystem_ClocksGoOn(t *testing.T) {
	c := System()
	start := c.Now()
	time.Sleep(20 * time.Millisecond)
	now := c.Now()
	if now.mono-start.mono < 20*time.Millisecond || now.boot-start.boot < 19*time.Millisecond {
		t.Errorf("from %v to %v", start, now)
	}
	if d := c.Since(start); d < 20*time.Millisecond || d > time.Minute {
		t.Errorf("%v have passed", d)
	}
}
