package cluster

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
)

// Join makes this process a node of the cluster: from then on it renews its lease
// and answers the other nodes, on goroutines that [Node.Leave] ends. It tries
// until ctx ends to reach the broker, and to have as many brokers as Config.Replicas
// says; the error is then ErrUnavailable, with the broker's last answer. An error
// that is none of the package's, as for a broker without JetStream or one alone that
// is to replicate, comes at once and names what is wrong.
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
	r, err := newReader(c, nc, ErrLeft)
	if err != nil {
		return nil, err
	}
	r.log = c.Logger.With("node", c.Name)
	n := &Node{
		reader:    r,
		serving:   make(chan struct{}, maxServing),
		wantBeat:  make(chan struct{}, 1),
		wantSweep: make(chan struct{}, 1),
		wantTidy:  make(chan struct{}, 1),
		held:      make(map[string]*held),
		chores:    make(map[string]chore),
	}
	for _, step := range []func(context.Context) error{n.ensure, n.open, n.newEpoch} {
		if err := persist(ctx, step); err != nil {
			return nil, err
		}
	}
	for _, f := range []func(){
		n.beatLoop, n.expireLoop, n.judgeLoop, n.tidyLoop, n.sweepLoop,
		func() { n.viewLoop(n.echo) },
		func() { n.connLoop(n.connected) },
	} {
		n.run(f)
	}
	if err := n.whole(ctx); err != nil {
		return nil, errors.Join(err, n.abandon())
	}
	poke(n.wantSweep) // for what dead nodes left while nobody was there
	return n, nil
}

// ensure makes the buckets unless they are there.
func (n *Node) ensure(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, n.c.LeaseTTL/2) // replicated ones take a while
	defer cancel()
	if err := n.nodes.ensure(ctx, &n.c); err != nil {
		return err
	}
	return n.dir.ensure(ctx, &n.c)
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

// connected has everything looked at again.
func (n *Node) connected() {
	poke(n.wantBeat)
	poke(n.wantSweep)
	poke(n.wantTidy)
}
