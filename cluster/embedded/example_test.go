package embedded_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/cluster/embedded"
	"github.com/sessionwheel/sessionwheel/pool"
)

// sessions holds the sessions of one node.
type sessions map[string]uint64

func (s sessions) Close(_ context.Context, id string, token uint64, why pool.Reason) (bool, error) {
	fmt.Printf("%s: %s\n", id, why)
	return true, nil
}

func (s sessions) Deliver(_ context.Context, id string, token uint64, msg []byte) (bool, error) {
	fmt.Printf("%s: %s\n", id, msg)
	return true, nil
}

// Two nodes and their broker in one process.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	b, err := embedded.Start(embedded.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	var nodes []*cluster.Node
	for _, name := range []string{"a", "b"} {
		nc, err := b.Connect(cluster.ConnOptions(0)...)
		if err != nil {
			log.Fatal(err)
		}
		defer nc.Close()
		node, err := cluster.Join(ctx, cluster.Config{Name: name, Conn: nc, Storage: cluster.Memory, Local: sessions{}})
		if err != nil {
			log.Fatal(err)
		}
		nodes = append(nodes, node)
	}

	activated := func(token uint64) {} // a pool would add its session here
	if err := nodes[0].Claim(ctx, "user-7", nil, activated); err != nil {
		log.Fatal(err)
	}
	if err := nodes[1].Send(ctx, "user-7", []byte("hello")); err != nil {
		log.Fatal(err)
	}
	if err := nodes[1].Claim(ctx, "user-7", nil, activated); err != nil {
		log.Fatal(err)
	}
	e, err := nodes[0].Lookup(ctx, "user-7")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("now on", e.Node)
	for _, n := range nodes {
		if err := n.Leave(ctx); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// user-7: hello
	// user-7: Replaced
	// now on b
	// user-7: Shutdown
}
