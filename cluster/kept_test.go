package cluster

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

func newKeepingNode() *Node {
	return &Node{reader: newTestReader(), cleanups: make(map[string]cleanup), cleanupNow: make(chan struct{}, 1)}
}

// leave leaves the entry of a session to a cleanup that has handed over as many bytes.
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
		if n.takeKept("a", 2) != nil || len(n.takeKept("a", 1)) != 10 || n.takeKept("a", 1) != nil {
			t.Error("a is kept for one login")
		}
		n.addCleanup("c", cleanup{})
		if due := n.dueCleanups(); len(due) != 2 || n.keptBytes != 30 {
			t.Error("c is kept", due, n.keptBytes)
		}
		<-n.cleanupNow
		time.Sleep(n.c.LeaseTTL)
		synctest.Wait()
		select {
		case <-n.cleanupNow:
		default:
			t.Error("the cleanup of c is not begun")
		}
		if due := n.dueCleanups(); len(due) != 3 || n.keptBytes != 0 || n.takeKept("c", 3) != nil {
			t.Error("c is kept for a lease", due, n.keptBytes)
		}
	})
}

func TestKept_IsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newKeepingNode()
		n.leaveEntry("a", 1, maxKept)
		n.leaveEntry("b", 2, 1)
		if n.takeKept("b", 2) != nil {
			t.Error("there is no room for b")
		}
		n.leaveEntry("a", 3, maxKept)
		if len(n.takeKept("a", 3)) != maxKept || n.keptBytes != 0 {
			t.Error("the later state is kept", n.keptBytes)
		}
	})
}

func TestKept_EndsWithTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newKeepingNode()
		n.log = slog.New(slog.DiscardHandler)
		n.hasLease = true
		n.leaveEntry("a", 1, 1)
		n.loseLease(true)
		if n.takeKept("a", 1) != nil || len(n.dueCleanups()) != 1 {
			t.Error("another node may have had the ID")
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
