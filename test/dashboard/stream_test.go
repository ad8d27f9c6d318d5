package dashboard_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/internal/pipes"
	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// pipeSite is a dashboard served over net.Pipes, for fake time.
type pipeSite struct {
	handler *dashboard.Handler
	client  *http.Client
	pipes   *pipes.Listener
}

func serveSite(t *testing.T, c dashboard.Config) *pipeSite {
	t.Helper()
	h := newHandler(t, c)
	l := pipes.New()
	srv := &http.Server{Handler: h}
	srv.RegisterOnShutdown(h.Close)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }() // ends with Shutdown, waited for by the cleanup
	site := &pipeSite{handler: h, pipes: l}
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return site.dial(), nil }}
	site.client = &http.Client{Transport: transport}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		require.NoError(t, srv.Shutdown(context.Background()), "streams do not hold it up")
		require.ErrorIs(t, <-served, http.ErrServerClosed)
	})
	return site
}

func (s *pipeSite) dial() net.Conn { return s.pipes.Dial() }

func (s *pipeSite) get(t *testing.T, path string) *http.Response {
	t.Helper()
	answer, err := s.client.Get("http://127.0.0.1" + path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = answer.Body.Close() })
	return answer
}

// eventStream reads an event stream as it was sent.
type eventStream struct {
	answer *http.Response
	lines  *bufio.Reader
}

func (s *pipeSite) stream(t *testing.T) *eventStream {
	t.Helper()
	answer := s.get(t, "/api/events")
	require.Equal(t, http.StatusOK, answer.StatusCode)
	require.Equal(t, "text/event-stream", answer.Header.Get("Content-Type"))
	require.Equal(t, "no-store", answer.Header.Get("Cache-Control"))
	st := &eventStream{answer, bufio.NewReader(answer.Body)}
	require.Equal(t, "retry: 1000\n", st.line(t))
	return st
}

// slow returns a stream of which nothing is read until it is asked for.
func (s *pipeSite) slow(t *testing.T) (*eventStream, net.Conn) {
	t.Helper()
	conn := s.dial()
	t.Cleanup(func() { _ = conn.Close() })
	harness.Write(t, conn, "GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReaderSize(conn, 16), nil)
	require.NoError(t, err)
	st := &eventStream{answer, bufio.NewReaderSize(answer.Body, 16)}
	require.Equal(t, "retry: 1000\n", st.line(t))
	return st, conn
}

func (st *eventStream) line(t *testing.T) string {
	t.Helper()
	line, err := st.lines.ReadString('\n')
	require.NoError(t, err, "after %q", line)
	return line
}

// next returns the next event: its ID and its data.
func (st *eventStream) next(t *testing.T) (id int, data string) {
	t.Helper()
	_, err := fmt.Sscanf(st.line(t), "id: %d\n", &id)
	require.NoError(t, err)
	require.Equal(t, "event: stats\n", st.line(t))
	data, ok := strings.CutPrefix(st.line(t), "data: ")
	require.True(t, ok)
	require.Equal(t, "\n", st.line(t))
	require.True(t, json.Valid([]byte(data)))
	return id, data
}

// ended waits for the end of a stream, which the server announces.
func (st *eventStream) ended(t *testing.T) {
	t.Helper()
	_, err := io.Copy(io.Discard, st.lines)
	require.NoError(t, err)
}

// goroutines counts the goroutines that are in a method of the handler.
func goroutines(method string) int {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return strings.Count(string(stacks), "dashboard.(*Handler)."+method+"(")
}

func idleSource() dashboard.Source { return dashboard.Server(new(tcp.Server)) }

func TestStream_AllGetTheSameEventOnceAnInterval(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		site := serveSite(t, dashboard.Config{Source: idleSource()})
		var streams []*eventStream
		for range 5 {
			streams = append(streams, site.stream(t))
		}
		last := 0
		for i, st := range streams {
			id, _ := st.next(t)
			require.Equal(t, 1, id, "stream %d begins with what there is", i)
			last = id
		}
		synctest.Wait()
		require.Equal(t, 1, goroutines("sample"))
		for range 10 {
			before := time.Now()
			_, data := streams[0].next(t)
			require.Equal(t, time.Second, time.Since(before))
			last++
			for i, st := range streams[1:] {
				id, other := st.next(t)
				require.Equal(t, last, id, "stream %d", i+1)
				require.Equal(t, data, other)
			}
		}
		require.Equal(t, 1, goroutines("sample"))
	})
}

