package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// overdue is how long after its deadline a silent session may still be open
// before the demo gives up on it. It is generous, so that a busy machine raises
// no false alarm; how late the closes were is reported anyway.
const overdue = 5 * time.Second

// redraw is the interval of the live line.
const redraw = 100 * time.Millisecond

type demoConfig struct {
	Clients  int           `default:"2000" help:"Number of clients to connect. Each takes two open files."`
	Idle     time.Duration `default:"3s" help:"Idle timeout: how long nothing must happen on a session until it is closed. At least 100ms."`
	Active   float64       `default:"0.5" help:"Share of the clients that keep talking, from 0 to 1. The others fall silent."`
	Duration time.Duration `default:"0s" help:"Time to run once all clients are connected, at least twice --idle. 0 means two and a half times --idle."`
	Nodes    int           `default:"0" help:"Show a cluster of so many nodes instead, from 2 to 9, each a process of its own, one of which is killed. --clients, --idle, --active and --duration do not matter then. 0 shows one server."`

	httpConfig `embed:""`
}

// Help is the text below the summary of demo --help.
func (demoConfig) Help() string {
	return "The server and the clients are real and talk TCP on the loopback interface. " +
		"The exit status is 1 if an active session was closed, a silent one was not, or one was closed early. " +
		"With --http the server goes on after the verdict, with clients that come and go, until Ctrl-C; the exit status stays the verdict's. " +
		"A value shown behind a flag is its default."
}

// Validate is called by kong once the flags are set.
func (c *demoConfig) Validate() error {
	switch {
	case c.Nodes != 0 && (c.Nodes < 2 || c.Nodes > mostNodes):
		return fmt.Errorf("--nodes must be from 2 to %d, or 0 for one server, not %d", mostNodes, c.Nodes)
	case c.Nodes != 0 && c.HTTP != "":
		return errors.New("--http does not go with --nodes, which is over with the verdict: drop one")
	case c.Clients < 1:
		return errors.New("--clients must be at least 1")
	case c.Idle < 100*time.Millisecond:
		return fmt.Errorf("--idle must be at least 100ms, not %v", c.Idle)
	case math.IsNaN(c.Active) || c.Active < 0 || c.Active > 1:
		return fmt.Errorf("--active is a share from 0 to 1, not %v", c.Active)
	case c.Duration != 0 && c.Duration < 2*c.Idle:
		return fmt.Errorf("--duration must be at least twice --idle, that is %v, or 0", 2*c.Idle)
	}
	return c.check()
}

// talkers is how many of the clients keep talking.
func (c demoConfig) talkers() int { return int(math.Round(float64(c.Clients) * c.Active)) }

// interval is the time between two messages of a client that talks.
func (c demoConfig) interval() time.Duration { return c.Idle / 6 }

// runDemo starts a server and its clients, watches them until every silent
// session should be closed, and prints the verdict. It returns console.ErrFailed if the
// verdict is bad, and the cause of ctx if that ends first. With --http it then
// goes on until ctx ends. All it has started has ended when it returns.
func runDemo(ctx context.Context, w io.Writer, cfg demoConfig) error {
	if cfg.Nodes > 0 {
		return runNodes(ctx, w, cfg.Nodes)
	}
	if err := needFiles(2*cfg.Clients, "--clients"); err != nil {
		return err
	}
	return newDemo(w, cfg).run(ctx)
}

// demo is one run of the demo.
type demo struct {
	cfg      demoConfig
	screen   *console.Screen
	patience time.Duration // how far past its deadline a close is waited for
	began    time.Time
	stalled  time.Duration // longest time for which watch was not run when it should have been
	server   *tcp.Server
	page     *web // nil without --http
	witness  witness
	crowd    *crowd
}

func newDemo(w io.Writer, cfg demoConfig) *demo {
	if cfg.Duration == 0 {
		cfg.Duration = cfg.Idle * 5 / 2
	}
	d := &demo{cfg: cfg, screen: console.NewScreen(w), patience: overdue, crowd: newCrowd(cfg)}
	d.server = d.witness.server(cfg.Idle)
	return d
}

