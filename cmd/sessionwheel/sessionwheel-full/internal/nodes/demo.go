// Package nodes is the demo of a cluster: a broker in this process, and nodes that are
// processes of their own.
package nodes

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/cluster/embedded"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/echo"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/wait"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/sessionwheel-full/internal/ctl"
)

const (
	usersPerNode = 20

	// nodesLease is what serve's --lease is unless it is given.
	nodesLease = 6 * time.Second

	// stepLimit is how long one step may take before the demo gives up on it.
	stepLimit = 30 * time.Second

	// overdue is how long after a lease and a half the entries of a node that was
	// killed may be there, on a machine that is busy.
	overdue = 5 * time.Second

	redraw = 100 * time.Millisecond // interval of the live line
)

// nodesDemo is a cluster in one terminal: this process has the broker and watches,
// and each node is a process of its own.
type nodesDemo struct {
	screen *console.Screen
	broker *embedded.Broker
	conn   *nats.Conn
	here   *cluster.Client
	nodes  []*nodeProcess
	users  []*user // those of the first node first
	gone   time.Duration
}

// Run shows a cluster of n nodes and prints the verdict. It returns console.ErrFailed
// if the verdict is bad, and the cause of ctx if that ends first. All it has
// started, processes included, has ended when it returns.
func Run(ctx context.Context, w io.Writer, n int) error {
	d := &nodesDemo{screen: console.NewScreen(w)}
	err := d.start(ctx, n)
	if err == nil {
		err = d.show(ctx)
	}
	if ctx.Err() != nil {
		err = nil // a step's failure is only the consequence
	}
	err = errors.Join(err, d.stop())
	d.screen.Clear()
	switch {
	case err == nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		d.screen.Printf("\n%s: %s.", d.screen.Paint(console.Bold+console.Red, "FAILED"), console.OneLine(err))
		return console.ErrFailed
	}
	d.screen.Printf("\n%s: one session for a name on all nodes, within reach of each of them, and\n        what the killed node had was free again.", d.screen.Paint(console.Bold+console.Green, "PASSED"))
	return nil
}

// start starts the broker and the nodes, and waits until they serve.
func (d *nodesDemo) start(ctx context.Context, n int) (err error) {
	token := rand.Text()
	if d.broker, err = embedded.Start(embedded.Config{Addr: "127.0.0.1:0", Token: token}); err != nil {
		return err
	}
	d.screen.Printf("A broker at %s, and %d nodes, each a process of its own:", d.broker.URL(), n)
	for i := range n {
		p, err := startNode(string(rune('a'+i)), d.broker.URL(), token)
		if err != nil {
			return err
		}
		d.nodes = append(d.nodes, p)
	}
	if d.conn, err = d.broker.Connect(cluster.ConnOptions(0)...); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	for _, p := range d.nodes {
		e, err := p.await(ctx, "its address", func(e logged) bool { return e.Msg == "listening" })
		if err != nil {
			return err
		}
		p.addr = e.Addr
		d.screen.Printf("  node %s   process %-8d serves at %s", p.name, p.cmd.Process.Pid, p.addr)
	}
	d.here, err = cluster.Open(ctx, cluster.ClientConfig{Conn: d.conn})
	return err
}

// stop ends the nodes, all at once, and then what they stand on.
func (d *nodesDemo) stop() error {
	for _, u := range d.users {
		_ = u.conn.Close()
	}
	errs := make([]error, len(d.nodes))
	var wg sync.WaitGroup
	for i, p := range d.nodes {
		wg.Go(func() { errs[i] = p.stop() })
	}
	wg.Wait()
	if d.here != nil {
		d.here.Close()
	}
	if d.conn != nil {
		d.conn.Close()
	}
	if d.broker != nil {
		errs = append(errs, d.broker.Close())
	}
	return errors.Join(errs...)
}

