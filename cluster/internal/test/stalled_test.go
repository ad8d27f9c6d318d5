package test

import (
	"bufio"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// filter reads what a broker sends and drops the messages of some subjects. That is what a
// stalled watcher looks like on a connection that works.
type filter struct {
	from *bufio.Reader
	drop func(subject string) bool
	edit func(message []byte) []byte // keeps the length; nil: none
	rest []byte                      // not read yet
}

func (s *filter) Read(b []byte) (int, error) {
	for len(s.rest) == 0 {
		message, err := s.next()
		if err != nil {
			return 0, err
		}
		s.rest = message
	}
	n := copy(b, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// next returns one line of the protocol with its payload, or nothing if it is dropped.
func (s *filter) next() ([]byte, error) {
	line, err := s.from.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	message := append([]byte(nil), line...)
	// MSG subject sid [reply] size, or HMSG subject sid [reply] headers size. A client sends
	// PUB subject [reply] size, or HPUB subject [reply] headers size.
	words := strings.Fields(string(line))
	if len(words) < 3 || !slices.Contains([]string{"MSG", "HMSG", "PUB", "HPUB"}, words[0]) {
		return message, nil
	}
	size, err := strconv.Atoi(words[len(words)-1])
	if err != nil {
		return nil, err
	}
	payload := make([]byte, size+2)
	if _, err := io.ReadFull(s.from, payload); err != nil {
		return nil, err
	}
	if s.drop(words[1]) {
		return nil, nil
	}
	message = append(message, payload...)
	if s.edit != nil {
		message = s.edit(message)
	}
	return message, nil
}

// betweenStalling starts a proxy that drops and counts the messages of subjects with the
// given prefix while stalled is set.
func betweenStalling(t testing.TB, url, prefix string) (p *proxy, stalled *atomic.Bool, dropped *atomic.Int64) {
	t.Helper()
	stalled, dropped = new(atomic.Bool), new(atomic.Int64)
	p = between(t, url)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inwards = func(from io.Reader) io.Reader {
		return &filter{from: bufio.NewReaderSize(from, 64<<10), drop: func(subject string) bool {
			drop := stalled.Load() && strings.HasPrefix(subject, prefix)
			if drop {
				dropped.Add(1)
			}
			return drop
		}}
	}
	return p, stalled, dropped
}

func TestWatch_ThatHasStalledIsDetectedAndReportsMissed(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	p, stalled, dropped := betweenStalling(t, b.URL(), "$KV.sessions_dir.")
	a := join(t, o, "a", cluster.Config{URL: p.url()})
	c := join(t, o, "c", cluster.Config{URL: b.URL()})
	client := open(t, cluster.ClientConfig{URL: p.url()})
	for name, of := range map[string]watchable{"node": a.node, "client": client} {
		events := watch(t, of)
		hears(t, c, events, "before "+name)
		quiet(t, events)
		was := dropped.Load()
		stalled.Store(true)
		c.mustLogin("unheard " + name)
		until(t, events, func(e cluster.Event) bool {
			require.NotEqual(t, cluster.Claimed, e.Kind)
			return e.Kind == cluster.Missed
		})
		require.Greater(t, dropped.Load(), was)
		require.True(t, stalled.Load(), "it was found while nothing came")
		stalled.Store(false)
		hears(t, c, events, "after "+name)
	}
}

// hears waits until a login by s is reported. It logs in again if the event may have been
// missed.
func hears(t *testing.T, s *site, events <-chan cluster.Event, id string) {
	t.Helper()
	for missed := true; missed; {
		s.mustLogin(id)
		until(t, events, func(e cluster.Event) bool {
			missed = e.Kind == cluster.Missed // the login may be among the missed changes
			return missed || e.Kind == cluster.Claimed && e.Entry.ID == id
		})
	}
}

// quiet waits for a lease without an event, during which nothing happens. On a very busy
// machine a connection may be lost before that.
func quiet(t *testing.T, events <-chan cluster.Event) {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		select {
		case e, isOpen := <-events:
			require.True(t, isOpen)
			require.Equal(t, cluster.Missed, e.Kind)
			require.True(t, time.Now().Before(end), "something is missed again and again, and nothing is written")
		case <-time.After(lease):
			return
		}
	}
}

// A node detects that its view has stalled by its own heartbeat, and a client by the
// revision of the bucket. The watchers of the directory are then restarted too, although
// nothing was written to it, and report Missed.
func TestView_ThatHasStalledIsDetected(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	p, stalled, _ := betweenStalling(t, b.URL(), "$KV.sessions_nodes.")
	c := join(t, o, "c", cluster.Config{URL: b.URL()})
	a := join(t, o, "a", cluster.Config{URL: p.url()})
	client := open(t, cluster.ClientConfig{URL: p.url()})
	ofNode := watch(t, a.node)
	ofClient := watch(t, client)
	quiet(t, ofNode)
	quiet(t, ofClient)
	for drained := false; !drained; { // removes the earlier events
		select {
		case <-ofNode:
		default:
			drained = true
		}
	}
	stalled.Store(true)
	for _, events := range []<-chan cluster.Event{ofNode, ofClient} {
		until(t, events, func(e cluster.Event) bool { return e.Kind == cluster.Missed })
	}
	require.NoError(t, c.node.Leave(within(t, patience)))
	stalled.Store(false)
	eventually(t, "both see again", func() bool { return len(a.node.Nodes()) == 1 && len(client.Nodes()) == 1 })
}
