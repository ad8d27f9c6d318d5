package wheel_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/wheel"
)

// owner has a function for each of an owner's methods.
type owner struct {
	entry  wheel.Entry
	expire func(now time.Duration) (due time.Duration)
	fire   func()
}

func (o *owner) Expire(now time.Duration) time.Duration { return o.expire(now) }
func (o *owner) Fire(_, _ time.Duration)                { o.fire() }

func TestDisarm_OfAnEntryThatIsBeingAskedTakesItOut(t *testing.T) {
	w, err := wheel.New(wheel.Config{Tick: time.Millisecond})
	require.NoError(t, err)
	defer w.Close()
	var o owner
	var early atomic.Bool
	disarmed, asked := make(chan bool, 1), make(chan struct{})
	o.fire = func() { t.Error("it fired") }
	o.expire = func(now time.Duration) time.Duration {
		defer close(asked)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			disarmed <- w.Disarm(&o.entry)
		}()
		select {
		case <-ended:
			early.Store(true)
		case <-time.After(50 * time.Millisecond): // as long as it takes to be wrong
		}
		return now + time.Hour // so it is put into another slot
	}
	w.Init(&o.entry, &o)
	if w.Arm(&o.entry, w.Elapsed(), w.Elapsed()+5*time.Millisecond) {
		w.Wake()
	}
	<-asked
	require.True(t, <-disarmed)
	require.False(t, early.Load(), "Disarm returned while the wheel asked for the deadline")
	require.Zero(t, w.Len())
}

func TestDisarm_OfAnEntryThatHasFiredReportsFalse(t *testing.T) {
	w, err := wheel.New(wheel.Config{Tick: time.Millisecond})
	require.NoError(t, err)
	defer w.Close()
	var o owner
	fired := make(chan bool, 1)
	o.expire = func(time.Duration) time.Duration { return 0 }
	o.fire = func() { fired <- w.Disarm(&o.entry) }
	w.Init(&o.entry, &o)
	if w.Arm(&o.entry, w.Elapsed(), w.Elapsed()+5*time.Millisecond) {
		w.Wake()
	}
	require.False(t, <-fired)
	if w.Arm(&o.entry, w.Elapsed(), w.Elapsed()+time.Hour) {
		w.Wake()
	}
	require.True(t, w.Disarm(&o.entry), "it was armed again")
	require.Zero(t, w.Len())
}
