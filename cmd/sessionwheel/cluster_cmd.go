package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
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
	return "Each command reads what the brokers that --cluster names have, and asks the nodes: it is none itself, and writes nothing there. " +
		"Output is a line each, its fields separated by tabs, or a JSON object each. " +
		"Control characters are left out of it. " +
		"SESSIONWHEEL_CLUSTER sets --cluster, and SESSIONWHEEL_CLUSTER_TOKEN --cluster-token."
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

// open opens the cluster and has f do its work there, which prints to out.
func (c *clientConfig) open(ctx context.Context, std console.Std, f func(cl *cluster.Client, out *lines) error) error {
	log := slog.New(slog.NewTextHandler(std.Err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	nc, err := c.dial(ctx, "cluster", 0, log)
	if err != nil {
		return err
	}
	defer nc.Close()
	limit, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	client, err := cluster.Open(limit, cluster.ClientConfig{Namespace: c.Namespace, Conn: nc, Logger: log})
	if err != nil {
		return c.joinError(ctx, err)
	}
	defer client.Close()
	out := newLines(std.Out, c.JSON)
	err = errors.Join(f(client, out), out.flush())
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
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
func (c *clusterLs) Run(ctx context.Context, std console.Std) error {
	return c.open(ctx, std, func(cl *cluster.Client, out *lines) error {
		return cl.List(ctx, func(e cluster.Entry) bool { return out.put(sessionOf(e)) })
	})
}

type clusterNodes struct {
	clientConfig `embed:""`
}

// Run is called by kong.
func (c *clusterNodes) Run(ctx context.Context, std console.Std) error {
	return c.open(ctx, std, func(cl *cluster.Client, out *lines) error {
		for _, n := range cl.Nodes() {
			out.put(nodeLine{Node: console.Clean(n.Name), Sessions: n.Sessions, Epoch: console.Clean(n.Epoch)})
		}
		return nil
	})
}

type clusterWhere struct {
	named `embed:""`
}

// Run is called by kong.
func (c *clusterWhere) Run(ctx context.Context, std console.Std) error {
	return c.open(ctx, std, func(cl *cluster.Client, out *lines) error {
		ctx, cancel := context.WithTimeout(ctx, c.Timeout)
		defer cancel()
		return c.missed(patiently(ctx, func() error {
			e, err := cl.Lookup(ctx, c.Name)
			if err == nil {
				out.put(sessionOf(e))
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
	if c.Reason == "" || len(c.Reason) > 64 || console.Clean(c.Reason) != c.Reason {
		return errors.New("--reason must be 1 to 64 bytes of printable text")
	}
	return c.named.Validate()
}

// Run is called by kong.
func (c *clusterKick) Run(ctx context.Context, std console.Std) error {
	return c.open(ctx, std, func(cl *cluster.Client, out *lines) error {
		err := cl.Kick(ctx, c.Name, pool.Reason(c.Reason))
		if err == nil {
			out.put(doneLine{ID: console.Clean(c.Name), Done: "kicked"})
		}
		return c.missed(err)
	})
}

type clusterSend struct {
	named `embed:""`

	Text string `arg:"" help:"The message. A server of lines sends its line breaks as spaces."`
}

// Run is called by kong.
func (c *clusterSend) Run(ctx context.Context, std console.Std) error {
	return c.open(ctx, std, func(cl *cluster.Client, out *lines) error {
		err := cl.Send(ctx, c.Name, []byte(c.Text))
		if err == nil {
			out.put(doneLine{ID: console.Clean(c.Name), Done: "sent"})
		}
		return c.missed(err)
	})
}

type clusterWatch struct {
	clientConfig `embed:""`
}

// Run is called by kong.
func (c *clusterWatch) Run(ctx context.Context, std console.Std) error {
	return c.open(ctx, std, func(cl *cluster.Client, out *lines) error {
		events, err := cl.Watch(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintln(std.Err, "sessionwheel: watching the cluster until Ctrl-C")
		for ev := range events { // it is closed when ctx ends
			if !out.put(eventOf(ev, time.Now())) || out.flush() != nil {
				break // open tells the error
			}
		}
		return nil
	})
}
