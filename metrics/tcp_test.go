package metrics_test

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/metrics"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

const chatScraped = `# HELP sessionwheel_accept_errors_total Temporary errors of Accept, for example for lack of file descriptors.
# TYPE sessionwheel_accept_errors_total counter
sessionwheel_accept_errors_total{server="chat"} 0
# HELP sessionwheel_dropped_frames_total Calls of Post that were dropped because too much waited.
# TYPE sessionwheel_dropped_frames_total counter
sessionwheel_dropped_frames_total{server="chat"} 0
# HELP sessionwheel_outbound_bytes Bytes of Post that wait to be sent.
# TYPE sessionwheel_outbound_bytes gauge
sessionwheel_outbound_bytes{server="chat"} 0
# HELP sessionwheel_parked_sessions Sessions that wait without a goroutine.
# TYPE sessionwheel_parked_sessions gauge
sessionwheel_parked_sessions{server="chat"} 1
# HELP sessionwheel_probes_total Connections whose peer closed or reset them before its first byte, as a health check does.
# TYPE sessionwheel_probes_total counter
sessionwheel_probes_total{server="chat"} 1
# HELP sessionwheel_received_bytes_total Bytes read from TCP sessions, without the overhead of TLS.
# TYPE sessionwheel_received_bytes_total counter
sessionwheel_received_bytes_total{server="chat"} 13
# HELP sessionwheel_received_frames_total Frames passed to OnMessage.
# TYPE sessionwheel_received_frames_total counter
sessionwheel_received_frames_total{server="chat"} 2
# HELP sessionwheel_sent_bytes_total Bytes written to TCP sessions, without the overhead of TLS.
# TYPE sessionwheel_sent_bytes_total counter
sessionwheel_sent_bytes_total{server="chat"} 33
# HELP sessionwheel_sent_frames_total Successful calls of Send and Post with something to send.
# TYPE sessionwheel_sent_frames_total counter
sessionwheel_sent_frames_total{server="chat"} 3
# HELP sessionwheel_sessions_closed_total Sessions that were closed, by reason.
# TYPE sessionwheel_sessions_closed_total counter
sessionwheel_sessions_closed_total{reason="BadFrame",server="chat"} 0
sessionwheel_sessions_closed_total{reason="Closed",server="chat"} 0
sessionwheel_sessions_closed_total{reason="EOF",server="chat"} 1
sessionwheel_sessions_closed_total{reason="Error",server="chat"} 0
sessionwheel_sessions_closed_total{reason="FrameTimeout",server="chat"} 0
sessionwheel_sessions_closed_total{reason="Handshake",server="chat"} 0
sessionwheel_sessions_closed_total{reason="Lifetime",server="chat"} 0
sessionwheel_sessions_closed_total{reason="Overload",server="chat"} 0
sessionwheel_sessions_closed_total{reason="Panic",server="chat"} 0
sessionwheel_sessions_closed_total{reason="Replaced",server="chat"} 0
sessionwheel_sessions_closed_total{reason="Shutdown",server="chat"} 0
sessionwheel_sessions_closed_total{reason="Slow",server="chat"} 0
sessionwheel_sessions_closed_total{reason="Timeout",server="chat"} 1
sessionwheel_sessions_closed_total{reason="TooLarge",server="chat"} 0
sessionwheel_sessions_closed_total{reason="kicked",server="chat"} 1
# HELP sessionwheel_sessions_open Sessions that are open.
# TYPE sessionwheel_sessions_open gauge
sessionwheel_sessions_open{server="chat"} 1
# HELP sessionwheel_sessions_refused_total Sessions that were refused, by cause; for a UDP server, datagrams that would have begun one.
# TYPE sessionwheel_sessions_refused_total counter
sessionwheel_sessions_refused_total{cause="closed",server="chat"} 0
sessionwheel_sessions_refused_total{cause="full",server="chat"} 1
sessionwheel_sessions_refused_total{cause="per_ip",server="chat"} 0
# HELP sessionwheel_sessions_registered_total Sessions that were registered.
# TYPE sessionwheel_sessions_registered_total counter
sessionwheel_sessions_registered_total{server="chat"} 4
# HELP sessionwheel_slow_sessions_total Sessions that were closed because their peer did not read, or too slowly.
# TYPE sessionwheel_slow_sessions_total counter
sessionwheel_slow_sessions_total{server="chat"} 0
`

