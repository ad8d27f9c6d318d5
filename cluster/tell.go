package cluster

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
)

// The headers of a message between nodes: the name and the epoch of the node that sent it.
const (
	headerNode  = "Node"
	headerEpoch = "Epoch"

	headerSize = 256 // more than the headers take
)

// tellSubject is the subject of messages to the nodes with a name, or to all nodes if it is "".
func (n *Node) tellSubject(name string) string {
	if name == "" {
		return n.c.Namespace + ".node.tell"
	}
	return n.c.Namespace + ".node." + name + ".tell"
}

// Tell sends a message to the other node with the given name, or to all other nodes if name is
// "", which hand it to their Config.OnTell. It does not wait for that: a node gets the message
// once, or not at all, for example because it is not connected or has no OnTell. Messages with the
// same name arrive in the order of the calls. If several nodes have the name, each of them gets
// the message.
//
// The error is ErrLeft after Leave. It wraps ErrInvalid if no node can have that name or if the
// message is longer than the broker allows, 1 MiB by default, and ErrUnavailable if this node is
// not connected.
func (n *Node) Tell(name string, msg []byte) error {
	if name != "" && !isName(name) {
		return fmt.Errorf("%w: %.80q is not the name of a node", ErrInvalid, name)
	}
	if most := n.nc.MaxPayload() - headerSize; int64(len(msg)) > most {
		return fmt.Errorf("%w: a message of %d bytes: use up to %d", ErrInvalid, len(msg), most)
	}
	epoch, state := n.epochAndState()
	if state == Left {
		return ErrLeft
	}
	m := nats.NewMsg(n.tellSubject(name))
	m.Header.Set(headerNode, n.c.Name)
	m.Header.Set(headerEpoch, epoch)
	m.Data = msg
	return unavailable(n.nc.PublishMsg(m))
}

// listen subscribes to what other nodes tell this one, and returns when the broker knows it.
func (n *Node) listen(ctx context.Context) error {
	if n.c.OnTell == nil {
		return nil
	}
	n.stopListening() // to what an earlier attempt has subscribed
	for _, name := range []string{"", n.c.Name} {
		sub, err := n.nc.Subscribe(n.tellSubject(name), n.hear)
		if err != nil {
			return unavailable(err)
		}
		n.tells = append(n.tells, sub)
	}
	ctx, cancel := context.WithTimeout(ctx, n.c.attempt())
	defer cancel()
	return unavailable(n.nc.FlushWithContext(ctx))
}

// stopListening ends the subscriptions. Leave waits for an OnTell that runs.
func (n *Node) stopListening() {
	for _, sub := range n.tells {
		_ = sub.Unsubscribe() // fails if the connection is gone, and with it the subscription
	}
	n.tells = nil
}

// hear calls OnTell. A subscription's goroutine calls it for one message after the other.
func (n *Node) hear(m *nats.Msg) {
	if n.isOwnEpoch(m.Header.Get(headerEpoch)) {
		return
	}
	returned := make(chan struct{})
	called := n.goBackground(func() { // ends with OnTell
		defer close(returned)
		n.c.OnTell(n, m.Header.Get(headerNode), m.Data)
	})
	if called {
		<-returned
	}
}
