//go:build !nocluster

package soak

import (
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/sessionwheel/sessionwheel/internal/loopback"
)

// How long a slow link keeps what the broker says.
const (
	slowLeast = 200 * time.Millisecond
	slowMost  = 900 * time.Millisecond
)

// link is the network between a node and its broker. Cut, it takes connections and
// bytes and passes none on, so that neither side is told of an end.
type link struct {
	l  net.Listener
	wg sync.WaitGroup

	mu   sync.Mutex
	cond *sync.Cond // of mu
	// Guarded by mu.
	target    string // host:port
	conns     map[net.Conn]bool
	cut, slow bool
	closed    bool
}

func newLink(target string) (*link, error) {
	l, err := net.Listen("tcp", loopback.Host()+":0")
	if err != nil {
		return nil, err
	}
	k := &link{l: l, target: target, conns: make(map[net.Conn]bool)}
	k.cond = sync.NewCond(&k.mu)
	k.wg.Go(k.accept)
	return k, nil
}

func (k *link) addr() string { return k.l.Addr().String() }

// close ends the link with all connections, and waits for its goroutines.
func (k *link) close() {
	_ = k.l.Close() // its only use was accept, which ends
	k.set(func() { k.closed = true })
	k.drop()
	k.wg.Wait()
}

func (k *link) set(change func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change()
	k.cond.Broadcast()
}

func (k *link) lead(target string) { k.set(func() { k.target = target }) }
func (k *link) sever()             { k.set(func() { k.cut = true }) }
func (k *link) slowDown(slow bool) { k.set(func() { k.slow = slow }) }

// heal loses what was under way in the cut, with its connections, as peers do that
// have long given up on them.
func (k *link) heal() {
	k.drop()
	k.set(func() { k.cut = false })
}

func (k *link) drop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for c := range k.conns {
		_ = c.Close() // its reader gets an error
	}
	clear(k.conns)
}

func (k *link) accept() {
	for {
		c, err := k.l.Accept()
		if err != nil {
			return
		}
		k.wg.Go(func() { k.join(c) })
	}
}

// join connects a node's connection with the broker, until either ends.
func (k *link) join(node net.Conn) {
	defer k.part(node)
	if !k.admit(node) || !k.await(time.Time{}) {
		return
	}
	k.mu.Lock()
	target := k.target
	k.mu.Unlock()
	broker, err := net.DialTimeout("tcp", target, time.Second)
	if err != nil {
		return // the node tries again
	}
	defer k.part(broker)
	if !k.admit(broker) {
		return
	}
	k.wg.Go(func() { k.pump(node, broker, false) })
	k.pump(broker, node, true)
}

func (k *link) admit(c net.Conn) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.closed {
		k.conns[c] = true
	}
	return !k.closed
}

func (k *link) part(c net.Conn) {
	_ = c.Close() // it may have been closed by its other user
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.conns, c)
}

// await waits until the given time, and while the link is cut. It reports false
// when the link is closed.
func (k *link) await(due time.Time) bool {
	time.Sleep(time.Until(due))
	k.mu.Lock()
	defer k.mu.Unlock()
	for k.cut && !k.closed {
		k.cond.Wait()
	}
	return !k.closed
}

// parcel is bytes that came at once.
type parcel struct {
	data []byte
	due  time.Time
}

// pump passes on what comes from one side, in order, until either ends.
func (k *link) pump(from, to net.Conn, late bool) {
	parcels := make(chan parcel, 1024)
	k.wg.Go(func() { // ends when parcels is closed, below
		for p := range parcels {
			if !k.await(p.due) {
				break
			}
			if _, err := to.Write(p.data); err != nil {
				break
			}
		}
		_ = to.Close()   // the end of one side is the other's
		_ = from.Close() // which ends the reading below
		for range parcels {
		}
	})
	defer close(parcels)
	for {
		buf := make([]byte, 16<<10)
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		p := parcel{data: buf[:n]}
		if k.mu.Lock(); late && k.slow {
			p.due = time.Now().Add(slowLeast + rand.N(slowMost-slowLeast))
		}
		k.mu.Unlock()
		parcels <- p
	}
}