func (d *demo) run(ctx context.Context) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	timers, err := wheel.New(wheel.Config{})
	if err != nil {
		_ = ln.Close()
		return err
	}
	defer timers.Close()
	d.server.Wheel = timers
	shown := watched{title: "sessionwheel demo", server: d.server, wheel: timers}
	if d.page, err = newWeb(d.cfg.httpConfig, shown, slog.New(slog.DiscardHandler)); err != nil {
		_ = ln.Close()
		return err
	}
	d.introduce(ln.Addr())
	d.began = time.Now()
	served := make(chan error, 1)
	go func() { served <- d.server.Serve(ln) }() // ended by Shutdown or Close; waited for below

	present, disperse := context.WithCancel(ctx)
	defer disperse()
	d.crowd.start(present, ln.Addr().String())

	err = d.watch(ctx, served)
	switch {
	case err == nil && d.page != nil:
		err = d.endSessions()
	case err == nil:
		err = d.shutdown()
	}
	d.screen.Clear()
	if err != nil {
		disperse()
		d.crowd.wg.Wait()
		_ = d.server.Close()
		_ = d.shutdown() // waits for the callbacks
		<-served
		return err
	}
	waitAtMost(&d.crowd.wg, 2*time.Second) // they see the server close what was open
	disperse()
	d.crowd.wg.Wait()
	v := judge(d.lives(), d.cfg.Idle)
	v.stalled = d.stalled
	v.print(d.screen, d.cfg, time.Since(d.began))
	if d.page != nil {
		err = d.stay(ctx, ln.Addr().String())
	}
	if end := <-served; !errors.Is(end, tcp.ErrServerClosed) {
		return fmt.Errorf("server: %w", end)
	}
	if err != nil {
		return err
	}
	if len(v.failures()) > 0 {
		return console.ErrFailed
	}
	return nil
}

// introduce says what there is to see.
func (d *demo) introduce(addr net.Addr) {
	d.screen.Printf("A server on %s with an idle timeout of %v, and %s:",
		addr, d.cfg.Idle, console.Plural(d.cfg.Clients, "client"))
	d.screen.Printf("%s keep talking, every %s; %s fall silent after a few words.\n",
		console.Count(d.cfg.talkers()), console.Short(d.cfg.interval()), console.Count(d.cfg.Clients-d.cfg.talkers()))
	if d.page == nil {
		return
	}
	d.screen.Printf("The page is at %s until Ctrl-C.", d.page.url)
	if d.page.exposed {
		d.screen.Printf("Warning: %s.", exposedNote)
	}
	d.screen.Printf("")
}

// watch shows the progress until the demo has run its time. It returns early
// with an error if a client cannot connect, the server ends or ctx does.
func (d *demo) watch(ctx context.Context, served chan error) error {
	ticker := time.NewTicker(redraw)
	defer ticker.Stop()
	var connected time.Time // when all were
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-served:
			served <- err // run reads it again
			return fmt.Errorf("the server ended: %w", err)
		case now := <-ticker.C:
			if ctx.Err() != nil { // then a client's failure is only the consequence
				return context.Cause(ctx)
			}
			woken := time.Now()
			d.stalled = max(d.stalled, woken.Sub(last)-redraw)
			last = woken
			d.screen.Progress(d.line(now))
			if err := d.crowd.dialError(); err != nil {
				return err
			}
			switch {
			case connected.IsZero():
				if int(d.crowd.connected.Load()) == d.cfg.Clients {
					connected = now
				}
			case now.Sub(connected) >= d.cfg.Duration && d.crowd.settled(now, d.cfg.Idle+d.patience):
				return nil
			}
		}
	}
}

// line is the state of things in 80 columns.
func (d *demo) line(now time.Time) string {
	open, timedOut := int(d.witness.open.Load()), int(d.witness.timedOut.Load())
	// The server may know of a connection before its client does.
	connected := max(int(d.crowd.connected.Load()), open+timedOut)
	return fmt.Sprintf("%5.1fs  %s  connected %s  open %s  closed \"Timeout\" %s",
		now.Sub(d.began).Seconds(), d.screen.Bar(open, timedOut, d.cfg.Clients, 16),
		console.Count(connected), console.Count(open), console.Count(timedOut))
}

