package test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
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
	on     bool
	prefix string          // of the keys that are noted
	asked  map[string]bool // the entries that were asked for since hold
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

func (q *held) hold(prefix string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.on, q.prefix, q.asked = true, prefix, make(map[string]bool)
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
	if q.on && strings.HasPrefix(key, q.prefix) {
		q.asked[key] = true
	}
}

// count returns how many entries were asked for.
func (q *held) count() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.asked)
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
// answered within a second makes room too, so only what was seen in less time counts. If the
// machine is too busy for that, the test tries again.
func TestGate_BoundsTheRequestsThatWaitForTheBroker(t *testing.T) {
	t.Parallel()
	b, o := broker(t), newObserver()
	p, q := betweenHeld(t, b.URL())
	a := join(t, o, "a", cluster.Config{URL: b.URL(), LeaseTTL: 10 * lease})
	c := join(t, o, "c", cluster.Config{URL: p.url(), LeaseTTL: 10 * lease})
	client := open(t, cluster.ClientConfig{URL: p.url()})
	const n, room = 500, 128
	for _, kind := range []struct {
		name  string
		fresh bool // nobody has the IDs
		do    func(ctx context.Context, id string) error
	}{
		{"node's lookups", false, func(ctx context.Context, id string) error {
			_, err := c.node.Lookup(ctx, id)
			return err
		}},
		{"client's lookups", false, func(ctx context.Context, id string) error {
			_, err := client.Lookup(ctx, id)
			return err
		}},
		{"logins", true, c.login},
		{"takeovers", false, c.login},
	} {
		round := 0
		eventually(t, "the "+kind.name+" are seen in time", func() bool {
			round++
			prefix := fmt.Sprintf("%s%d-", kind.name[:4], round)
			ids := names(n, prefix+"%d")
			ctx := within(t, patience)
			if !kind.fresh {
				require.NoError(t, many(ctx, a.login, ids...))
			}
			q.hold("s." + prefix)
			start := time.Now()
			inTime := func() bool { return time.Since(start) < time.Second }
			done := make(chan error, 1)
			go func() {
				_, err := atOnce(ids, func(id string) error { return insist(ctx, id, kind.do) })
				done <- err
			}()
			for q.count() < room && inTime() {
				time.Sleep(time.Millisecond)
			}
			time.Sleep(100 * time.Millisecond) // in which more would come
			got := q.count()
			conclusive := inTime()
			q.release()
			require.NoError(t, <-done, kind.name)
			if conclusive {
				require.LessOrEqual(t, got, room, kind.name)
			}
			return conclusive && got == room
		})
	}
}

// insist repeats what a busy broker has not answered in time.
func insist(ctx context.Context, id string, do func(context.Context, string) error) error {
	err := do(ctx, id)
	for ; errors.Is(err, cluster.ErrUnavailable) && ctx.Err() == nil; err = do(ctx, id) {
		time.Sleep(10 * time.Millisecond)
	}
	return err
}
