package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/wheel"
)

// Scene is something that goes wrong, as an operator sees it on the page.
type Scene struct {
	Name  string
	About string
	Says  []string // what the page has to say: what happens, to whom, and what to do

	// start starts a server with its page, on which all is well.
	start func() (*Stage, error)
}

// Stage is a scene that is played.
type Stage struct {
	URL   string
	Wrong func() error // makes it go wrong
	Close func() error
}

// Start starts the scene. Close of the Stage ends it.
func (s Scene) Start() (*Stage, error) { return s.start() }

// Scenes are what may happen on a bad day.
var Scenes = []Scene{
	{
		Name: "closings", About: "a thousand sessions close within two seconds, most of them behind one proxy",
		Says:  []string{"1,000 sessions closed within", "EOF", "came from 127.0.0.9", "a proxy in between"},
		start: startClosings,
	},
	{
		Name: "flood", About: "one of a hundred peers sends a hundred thousand messages a second",
		Says:  []string{"frames a second arrive, far more than usual", "One session was busy at each of", "looks: session ", "at 127.0.0.66:", "close it below"},
		start: startFlood,
	},
	{
		Name: "stall", About: "the timer library stalls, as the server's figures show it",
		Says:  []string{"The timer library did not wake the wheel", "No session closed early, or late because of it", "too little processor time"},
		start: startStall,
	},
	{
		Name: "node", About: "a node of a cluster dies",
		Says:  []string{"Node node-2 has given no sign of life for", "14 sessions", "See whether its process runs"},
		start: startNodeDeath,
	},
}

func allowAll(*http.Request) error { return nil }

// startBusy starts a server with n clients that each send a line in about two seconds,
// from many addresses, for long enough that the page knows what is usual.
func startBusy(n int) (*EchoServer, *Clients, func() error, error) {
	s, err := StartEchoServer(time.Hour, dashboard.Config{Title: "chat server", Authorize: allowAll})
	if err != nil {
		return nil, nil, nil, err
	}
	c := NewClients(s.Addr)
	ctx, cancel := context.WithCancel(context.Background())
	for range n {
		c.simulated.Go(func() {
			conn, err := c.dial(ctx)
			if err != nil {
				return
			}
			defer conn.Close()
			go func() { _, _ = io.Copy(io.Discard, conn) }() // ends with the connection
			for err == nil && sleep(ctx, rand.N(4*time.Second)) {
				_, err = io.WriteString(conn, "hello\n")
			}
		})
	}
	end := func() error {
		cancel()
		return errors.Join(c.Close(), s.Close())
	}
	return s, c, end, nil
}

// dialFrom connects from an address of the loopback.
func dialFrom(ip net.IP, addr string) (net.Conn, error) {
	return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: ip}}).Dial("tcp", addr)
}

func startClosings() (*Stage, error) {
	s, _, end, err := startBusy(200)
	if err != nil {
		return nil, err
	}
	var conns []net.Conn
	hangUp := func() error {
		for i, c := range conns {
			_ = c.Close()
			if i == 50 {
				time.Sleep(1200 * time.Millisecond) // the page's events are a second apart
			}
		}
		conns = nil
		return nil
	}
	for i := range 1000 {
		ip := net.IPv4(127, 0, 0, 9)
		if i%20 == 0 {
			ip = net.IPv4(127, 0, 1, byte(1+i/20))
		}
		c, err := dialFrom(ip, s.Addr)
		if err != nil {
			return nil, errors.Join(err, hangUp(), end())
		}
		conns = append(conns, c)
	}
	return &Stage{s.Page.URL, hangUp, func() error { return errors.Join(hangUp(), end()) }}, nil
}

func startFlood() (*Stage, error) {
	s, _, end, err := startBusy(100)
	if err != nil {
		return nil, err
	}
	conn, err := dialFrom(net.IPv4(127, 0, 0, 66), s.Addr)
	if err != nil {
		return nil, errors.Join(err, end())
	}
	flood := func() error {
		go func() { // ends with the connection
			some := []byte(strings.Repeat("#me me me\n", 1000))
			for _, err := conn.Write(some); err == nil; _, err = conn.Write(some) {
				time.Sleep(10 * time.Millisecond)
			}
		}()
		return nil
	}
	return &Stage{s.Page.URL, flood, func() error { return errors.Join(conn.Close(), end()) }}, nil
}

// startStall serves a real page whose wheel's figures say that it was rescued, which no
// wheel is at will.
func startStall() (*Stage, error) {
	s, _, end, err := startBusy(100)
	if err != nil {
		return nil, err
	}
	var since atomic.Pointer[time.Time]
	page, err := newStalledPage(dashboard.Config{Title: "chat server", Source: dashboard.Server(s.Server), Wheel: s.Wheel}, &since)
	if err != nil {
		return nil, errors.Join(err, end())
	}
	site := httptest.NewServer(page)
	stall := func() error {
		now := time.Now()
		since.Store(&now)
		return nil
	}
	return &Stage{site.URL, stall, func() error {
		page.dash.Close()
		site.CloseClientConnections()
		site.Close()
		return end()
	}}, nil
}

// stalledPage is a page whose events say when the watchdog last had to wake the wheel.
type stalledPage struct {
	dash  *dashboard.Handler
	since *atomic.Pointer[time.Time]
}

func newStalledPage(c dashboard.Config, since *atomic.Pointer[time.Time]) (*stalledPage, error) {
	d, err := dashboard.New(c)
	return &stalledPage{d, since}, err
}

// ServeHTTP is called by the HTTP server, on many goroutines at once.
func (p *stalledPage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/api/events" {
		p.dash.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for sleep(r.Context(), time.Second) {
		answer := httptest.NewRecorder()
		p.dash.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "http://localhost/api/stats", nil))
		var st map[string]any
		if err := json.Unmarshal(answer.Body.Bytes(), &st); err != nil {
			return
		}
		if since := p.since.Load(); since != nil {
			figures := st["wheel"].(map[string]any)
			figures["rescued"], figures["rescued_ago_seconds"] = 3, time.Since(*since).Seconds()
		}
		body, err := json.Marshal(st)
		if err != nil {
			return
		}
		fmt.Fprintf(w, "event: stats\ndata: %s\n\n", body)
		_ = http.NewResponseController(w).Flush() // it fails only if the page has gone
	}
}

func startNodeDeath() (*Stage, error) {
	w, err := wheel.New(wheel.Config{})
	if err != nil {
		return nil, err
	}
	nodes := []dashboard.ClusterNode{
		{Name: "node-1", Incarnation: "node-1_2W7XH3MZ0PLRB", Sessions: 14, This: true},
		{Name: "node-2", Incarnation: "node-2_0A9S8D7F6G5H4", Sessions: 14},
		{Name: "node-3", Incarnation: "node-3_KQ5DT6YBN1VCE", Sessions: 14},
	}
	cluster := NewFakeCluster(nodes, nil)
	page, err := ServePage(dashboard.Config{Title: "chat server", Source: dashboard.Server(&tcp.Server{Wheel: w}), Wheel: w, Cluster: cluster}, "127.0.0.1:0")
	if err != nil {
		w.Close()
		return nil, err
	}
	die := func() error {
		silent := append([]dashboard.ClusterNode(nil), nodes...)
		silent[1].Silent = 3200 * time.Millisecond // after half a lease of six seconds
		cluster.SetNodes(silent)
		return nil
	}
	return &Stage{page.URL, die, func() error { w.Close(); return page.Close() }}, nil
}
