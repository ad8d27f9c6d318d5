// Package demo is the command demo: a server and real clients, half of which fall
// silent, and a verdict on what the server did about it.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/console"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/echo"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/openfiles"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/wait"
	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/internal/web"
	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/wheel"
)

const (
	// overdue is how long after its deadline a silent session may still be open
	// before the demo gives up on it. It is generous, so that a busy machine raises
	// no false alarm; how late the closes were is reported anyway.
	overdue = 5 * time.Second

	redraw = 100 * time.Millisecond // interval of the live line

	lastWords = 2 * time.Second // for the clients to see the server close what was open
)

// Metrics returns the handler of /metrics for a server. Nil is none.
type Metrics func(*tcp.Server, *wheel.Wheel) http.Handler

// Run starts a server and its clients, watches them until every silent session
// should be closed, and prints the verdict. It returns console.ErrFailed if the
// verdict is bad. If ctx ends first, it prints what it has so far and returns the
// cause. With --http it goes on after the verdict until ctx ends. All it has started
// has ended when it returns.
func Run(ctx context.Context, w io.Writer, cfg Config) error {
	return RunWith(ctx, w, cfg, nil)
}

// RunWith is Run with metrics. They are no parameter of Run, so that its callers are
// compiled without the types of tcp.
func RunWith(ctx context.Context, w io.Writer, cfg Config, metrics Metrics) error {
	if err := openfiles.Need(2*cfg.Clients, "--clients"); err != nil {
		return err
	}
	d := newDemo(w, cfg)
	d.metrics = metrics
	return d.run(ctx)
}

// demo is one run of the demo.
type demo struct {
	cfg      Config
	metrics  Metrics
	screen   *console.Screen
	patience time.Duration // how far past its deadline a close is waited for
	began    time.Time
	stalled  time.Duration // longest time for which watch was not run when it should have been
	server   *tcp.Server
	page     *web.Server // nil without --http
	recorder recorder
	clients  *clients
}

func newDemo(w io.Writer, cfg Config) *demo {
	if cfg.Duration == 0 {
		cfg.Duration = cfg.Idle * 5 / 2
	}
	d := &demo{cfg: cfg, screen: console.NewScreen(w), patience: overdue, clients: newClients(cfg)}
	d.server = d.recorder.server(cfg.Idle)
	return d
}

func (d *demo) run(ctx context.Context) error {
	timers, err := wheel.New(wheel.Config{})
	if err != nil {
		return err
	}
	defer timers.Close()
	d.server.Wheel = timers
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if err := d.startPage(); err != nil {
		_ = ln.Close()
		return err
	}
	d.introduce(ln.Addr())
	d.began = time.Now()
	served := make(chan error, 1)
	go func() { served <- d.server.Serve(ln) }() // ended by Shutdown or Close; waited for below

	// The clients outlive ctx, so that what is printed then is not their leaving.
	connected, disconnect := context.WithCancel(context.WithoutCancel(ctx))
	defer disconnect()
	d.clients.start(connected, ln.Addr().String())

	err = d.watch(ctx, served)
	soFar, open := d.recorder.byRemote(), int(d.recorder.open.Load())
	closedLast := d.server.RecentlyClosed() // before the end closes the others too
	switch {
	case err == nil && d.page != nil:
		err = d.endSessions()
	case err == nil:
		err = d.shutdown()
	}
	d.screen.Clear()
	if err != nil {
		disconnect()
		d.clients.wg.Wait()
		_ = d.server.Close()
		_ = d.shutdown() // waits for the callbacks
		<-served
		if ctx.Err() != nil {
			d.printSoFar(soFar, open, closedLast)
		}
		return err
	}
	wait.AtMost(&d.clients.wg, lastWords)
	disconnect()
	d.clients.wg.Wait()
	v := judge(d.lives(d.recorder.byRemote()), d.cfg.Idle)
	v.stalled, v.closedLast = d.stalled, closedLast
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

// startPage starts the HTTP server that the flags ask for.
func (d *demo) startPage() error {
	ln, err := d.cfg.HTTP.Listen()
	if err != nil {
		return err
	}
	shown := web.Shown{Title: "sessionwheel demo", Source: dashboard.Server(d.server), Wheel: d.server.Wheel}
	if d.cfg.HTTP.Metrics && d.metrics != nil {
		shown.Metrics = d.metrics(d.server, d.server.Wheel)
	}
	d.page, err = d.cfg.HTTP.Serve(ln, shown, slog.New(slog.DiscardHandler))
	return err
}

// introduce says what there is to see.
func (d *demo) introduce(addr net.Addr) {
	d.screen.Printf("A server on %s with an idle timeout of %v, and %s:",
		addr, d.cfg.Idle, console.Plural(d.cfg.Clients, "client"))
	d.screen.Printf("%s keep talking, every %s; %s fall silent after a few words.\n",
		console.Count(d.cfg.talking()), console.Short(d.cfg.interval()), console.Count(d.cfg.Clients-d.cfg.talking()))
	if d.page == nil {
		return
	}
	d.screen.Printf("The page is at %s until Ctrl-C.", d.page.URL)
	if d.page.Login != "" {
		d.screen.Printf("With the token that closes sessions: %s", d.page.Login)
	}
	if d.page.Exposed {
		d.screen.Printf("Warning: %s.", web.ExposedNote)
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
			if ctx.Err() != nil { // a client's failure is only the consequence
				return context.Cause(ctx)
			}
			woken := time.Now()
			d.stalled = max(d.stalled, woken.Sub(last)-redraw)
			last = woken
			d.screen.Progress(d.line(now))
			if err := d.clients.dialError(); err != nil {
				return err
			}
			switch {
			case connected.IsZero():
				if int(d.clients.connected.Load()) == d.cfg.Clients {
					connected = now
				}
			case now.Sub(connected) >= d.cfg.Duration && d.clients.settled(now, d.cfg.Idle+d.patience):
				return nil
			}
		}
	}
}

