package soak

import (
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestMain plays a role in the processes that the scenarios start.
func TestMain(m *testing.M) {
	ChildMain()
	// Most scenarios wait for timeouts and leases, in processes of their own.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	// Under the race detector each of them would wait for a second when it exits.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil {
		panic(err)
	}
	var err error
	if programs, err = os.MkdirTemp("", "soak-test-"); err != nil {
		panic(err)
	}
	status := m.Run()
	_ = os.RemoveAll(programs)
	os.Exit(status)
}

// programs is the directory of the programs that the tests build.
var programs string

// only is a soak of one short round of one scenario.
func only(t *testing.T, scenario string) Config {
	t.Helper()
	c := Config{Duration: 1, Seed: uint64(rand.Uint32()), Only: regexp.MustCompile("^" + scenario + "$"), Short: true}
	t.Logf("seed %d", c.Seed)
	return c
}

// Whatever else the processors do is in the delay that each round measures, and its
// bounds allow for.
func TestScenario_HoldsForAShortRound(t *testing.T) {
	t.Parallel()
	for _, s := range Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			res, err := only(t, s.Name).Run(t.Context())
			require.NoError(t, err)
			require.Nil(t, res.Failure, "%+v", res.Failure)
			require.Len(t, res.Tallies, 1)
			tally := res.Tallies[0]
			t.Logf("%d operations, worst lateness %v", tally.Operations, tally.Worst)
			require.Equal(t, Held, tally.Verdict, tally.Why)
			require.Equal(t, 1, tally.Rounds)
			require.Positive(t, tally.Operations)
		})
	}
}

// The scenarios that build a program judge as starvation does. The drills may run side by
// side. On a machine that is busy, what a drill ends too early may end in time all the same,
// so it has three attempts.
func TestDrill_IsNoticedByEachScenario(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"freeze", "starvation", "callbacks", "network", "books", "model"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c Config
			var res Result
			for attempt := 0; attempt < 3 && res.Failure == nil; attempt++ {
				var err error
				c = only(t, name)
				c.Drill = true
				res, err = c.Run(t.Context())
				require.NoError(t, err)
			}
			require.NotNil(t, res.Failure)
			t.Logf("%+v", *res.Failure)
			require.Equal(t, name, res.Failure.Scenario)
			require.Equal(t, c.Seed, res.Failure.Seed)
			require.Contains(t, []string{neverEarly, agreement}, res.Failure.Guarantee)
			require.Equal(t, Failed, res.Tallies[0].Verdict)
			require.Zero(t, res.Tallies[0].Rounds)
		})
	}
}

func TestFailure_NamesTheSeedOfItsOwnRound(t *testing.T) {
	c := Config{Seed: 40}
	tally := Tally{Scenario: "model"}
	res, err := c.failed(Result{}, &tally, 42, broken(neverEarly, "by %d ms", 7))
	require.NoError(t, err)
	require.Equal(t, &Failure{Scenario: "model", Guarantee: neverEarly, Seen: "by 7 ms", Seed: 42}, res.Failure)

	res, err = c.failed(Result{}, &tally, 42, os.ErrPermission)
	require.ErrorIs(t, err, os.ErrPermission)
	require.ErrorContains(t, err, "seed 42")
	require.Nil(t, res.Failure, "what could not be run is no broken guarantee")
	require.Equal(t, Unjudged, tally.Verdict)
}

func TestScenario_DrawsTheSameFromTheSameSeed(t *testing.T) {
	draw := func(scenario string, seed uint64) uint64 {
		r := newRun(scenario, seed, Config{}, nil)
		defer r.delay.stop()
		return r.rand.Uint64()
	}
	require.Equal(t, draw("books", 7), draw("books", 7))
	require.NotEqual(t, draw("books", 7), draw("books", 8))
	require.NotEqual(t, draw("books", 7), draw("model", 7))
}

