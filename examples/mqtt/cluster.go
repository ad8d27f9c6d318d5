package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/pool"
)

// peers connects the broker with the other nodes of a cluster: a client ID has one session, on
// the node where the client logged in last, and messages reach the subscribers of all nodes.
type peers struct {
	broker *broker
	node   *cluster.Node
	local  cluster.LocalPool[*session]
	conn   *nats.Conn // for messages; the node has its own
}

const (
	subjectPublish  = "mqtt.publish"  // a message
	subjectRetained = "mqtt.retained" // a request for what is retained
	subjectMove     = "mqtt.move."    // and the name of a node: a request for a session
)

// join makes the broker a node, before it has sessions.
func (b *broker) join(ctx context.Context) (p *peers, err error) {
	p = &peers{broker: b}
	if p.conn, err = nats.Connect(b.flags.Cluster, nats.NoEcho(), nats.MaxReconnects(-1)); err == nil {
		p.node, err = cluster.Join(ctx, cluster.Config{Name: b.flags.Node, Namespace: "mqtt", URL: b.flags.Cluster, Local: &p.local})
	}
	if err != nil {
		return nil, fmt.Errorf("--cluster %s: %w", b.flags.Cluster, err)
	}
	return p, nil
}

// begin answers the other nodes, and asks them for what they have retained.
func (p *peers) begin() error {
	p.local.Use(p.broker.sessions)
	inbox := p.conn.NewRespInbox()
	_, err1 := p.conn.Subscribe(subjectPublish, messages(p.broker.spread))
	_, err2 := p.conn.Subscribe(inbox, messages(func(m *message) { p.broker.retain(m, false) }))
	_, err3 := p.conn.Subscribe(subjectMove+p.broker.flags.Node, p.move)
	_, err4 := p.conn.QueueSubscribe(subjectRetained, "one", func(msg *nats.Msg) {
		p.send(msg.Reply, p.broker.retainedFor("#")...)
	})
	return errors.Join(err1, err2, err3, err4, p.conn.PublishRequest(subjectRetained, inbox, nil))
}

func messages(f func(*message)) nats.MsgHandler {
	return func(msg *nats.Msg) {
		m := new(message)
		if json.Unmarshal(msg.Data, m) == nil {
			f(m)
		}
	}
}

// send sends messages to a subject. What NATS does not accept, because it is too large, stays on
// this node.
func (p *peers) send(subject string, msgs ...*message) {
	for _, m := range msgs {
		if data, err := json.Marshal(m); err == nil {
			_ = p.conn.Publish(subject, data)
		}
	}
}

// move hands a session over to another node, and ends it here. NATS calls it for one session
// after the other.
func (p *peers) move(msg *nats.Msg) {
	data := []byte("null")
	if e, ok := p.broker.sessions.Get(string(msg.Data)); ok {
		s := e.Conn()
		s.disconnect()
		s.takeWill() // the client is back
		data, _ = json.Marshal(s)
		e.Close(pool.Replaced)
	}
	_ = msg.Respond(data) // the other node sees whether it got it
}

// fetch takes over what another node has of a session, if there is one.
func (p *peers) fetch(ctx context.Context, id string, st *state) {
	if e, err := p.node.Lookup(ctx, id); err == nil {
		if msg, err := p.conn.RequestWithContext(ctx, subjectMove+e.Node, []byte(id)); err == nil {
			_ = json.Unmarshal(msg.Data, st) // which null does not change
		}
	}
}

// leave is called when the broker has no sessions any more.
func (p *peers) leave(ctx context.Context) error {
	defer p.conn.Close()
	return errors.Join(p.conn.FlushWithContext(ctx), p.node.Leave(ctx))
}
