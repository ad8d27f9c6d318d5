package soak

import (
	"context"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/wheel"
)

const (
	timersSessions = 300
	timersPerTurn  = 10
	timersTurn     = 10 * time.Millisecond
	timersLongest  = 900 * time.Millisecond

	// longWait is more than the wheel sleeps without asking its library to wake it.
	longWait = 1500 * time.Millisecond

	// timersPatience is how long what is due is waited for until it counts as
	// lost. Nothing waits that long when all is well.
	timersPatience = 30 * time.Second
)

// setWall sets the wall clock to so many seconds after the true time, and leaves
// the monotonic one alone. It is there only in the program that the clock
// scenario builds.
var setWall func(seconds int64)

// timersOrder is what the role "timers" does: it keeps a wheel and a pool busy,
// and disturbs its own process.
type timersOrder struct {
	Seed    uint64
	For     time.Duration
	Idle    time.Duration // of the pool's sessions, as it is judged
	Given   time.Duration // as the pool is given it
	Cut     time.Duration // what timers are given too little
	Step    bool          // steps the wall clock
	Busy    int           // goroutines that never sleep
	Garbage int           // bytes that are kept while ever new ones are made
	Waits   int           // timers at the end, each so long that the wheel waits by its library
}

// timersReport is what came of it.
type timersReport struct {
	Armed, Fired, Ended int           // armings; those that ended in the callback, and in Stop or Reset
	Early, Lost         int           // timers
	Worst               time.Duration // the most by which one was early
	Latest              time.Duration
	Timeouts            int    // sessions
	Sessions            string // what is wrong with their books
	SessionsBroke       string // which guarantee that is
	SessionLate         time.Duration
	Touches             int
	Rescued             uint64
	LibraryDisabled     bool
	Closing             time.Duration // how long Shutdown and Close took
	Delay               time.Duration // the scheduler's
	Load                float64       // processors that the process kept busy on Go code
	WallOff             time.Duration // the farthest that the wall clock was off
}