func TestServer_ScrapeShowsWhatHappened(t *testing.T) {
	chat := start(t, &tcp.Server{
		MaxSessions: 2,
		OnMessage: func(s *tcp.Session, p []byte) {
			_ = s.Send([]byte(strings.ToUpper(string(p)) + "\n"))
			if string(p) == "twice" {
				_ = s.Post(make([]byte, 20)) // counted when it is written
			}
		},
	})
	url := exposed(t, registry(t, metrics.Server("chat", chat.Server)))

	first := chat.dial(t)
	firstSession := next(t, chat.opened)
	second := chat.dial(t)
	next(t, chat.opened)
	refused := chat.dial(t)
	require.ErrorIs(t, next(t, chat.errors), pool.ErrFull)
	_, err := refused.Read(make([]byte, 1))
	require.Error(t, err)

	fmt.Fprint(first, "hello.\n")
	read := bufio.NewReader(first)
	line, err := read.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "HELLO.\n", line)
	fmt.Fprint(first, "twice\n")
	_, err = read.Discard(26)
	require.NoError(t, err)

	firstSession.SetIdleTimeout(time.Millisecond)
	require.Equal(t, pool.Timeout, next(t, chat.closed))
	require.NoError(t, second.Close())
	require.Equal(t, tcp.ReasonEOF, next(t, chat.closed))
	chat.dial(t)
	require.True(t, next(t, chat.opened).Close("kicked"))
	require.EqualValues(t, "kicked", next(t, chat.closed))
	chat.dial(t)
	next(t, chat.opened)
	require.Eventually(t, func() bool { return chat.Stats().Parked == 1 }, time.Minute, time.Millisecond)

	require.NoError(t, testutil.ScrapeAndCompare(url, strings.NewReader(chatScraped)))
	text, err := scrape(url, asText)
	require.NoError(t, err)
	protobuf, err := scrape(url, asProtobuf)
	require.NoError(t, err)
	require.NotEmpty(t, text.series())
	require.Equal(t, text.series(), protobuf.series())
	http.DefaultClient.CloseIdleConnections() // of ScrapeAndCompare
}

func TestServer_IsToldApartFromOthersByItsName(t *testing.T) {
	full := start(t, &tcp.Server{MaxSessions: 1})
	perIP := start(t, &tcp.Server{MaxSessionsPerIP: 1})
	reg := registry(t, metrics.Server("full", full.Server), metrics.Server("per_ip", perIP.Server))

	require.EqualValues(t, 0, gather(t, reg).series()[`sessionwheel_sessions_open{server="full"}`])
	for _, s := range []started{full, perIP} {
		s.dial(t)
		next(t, s.opened)
		s.dial(t)
		next(t, s.errors)
	}
	full.dial(t)
	next(t, full.errors)

	got := gather(t, reg).series()
	require.Equal(t, map[string]float64{
		`sessionwheel_sessions_open{server="full"}`:   1,
		`sessionwheel_sessions_open{server="per_ip"}`: 1,
	}, of(got, "sessionwheel_sessions_open", ""))
	require.Equal(t, map[string]float64{
		`sessionwheel_sessions_refused_total{cause="closed", server="full"}`:   0,
		`sessionwheel_sessions_refused_total{cause="closed", server="per_ip"}`: 0,
		`sessionwheel_sessions_refused_total{cause="full", server="full"}`:     2,
		`sessionwheel_sessions_refused_total{cause="full", server="per_ip"}`:   0,
		`sessionwheel_sessions_refused_total{cause="per_ip", server="full"}`:   0,
		`sessionwheel_sessions_refused_total{cause="per_ip", server="per_ip"}`: 1,
	}, of(got, "sessionwheel_sessions_refused_total", ""))
}

func TestServer_IsExposedBeforeItServes(t *testing.T) {
	got := gather(t, registry(t, metrics.Server("", &tcp.Server{}))).series()
	require.Contains(t, got, `sessionwheel_sessions_closed_total{reason="Timeout", server=""}`)
	for key, v := range got {
		require.Zero(t, v, key)
	}
}

