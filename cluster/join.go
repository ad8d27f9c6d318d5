package cluster

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"

	"github.com/sessionwheel/sessionwheel/cluster/internal/clock"
)

// Join makes this process a node of the cluster. From then on the node renews its
// lease and answers other nodes, on goroutines that run until [Node.Leave].
//
// Join retries until ctx ends if the broker does not answer or fewer brokers are up
// than Config.Replicas says; the error then wraps ErrUnavailable and contains the
// broker's last answer. Errors that retrying cannot fix are returned at once and say
// what is wrong, for example an invalid field of the Config, a broker without
// JetStream, or a single broker that is to replicate.
func Join(ctx context.Context, c Config) (*Node, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	nc := c.Conn
	if nc == nil {
		if nc, err = dial(ctx, c, c.LeaseTTL, "node "+c.Name, "Config.URL"); err != nil {
			return nil, err
		}
	}
	n, err := join(ctx, c, nc)
	if err != nil && c.Conn == nil {
		nc.Close()
	}
	return n, err
}

func join(ctx context.Context, c Config, nc *nats.Conn) (*Node, error) {
	// The heartbeats and what they are seen by have a connection of their own, which no
	// number of logins and no reading of the directory can delay.
	beatConn, err := again(ctx, nc)
	if err != nil {
		return nil, err
	}
	n, err := joinOn(ctx, c, nc, beatConn)
	if err != nil {
		beatConn.Close()
	}
	return n, err
}

func joinOn(ctx context.Context, c Config, nc, beatConn *nats.Conn) (*Node, error) {
	r, err := newReader(c, nc, beatConn, ErrLeft)
	if err != nil {
		return nil, err
	}
	r.log = c.Logger.With("node", c.Name)
	n := &Node{
		reader:       r,
		clocks:       clock.From(ctx),
		counters:     newCounters(),
		beatNow:      make(chan struct{}, 1),
		reconcileNow: make(chan struct{}, 1),
		cleanupNow:   make(chan struct{}, 1),
		sessions:     make(map[string]*ownSession),
		claims:       make(map[string]*claim),
		cleanups:     make(map[string]cleanup),
	}
	n.last, n.cancelLast = context.WithCancel(context.Background())
	uncaptured := func(ctx context.Context) error {
		return n.nodes.checkCaptured(ctx, c.Namespace+".node.>")
	}
	for _, step := range []func(context.Context) error{n.ensure, n.open, uncaptured, n.newEpoch, n.listen} {
		if err := n.retry(ctx, step); err != nil {
			n.cancelLast()
			n.stopListening()
			return nil, err
		}
	}
	n.startLoops()
	if err := n.awaitView(ctx); err != nil {
		return nil, errors.Join(err, n.undoJoin())
	}
	notify(n.reconcileNow) // deletes what nodes left that died while no node was up
	return n, nil
}

// startLoops starts the node's background goroutines. They end with n.ctx, except that
// beatLoop and cleanupLoop go on in Leave until all sessions are closed, and end with
// n.last. Leave waits for all of them.
//
//	loop           runs                                      writes
//	beatLoop       each third of the lease, and on beatNow   this node's record: the lease, or a new epoch
//	expireLoop     when the lease ends                       the end of the lease; starts fence
//	deathLoop      each eighth of the lease                  tombstones of silent nodes
//	reconcileLoop  on reconcileNow                           entries of own sessions; deletes those of dead nodes
//	lossLoop       each third of the lease                   nothing; finds that the directory is lost
//	cleanupLoop    on cleanupNow                             deletes entries without a session
//	viewLoop       on each change of a node's record         peers and noRecord
//	connLoop       on each reconnection                      nothing; notifies the loops, restarts watchers
//
// Each request of another node (serve), each OnTell (hear), each lost lease with sessions
// to close (fence) and each Watch has a goroutine of its own beside these.
func (n *Node) startLoops() {
	n.lastLoops.Go(n.beatLoop)
	n.lastLoops.Go(n.cleanupLoop)
	for _, loop := range []func(){
		n.expireLoop, n.deathLoop, n.reconcileLoop, n.lossLoop,
		func() { n.viewLoop(n.checkEcho) },
		func() { n.connLoop(n.nc, n.onConnected) },
		func() { n.connLoop(n.beatConn, func() { notify(n.beatNow) }) },
	} {
		n.goBackground(loop)
	}
}

// ensure creates the buckets if they do not exist.
func (n *Node) ensure(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, n.c.LeaseTTL/2) // replicated ones take a while
	defer cancel()
	if err := n.nodes.ensure(ctx, &n.c); err != nil {
		return err
	}
	return n.dir.ensure(ctx, &n.c)
}

// undoJoin ends the goroutines of a node whose Join has failed.
func (n *Node) undoJoin() error {
	n.mu.Lock()
	n.closing = true
	sub := n.sub
	n.mu.Unlock()
	err := sub.Unsubscribe()
	n.stopListening()
	n.cancel()
	n.wg.Wait()
	n.endLast()
	return err
}

// onConnected makes the loops that write run again, since the broker may be another
// one.
func (n *Node) onConnected() {
	n.checkDeletions()
	notify(n.beatNow)
	notify(n.reconcileNow)
	notify(n.cleanupNow)
}
