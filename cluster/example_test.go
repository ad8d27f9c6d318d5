package cluster_test

import (
	"context"
	"log"
	"net"
	"time"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/pool"
)

// A node with a pool, and brokers on other machines.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	local := &cluster.LocalPool[net.Conn]{
		OnMessage: func(s *pool.Session[string, net.Conn], msg []byte) {
			if _, err := s.Conn().Write(msg); err != nil {
				s.Close("Error")
			}
		},
	}
	node, err := cluster.Join(ctx, cluster.Config{
		Name:     "node-1",
		URL:      "nats://10.0.0.1,nats://10.0.0.2,nats://10.0.0.3",
		Replicas: 3,
		Local:    local,
	})
	if err != nil {
		log.Fatal(err)
	}
	sessions, err := pool.New(pool.Config[string, net.Conn]{Directory: node})
	if err != nil {
		log.Fatal(err)
	}
	local.Use(sessions)

	// When a connection logs in as user-7, its session on any other node is closed:
	//	s, err := sessions.RegisterContext(ctx, "user-7", conn, nil)

	if err := node.Send(ctx, "user-8", []byte("hello")); err != nil {
		log.Print(err) // cluster.ErrNotFound: user-8 has no session
	}

	// At the end, shut down the sessions first and then the node.
	if err := sessions.Shutdown(ctx); err != nil {
		log.Print(err)
	}
	if err := node.Leave(ctx); err != nil {
		log.Print(err)
	}
}

// A process that observes the cluster without being a node.
func ExampleClient() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	client, err := cluster.Open(ctx, cluster.ClientConfig{URL: "nats://10.0.0.1,nats://10.0.0.2,nats://10.0.0.3"})
	if err != nil {
		log.Fatal(err) // cluster.ErrNoCluster: no node has ever joined
	}
	defer client.Close()

	// List after Watch, so that the copy is complete.
	events, err := client.Watch(ctx)
	if err != nil {
		log.Print(err)
		return
	}
	owners := make(map[string]string)
	err = client.List(ctx, func(e cluster.Entry) bool {
		owners[e.ID] = e.Node
		return true
	})
	if err != nil {
		log.Print(err)
		return
	}
	for e := range events { // until ctx ends
		switch e.Kind {
		case cluster.Claimed:
			owners[e.Entry.ID] = e.Entry.Node
		case cluster.Released:
			delete(owners, e.Entry.ID)
		case cluster.Missed: // call List again
		}
	}
}