// timersChild is the role.
func timersChild(p *parent) error {
	var o timersOrder
	if err := p.orders.Decode(&o); err != nil {
		return err
	}
	go func() { // ends the process when its parent, to report to, is gone
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	rep, err := timersPlay(o)
	if err != nil {
		return err
	}
	return p.reports.Encode(rep)
}

// timersPlay does what the order says, in this process.
func timersPlay(o timersOrder) (rep timersReport, err error) {
	rng := rand.New(rand.NewPCG(o.Seed, 1))
	delay := startMetronome()
	w, err := wheel.New(wheel.Config{})
	if err != nil {
		return rep, err
	}
	began, cpu := time.Now(), busySeconds()
	disturb, quiet := context.WithTimeout(context.Background(), o.For)
	defer quiet()
	var wg sync.WaitGroup
	for range o.Busy {
		wg.Go(func() { spin(disturb) })
	}
	if o.Garbage > 0 {
		wg.Go(func() { litter(disturb, o.Garbage) })
	}
	if o.Step {
		steps := rand.New(rand.NewPCG(o.Seed, 2))
		wg.Go(func() { rep.WallOff = stepWall(disturb, steps) })
	}
	var sessions sessionLoad
	if err := sessions.begin(w, o); err != nil {
		return rep, err
	}
	wg.Go(func() { sessions.touch(disturb) })

	timers := keepArming(disturb, w, rng, o.Cut)
	wg.Wait()
	timers.settle()
	sessions.settle()
	for range o.Waits {
		fired := make(chan struct{})
		w.AfterFunc(longWait, func() { close(fired) })
		<-fired
	}
	rep.Load = (busySeconds() - cpu) / time.Since(began).Seconds()

	closing := time.Now()
	st := w.Stats()
	sessions.end(&rep)
	closed := make(chan struct{})
	go func() { // should it hang, the process ends all the same
		defer close(closed)
		w.Close()
	}()
	select {
	case <-closed:
	case <-time.After(timersPatience):
	}
	rep.Closing = time.Since(closing)
	rep.Rescued, rep.LibraryDisabled = st.Rescued, st.LibraryDisabled
	timers.report(&rep)
	delay.stop()
	rep.Delay = delay.delay()
	return rep, nil
}

// booked is a timer and what is known of it. due belongs to the goroutine that
// arms; the rest to the callback.
type booked struct {
	wheel.Timer
	due   time.Duration // no later than its deadline
	off   bool          // stopped
	fires atomic.Int32
	at    atomic.Int64
}

// timerLoad is the timers of one play.
type timerLoad struct {
	start        time.Time
	all          []*booked
	armed, ended int
}

// keepArming arms timers until ctx ends, and extends, resets or stops some.
func keepArming(ctx context.Context, w *wheel.Wheel, rng *rand.Rand, cut time.Duration) *timerLoad {
	l := &timerLoad{start: time.Now()}
	for ctx.Err() == nil {
		for range timersPerTurn {
			b := &booked{}
			b.Init(w, func() {
				b.at.Store(int64(time.Since(l.start)))
				b.fires.Add(1)
			})
			l.all = append(l.all, b)
			l.arm(b, time.Duration(rng.Int64N(int64(timersLongest))), cut)
			other := l.all[rng.IntN(len(l.all))]
			if recent := len(l.all) - 500; recent > 0 {
				other = l.all[recent+rng.IntN(500)]
			}
			switch before := time.Since(l.start); rng.IntN(8) {
			case 0:
				d := time.Duration(rng.Int64N(int64(timersLongest)))
				if other.Extend(d - cut) {
					other.due = max(other.due, before+d)
				}
			case 1:
				if !other.off && other.fires.Load() == 0 && other.Stop() {
					other.off = true
					l.ended++
				}
			}
		}
		select {
		case <-time.After(timersTurn):
		case <-ctx.Done():
		}
	}
	return l
}

func (l *timerLoad) arm(b *booked, d, cut time.Duration) {
	b.due = time.Since(l.start) + d
	l.armed++
	b.Reset(d - cut)
}

// settle waits until every timer that was not stopped has fired, or should have
// long ago.
func (l *timerLoad) settle() {
	for end := time.Now().Add(timersLongest + timersPatience); time.Now().Before(end); time.Sleep(timersTurn) {
		waits := false
		for _, b := range l.all {
			waits = waits || !b.off && b.fires.Load() == 0
		}
		if !waits {
			return
		}
	}
}

// report judges each timer.
func (l *timerLoad) report(rep *timersReport) {
	rep.Armed, rep.Ended = l.armed, l.ended
	for _, b := range l.all {
		fires := int(b.fires.Load())
		rep.Fired += fires
		if fires == 0 {
			if !b.off {
				rep.Lost++
			}
			continue
		}
		late := time.Duration(b.at.Load()) - b.due
		if late < 0 {
			rep.Early++
			rep.Worst = max(rep.Worst, -late)
		}
		rep.Latest = max(rep.Latest, late)
	}
}

// sessionLoad is a pool of which half of the sessions are touched all the while.
type sessionLoad struct {
	idle    time.Duration
	book    *ledger
	pool    *pool.Pool[int, *account]
	busy    []*ledgerSession
	touches int // of the goroutine that touches
}

func (l *sessionLoad) begin(w *wheel.Wheel, o timersOrder) (err error) {
	l.idle, l.book = o.Idle, newLedger(timersSessions)
	c := ledgerConfig{Wheel: w, IdleTimeout: o.Given}
	l.book.keep(&c)
	if l.pool, err = pool.New(c); err != nil {
		return err
	}
	for i := range l.book.accounts {
		s, err := l.book.register(l.pool, i, &l.book.accounts[i])
		if err != nil {
			return err
		}
		if i%2 == 0 {
			l.busy = append(l.busy, s)
		}
	}
	return nil
}

func (l *sessionLoad) touch(ctx context.Context) {
	for ctx.Err() == nil {
		for _, s := range l.busy {
			if l.book.touch(s) {
				l.touches++
			}
		}
		select {
		case <-time.After(l.idle / 10):
		case <-ctx.Done():
		}
	}
}

// settle waits until every session has timed out, or should have long ago.
func (l *sessionLoad) settle() {
	for end := time.Now().Add(l.idle + timersPatience); l.pool.Len() > 0 && time.Now().Before(end); {
		time.Sleep(timersTurn)
	}
}

// end shuts the pool down and judges it.
func (l *sessionLoad) end(rep *timersReport) {
	ctx, cancel := context.WithTimeout(context.Background(), timersPatience)
	defer cancel()
	rep.Touches = l.touches
	if err := l.pool.Shutdown(ctx); err != nil {
		rep.SessionsBroke, rep.Sessions = closeEnds, err.Error()
		return
	}
	timedOut, latest, err := l.book.audit(l.idle, l.pool.Stats())
	if b, ok := err.(*Broken); ok {
		rep.SessionsBroke, rep.Sessions = b.Guarantee, b.Seen
	}
	rep.Timeouts, rep.SessionLate = timedOut, latest
}

// judge compares a report with what is promised.
func (rep timersReport) judge(r *Run) error {
	r.count(rep.Armed + rep.Touches + timersSessions)
	most := allowed(time.Second, rep.Delay)
	latest := max(rep.Latest, rep.SessionLate)
	switch {
	case rep.Early > 0:
		return broken(neverEarly, "%d of %d timers fired early, one of them by %v", rep.Early, rep.Armed, rep.Worst)
	case rep.SessionsBroke != "":
		return broken(rep.SessionsBroke, "%s", rep.Sessions)
	case rep.Lost > 0:
		return broken(nothingLost, "%d of %d timers did not fire within %v", rep.Lost, rep.Armed, timersPatience)
	case rep.Armed != rep.Fired+rep.Ended:
		return broken(exactlyOnce, "%d armings ended in %d callbacks and %d calls of Stop", rep.Armed, rep.Fired, rep.Ended)
	case rep.Timeouts != timersSessions:
		return broken(nothingLost, "%d of %d sessions timed out within %v", rep.Timeouts, timersSessions, timersPatience)
	case latest > most:
		return broken(boundedLateness, "%v late, where %v are allowed for a scheduler that is up to %v late", latest, most, rep.Delay)
	case rep.Closing > allowed(2*time.Second, rep.Delay):
		return broken(closeEnds, "closing the pool and the wheel took %v", rep.Closing)
	}
	r.late(latest)
	return nil
}

// spin keeps a processor busy.
func spin(ctx context.Context) {
	for ctx.Err() == nil {
		for i := range 1_000_000 {
			_ = i
		}
	}
}

// litter makes garbage, and keeps the last so many bytes of it.
func litter(ctx context.Context, keep int) {
	const piece = 8 << 10
	kept := make([][]byte, keep/piece)
	for i := 0; ctx.Err() == nil; i++ {
		kept[i%len(kept)] = make([]byte, piece)
	}
}

// stepWall sets the wall clock to ever another time until ctx ends, and then
// back. It returns how far off a reading was at most.
func stepWall(ctx context.Context, rng *rand.Rand) (off time.Duration) {
	defer setWall(0)
	const hour = 3600
	steps := []int64{-hour, 0, hour, -5, 3, -24 * hour, 24 * hour, -1, 366 * 24 * hour}
	start := time.Now()
	for ctx.Err() == nil {
		setWall(steps[rng.IntN(len(steps))] + rng.Int64N(3) - 1)
		now := time.Now()
		wall, mono := now.Round(0).Sub(start.Round(0)), now.Sub(start)
		off = max(off, (wall - mono).Abs())
		select {
		case <-time.After(time.Duration(50+rng.IntN(450)) * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return off
}

// busySeconds is the time that processors have spent on Go code so far, which
// the runtime brings up to date at a collection.
func busySeconds() float64 {
	runtime.GC()
	s := []metrics.Sample{{Name: "/cpu/classes/user:cpu-seconds"}}
	metrics.Read(s)
	return s[0].Value.Float64()
}
