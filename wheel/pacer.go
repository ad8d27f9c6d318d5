package wheel

import (
	"reflect"
	"sync/atomic"
	"time"

	"github.com/RussellLuo/timingwheel"
	"github.com/RussellLuo/timingwheel/delayqueue"
)

// pacer is the seam to the library: all that the wheel asks of it. Nothing that
// it does is trusted. It may fire early, late, or never; it may block.
type pacer interface {
	AfterFunc(d time.Duration, f func())
	Stop()
}

const (
	// libraryTick is the library's resolution, the finest that it has. Its
	// goroutines sleep until something is due, so a fine tick costs nothing.
	libraryTick = time.Millisecond

	// librarySlots is the size of each of its levels: a prime, so that its
	// levels do not turn over at round times, when users' timers are due too.
	librarySlots = 61

	// shortest is the least that the library is asked for: it deadlocks when
	// timers of few ticks are added while its clock advances.
	shortest = 2 * libraryTick

	// offset is waited before the library is asked. Its goroutines then run at
	// such a fraction of a millisecond, which matters in a testing/synctest bubble:
	// tests stop their wheels at round times, and if the library moves a timer to a
	// lower level in that very instant, it needs help to stop (see library.Stop).
	offset = 437 * time.Microsecond

	// The library needs help to stop if it has not stopped after so many pauses in a
	// row that were not too long, so that its goroutines had the time to end.
	pause  = 50 * time.Millisecond
	pauses = 5

	// longest is the most that the library is asked for: it counts in wall time,
	// which overflows in 2262.
	longest = 365 * 24 * time.Hour
)

type library struct {
	*timingwheel.TimingWheel
}

func newLibrary() pacer {
	tw := timingwheel.NewTimingWheel(libraryTick, librarySlots)
	tw.Start()
	return library{tw}
}

func (l library) AfterFunc(d time.Duration, f func()) {
	l.TimingWheel.AfterFunc(d, f)
}

// Stop stops the library. If the library is moving a timer to a lower level at that
// moment, one of its goroutines may wait for ever for another one, which has ended
// already. Stop then does what that one did.
func (l library) Stop() { stopWithHelp(l.TimingWheel.Stop, l.poll) }

// poll lets the library's goroutine add timers to its queue, until end is closed. Nothing in
// the queue comes due. (Start would do so too, but uses the WaitGroup for which Stop waits.)
func (l library) poll(end chan struct{}) {
	queue := reflect.ValueOf(l.TimingWheel).Elem().FieldByName("queue")
	if !queue.IsValid() || queue.Type() != reflect.TypeFor[*delayqueue.DelayQueue]() {
		<-end // another version of the library
		return
	}
	(*delayqueue.DelayQueue)(queue.UnsafePointer()).Poll(end, func() int64 { return 0 })
}

// stopWithHelp calls stop, and then help if stop should have returned and has not. Help
// returns when stopped is closed.
func stopWithHelp(stop func(), help func(stopped chan struct{})) {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop()
	}()
	for inTime := 0; inTime < pauses; inTime++ {
		since := time.Now()
		select {
		case <-stopped:
			return
		case <-time.After(pause):
		}
		if time.Since(since) > pause+pause/5 {
			inTime = -1 // the machine is busy: it may still be stopping
		}
	}
	help(stopped)
}

// feeder is the one caller of a pacer, on a goroutine of its own: the driver
// goes on if the pacer blocks.
type feeder struct {
	pacer   pacer
	elapsed func() time.Duration
	fired   func(at time.Duration) // called on a goroutine of the pacer's

	wanted atomic.Int64  // the time of the last ask
	asked  chan struct{} // holds one: wanted has changed
	quit   chan struct{} // closed by stop
	done   chan struct{} // closed when the goroutine has ended
}

// entry is a time that the pacer was given.
type entry struct {
	at    time.Duration
	fired atomic.Bool
}

// startFeeder starts the goroutine; stop ends it, and ended waits for that.
func startFeeder(p pacer, elapsed func() time.Duration, fired func(at time.Duration)) *feeder {
	f := &feeder{
		pacer: p, elapsed: elapsed, fired: fired,
		asked: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
	}
	go f.feed()
	return f
}

// ask has fired called at about the given time, unless another ask comes first.
// It does not block. Only the driver calls it.
func (f *feeder) ask(at time.Duration) {
	f.wanted.Store(int64(at))
	select {
	case f.asked <- struct{}{}:
	default:
	}
}

func (f *feeder) feed() {
	defer close(f.done)
	defer f.pacer.Stop()
	// What the pacer holds, the earliest last. It is asked only for something
	// earlier than all it holds, and never twice for the same time. Nothing is
	// ever taken back from it.
	var held []*entry
	var last time.Duration
	for {
		select {
		case <-f.quit:
			return
		case <-f.asked:
		}
		select {
		case <-f.quit:
			return
		case <-time.After(offset):
		}
		now, at := f.elapsed(), time.Duration(f.wanted.Load())
		for len(held) > 0 && (held[len(held)-1].fired.Load() || held[len(held)-1].at <= now) {
			held = held[:len(held)-1]
		}
		if at == last || len(held) > 0 && held[len(held)-1].at <= at {
			continue
		}
		last = at
		e := &entry{at: at}
		held = append(held, e)
		f.pacer.AfterFunc(min(max(at-now, shortest), longest), func() {
			e.fired.Store(true)
			f.fired(e.at)
		})
	}
}

// stop has the feeder stop the pacer and end. It is called once and does not
// wait.
func (f *feeder) stop() {
	close(f.quit)
}

// ended waits until the feeder has ended, or the limit has passed, as happens
// when the pacer is blocked.
func (f *feeder) ended(limit time.Duration) bool {
	select {
	case <-f.done:
		return true
	default:
	}
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-f.done:
		return true
	case <-t.C:
		return false
	}
}
