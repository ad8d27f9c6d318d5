package demo

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/echo"
	"github.com/sessionwheel/sessionwheel/pool"
)

// worthANote is how long the process must have stood still for the verdict to say
// so.
const worthANote = 250 * time.Millisecond

// life is what both ends saw of one session of the demo.
type life struct {
	client     record
	registered bool        // the server knew it
	reason     pool.Reason // with which the server closed it; Shutdown: it was open to the end
	since      time.Time   // no later than its last activity, as the server saw it
	closed     time.Time   // no earlier than its close
}

// verdict is what became of all sessions.
type verdict struct {
	registered int
	timedOut   int
	open       int // to the end
	lateness   console.Spread

	unregistered int // connected, but the server never knew
	early        int // closed before the idle timeout had passed
	activeClosed int // timed out although the client had kept talking
	silentOpen   int // fell silent and was not closed
	unseen       int // closed, but its client's connection stayed open
	otherwise    map[string]int

	closedLast []pool.ClosedSession[int64] // before the end, the newest first

	starved    int           // timed out since the client, or this machine, had paused
	longestGap time.Duration // of those
	stalled    time.Duration // longest time for which the whole process stood still
}

// judge decides what became of the sessions. It is sound on a machine that is
// too busy: a session is early only if even a lower bound of its deadline lay
// ahead when it was closed, and an active one is held against the server only
// if its client never paused for more than half the idle timeout.
func judge(lives []life, idle time.Duration) verdict {
	v := verdict{otherwise: map[string]int{}}
	for _, l := range lives {
		if !l.registered {
			v.unregistered++
			continue
		}
		v.registered++
		switch l.reason {
		case pool.Timeout:
			v.timedOut++
			v.judgeTimeout(l, idle)
		case pool.Shutdown:
			v.open++
			if !l.client.talking {
				v.silentOpen++
			}
		default:
			text := fmt.Sprintf("%q", l.reason)
			if err := l.client.err; err != nil {
				text += " (its client: " + echo.Cause(err) + ")"
			}
			v.otherwise[text]++
		}
	}
	return v
}

func (v *verdict) judgeTimeout(l life, idle time.Duration) {
	if late := l.closed.Sub(l.since.Add(idle)); late < 0 {
		v.early++
	} else {
		v.lateness = append(v.lateness, late)
	}
	if l.client.talking {
		if gap := l.client.longestGap(l.closed); gap > idle/2 {
			v.starved++
			v.longestGap = max(v.longestGap, gap)
		} else {
			v.activeClosed++
		}
	}
	if !l.client.sawClose {
		v.unseen++
	}
}

// failures says in a phrase each what went wrong; none means that it passed.
func (v verdict) failures() []string {
	var f []string
	add := func(n int, text string) {
		if n > 0 {
			f = append(f, console.Plural(n, "session")+" "+text)
		}
	}
	add(v.activeClosed, "timed out although the client kept talking")
	add(v.silentOpen, "silent and still open long after the deadline")
	add(v.early, "closed before the idle timeout had passed")
	add(v.unseen, "closed but not the connection")
	add(v.unregistered, "connected and never registered")
	for _, text := range slices.Sorted(maps.Keys(v.otherwise)) {
		add(v.otherwise[text], "ended with "+text)
	}
	return f
}

// notes says what a reader should know although it is no failure.
func (v verdict) notes() []string {
	var notes []string
	if v.stalled >= worthANote {
		notes = append(notes, fmt.Sprintf("this process stood still for up to %s, when nothing can close", console.Short(v.stalled)))
	}
	if v.starved > 0 {
		notes = append(notes, fmt.Sprintf("%s timed out: the client paused for up to %s,\n"+
			"  since this machine did not let it talk in time", console.Plural(v.starved, "active session"), console.Short(v.longestGap)))
	}
	return notes
}