// shutdown closes the sessions that are still open, while their clients still
// talk, so that none is idle because of it, and then the page.
func (d *demo) shutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), replyTimeout)
	defer cancel()
	d.page.drain()
	err := d.server.Shutdown(ctx)
	if err != nil {
		err = fmt.Errorf("the server did not shut down: %w", err)
	}
	return errors.Join(err, d.page.shutdown(ctx))
}

// endSessions closes the sessions that are still open as shutdown does, with a
// server that goes on, and waits until that is noted.
func (d *demo) endSessions() error {
	for s := range d.server.Sessions() {
		s.Close(pool.Shutdown)
	}
	for deadline := time.Now().Add(replyTimeout); d.witness.open.Load() > 0; time.Sleep(redraw / 10) {
		if time.Now().After(deadline) {
			return fmt.Errorf("%s did not end", console.Plural(int(d.witness.open.Load()), "session"))
		}
	}
	d.witness.dismissed.Store(true)
	return nil
}

// stay keeps the page and the server for clients that come and go until ctx
// ends.
func (d *demo) stay(ctx context.Context, addr string) error {
	d.screen.Printf("\nThe page goes on, with clients that come and go: %s\nCtrl-C ends it.", d.page.url)
	visiting, enough := context.WithCancel(ctx)
	defer enough()
	var wg sync.WaitGroup
	wg.Go(func() { entertain(visiting, addr, d.cfg) })
	select {
	case <-ctx.Done():
	case err := <-d.page.ended():
		d.page.served <- err // for its shutdown, which returns it
	}
	enough()
	wg.Wait()
	return d.shutdown()
}

// lives joins what the server and the clients saw, by the client's address. All
// of them must have ended.
func (d *demo) lives() []life {
	seen := d.witness.byRemote()
	lives := make([]life, 0, len(d.crowd.talkers))
	for _, t := range d.crowd.talkers {
		l := life{client: t.record}
		if s, ok := seen[t.local]; ok {
			l.registered, l.reason, l.closed = true, s.reason, s.closed
			if l.since = s.active; l.since.IsZero() {
				l.since = t.dialed // no message arrived: it is idle since it was born
			}
		}
		lives = append(lives, l)
	}
	return lives
}

// print writes the verdict for somebody who sees the program for the first time.
func (v verdict) print(sc *console.Screen, cfg demoConfig, took time.Duration) {
	silent := cfg.Clients - cfg.talkers()
	sc.Separate()
	sc.Printf("After %s:\n", console.Short(took))
	sc.Printf("  sessions registered   %8s", console.Count(v.registered))
	active := ""
	if n := v.activeClosed + v.starved; n > 0 {
		active = fmt.Sprintf(", %s active", console.Count(n))
	}
	sc.Printf("  closed with \"Timeout\" %8s   of %s that fell silent%s", console.Count(v.timedOut), console.Count(silent), active)
	sc.Printf("  still open            %8s   of %s that kept talking", console.Count(v.open), console.Count(cfg.talkers()))
	if n := len(v.lateness); n > 0 {
		sc.Printf("\n  How late \"Timeout\" came, once nothing had happened for %v:", cfg.Idle)
		sc.Printf("    p50 %s   p99 %s   max %s\n", console.Short(v.lateness.At(0.50)), console.Short(v.lateness.At(0.99)), console.Short(v.lateness.At(1)))
		v.lateness.Histogram(sc)
	}
	for _, note := range v.notes() {
		sc.Printf("\n  Note: %s.", note)
	}
	except := ""
	if v.starved > 0 {
		except = "\n        whose client talked in time"
	}
	failures := v.failures()
	if len(failures) == 0 {
		sc.Printf("\n%s: every silent session was closed, none of them early, and no active one%s.", sc.Paint(console.Bold+console.Green, "PASSED"), except)
		return
	}
	sc.Printf("\n%s: %s.", sc.Paint(console.Bold+console.Red, "FAILED"), strings.Join(failures, ";\n        "))
}
