// Package ctl is the commands for a running cluster.
package ctl

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/flags"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/wait"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/sessionwheel-full/internal/access"
	"github.com/sessionwheel/sessionwheel/pool"
)

// Run runs the command whose flags those are: a pointer to one of the structs of
// flags.Cluster.
func Run(ctx context.Context, std console.Std, command any) error {
	switch c := command.(type) {
	case *flags.ClusterLs:
		return open(ctx, std, c.ClusterClient, func(cl *cluster.Client, out *lines) error { return ls(ctx, cl, out) })
	case *flags.ClusterNodes:
		return open(ctx, std, c.ClusterClient, nodes)
	case *flags.ClusterWhere:
		return open(ctx, std, c.ClusterClient, func(cl *cluster.Client, out *lines) error { return where(ctx, cl, out, c) })
	case *flags.ClusterKick:
		return open(ctx, std, c.ClusterClient, func(cl *cluster.Client, out *lines) error {
			err := cl.Kick(ctx, c.Name, pool.Reason(c.Reason))
			return done(out, c.Name, "kicked", err)
		})
	case *flags.ClusterSend:
		return open(ctx, std, c.ClusterClient, func(cl *cluster.Client, out *lines) error {
			err := cl.Send(ctx, c.Name, []byte(c.Text))
			return done(out, c.Name, "sent", err)
		})
	case *flags.ClusterWatch:
		return open(ctx, std, c.ClusterClient, func(cl *cluster.Client, out *lines) error { return watch(ctx, cl, std, out) })
	default:
		return fmt.Errorf("no command has the flags %T", command)
	}
}

// open opens the cluster and has f do its work there, which prints to out.
func open(ctx context.Context, std console.Std, cfg flags.ClusterClient, f func(cl *cluster.Client, out *lines) error) error {
	log := slog.New(slog.NewTextHandler(std.Err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	nc, err := access.Dial(ctx, cfg.Access, "cluster", 0, log)
	if err != nil {
		return err
	}
	defer nc.Close()
	limit, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	client, err := cluster.Open(limit, cluster.ClientConfig{Namespace: cfg.Namespace, Conn: nc, Logger: log})
	if err != nil {
		return access.JoinError(ctx, cfg.Access, err)
	}
	defer client.Close()
	out := newLines(std.Out, cfg.JSON)
	err = errors.Join(f(client, out), out.flush())
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func ls(ctx context.Context, cl *cluster.Client, out *lines) error {
	out.header("ID", "NODE", "SINCE", "ADDRESS")
	return cl.List(ctx, func(e cluster.Entry) bool { return out.put(sessionOf(e)) })
}

func nodes(cl *cluster.Client, out *lines) error {
	out.header("NODE", "SESSIONS", "INCARNATION")
	for _, n := range cl.Nodes() {
		out.put(nodeLine{Node: console.Clean(n.Name), Sessions: n.Sessions, Epoch: console.Clean(n.Epoch)})
	}
	return nil
}

func where(ctx context.Context, cl *cluster.Client, out *lines, c *flags.ClusterWhere) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	return explain(c.Name, Patiently(ctx, func() error {
		e, err := cl.Lookup(ctx, c.Name)
		if err == nil {
			out.header("ID", "NODE", "SINCE", "ADDRESS")
			out.put(sessionOf(e))
		}
		return err
	}))
}

// watch prints what happens to sessions until ctx ends, which is success.
func watch(ctx context.Context, cl *cluster.Client, std console.Std, out *lines) error {
	events, err := cl.Watch(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(std.Err, "sessionwheel: watching the cluster until Ctrl-C")
	for ev := range events { // it is closed when ctx ends
		if !out.put(eventOf(ev, time.Now())) || out.flush() != nil {
			break // open reports the error
		}
	}
	return nil
}

// done prints that a command has done its work, or explains the error.
func done(out *lines, name, what string, err error) error {
	if err == nil {
		out.put(doneLine{ID: console.Clean(name), Done: what})
	}
	return explain(name, err)
}

// explain says of an error that there is no such session, if that is what it means.
func explain(name string, err error) error {
	if errors.Is(err, cluster.ErrNotFound) {
		return fmt.Errorf("no session %s in the cluster", name)
	}
	return err
}

// Patiently asks again until there is an answer or ctx ends. It is for questions,
// which change nothing.
func Patiently(ctx context.Context, ask func() error) error {
	for {
		err := ask()
		if !errors.Is(err, cluster.ErrUnavailable) || !wait.Sleep(ctx, 100*time.Millisecond) {
			return err
		}
	}
}