func TestServer_NameCanBeRegisteredOnce(t *testing.T) {
	reg := registry(t, metrics.Server("a", &tcp.Server{}))
	err := reg.Register(metrics.Server("a", &tcp.Server{}))
	require.ErrorAs(t, err, &prometheus.AlreadyRegisteredError{})
	stats := func() pool.Stats { return pool.Stats{} }
	require.Error(t, reg.Register(metrics.Pool("a", stats)))
	require.NoError(t, reg.Register(metrics.Pool("b", stats)))
	require.ErrorContains(t, reg.Register(metrics.Pool("\xff", stats)), "UTF-8")
}

// fill posts to a session whose peer does not read until the sockets take nothing any more:
// their buffers grow for a while.
func fill(s *tcp.Session) (frames, drops int) {
	for refused := 0; refused < 20; refused++ {
		for s.Post(make([]byte, 30<<10)) == nil {
			frames++
			refused = 0
		}
		drops++
		time.Sleep(5 * time.Millisecond)
	}
	return frames, drops
}

// The peer does not read, so that what is posted to it waits, and then is dropped.
func TestServer_ShowsAPeerThatDoesNotRead(t *testing.T) {
	chat := start(t, &tcp.Server{MaxOutbound: 100 << 10, Overflow: tcp.DropNewest, WriteTimeout: -1})
	reg := registry(t, metrics.Server("chat", chat.Server))
	chat.dial(t)
	s := next(t, chat.opened)
	frames, drops := fill(s)
	var got map[string]float64
	require.Eventually(t, func() bool { // the sockets may still take some
		got = gather(t, reg).series()
		return got[`sessionwheel_outbound_bytes{server="chat"}`] == float64(s.Outbound())
	}, patience, 10*time.Millisecond)
	require.Positive(t, s.Outbound())
	require.EqualValues(t, frames, got[`sessionwheel_sent_frames_total{server="chat"}`])
	require.EqualValues(t, drops, got[`sessionwheel_dropped_frames_total{server="chat"}`])
	require.Zero(t, got[`sessionwheel_slow_sessions_total{server="chat"}`])

	require.True(t, s.Close(tcp.ReasonSlow))
	next(t, chat.closed)
	got = gather(t, reg).series()
	require.EqualValues(t, 1, got[`sessionwheel_slow_sessions_total{server="chat"}`])
	require.EqualValues(t, 1, got[`sessionwheel_sessions_closed_total{reason="Slow", server="chat"}`])
}

// Several goroutines scrape while sessions open, exchange data and close.
func TestCounters_NeverGoDownUnderConcurrentScrapes(t *testing.T) {
	chat := start(t, &tcp.Server{OnMessage: func(s *tcp.Session, p []byte) { _ = s.Send(append(p, '\n')) }})
	url := exposed(t, registry(t, metrics.Server("chat", chat.Server)))

	const clients, sessions, scrapers, scrapes = 4, 50, 4, 25
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for range sessions {
				c := chat.dial(t)
				fmt.Fprintln(c, "hello")
				if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
					t.Error(err)
				}
				_ = c.Close()
			}
		})
	}
	for i := range scrapers {
		accept := []string{asText, asProtobuf}[i%2]
		all.Go(func() {
			before := make(map[string]float64)
			for range scrapes {
				found, err := scrape(url, accept)
				if err != nil {
					t.Error(err)
					return
				}
				now := found.series()
				for _, name := range found.counters() {
					for key, v := range of(now, name+"{", "") {
						if v < before[key] {
							t.Errorf("%s went from %v down to %v", key, before[key], v)
						}
					}
				}
				if open, most := now[`sessionwheel_sessions_open{server="chat"}`], float64(clients*sessions); open < 0 || open > most {
					t.Errorf("%v sessions are open", open)
				}
				if r, c := now[`sessionwheel_sessions_registered_total{server="chat"}`], sum(of(now, "sessionwheel_sessions_closed_total", "")); c > r {
					t.Errorf("%v were closed, and %v registered", c, r)
				}
				before = now
			}
		})
	}
	all.Wait()
	require.Eventually(t, func() bool {
		found, err := scrape(url, asText)
		return err == nil && found.series()[`sessionwheel_sessions_closed_total{reason="EOF", server="chat"}`] == clients*sessions
	}, patience, 10*time.Millisecond)
}

func sum(values map[string]float64) (total float64) {
	for _, v := range values {
		total += v
	}
	return total
}