func TestStream_ShowsWhatHappens(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		p := newPool(t, pool.Config[int, addrConn]{})
		site := serveSite(t, dashboard.Config{Source: dashboard.Pool(p, nil, nil), Interval: 200 * time.Millisecond})
		st := site.stream(t)
		st.next(t)
		for n := range 5 {
			register(t, p, n, "")
			_, data := st.next(t)
			var stats statsAnswer
			require.NoError(t, json.Unmarshal([]byte(data), &stats))
			require.Equal(t, n+1, stats.Sessions.Open)
			require.True(t, stats.Time.Equal(time.Now()))
		}
	})
}

func TestStream_NothingIsSampledWithoutOne(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		site := serveSite(t, dashboard.Config{Source: idleSource()})
		require.Zero(t, goroutines("sample"))
		for round := range 3 {
			st := site.stream(t)
			id, _ := st.next(t)
			require.Equal(t, 3*round+1, id, "nothing was taken meanwhile")
			st.next(t)
			st.next(t)
			require.Equal(t, 1, goroutines("sample"))
			require.NoError(t, st.answer.Body.Close())
			time.Sleep(time.Second)
			synctest.Wait()
			require.Zero(t, goroutines("sample"))
			require.Zero(t, goroutines("serveEvents"))
			time.Sleep(time.Hour)
		}
	})
}

func TestStream_OfASlowPageDelaysNoOtherAndIsEnded(t *testing.T) {
	for taken := range 3 {
		t.Run(fmt.Sprintf("after=%d", taken), func(t *testing.T) {
			harness.Bubble(t, func(t *testing.T) {
				site := serveSite(t, dashboard.Config{Source: idleSource(), MaxPages: 2, WriteTimeout: 3500 * time.Millisecond})
				st, slow := site.slow(t)
				for range taken {
					st.next(t)
				}
				last := max(1, taken)
				quick := site.stream(t)
				quick.next(t)
				for i := range 6 {
					before := time.Now()
					id, _ := quick.next(t)
					require.Equal(t, time.Second, time.Since(before))
					last++
					require.Equal(t, last, id)
					if i < 3 {
						require.Equal(t, http.StatusServiceUnavailable, site.get(t, "/api/events").StatusCode)
					}
				}
				synctest.Wait()
				require.Equal(t, 1, goroutines("serveEvents"))
				harness.WaitClosed(t, slow)
				site.stream(t) // there is room again
			})
		})
	}
}

func TestStream_OfASlowPageGetsTheNewestEvent(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		site := serveSite(t, dashboard.Config{Source: idleSource()})
		slow, _ := site.slow(t)
		first, _ := slow.next(t)
		require.Equal(t, 1, first)
		time.Sleep(4500 * time.Millisecond)
		for _, want := range []int{2, 5, 6, 7} { // 2 was on its way; 3 and 4 were replaced
			id, _ := slow.next(t)
			require.Equal(t, want, id)
		}
	})
}

func TestMaxPages_IsTheMostStreams(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		site := serveSite(t, dashboard.Config{Source: idleSource()})
		var streams []*eventStream
		for range 64 {
			streams = append(streams, site.stream(t))
		}
		refused := site.get(t, "/api/events")
		require.Equal(t, http.StatusServiceUnavailable, refused.StatusCode)
		require.NotEmpty(t, refused.Header.Get("Retry-After"))
		require.Equal(t, "application/json", refused.Header.Get("Content-Type"))
		require.NoError(t, streams[0].answer.Body.Close())
		synctest.Wait()
		site.stream(t)
		require.Equal(t, http.StatusServiceUnavailable, site.get(t, "/api/events").StatusCode)
		require.Equal(t, http.StatusOK, site.get(t, "/api/stats").StatusCode)
	})
}

