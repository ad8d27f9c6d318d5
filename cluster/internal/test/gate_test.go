package test

import (
	"bytes"
	"io"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
)

// held notes for which entries of the directory nodes ask a broker, and holds the answers.
type held struct {
	mu   sync.Mutex
	cond *sync.Cond
	// Guarded by mu.
	on    bool
	first time.Time            // when the first request came since hold
	asked map[string]time.Time // when each entry was first asked for since hold
}

// betweenHeld starts a proxy that notes requests and holds their answers.
func betweenHeld(t *testing.T, url string) (*proxy, *held) {
	t.Helper()
	q := new(held)
	q.cond = sync.NewCond(&q.mu)
	p := between(t, url)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.outwards = func(from io.Reader) io.Reader { return io.TeeReader(from, &requestLines{to: q}) }
	p.inwards = func(from io.Reader) io.Reader { return &heldReader{from, q} }
	return p, q
}

func (q *held) hold() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.on, q.first, q.asked = true, time.Time{}, make(map[string]time.Time)
}

func (q *held) release() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.on = false
	q.cond.Broadcast()
}

func (q *held) note(key string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, again := q.asked[key]; q.on && !again {
		if q.first.IsZero() {
			q.first = time.Now()
		}
		q.asked[key] = time.Now()
	}
}

// within returns how many entries were asked for in the given time from the first request on.
func (q *held) within(d time.Duration) (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, at := range q.asked {
		if at.Sub(q.first) < d {
			n++
		}
	}
	return n
}

// requestLines finds the requests in what a node sends.
type requestLines struct {
	to   *held
	part []byte // of a line
}

// A request for an entry has its key in the subject, or in the text.
var entryRequest = regexp.MustCompile(`\$KV\.sessions_dir\.(s\.[^" ]+)`)

func (l *requestLines) Write(b []byte) (int, error) {
	l.part = append(l.part, b...)
	for {
		line, rest, whole := bytes.Cut(l.part, []byte("\n"))
		if !whole {
			return len(b), nil
		}
		if m := entryRequest.FindSubmatch(line); m != nil {
			l.to.note(string(m[1]))
		}
		l.part = rest
	}
}

type heldReader struct {
	from io.Reader
	q    *held
}

func (r *heldReader) Read(b []byte) (int, error) {
	n, err := r.from.Read(b)
	r.q.mu.Lock()
	defer r.q.mu.Unlock()
	for r.q.on {
		r.q.cond.Wait()
	}
	return n, err
}

// A broker that has thousands of requests to answer answers the last of them too late, so a node
// sends it 128 lookups and logins, and the next one after an answer. A request that is not
// answered within a second makes room too, so only the first half second counts.
func TestGate_BoundsTheRequestsThatWaitForTheBroker(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	p, q := betweenHeld(t, b.URL())
	a := join(t, o, "a", cluster.Config{URL: b.URL()})
	c := join(t, o, "c", cluster.Config{URL: p.url()})
	client := open(t, cluster.ClientConfig{URL: p.url()})
	const n = 500
	old, fresh := names(n, "old%d"), names(n, "fresh%d")
	require.NoError(t, many(within(t, patience), a.login, old...))
	ctx := within(t, patience)
	for _, kind := range []struct {
		name string
		ids  []string
		do   func(id string) error
	}{
		{"a node's lookups", old, func(id string) error {
			_, err := c.node.Lookup(ctx, id)
			return err
		}},
		{"a client's lookups", old, func(id string) error {
			_, err := client.Lookup(ctx, id)
			return err
		}},
		{"logins", fresh, func(id string) error { return c.login(ctx, id) }},
		{"takeovers", old, func(id string) error { return c.login(ctx, id) }},
	} {
		q.hold()
		done := make(chan error, 1)
		go func() {
			_, err := atOnce(kind.ids, kind.do)
			done <- err
		}()
		eventually(t, kind.name+" wait", func() bool { return q.within(time.Hour) >= 128 })
		time.Sleep(100 * time.Millisecond) // in which more would come
		got := q.within(500 * time.Millisecond)
		q.release()
		require.NoError(t, <-done, kind.name)
		require.LessOrEqual(t, got, 128, kind.name)
	}
}
