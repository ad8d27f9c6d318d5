package cluster

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessionwheel/sessionwheel/cluster/internal/clock"
)

// newKeepingNode returns a node that has a lease.
func newKeepingNode() *Node {
	n := &Node{
		reader: newTestReader(), clocks: clock.System(),
		cleanups: make(map[string]cleanup), cleanupNow: make(chan struct{}, 1),
	}
	n.log = slog.New(slog.DiscardHandler)
	n.setLeaseLocked(n.clocks.Now())
	return n
}

// leaveEntry leaves the entry of a session that has handed over size bytes to a cleanup.
func (n *Node) leaveEntry(id string, token uint64, size int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.leaveEntryLocked(id, &ownSession{token: token, state: make([]byte, size)})
}

func TestKept_IsForOneTokenAndForALease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newKeepingNode()
		n.leaveEntry("a", 1, 10)
		n.leaveEntry("b", 2, 0)
		n.leaveEntry("c", 3, 30)
		if due := n.dueCleanups(); len(due) != 1 || due["b"].kept != nil {
			t.Error("only b keeps nothing", due)
		}
		if n.keep(request{id: "a", Token: 2}, 0, nil) || len(n.keptOf("a", 1)) != 10 {
			t.Error("another session hands nothing over")
		}
		if n.keptOf("a", 2) != nil || len(n.keptOf("a", 1)) != 10 || len(n.dropKeptLocked("a").state) != 10 || n.keptOf("a", 1) != nil {
			t.Error("a is kept for one login")
		}
		n.addCleanup("c", cleanup{})
		if due := n.dueCleanups(); len(due) != 2 || n.keptBytes != 30 {
			t.Error("c is kept", due, n.keptBytes)
		}
		<-n.cleanupNow
		n.setLeaseLocked(n.clocks.Now())
		time.Sleep(n.c.LeaseTTL)
		synctest.Wait()
		select {
		case <-n.cleanupNow:
		default:
			t.Error("the cleanup of c is not begun")
		}
		if due := n.dueCleanups(); len(due) != 3 || n.keptBytes != 0 || n.keptOf("c", 3) != nil {
			t.Error("c is kept for a lease", due, n.keptBytes)
		}
	})
}

func TestKept_IsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newKeepingNode()
		n.leaveEntry("a", 1, maxKept)
		n.leaveEntry("b", 2, 1)
		if n.keptOf("b", 2) != nil {
			t.Error("there is no room for b")
		}
		n.leaveEntry("a", 3, maxKept)
		if len(n.keptOf("a", 3)) != maxKept || n.keptBytes != maxKept {
			t.Error("the later state is kept", n.keptBytes)
		}
	})
}

func TestKept_EndsWithTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newKeepingNode()
		n.leaveEntry("a", 1, 1)
		n.loseLease(true)
		n.leaveEntry("b", 2, 1)
		if n.keptOf("a", 1) != nil || n.keptOf("b", 2) != nil || len(n.dueCleanups()) != 2 {
			t.Error("another node may have had the IDs")
		}
	})
}

func TestKept_EndsWhenTheNodeLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newKeepingNode()
		n.leaveEntry("a", 1, 1)
		n.closing = true
		if len(n.dueCleanups()) != 1 || n.keptBytes != 0 {
			t.Error("its entries are deleted")
		}
	})
}