func TestClose_EndsTheStreamsAndWaits(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		site := serveSite(t, dashboard.Config{Source: idleSource()})
		var streams []*eventStream
		for range 3 {
			st := site.stream(t)
			st.next(t)
			streams = append(streams, st)
		}
		st, slow := site.slow(t)
		st.next(t)
		time.Sleep(1500 * time.Millisecond) // it does not read the second
		began := time.Now()
		done := make(chan struct{}, 3)
		for range 2 {
			go func() { site.handler.Close(); done <- struct{}{} }() // waited for below
		}
		for _, st := range streams {
			st.ended(t)
		}
		require.Zero(t, time.Since(began), "a page that reads is not waited for")
		<-done
		<-done
		require.LessOrEqual(t, time.Since(began), 5*time.Second, "a page that does not read is not waited for for longer")
		synctest.Wait() // they may be about to return
		require.Zero(t, goroutines("serveEvents"))
		require.Zero(t, goroutines("sample"))
		harness.WaitClosed(t, slow)
		site.handler.Close()

		refused := site.get(t, "/api/events")
		require.Equal(t, http.StatusServiceUnavailable, refused.StatusCode)
		require.NotEmpty(t, refused.Header.Get("Retry-After"))
		require.Equal(t, http.StatusOK, site.get(t, "/api/stats").StatusCode)
		require.Equal(t, http.StatusOK, site.get(t, "/api/sessions").StatusCode)
	})
}

func TestStream_GetsNoEventTwice(t *testing.T) {
	harness.Bubble(t, func(t *testing.T) {
		site := serveSite(t, dashboard.Config{Source: idleSource()})
		early := site.stream(t)
		early.next(t)
		time.Sleep(950 * time.Millisecond)
		late := site.stream(t)
		for want := range 3 {
			id, data := early.next(t)
			require.Equal(t, want+2, id)
			id, other := late.next(t)
			require.Equal(t, want+2, id)
			require.Equal(t, data, other)
		}
	})
}

// No limit ends a stream whose events are all read, however long it waits for the
// next: neither the server's, nor the one of the event before.
func TestStream_LastsAsLongAsItsEventsAreRead(t *testing.T) {
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(version, func(t *testing.T) {
			harness.Bubble(t, func(t *testing.T) {
				h := newHandler(t, dashboard.Config{Source: idleSource(), Interval: time.Minute})
				l := pipes.New()
				protocols := new(http.Protocols)
				protocols.SetHTTP1(version == "HTTP/1.1")
				protocols.SetUnencryptedHTTP2(version == "HTTP/2.0")
				srv := &http.Server{Handler: h, ReadTimeout: time.Second, WriteTimeout: time.Second, Protocols: protocols}
				served := make(chan error, 1)
				go func() { served <- srv.Serve(l) }() // ends with Close, waited for below
				site := &pipeSite{handler: h, pipes: l}
				transport := &http.Transport{
					DialContext: func(context.Context, string, string) (net.Conn, error) { return site.dial(), nil },
					Protocols:   protocols,
				}
				site.client = &http.Client{Transport: transport}
				st := site.stream(t)
				require.Equal(t, version, st.answer.Proto)
				for want := range 10 {
					id, _ := st.next(t)
					require.Equal(t, want+1, id)
				}
				h.Close()
				st.ended(t)
				transport.CloseIdleConnections()
				require.NoError(t, srv.Close())
				require.ErrorIs(t, <-served, http.ErrServerClosed)
			})
		})
	}
}

func TestStream_WithoutDeadlinesIsRefused(t *testing.T) {
	h := newHandler(t, dashboard.Config{Source: idleSource()})
	require.Contains(t, errorText(t, request(h, http.MethodGet, "/api/events"), http.StatusInternalServerError), "Unwrap")
}
