package cluster

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
)

// Node is this process in the cluster: made by [Join], ended by [Node.Leave], and
// the pool.Directory of the pool whose sessions it speaks for. All its methods may
// be called from any goroutine.
type Node struct {
	*reader

	serving chan struct{} // has a value for each request that is served; immutable

	// Pokes: a value is there while something waits to be done.
	wantBeat, wantSweep, wantTidy chan struct{}

	tokens tokens
	locks  idLocks

	// Guarded by mu, which is the reader's.
	epoch      string             // this incarnation; a new one after each death
	sub        *nats.Subscription // of the epoch's requests
	beatRev    uint64             // of the epoch's last heartbeat
	beats      uint64
	leaseUntil time.Time // the zero time: no lease
	lapsed     bool      // the lease's end has been dealt with
	fencing    int       // sessions of a lost lease are being closed
	lastBeat   time.Time // when the last heartbeat that succeeded was sent
	clocks     time.Time // nobody's silence counts before
	held       map[string]*held
	chores     map[string]chore
	choresMade uint64
	sweeps     uint64 // begun so far
}

// held is a session that this node has: a Claim has activated it and nobody has
// released or evicted it since.
type held struct {
	token  uint64
	since  int64 // unix milliseconds
	meta   []byte
	listed bool   // it may have an entry: false for a login that this node let in alone
	rev    uint64 // of its entry
	gen    uint64 // the generation of rev
	born   uint64 // sweeps begun when it was made
	seen   uint64 // the last sweep that found its entry
}

// State is whether a node may decide who owns an ID.
type State uint8

const (
	Active   State = iota // it has a lease
	Isolated              // it has not, since it does not reach the broker
	Left                  // it has left
)

func (s State) String() string {
	switch s {
	case Active:
		return "Active"
	case Isolated:
		return "Isolated"
	case Left:
		return "Left"
	default:
		return "State(?)"
	}
}

// State is the node's state at this moment.
func (n *Node) State() State {
	_, s := n.standing()
	return s
}

// standing is the epoch and the state.
func (n *Node) standing() (string, State) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.standingLocked()
}

func (n *Node) standingLocked() (string, State) {
	switch {
	case n.left:
		return n.epoch, Left
	case time.Now().Before(n.leaseUntil):
		return n.epoch, Active
	default:
		return n.epoch, Isolated
	}
}

func (n *Node) isMine(epoch string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mine[epoch]
}

// generation tells revisions that were learned over one connection from older
// ones. A broker that is reached anew may have lost the stream, and then revisions
// begin at 1 again: an old one may have come to mean another's entry.
func (n *Node) generation() uint64 { return n.nc.Stats().Reconnects }

// poke says that there is something to do.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it is said already
	}
}

// sleep waits for the given time and up to an eighth more, so that nodes do not
// keep in step; false if ctx has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(jitter(d)):
		return true
	}
}

func jitter(d time.Duration) time.Duration {
	return d + rand.N(d/8+1)
}
