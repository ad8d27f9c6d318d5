package soak

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

// testRun is a round that nothing is drawn in.
func testRun(t *testing.T) *Run {
	t.Helper()
	r := newRun("test", 1, Config{}, nil)
	t.Cleanup(r.delay.stop)
	return r
}

// requireBroken requires that err is the broken guarantee, or nil for "".
func requireBroken(t *testing.T, guarantee string, err error) {
	t.Helper()
	if guarantee == "" {
		require.NoError(t, err)
		return
	}
	var b *Broken
	require.ErrorAs(t, err, &b)
	require.Equal(t, guarantee, b.Guarantee, b.Seen)
}

func TestJudge_NoticesEachWayInWhichTimersFail(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(*timersReport)
		want  string
	}{
		{"all is well", func(*timersReport) {}, ""},
		{"early", func(rep *timersReport) { rep.Early, rep.Worst = 1, 1 }, neverEarly},
		{"lost", func(rep *timersReport) { rep.Lost, rep.Fired = 1, rep.Fired-1 }, nothingLost},
		{"twice", func(rep *timersReport) { rep.Fired++ }, exactlyOnce},
		{"late", func(rep *timersReport) { rep.Latest = 10 * time.Second }, boundedLateness},
		{"late where the scheduler is", func(rep *timersReport) { rep.Latest, rep.Delay = 10*time.Second, time.Second }, ""},
		{"sessions late", func(rep *timersReport) { rep.SessionLate = 10 * time.Second }, boundedLateness},
		{"sessions lost", func(rep *timersReport) { rep.Timeouts-- }, nothingLost},
		{"sessions' books", func(rep *timersReport) { rep.SessionsBroke = exactlyOnce }, exactlyOnce},
		{"closing", func(rep *timersReport) { rep.Closing = time.Minute }, closeEnds},
	} {
		rep := timersReport{Armed: 100, Fired: 90, Ended: 10, Latest: time.Second, Timeouts: timersSessions}
		tt.spoil(&rep)
		t.Run(tt.name, func(t *testing.T) { requireBroken(t, tt.want, rep.judge(testRun(t))) })
	}
}

func TestJudge_NoticesEachWayInWhichAServersBooksFail(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(*serverReport, *serverCount)
		want  string
	}{
		{"all is well", func(*serverReport, *serverCount) {}, ""},
		{"one is not closed", func(_ *serverReport, c *serverCount) { c.Closed-- }, exactlyOnce},
		{"one is told twice", func(_ *serverReport, c *serverCount) { c.Told++ }, exactlyOnce},
		{"one is in the pool", func(_ *serverReport, c *serverCount) { c.In++ }, exactlyOnce},
		{"a panic", func(_ *serverReport, c *serverCount) { c.ByReason[tcp.ReasonPanic]++ }, survival},
		{"a descriptor", func(rep *serverReport, _ *serverCount) { rep.Files = 1 }, nothingLeft},
		{"a goroutine", func(rep *serverReport, _ *serverCount) { rep.Goroutines++ }, nothingLeft},
		{"strange", func(rep *serverReport, _ *serverCount) { rep.Strange = []string{"it is"} }, survival},
		{"Shutdown", func(rep *serverReport, _ *serverCount) { rep.Shutdown = time.Minute }, closeEnds},
	} {
		c := serverCount{Registered: 5, Closed: 5, Opened: 4, Told: 4, ByReason: map[pool.Reason]uint64{tcp.ReasonEOF: 5}}
		rep := serverReport{Files: -1}
		tt.spoil(&rep, &c)
		rep.Counts = map[string]serverCount{lines: c}
		t.Run(tt.name, func(t *testing.T) { requireBroken(t, tt.want, rep.judge()) })
	}
}

func TestJudge_JudgesAWellBehavedPeerByItsOwnRoundTripsAndErrors(t *testing.T) {
	fill := func(d time.Duration) (all []time.Duration) {
		for range 100 {
			all = append(all, d)
		}
		return all
	}
	// A server that holds it up for three of ten seconds: the messages that were
	// due meanwhile count.
	heldUp := fill(time.Millisecond)
	for i := range 30 {
		heldUp[i] = time.Duration(30-i) * 100 * time.Millisecond
	}
	for _, tt := range []struct {
		name  string
		rough []time.Duration
		err   error
		gap   time.Duration
		want  string
	}{
		{"undisturbed", fill(time.Millisecond), nil, 0, ""},
		{"a little slower", fill(10 * time.Millisecond), nil, 0, ""},
		{"a second slower", fill(time.Second), nil, 0, undelayed},
		{"held up", heldUp, nil, 0, undelayed},
		{"an error", nil, errors.New("reset"), 0, unharmed},
		{"an error when it was starved", nil, errors.New("reset"), 2 * time.Second, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := &goodPeer{r: testRun(t), calm: fill(time.Millisecond), rough: tt.rough, err: tt.err}
			g.gap.Store(int64(tt.gap))
			requireBroken(t, tt.want, g.judge(0, 2*time.Second))
		})
	}
}

func TestLedger_NoticesWhatDoesNotBalance(t *testing.T) {
	const idle = time.Second
	for _, tt := range []struct {
		name  string
		spoil func(*account, *pool.Stats)
		want  string
	}{
		{"all is well", func(*account, *pool.Stats) {}, ""},
		{"told twice", func(a *account, _ *pool.Stats) { a.told.Add(1) }, exactlyOnce},
		{"never told", func(a *account, _ *pool.Stats) { a.told.Store(0) }, exactlyOnce},
		{"told of what failed", func(a *account, _ *pool.Stats) { a.registered.Store(false) }, exactlyOnce},
		{"closed twice", func(a *account, _ *pool.Stats) { a.closes.Add(1) }, exactlyOnce},
		{"two winners", func(a *account, _ *pool.Stats) { a.won.Store(2) }, exactlyOnce},
		{"out of order", func(a *account, _ *pool.Stats) { a.disorder.Store(true) }, exactlyOnce},
		{"a touch that reported true did not count", func(a *account, _ *pool.Stats) { a.granted(int64(time.Hour)) }, neverEarly},
		{"the pool's count", func(_ *account, st *pool.Stats) { st.Closed++ }, exactlyOnce},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLedger(1)
			a := &l.accounts[0]
			a.registered.Store(true)
			a.born.Store(1)
			a.closes.Store(1)
			a.told.Store(1)
			a.ended.Store(int64(2 * idle))
			a.granted(int64(idle))
			a.reason = pool.Timeout
			st := pool.Stats{Registered: 1, Closed: 1, ByReason: map[pool.Reason]uint64{pool.Timeout: 1}}
			tt.spoil(a, &st)
			_, _, err := l.audit(idle, st)
			requireBroken(t, tt.want, err)
		})
	}
}
