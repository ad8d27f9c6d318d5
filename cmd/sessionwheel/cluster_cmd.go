package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/pool"
)

// clusterCmd is the commands for a running cluster.
type clusterCmd struct {
	Ls    clusterLs    `cmd:"" help:"List the sessions, in no order: ID, node, since when, and the address of the peer."`
	Nodes clusterNodes `cmd:"" help:"List the nodes: name, sessions and incarnation."`
	Where clusterWhere `cmd:"" help:"Tell where a session is, as ls does. The exit status is 1 if it is nowhere."`
	Kick  clusterKick  `cmd:"" help:"Close a session, on whichever node it is. The exit status is 1 if it is nowhere."`
	Send  clusterSend  `cmd:"" help:"Send a message to a session, on whichever node it is. The exit status is 1 if it is nowhere."`
	Watch clusterWatch `cmd:"" help:"Tell of sessions as they come and go, until Ctrl-C."`
}

// Help is the text below the summary of cluster --help.
func (clusterCmd) Help() string {
	return "Each command reaches the brokers that --cluster names and is a node itself while it runs, " +
		"without sessions and called cli- and something random; how the directory is kept it reads there. " +
		"Output is a line each, its fields separated by tabs, or a JSON object each. " +
		"Control characters are left out of it. " +
		"SESSIONWHEEL_CLUSTER_TOKEN sets --cluster-token."
}

// clientConfig is the flags of all of them.
type clientConfig struct {
	clusterAccess `embed:""`

	JSON bool `name:"json" help:"Print a JSON object a line."`
}

// Validate is called by kong once the flags are set.
func (c *clientConfig) Validate() error {
	switch c.Cluster {
	case "":
		return errors.New("--cluster is missing: say where the brokers are, such as --cluster nats://127.0.0.1:4222")
	case ownBroker:
		return errors.New("--cluster embedded is for serve: say where its broker is, such as --cluster nats://127.0.0.1:4222")
	}
	return c.check()
}

// nobody is the sessions of a node that has none.
type nobody struct{}

func (nobody) Close(string, uint64, pool.Reason) bool { return false }
func (nobody) Deliver(string, uint64, []byte) bool    { return false }

// visitor is this process as a node of the cluster.
type visitor struct {
	*cluster.Node
	name string
	out  *lines
}