func TestRun_ThatIsInterruptedReturnsTheCauseAndWhatItHas(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"freeze", "network", "books", "starvation", "callbacks", "model"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := only(t, name)
			c.Short = false
			stop := errors.New("enough")
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(300*time.Millisecond, func() { cancel(stop) })
			began := time.Now()
			res, err := c.Run(ctx)
			require.ErrorIs(t, err, stop)
			require.Less(t, time.Since(began), ending, "no round need run to its end")
			require.Nil(t, res.Failure)
			require.Equal(t, NotRun, res.Tallies[0].Verdict)
		})
	}
}

func TestScenario_ThatBuildsIsLeftOutLoudlyWithoutTheGoCommand(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, name := range []string{"clock", "library"} {
		c := only(t, name)
		told := ""
		c.Progress = func(p Progress) { told += p.LeftOut }
		res, err := c.Run(t.Context())
		require.NoError(t, err)
		require.Equal(t, Omitted, res.Tallies[0].Verdict)
		require.Contains(t, res.Tallies[0].Why, "go command")
		require.Equal(t, res.Tallies[0].Why, told)
	}
}

func TestRound_ThatHangsIsABrokenGuarantee(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	c := Config{endless: 50 * time.Millisecond, ending: 50 * time.Millisecond}
	for name, round := range map[string]func(context.Context, *Run) error{
		"hangs":          func(context.Context, *Run) error { <-release; return nil },
		"took more than": func(ctx context.Context, _ *Run) error { <-ctx.Done(); return nil },
	} {
		var b *Broken
		err := c.watch(t.Context(), Scenario{round: round}, nil, 1, time.Now())
		require.ErrorAs(t, err, &b, name)
		require.Equal(t, survival, b.Guarantee)
		require.Contains(t, b.Seen, name)
	}
}

func TestChild_ThatDiesIsABrokenGuarantee(t *testing.T) {
	c, err := startChild(t.Context(), "", "nobody", struct{}{})
	if err == nil {
		err = c.hear(new(any))
	}
	var b *Broken
	require.ErrorAs(t, err, &b)
	require.Equal(t, survival, b.Guarantee)
	require.Contains(t, b.Seen, `no role "nobody"`)
}

func TestChild_EndsWithItsParent(t *testing.T) {
	t.Parallel()
	for role, order := range map[string]any{"timers": timersOrder{For: time.Hour, Idle: time.Hour, Given: time.Hour}, "server": serverOrder{}} {
		c, err := startChild(t.Context(), "", role, order)
		require.NoError(t, err)
		if role == "server" {
			require.NoError(t, c.hear(new(serverHello)))
		}
		require.NoError(t, c.stdin.Close()) // as the end of this process would
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = c.wait()
		}()
		select {
		case <-done:
		case <-time.After(callbackPatience):
			c.kill()
			require.Fail(t, "it goes on", role)
		}
	}
}

func TestChild_WhatItSaysIsKeptFromBothEnds(t *testing.T) {
	var said tail
	for i := range 100_000 {
		_, err := said.Write([]byte{'a' + byte(i/50_000)})
		require.NoError(t, err)
	}
	require.Less(t, len(said.String()), 5*tailHalf)
	require.Regexp(t, `^a+\n\[\.\.\.\]\n[^a]*b+$`, said.String())
}

func TestBuild_CountsNoTimeOfTheSoak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, b := time.Now(), &builder{}
		r := &Run{builder: b}
		time.Sleep(time.Second)
		done := b.begin("a program")
		time.Sleep(time.Minute)
		p := r.progress("clock", 1, began)
		require.Equal(t, "a program", p.Building)
		require.Equal(t, time.Minute, p.Took, "of the build")
		require.Equal(t, time.Minute, b.total())
		done()
		time.Sleep(time.Second)
		p = r.progress("clock", 1, began)
		require.Empty(t, p.Building)
		require.Equal(t, 2*time.Second, p.Took, "of the soak")
	})
}
