package soak

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

// network is one round: a child with three servers, a well-behaved peer of each
// and all manner of others beside them.
type network struct {
	r     *Run
	order serverOrder   // as it is judged
	least time.Duration // the shortest timeout that a peer has to meet
	child *child
	addrs map[string]string
	good  []*goodPeer

	mu     sync.Mutex
	seen   []wantedReason // guarded by mu
	latest time.Duration  // guarded by mu: how late the server hung up on a bad peer
}

// wantedReason is what the server must say of the session from an address.
type wantedReason struct {
	remote string
	reason pool.Reason
}

func networkRound(ctx context.Context, r *Run) (err error) {
	n := &network{r: r, order: serverOrder{
		Idle:      r.between(1500*time.Millisecond, 2500*time.Millisecond),
		Frame:     r.between(600*time.Millisecond, 1200*time.Millisecond),
		Write:     r.between(600*time.Millisecond, 1200*time.Millisecond),
		Handshake: r.between(600*time.Millisecond, 1200*time.Millisecond),
		MaxFrame:  16<<10 + r.rand.IntN(16<<10),
	}}
	given := n.order
	given.Idle, given.Frame, given.Handshake = r.given(given.Idle), r.given(given.Frame), r.given(given.Handshake)
	n.least = min(given.Idle, given.Frame, given.Handshake)
	if n.child, err = startChild(ctx, "", "server", given); err != nil {
		return err
	}
	defer n.child.kill()
	var hello serverHello
	if err := n.child.hear(&hello); err != nil {
		return err
	}
	n.addrs = hello.Addrs
	if err := n.run(ctx); err != nil {
		return err
	}
	return n.end(ctx)
}

// run connects the well-behaved peers, and then does everything beside them.
func (n *network) run(ctx context.Context) (err error) {
	talk, stopSending := context.WithCancel(ctx)
	var talking sync.WaitGroup
	hangUp := func() {
		stopSending()
		talking.Wait()
		for _, g := range n.good {
			_ = g.conn.Close() // the server has nothing more to say
		}
		n.good = nil
	}
	defer hangUp()
	for _, kind := range slices.Sorted(maps.Keys(n.addrs)) {
		var g *goodPeer
		err := n.r.patiently(ctx, n.least, func() (err error) {
			g, err = newGoodPeer(ctx, n.r, kind, n.addrs[kind])
			return err
		})
		if err != nil {
			return err
		}
		n.good = append(n.good, g)
		talking.Go(func() { g.talk(talk) })
	}
	if err := pause(ctx, time.Duration(n.r.size(800, 400))*time.Millisecond); err != nil {
		return err
	}
	for _, g := range n.good {
		g.disturbed.Store(true)
	}
	if err := n.disturb(ctx); err != nil {
		return err
	}
	left, err := n.awaitLeft(ctx, len(n.good)) // whose end would give descriptors back
	if err != nil {
		return err
	}
	n.mu.Lock()
	latest := n.latest
	n.mu.Unlock()
	if most := allowed(time.Second, max(left.Delay, n.r.delay.delay())); latest > most {
		return broken(boundedLateness, "the server hung up on a bad peer %v late, where %v are allowed", latest, most)
	}
	if err := n.exhaust(ctx); err != nil {
		return err
	}
	if left, err = n.awaitLeft(ctx, len(n.good)); err != nil {
		return err
	}
	stopSending()
	talking.Wait()
	for _, g := range n.good {
		if err := g.judge(left.Delay, n.order.Idle); err != nil {
			return err
		}
	}
	hangUp()
	_, err = n.awaitLeft(ctx, 0)
	return err
}

// awaitLeft waits until so many sessions are left.
func (n *network) awaitLeft(ctx context.Context, want int) (rep serverReport, err error) {
	for end := time.Now().Add(n.order.Idle + callbackPatience); ; {
		rep = serverReport{}
		if err := n.child.ask(serverDo{doReport}, &rep); err != nil {
			return rep, err
		}
		in := 0
		for _, count := range rep.Counts {
			in += count.In
		}
		switch {
		case in == want || in < want && n.starved():
			return rep, nil
		case in < want:
			return rep, firstBroken(n.goodErrors(rep.Delay)...)
		case time.Now().After(end):
			return rep, broken(nothingLeft, "%d sessions are in the pools when %d peers are connected", in, want)
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return rep, err
		}
	}
}

// starved tells whether a well-behaved peer was not let talk in time.
func (n *network) starved() bool {
	return slices.ContainsFunc(n.good, func(g *goodPeer) bool { return g.starved(n.order.Idle) })
}

func (n *network) goodErrors(delay time.Duration) (errs []error) {
	for _, g := range n.good {
		errs = append(errs, g.judge(delay, n.order.Idle))
	}
	return append(errs, broken(unharmed, "one was closed by the server"))
}

