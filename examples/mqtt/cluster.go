package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// news is what one node tells another: a message, or, without one, that it asks for those that are
// retained.
type news struct {
	Message *message `json:",omitempty"`
	Answer  bool     `json:",omitempty"` // it was asked for
}

// join makes the broker a node of a cluster, before it has sessions: a client ID has one session, on
// the node where the client logged in last, and messages reach the subscribers of all nodes.
func (b *broker) join(ctx context.Context) (err error) {
	b.local.Handover = b.handOver
	b.node, err = cluster.Join(ctx, cluster.Config{
		Name: b.flags.Node, Namespace: "mqtt", URL: b.flags.Cluster, Local: &b.local, OnTell: b.hear,
	})
	if err != nil {
		return fmt.Errorf("--cluster %s: %w", b.flags.Cluster, err)
	}
	tell(b.node, "", news{})
	return nil
}

// tell tells another node, or all others if its name is "". What is too large for NATS stays here.
func tell(n *cluster.Node, name string, what news) {
	data, _ := json.Marshal(what)
	_ = n.Tell(name, data)
}

// hear is the OnTell of package cluster.
func (b *broker) hear(n *cluster.Node, from string, data []byte) {
	var what news
	switch err := json.Unmarshal(data, &what); {
	case err != nil: // of another program
	case what.Message == nil:
		for _, m := range b.retainedFor("#") {
			tell(n, from, news{m, true})
		}
	case what.Answer:
		b.retain(what.Message, false)
	default:
		b.spread(what.Message)
	}
}

// handOver is the Handover of package cluster. It returns the state of a session that another node
// takes over, whose client is back there.
func (b *broker) handOver(e *entry) []byte {
	s := e.Conn()
	s.disconnect()
	s.takeWill()
	data, _ := json.Marshal(s) // null if it has ended
	return data
}
