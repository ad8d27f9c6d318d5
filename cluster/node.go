package cluster

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sessionwheel/sessionwheel/cluster/internal/clock"
)

// Node is this process in the cluster, and the pool.Directory of the pool that holds
// its sessions. Make one with [Join] and end it with [Node.Leave]. All its methods may
// be called from any goroutine.
//
// Its goroutines end in Leave.
type Node struct {
	*reader

	// Immutable.
	counters                          map[string]*counter // of requests being served, by operation
	beatNow, reconcileNow, cleanupNow chan struct{}       // each holds one value if its loop must run; see notify

	clocks   clock.Clocks // for the node's own lease
	tokens   tokens
	locks    idLocks
	claiming sync.WaitGroup // calls of Claim that have begun
	endings  sync.WaitGroup // calls of Local.Close
	deleted  deletions
	rescan   atomic.Bool // the next reconciliation must read the whole directory

	// The loops that go on during Leave. It cancels last and waits for lastLoops.
	last       context.Context
	cancelLast context.CancelFunc
	lastLoops  sync.WaitGroup

	tells        []*nats.Subscription // receive what other nodes tell this one; set in Join
	disconnected string               // the last reason that logDisconnected has logged; of beatLoop's goroutine

	// Guarded by mu, which is the reader's.
	epoch         string             // the current incarnation; a new one after each death
	sub           *nats.Subscription // receives the epoch's requests
	beatRev       uint64             // the revision of the epoch's last heartbeat
	beats         uint64             // heartbeats of the epoch so far
	hasLease      bool               // false also when the lease was found to be over
	expiryHandled bool               // loseLease has run for the current lease
	activeFences  int                // calls of fence that have not returned
	lastBeat      clock.Instant      // when the last successful heartbeat was sent; the lease counts from it
	silenceSince  time.Time          // the silence of other nodes counts from here at the earliest
	sessions      map[string]*ownSession
	claims        map[string]*claim  // by ID: of those that have not returned, the one that began last
	cleanups      map[string]cleanup // by ID
	cleanupSeq    uint64             // the seq of the newest cleanup
	keptBytes     int                // of the states that cleanups keep
	passes        uint64             // reconciliation passes begun so far
	hasScanned    bool               // a pass has read the whole directory
}

// ownSession is a session of this node: a Claim has activated it, and it was neither
// released nor evicted.
type ownSession struct {
	token        uint64
	since        int64 // unix milliseconds
	began        int64 // when its Claim began, in unix microseconds
	meta         []byte
	ending       *ending // the last one; nil if Local.Close was not called
	handedOver   bool    // an ending hands it over, or has done so
	state        []byte  // what it handed over
	mayHaveEntry bool    // false for a login that this node admitted without a lease
	rev          uint64  // the revision of its entry
	gen          uint64  // the generation of rev
	bornPass     uint64  // Node.passes when the session was activated
	seenPass     uint64  // the last pass that found its entry
}

// State says whether a node may decide who owns an ID.
type State uint8

const (
	Active   State = iota // it has a lease
	Isolated              // it has no lease, because it does not reach the broker
	Left                  // Leave was called
)

// String returns the name of the state.
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

// State returns the node's current state. It does not ask the broker.
//
// Active means that no other node could take over a session of this one at the moment of the
// call. It says nothing about the next moment: a process can be stopped between the call and
// what it does next, and a lease that ends meanwhile ends unseen. The lease is judged by the
// monotonic clock and by the time since boot, which goes on while a machine is suspended
// (the wall clock where the system has no such time). A virtual machine whose clocks all
// stand still while it is paused cannot know that it was, until its network is back. So
// whatever must not be done for two sessions of an ID should be guarded where it is done, by
// the session's token: see [Entry].
func (n *Node) State() State {
	_, s := n.epochAndState()
	return s
}

// epochAndState returns the node's epoch and state.
func (n *Node) epochAndState() (string, State) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.epochAndStateLocked()
}

func (n *Node) epochAndStateLocked() (string, State) {
	switch {
	case n.closing:
		return n.epoch, Left
	case n.leaseLeftLocked() > 0:
		return n.epoch, Active
	default:
		return n.epoch, Isolated
	}
}

// isOwnEpoch reports whether an epoch is this node's, or was.
func (n *Node) isOwnEpoch(epoch string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ownEpochs[epoch]
}

// notify makes the loop that receives from c run once more. It never blocks.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // already notified
	}
}