// visit joins the cluster, has f do its work there, and leaves.
func (c *clientConfig) visit(ctx context.Context, std stdio, f func(v visitor) error) (err error) {
	// A reader who goes away, such as head, is an error of the output's then, and
	// does not end the process before it has left the cluster.
	signal.Ignore(syscall.SIGPIPE)
	log := slog.New(slog.NewTextHandler(std.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	name := "cli-" + strings.ToLower(rand.Text()[:10])
	nc, err := c.dial(ctx, name, 0, log)
	if err != nil {
		return err
	}
	defer nc.Close()
	limit, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	replicas, storage, err := c.kept(limit, nc)
	switch {
	case err != nil:
		return c.joinError(ctx, err)
	case replicas == 0: // joining would make it
		return fmt.Errorf("there is no cluster --cluster-namespace %s at --cluster %s: no node has ever joined it", c.Namespace, withoutUser(c.Cluster))
	}
	node, err := cluster.Join(limit, cluster.Config{
		Name: name, Namespace: c.Namespace, Conn: nc, Replicas: replicas, Storage: storage, Local: nobody{}, Logger: log,
	})
	if err != nil {
		return c.joinError(ctx, err)
	}
	defer func() { err = errors.Join(err, leaveCluster(node)) }()
	v := visitor{Node: node, name: name, out: newLines(std.out, c.JSON)}
	err = errors.Join(f(v), v.out.flush())
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// leaveCluster takes a node without sessions out of the cluster, which needs
// nothing but the broker.
func leaveCluster(node *cluster.Node) error {
	ctx, cancel := context.WithTimeout(context.Background(), replyTimeout)
	defer cancel()
	if err := node.Leave(ctx); err != nil {
		return fmt.Errorf("leaving the cluster, which finds this node dead after its lease: %w", err)
	}
	return nil
}

// patiently asks again until there is an answer or ctx ends. It is for what changes
// nothing.
func patiently(ctx context.Context, ask func() error) error {
	for {
		err := ask()
		if !errors.Is(err, cluster.ErrUnavailable) || !pause(ctx, 100*time.Millisecond) {
			return err
		}
	}
}

// named is the session that a command is about.
type named struct {
	clientConfig `embed:""`

	Name string `arg:"" help:"The session's ID: the NAME of its login."`
}

// missed says of an error that the session is nowhere, if that is what it means.
func (c *named) missed(err error) error {
	if errors.Is(err, cluster.ErrNotFound) {
		return fmt.Errorf("no session %s in the cluster", c.Name)
	}
	return err
}

type clusterLs struct {
	clientConfig `embed:""`
}

// Run is called by kong.
func (c *clusterLs) Run(ctx context.Context, std stdio) error {
	return c.visit(ctx, std, func(v visitor) error {
		return v.List(ctx, func(e cluster.Entry) bool { return v.out.put(sessionOf(e)) })
	})
}

type clusterNodes struct {
	clientConfig `embed:""`
}

// Run is called by kong.
func (c *clusterNodes) Run(ctx context.Context, std stdio) error {
	return c.visit(ctx, std, func(v visitor) error {
		for _, n := range v.Nodes() {
			if n.Name != v.name {
				v.out.put(nodeLine{Node: clean(n.Name), Sessions: n.Sessions, Epoch: clean(n.Epoch)})
			}
		}
		return nil
	})
}

type clusterWhere struct {
	named `embed:""`
}

// Run is called by kong.
func (c *clusterWhere) Run(ctx context.Context, std stdio) error {
	return c.visit(ctx, std, func(v visitor) error {
		ctx, cancel := context.WithTimeout(ctx, c.Timeout)
		defer cancel()
		return c.missed(patiently(ctx, func() error {
			e, err := v.Lookup(ctx, c.Name)
			if err == nil {
				v.out.put(sessionOf(e))
			}
			return err
		}))
	})
}

type clusterKick struct {
	named `embed:""`

	Reason string `default:"Kicked" help:"Why the session is closed, as its server is told."`
}

// Validate is called by kong once the flags are set.
func (c *clusterKick) Validate() error {
	if c.Reason == "" || len(c.Reason) > 64 || clean(c.Reason) != c.Reason {
		return errors.New("--reason must be 1 to 64 bytes of printable text")
	}
	return c.named.Validate()
}

// Run is called by kong.
func (c *clusterKick) Run(ctx context.Context, std stdio) error {
	return c.visit(ctx, std, func(v visitor) error {
		err := v.Kick(ctx, c.Name, pool.Reason(c.Reason))
		if err == nil {
			v.out.put(doneLine{ID: clean(c.Name), Done: "kicked"})
		}
		return c.missed(err)
	})
}

type clusterSend struct {
	named `embed:""`

	Text string `arg:"" help:"The message. A server of lines sends its line breaks as spaces."`
}

// Run is called by kong.
func (c *clusterSend) Run(ctx context.Context, std stdio) error {
	return c.visit(ctx, std, func(v visitor) error {
		err := v.Send(ctx, c.Name, []byte(c.Text))
		if err == nil {
			v.out.put(doneLine{ID: clean(c.Name), Done: "sent"})
		}
		return c.missed(err)
	})
}

type clusterWatch struct {
	clientConfig `embed:""`
}

// Run is called by kong.
func (c *clusterWatch) Run(ctx context.Context, std stdio) error {
	return c.visit(ctx, std, func(v visitor) error {
		events, err := v.Watch(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintln(std.err, "sessionwheel: watching the cluster until Ctrl-C")
		for ev := range events { // it is closed when ctx ends
			if !v.out.put(eventOf(ev, time.Now())) || v.out.flush() != nil {
				break // visit tells the error
			}
		}
		return nil
	})
}