// show runs the steps. Each step's error says what was not as it should be.
func (d *nodesDemo) show(ctx context.Context) error {
	d.screen.Printf("")
	for _, step := range []func(context.Context) error{d.logIn, d.takeOver, d.send, d.kick, d.kill, d.comeBack} {
		limited, cancel := context.WithTimeout(ctx, stepLimit)
		err := step(limited)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// say prints what a step has shown.
func (d *nodesDemo) say(step, format string, args ...any) {
	d.screen.Printf("%-9s %s", step, fmt.Sprintf(format, args...))
}

// logIn has users log in on all nodes at once.
func (d *nodesDemo) logIn(ctx context.Context) error {
	n := len(d.nodes)
	took := make([]console.Spread, n)
	users := make([][]*user, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i, p := range d.nodes {
		wg.Go(func() {
			for j := range usersPerNode {
				u, d, err := enter(ctx, p, fmt.Sprintf("user-%d", i*usersPerNode+j+1))
				if u != nil {
					users[i] = append(users[i], u)
				}
				if errs[i] = err; err != nil {
					return
				}
				took[i] = append(took[i], d)
			}
		})
	}
	wg.Wait()
	var all console.Spread
	for i := range n {
		d.users = append(d.users, users[i]...)
		all = append(all, took[i]...)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	listed, err := d.list(ctx, "")
	if err == nil && listed != len(all) {
		err = fmt.Errorf("%d users have logged in, and the directory has %d", len(all), listed)
	}
	if err == nil {
		d.say("Login", "%d users, %d on each node, each known to all: p50 %s, max %s", len(all), usersPerNode, console.Short(all.At(0.5)), console.Short(all.At(1)))
	}
	return err
}

// takeOver has a user of the first node log in on the second as well.
func (d *nodesDemo) takeOver(ctx context.Context) error {
	first, second, old := d.nodes[0], d.nodes[1], d.users[0]
	u, took, err := enter(ctx, second, old.name)
	if u != nil {
		d.users = append(d.users, u)
	}
	if err != nil {
		return err
	}
	if err := old.ended(ctx, first, "Replaced"); err != nil {
		return err
	}
	if err := d.expect(ctx, u.name, second.name); err != nil {
		return err
	}
	d.say("Takeover", "%s logs in on %s too, and %s has closed \"Replaced\" first: %s", u.name, second.name, first.name, console.Short(took))
	return nil
}

// send has a message go from here to a user of the last node but one.
func (d *nodesDemo) send(ctx context.Context) error {
	i := len(d.nodes) - 2
	p, u := d.nodes[i], d.users[(i+1)*usersPerNode-1]
	const text = "hello from another process"
	began := time.Now()
	if err := d.here.Send(ctx, u.name, []byte(text)); err != nil {
		return fmt.Errorf("sending to %s: %w", u.name, err)
	}
	switch got, err := u.line(ctx); {
	case err != nil:
		return fmt.Errorf("%s got no message: %s", u.name, echo.Cause(err))
	case got != text:
		return fmt.Errorf("%s got %q and not the message", u.name, got)
	}
	d.say("Message", "from here to %s on %s, read by its peer: %s", u.name, p.name, console.Short(time.Since(began)))
	return nil
}

// kick closes a session of the first node's from here.
func (d *nodesDemo) kick(ctx context.Context) error {
	p, u := d.nodes[0], d.users[1]
	began := time.Now()
	if err := d.here.Kick(ctx, u.name, "Kicked"); err != nil {
		return fmt.Errorf("kicking %s: %w", u.name, err)
	}
	took := time.Since(began)
	if err := u.ended(ctx, p, "Kicked"); err != nil {
		return err
	}
	if err := d.expect(ctx, u.name, ""); err != nil {
		return err
	}
	d.say("Kick", "%s on %s, closed \"Kicked\" from here: %s", u.name, p.name, console.Short(took))
	return nil
}

// kill kills the last node and waits until its sessions do not count any more.
func (d *nodesDemo) kill(ctx context.Context) error {
	p := d.nodes[len(d.nodes)-1]
	all, err := d.list(ctx, "")
	if err != nil {
		return err
	}
	had, err := d.list(ctx, p.name)
	if err != nil {
		return err
	}
	d.say("Kill", "node %s with its %d sessions, by SIGKILL; its lease is %v", p.name, had, nodesLease)
	began := time.Now()
	p.kill()
	for {
		left, err := d.list(ctx, p.name)
		d.gone = time.Since(began)
		if err != nil {
			return fmt.Errorf("%d entries of a node that is dead: %w", left, err)
		}
		if left == 0 {
			break
		}
		d.screen.Progress(fmt.Sprintf("%5.1fs  %d entries of %s are there", d.gone.Seconds(), left, p.name))
		if !wait.Sleep(ctx, redraw) {
			return fmt.Errorf("%d entries of %s are there %s after its end", left, p.name, console.Short(d.gone))
		}
	}
	rest, err := d.list(ctx, "")
	if err != nil {
		return err
	}
	if rest != all-had {
		return fmt.Errorf("%d sessions on other nodes when %s was killed, and %d after it", all-had, p.name, rest)
	}
	most := nodesLease * 3 / 2
	if d.gone > most+overdue {
		return fmt.Errorf("the entries of %s were there for %s, and a lease and a half are %v", p.name, console.Short(d.gone), most)
	}
	d.say("", "gone after %s, of %v at most; the other %d are untouched", console.Short(d.gone), most, rest)
	return nil
}

// comeBack has a user of the node that was killed log in elsewhere.
func (d *nodesDemo) comeBack(ctx context.Context) error {
	p, old := d.nodes[0], d.users[len(d.nodes)*usersPerNode-1]
	u, took, err := enter(ctx, p, old.name)
	if u != nil {
		d.users = append(d.users, u)
	}
	if err == nil {
		err = d.expect(ctx, u.name, p.name)
	}
	if err == nil {
		d.say("Login", "%s, who was on the dead node, on %s: %s", u.name, p.name, console.Short(took))
	}
	return err
}

// list counts the entries of a node, or of all for "".
func (d *nodesDemo) list(ctx context.Context, node string) (n int, err error) {
	err = ctl.Patiently(ctx, func() error {
		n = 0
		return d.here.List(ctx, func(e cluster.Entry) bool {
			if node == "" || e.Node == node {
				n++
			}
			return true
		})
	})
	return n, err
}

// expect looks a user up: on the given node, or nowhere for "".
func (d *nodesDemo) expect(ctx context.Context, name, node string) error {
	var e cluster.Entry
	err := ctl.Patiently(ctx, func() (err error) {
		e, err = d.here.Lookup(ctx, name)
		return err
	})
	switch {
	case errors.Is(err, cluster.ErrNotFound) && node == "":
		return nil
	case err != nil:
		return fmt.Errorf("%s should be on %q: %w", name, node, err)
	case e.Node != node:
		return fmt.Errorf("%s should be on %q and is on %q", name, node, e.Node)
	}
	return nil
}
