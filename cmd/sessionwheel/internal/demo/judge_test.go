package demo

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/echo"
	"github.com/sessionwheel/sessionwheel/pool"
)

// at is a moment of an imagined run.
func at(d time.Duration) time.Time { return time.Unix(1_000_000, 0).Add(d) }

const second = time.Second

// silentLife is a session that was last active at 10s and timed out d later,
// with an idle timeout of 3s.
func silentLife(d time.Duration) life {
	return life{
		client:     record{silent: true, sawClose: true, gap: second, last: at(10 * second)},
		registered: true, reason: pool.Timeout, since: at(10 * second), closed: at(10*second + d),
	}
}

// activeLife is a session whose client spoke last at 10s, after pauses of gap
// at most, and that timed out at 13.1s.
func activeLife(gap time.Duration) life {
	l := silentLife(3*second + 100*time.Millisecond)
	l.client.silent, l.client.talking, l.client.gap = false, true, gap
	return l
}

func TestJudge_EachKindOfSession(t *testing.T) {
	good := silentLife(3*second + 5*time.Millisecond)
	open := activeLife(0)
	open.reason, open.client.sawClose = pool.Shutdown, true

	// What the client of activeLife sent at 12.9s was never read.
	unread := activeLife(second)
	unread.client.unanswered.before = at(11*second + 400*time.Millisecond)
	unread.client.unanswered.after = at(11*second + 401*time.Millisecond)
	unread.closed = at(12*second + 800*time.Millisecond)
	unread.since = at(9 * second)

	// What the client sent after the session was closed does not count.
	tooLate := activeLife(second)
	tooLate.client.unanswered.before = at(14 * second)
	tooLate.client.unanswered.after = at(14 * second)

	silentOpen := good
	silentOpen.reason = pool.Shutdown
	unseen := good
	unseen.client.sawClose = false
	otherwise := open
	otherwise.reason = "Error"
	otherwise.client.err = echo.ErrWrongEcho

	for _, tt := range []struct {
		name  string
		lives []life
		fails string // in the one failure; "" is none
		notes string
	}{
		{name: "as it should be", lives: []life{good, open}},
		{name: "exactly in time", lives: []life{silentLife(3 * second)}},
		{name: "late is no failure", lives: []life{silentLife(5 * second)}},
		{name: "early", lives: []life{good, open, silentLife(3*second - 1)}, fails: "1 session closed before the idle timeout"},
		{name: "active closed, its message unread", lives: []life{good, unread}, fails: "1 session timed out although the client kept talking"},
		{name: "active closed, its client starved", lives: []life{good, activeLife(second)}, notes: "paused for up to 3.1s"},
		{name: "active closed, its client starved before", lives: []life{good, func() life { l := unread; l.client.gap = 2 * second; return l }()}, notes: "2s"},
		{name: "active closed, then it sent", lives: []life{tooLate}, notes: "1 active session timed out"},
		{name: "silent not closed", lives: []life{good, silentOpen, open}, fails: "1 session silent and still open"},
		{name: "closed, but not for the client", lives: []life{unseen}, fails: "1 session closed but not the connection"},
		{name: "never registered", lives: []life{good, {}}, fails: "1 session connected and never registered"},
		{name: "another reason", lives: []life{otherwise, otherwise}, fails: `2 sessions ended with "Error" (its client: the echo was not what was sent)`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := judge(tt.lives, 3*second)
			if tt.fails == "" {
				require.Empty(t, v.failures())
			} else {
				require.Len(t, v.failures(), 1)
				require.Contains(t, v.failures()[0], tt.fails)
			}
			if tt.notes == "" {
				require.Empty(t, v.notes())
			} else {
				require.Len(t, v.notes(), 1)
				require.Contains(t, v.notes()[0], tt.notes)
			}
		})
	}
}

func TestJudge_Counts(t *testing.T) {
	open := activeLife(0)
	open.reason = pool.Shutdown
	v := judge([]life{silentLife(3*second + 5), silentLife(3*second + 7), silentLife(2 * second), open, {}}, 3*second)
	require.Equal(t, 4, v.registered)
	require.Equal(t, 3, v.timedOut)
	require.Equal(t, 1, v.open)
	require.Equal(t, 1, v.early)
	require.Equal(t, 1, v.unregistered)
	require.Equal(t, console.Spread{5, 7}, v.lateness, "what is early has no lateness")
}

func TestVerdict_NotesAStandstill(t *testing.T) {
	require.Empty(t, verdict{stalled: worthANote - 1}.notes())
	require.Contains(t, verdict{stalled: 4 * second}.notes()[0], "stood still for up to 4s")
}
