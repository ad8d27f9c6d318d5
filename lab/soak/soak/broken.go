package soak

import (
	"errors"
	"fmt"
)

// What is promised, as a soak names it when it is broken.
const (
	neverEarly      = "nothing fires or times out before its deadline"
	boundedLateness = "lateness is bounded by a second and the scheduler's own delay"
	nothingLost     = "no timer and no session is lost"
	exactlyOnce     = "each arming and each session ends exactly once, for one reason"
	closeEnds       = "Close and Shutdown end"
	noBusyLoop      = "a wheel with little to do does not keep a processor busy"
	rescues         = "the watchdog fires what the library lets lie"
	forgiven        = "a freeze does not time out a peer that kept sending"
	thawed          = "a silent session is closed within a second of the thaw"
	bounded         = "no more callbacks run at once than Config.MaxCallbacks"
	contained       = "a panic of a callback is told to OnPanic and ends nothing else"
	unharmed        = "a well-behaved session sees no error, whatever its neighbours do"
	undelayed       = "a well-behaved session's round trips are bounded, whatever its neighbours do"
	rightReason     = "a session is closed with the reason that says why"
	exactFrames     = "frames arrive whole, in order and unchanged"
	accepting       = "the server goes on accepting connections"
	nothingLeft     = "no session, no descriptor and no goroutine is left behind"
	agreement       = "the results of all methods agree with a simple model"
	survival        = "the process lives, and a round ends"

	oneOwner = "no two sessions have an ID at once, but as far as the policy allows"
	oneToken = "a token names one login of an ID"
	agreeing = "the directory has exactly the sessions of the pools"
	rightEnd = "a session ends when it is told to, or with its lease if the node fences"
	fences   = "a node that fences has no sessions when others may take their IDs"
	frees    = "a node that leaves frees its IDs at once"
	notices  = "the nodes log a fault as docs/cluster.md says"
	onlyFull = "a full directory refuses logins with ErrFull, at once, and nothing else"

	keepsLease = "a node that reaches the brokers keeps its lease"
	recovers   = "after a fault all is right again within a time that follows from the lease"
)

// Broken is the error of a round that saw a guarantee broken.
type Broken struct {
	Guarantee string // what is promised
	Seen      string // what was seen in its stead
}

// Error says both in one line.
func (b *Broken) Error() string { return b.Guarantee + ": " + b.Seen }

func broken(guarantee, format string, args ...any) error {
	return &Broken{guarantee, fmt.Sprintf(format, args...)}
}

// LeftOut is the error of a round that lacks what it needs. Its scenario is not
// tried again.
type LeftOut struct{ Why string }

// Error says what is missing.
func (l *LeftOut) Error() string { return "left out: " + l.Why }

func leftOut(format string, args ...any) error {
	return &LeftOut{fmt.Sprintf(format, args...)}
}

// firstBroken is the first error that is a broken guarantee, or else the first
// error: what else failed is likely the consequence.
func firstBroken(errs ...error) error {
	var first error
	for _, err := range errs {
		var b *Broken
		if errors.As(err, &b) {
			return err
		}
		if first == nil {
			first = err
		}
	}
	return first
}
