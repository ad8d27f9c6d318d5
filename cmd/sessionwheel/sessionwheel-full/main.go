// Command sessionwheel-full has those of sessionwheel's commands that need a message
// broker or a metrics library: cluster, serve --cluster, demo --nodes, and --metrics.
// Sessionwheel starts it for these.
package main

import (
	"context"
	"log/slog"
	"net/http"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/flags"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/demo"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/echo"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/serve"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/sessionwheel-full/internal/ctl"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/sessionwheel-full/internal/node"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/sessionwheel-full/internal/nodes"
	"github.com/sessionwheel/sessionwheel/metrics"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// commands is the command line.
type commands struct {
	Demo    demoCmd    `cmd:"" help:"Show one server, or a cluster with --nodes."`
	Serve   serveCmd   `cmd:"" help:"Run an echo server that closes idle sessions."`
	Cluster clusterCmd `cmd:"" help:"Inspect and control the sessions of a cluster."`
}

type demoCmd struct {
	demo.Config `embed:""`
}

// Run is as console.Runner says.
func (c *demoCmd) Run(ctx context.Context, call console.Call) error {
	if c.Nodes > 0 {
		return nodes.Run(ctx, call.Out, c.Nodes)
	}
	return demo.RunWith(ctx, call.Out, c.Config, func(srv *tcp.Server, timers *wheel.Wheel) http.Handler {
		return metricsOf(srv, timers, nil)
	})
}

type serveCmd struct {
	serve.Config `embed:""`
}

// Validate checks the flags.
func (c *serveCmd) Validate() error {
	if err := c.Config.Validate(); err != nil {
		return err
	}
	return node.Check(c.Node)
}

// Run is as console.Runner says.
func (c *serveCmd) Run(ctx context.Context, call console.Call) error {
	return serve.RunWith(ctx, call.Err, c.Config, serve.Extras{Join: join, Metrics: metricsOf})
}

type clusterCmd struct {
	flags.Cluster `embed:""`
}

// Run is as console.Runner says, for each of the commands.
func (c *clusterCmd) Run(ctx context.Context, call console.Call) error {
	return ctl.Run(ctx, call.Std, call.Command)
}

func join(ctx context.Context, cfg flags.Node, srv *tcp.Server, proto echo.Protocol, log *slog.Logger) (serve.Node, error) {
	m, err := node.Join(ctx, cfg, srv, proto, log)
	if err != nil {
		return nil, err
	}
	return m, nil
}

// metricsOf answers /metrics for a server and its node, which may be nil.
func metricsOf(srv *tcp.Server, timers *wheel.Wheel, n serve.Node) http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(metrics.Server("", srv), metrics.Wheel("", timers),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if m, ok := n.(*node.Member); ok {
		reg.MustRegister(m.Collectors()...)
	}
	return metrics.Handler(reg)
}

func program() console.Program {
	return console.Program{
		Commands:    &commands{},
		Description: "Those of sessionwheel's commands that need a message broker or a metrics library.",
	}
}

func main() { os.Exit(program().Run(os.Args[1:], console.Std{Out: os.Stdout, Err: os.Stderr})) }
