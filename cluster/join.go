package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Join makes this process a node of the cluster: from then on it renews its lease
// and answers the other nodes, on goroutines that [Node.Leave] ends. It tries
// until ctx ends to reach the broker; the error is then ErrUnavailable. An error
// that is none of the package's names the field of the Config that is wrong.
func Join(ctx context.Context, c Config) (*Node, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	nc := c.Conn
	if nc == nil {
		if nc, err = dial(ctx, c); err != nil {
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
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("cluster: Config.Conn: %w", err)
	}
	n := &Node{
		c:         c,
		log:       c.Logger.With("node", c.Name),
		nc:        nc,
		ownConn:   c.Conn == nil,
		js:        js,
		dir:       &bucket{js: js, name: c.Namespace + "_dir", attempt: c.attempt()},
		nodes:     &bucket{js: js, name: c.Namespace + "_nodes", attempt: c.attempt()},
		viewed:    make(chan struct{}),
		serving:   make(chan struct{}, maxServing),
		wantBeat:  make(chan struct{}, 1),
		wantSweep: make(chan struct{}, 1),
		wantTidy:  make(chan struct{}, 1),
		mine:      make(map[string]bool),
		peers:     make(map[string]*peer),
		missed:    make(map[string]*peer),
		held:      make(map[string]*held),
		chores:    make(map[string]chore),
		resync:    make(chan struct{}),
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	for _, step := range []func(context.Context) error{n.ensure, n.nodes.open, n.dir.open, n.newEpoch} {
		if err := n.persist(ctx, step); err != nil {
			return nil, err
		}
	}
	for _, f := range []func(){n.beatLoop, n.expireLoop, n.viewLoop, n.judgeLoop, n.tidyLoop, n.sweepLoop, n.connLoop} {
		n.run(f)
	}
	select {
	case <-n.viewed:
	case <-ctx.Done():
		err := fmt.Errorf("%w from the broker: %w", ErrUnavailable, ctx.Err())
		return nil, errors.Join(err, n.abandon())
	}
	poke(n.wantSweep) // for what dead nodes left while nobody was there
	return n, nil
}

// persist tries until the error is nil, or more than no answer, or ctx ends.
func (n *Node) persist(ctx context.Context, do func(context.Context) error) error {
	for {
		err := do(ctx)
		if err == nil || !errors.Is(err, ErrUnavailable) {
			return err
		}
		if !sleep(ctx, 200*time.Millisecond) {
			return fmt.Errorf("%w (%w)", err, ctx.Err())
		}
	}
}

// ensure makes the buckets unless they are there.
func (n *Node) ensure(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, n.c.LeaseTTL/2) // replicated ones take a while
	defer cancel()
	return errors.Join(n.nodes.ensure(ctx, &n.c), n.dir.ensure(ctx, &n.c))
}

// abandon ends the background of a node that did not come to be.
func (n *Node) abandon() error {
	n.mu.Lock()
	n.left = true
	sub := n.sub
	n.mu.Unlock()
	err := sub.Unsubscribe()
	n.cancel()
	n.wg.Wait()
	return err
}

// connLoop looks again at everything whenever the connection is made anew: the
// broker may be another one, and may have lost some or all.
func (n *Node) connLoop() {
	status := n.nc.StatusChanged(nats.CONNECTED)
	defer n.nc.RemoveStatusListener(status)
	for {
		select {
		case <-n.ctx.Done():
			return
		case _, ok := <-status:
			if !ok { // closed by whoever made it
				return
			}
			poke(n.wantBeat)
			poke(n.wantSweep)
			poke(n.wantTidy)
			n.rebuildWatchers()
		}
	}
}

// rebuildWatchers ends all watchers of the broker, which then begin anew: one may
// stay deaf for many seconds after a broker's restart.
func (n *Node) rebuildWatchers() {
	n.mu.Lock()
	defer n.mu.Unlock()
	close(n.resync)
	n.resync = make(chan struct{})
}

func (n *Node) resyncing() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.resync
}