// line is the state of the demo in 80 columns.
func (d *demo) line(now time.Time) string {
	open, timedOut := int(d.recorder.open.Load()), int(d.recorder.timedOut.Load())
	// The server may know of a connection before its client does.
	connected := max(int(d.clients.connected.Load()), open+timedOut)
	return fmt.Sprintf("%5.1fs  %s  connected %s  open %s  closed \"Timeout\" %s",
		now.Sub(d.began).Seconds(), d.screen.Bar(open, timedOut, d.cfg.Clients, 16),
		console.Count(connected), console.Count(open), console.Count(timedOut))
}

// shutdown closes the sessions that are still open, while their clients still
// talk, so that none is idle because of it, and then the page.
func (d *demo) shutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), echo.ReplyTimeout)
	defer cancel()
	d.page.Drain()
	err := d.server.Shutdown(ctx)
	if err != nil {
		err = fmt.Errorf("the server did not shut down: %w", err)
	}
	return errors.Join(err, d.page.Shutdown(ctx))
}

// endSessions closes the sessions that are still open as shutdown does, while the
// server goes on, and waits until all are recorded.
func (d *demo) endSessions() error {
	for s := range d.server.Sessions() {
		s.Close(pool.Shutdown)
	}
	for deadline := time.Now().Add(echo.ReplyTimeout); d.recorder.open.Load() > 0; time.Sleep(redraw / 10) {
		if time.Now().After(deadline) {
			return fmt.Errorf("%s did not end", console.Plural(int(d.recorder.open.Load()), "session"))
		}
	}
	d.recorder.stopped.Store(true)
	return nil
}

// stay keeps the page and the server for clients that come and go until ctx
// ends.
func (d *demo) stay(ctx context.Context, addr string) error {
	d.screen.Printf("\nThe page goes on, with clients that come and go: %s\nCtrl-C ends it.", d.page.URL)
	churning, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() { churn(churning, addr, d.cfg) })
	select {
	case <-ctx.Done():
	case <-d.page.Ended(): // its Shutdown says why
	}
	stop()
	wg.Wait()
	return d.shutdown()
}

// lives joins what the server and the clients saw, by the client's address. All
// clients must have ended.
func (d *demo) lives(seen map[string]*sessionRecord) []life {
	lives := make([]life, 0, len(d.clients.all))
	for _, one := range d.clients.all {
		l := life{client: one.record}
		if s, ok := seen[one.local]; ok {
			l.registered, l.reason, l.closed = true, s.reason, s.closed
			if l.since = s.active; l.since.IsZero() {
				l.since = one.dialed // no message arrived: it is idle since it was born
			}
		}
		lives = append(lives, l)
	}
	return lives
}

// printSoFar prints the summary of a demo that was interrupted: of the sessions in
// seen, which had ended by then, and of the number that were open.
func (d *demo) printSoFar(seen map[string]*sessionRecord, open int, closedLast []pool.ClosedSession[int64]) {
	var ended []life
	for _, l := range d.lives(seen) {
		if l.registered {
			ended = append(ended, l)
		}
	}
	v := judge(ended, d.cfg.Idle)
	d.screen.Separate()
	d.screen.Printf("Interrupted after %s, before the verdict:\n", console.Short(time.Since(d.began)))
	d.screen.Printf("  sessions registered   %8s", console.Count(v.registered+open))
	d.screen.Printf("  closed with \"Timeout\" %8s", console.Count(v.timedOut))
	d.screen.Printf("  still open            %8s", console.Count(open))
	v.printLateness(d.screen, d.cfg.Idle)
	v.closedLast = closedLast
	v.printClosedLast(d.screen)
}