// exhaust uses up the child's descriptors, connects to it, and gives them
// back: then all that have connected must be served.
func (n *network) exhaust(ctx context.Context) error {
	if !canExhaust {
		return nil
	}
	var rep serverReport
	if err := n.child.ask(serverDo{doExhaust}, &rep); err != nil {
		return err
	}
	if rep.Exhausted == 0 {
		return errors.New("the child's descriptors could not be used up")
	}
	var waiting []*goodPeer
	defer func() {
		for _, g := range waiting {
			_ = g.conn.Close()
		}
	}()
	for range n.r.size(30, 8) {
		conn, err := dialServer(ctx, n.addrs[lines])
		if err != nil {
			return err
		}
		g := &goodPeer{conn: conn, r: n.r, kind: lines}
		waiting = append(waiting, g)
		if err := g.ask(); err != nil { // what it says waits with it, so it cannot be too late
			return broken(accepting, "a peer could not send when there were no descriptors: %v", err)
		}
	}
	if err := pause(ctx, n.r.between(200*time.Millisecond, 800*time.Millisecond)); err != nil {
		return err
	}
	if err := n.child.ask(serverDo{doRelieve}, &rep); err != nil {
		return err
	}
	relieved := time.Now()
	if rep.Refused == 0 {
		return broken(accepting, "OnError was not told that the descriptors had run out")
	}
	for _, g := range waiting {
		if err := g.until(ctx, g.hear); err != nil {
			return broken(accepting, "once there were descriptors again, a peer that had connected without them was not served: %v", err)
		}
	}
	// Accept is tried again after a second at most.
	took := time.Since(relieved)
	if most := allowed(2*time.Second, max(rep.Delay, n.r.delay.delay())); took > most {
		return broken(accepting, "that took %v once there were descriptors again, where %v are allowed", took, most)
	}
	n.r.count(len(waiting))
	return nil
}

// wants notes the reason with which a session must have ended.
func (n *network) wants(remote string, reason pool.Reason) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.seen = append(n.seen, wantedReason{remote, reason})
}

// end has the child shut down and judges its report.
func (n *network) end(ctx context.Context) error {
	var rep serverReport
	if err := n.child.ask(serverDo{doEnd}, &rep); err != nil {
		return err
	}
	if err := n.child.wait(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := rep.judge(); err != nil {
		return err
	}
	ended := make(map[string][]pool.Reason)
	for _, s := range rep.Sessions {
		ended[s.Remote] = append(ended[s.Remote], s.Reason)
		if after := s.Ended - s.Active; s.Reason == pool.Timeout && after < n.order.Idle {
			return broken(neverEarly, "a session timed out %v after its last activity; its idle timeout is %v", after, n.order.Idle)
		}
	}
	timeouts := []pool.Reason{pool.Timeout, tcp.ReasonFrameTimeout}
	for _, want := range n.seen {
		// One that was starved may have been timed out before it did what it had to.
		excused := n.r.starved(n.least) && slices.ContainsFunc(ended[want.remote], func(r pool.Reason) bool { return slices.Contains(timeouts, r) })
		if !slices.Contains(ended[want.remote], want.reason) && !excused {
			return broken(rightReason, "one that must end with %q ended with %q", want.reason, ended[want.remote])
		}
	}
	if rep.Counts[secure].ByReason[tcp.ReasonHandshake] == 0 {
		return broken(rightReason, "no session over TLS ended with %q", tcp.ReasonHandshake)
	}
	return nil
}

// judge checks what must hold of servers that have shut down, whatever was done
// to them.
func (rep serverReport) judge() error {
	for _, strange := range rep.Strange {
		return broken(survival, "%s", strange)
	}
	for kind, c := range rep.Counts {
		if c.Registered != c.Closed || c.In != 0 || c.Opened != c.Told {
			return broken(exactlyOnce, "%s: %d sessions registered, %d closed, %d in the pool; OnNewSessionRegister %d times, OnSessionClosed %d times",
				kind, c.Registered, c.Closed, c.In, c.Opened, c.Told)
		}
		if c.ByReason[tcp.ReasonPanic] != 0 {
			return broken(survival, "%s: a session ended with %q", kind, tcp.ReasonPanic)
		}
	}
	if rep.Files > 0 || rep.Goroutines > 0 {
		return broken(nothingLeft, "after Shutdown there are %d descriptors and %d goroutines more than before", rep.Files, rep.Goroutines)
	}
	if most := allowed(2*time.Second, rep.Delay); rep.Shutdown > most {
		return broken(closeEnds, "Shutdown took %v", rep.Shutdown)
	}
	return nil
}

// pause waits, and returns the cause of ctx if that ends first.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// disturb has all kinds of peers do what they do, at the same time.
func (n *network) disturb(ctx context.Context) error {
	var peers sync.WaitGroup
	errs := make([]error, len(badPeers))
	for i, bad := range badPeers {
		p := &badPeer{network: n, rand: n.r.fork()}
		peers.Go(func() {
			if err := bad.do(ctx, p); err != nil {
				var b *Broken
				if errors.As(err, &b) {
					b.Seen = bad.name + ": " + b.Seen
				} else {
					err = fmt.Errorf("%s: %w", bad.name, err)
				}
				errs[i] = err
			}
		})
	}
	peers.Wait()
	return firstBroken(errs...)
}
