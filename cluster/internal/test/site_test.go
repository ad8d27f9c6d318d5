package test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/pool"
)

// lease is the minimum lease with one broker.
const lease = 6 * time.Second

// patience is how long a test waits for something that must happen.
const patience = 90 * time.Second

// observer records when the sessions of all sites of a test begin and end.
type observer struct {
	mu sync.Mutex
	// Guarded by mu.
	live    map[string]int
	doubles int // how often a session began while another one had its ID
}

func newObserver() *observer { return &observer{live: make(map[string]int)} }

func (o *observer) begins(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.live[id]++; o.live[id] > 1 {
		o.doubles++
	}
}

func (o *observer) ends(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.live[id]--
}

func (o *observer) doubled() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.doubles
}

func (o *observer) alive(id string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.live[id]
}

// site is a node and its sessions, without a pool.
type site struct {
	t    testing.TB
	o    *observer
	node *cluster.Node

	mu sync.Mutex
	// Guarded by mu.
	sessions map[string]uint64
	why      map[string]pool.Reason // the reasons of the node's last closes
	inbox    []string
	closing  func(id string) // called before the node closes a session
}

func (s *site) Close(_ context.Context, id string, token uint64, why pool.Reason) (bool, error) {
	s.mu.Lock()
	closing := s.closing
	s.mu.Unlock()
	if closing != nil {
		closing(id)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if have, ok := s.sessions[id]; !ok || have != token {
		return false, nil
	}
	delete(s.sessions, id)
	s.why[id] = why
	s.o.ends(id)
	return true, nil
}

func (s *site) Deliver(_ context.Context, id string, token uint64, msg []byte) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if have, ok := s.sessions[id]; !ok || have != token {
		return false, nil
	}
	s.inbox = append(s.inbox, id+": "+string(msg))
	return true, nil
}

func (s *site) begin(id string) func(uint64) {
	return func(token uint64) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if _, ok := s.sessions[id]; ok {
			s.t.Errorf("%s was activated while its site still had a session", id)
		}
		s.sessions[id] = token
		s.o.begins(id)
	}
}

func (s *site) login(ctx context.Context, id string) error {
	return s.node.Claim(ctx, id, []byte("of "+id), s.begin(id))
}

// retryLogin logs in, and repeats that while the node has no lease, which a broker that was down
// or a busy machine may cost it.
func (s *site) retryLogin(ctx context.Context, id string) error {
	err := s.login(ctx, id)
	for ; errors.Is(err, cluster.ErrIsolated) && ctx.Err() == nil; err = s.login(ctx, id) {
		time.Sleep(10 * time.Millisecond)
	}
	return err
}

// mustLogin logs in, as retryLogin does, one ID after the other.
func (s *site) mustLogin(ids ...string) {
	s.t.Helper()
	for _, id := range ids {
		require.NoError(s.t, s.retryLogin(within(s.t, patience), id))
	}
}

// many logs in many IDs at the same time, with login or retryLogin.
func many(ctx context.Context, login func(context.Context, string) error, ids ...string) error {
	next := make(chan string)
	errs := make([]error, 32)
	var wg sync.WaitGroup
	for w := range errs {
		wg.Go(func() {
			for id := range next {
				if err := login(ctx, id); err != nil {
					errs[w] = fmt.Errorf("login %s: %w", id, err)
				}
			}
		})
	}
	for _, id := range ids {
		next <- id
	}
	close(next)
	wg.Wait()
	return errors.Join(errs...)
}

// logout ends a session as a pool does.
func (s *site) logout(id string) {
	s.mu.Lock()
	token, ok := s.sessions[id]
	delete(s.sessions, id)
	s.mu.Unlock()
	if ok {
		s.o.ends(id)
		s.node.Release(id, token)
	}
}

func (s *site) has(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.sessions[id]
	return ok
}

func (s *site) token(id string) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[id]
}

func (s *site) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

func (s *site) reason(id string) pool.Reason {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.why[id]
}

func (s *site) received() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.inbox)
}

// epoch returns a node's incarnation as another node sees it.
func epoch(t testing.TB, by *site, name string) string {
	t.Helper()
	var found string
	eventually(t, "the node "+name+" is seen", func() bool {
		for _, info := range by.node.Nodes() {
			if info.Name == name {
				found = info.Epoch
				return true
			}
		}
		return false
	})
	return found
}

// join starts a node that leaves at the end of the test.
func join(t testing.TB, o *observer, name string, c cluster.Config) *site {
	t.Helper()
	s := newSite(t, o)
	s.joins(within(t, patience), name, c)
	return s
}

func (s *site) joins(ctx context.Context, name string, c cluster.Config) {
	t := s.t
	t.Helper()
	c.Name = name
	if c.Local == nil {
		c.Local = s
	}
	if os.Getenv("CLUSTER_LOG") != "" {
		c.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	node, err := cluster.Join(ctx, c)
	require.NoError(t, err)
	s.node = node
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := node.Leave(ctx); !errors.Is(err, cluster.ErrLeft) && !errors.Is(err, cluster.ErrUnavailable) {
			require.NoError(t, err)
		}
	})
}

func newSite(t testing.TB, o *observer) *site {
	return &site{t: t, o: o, sessions: make(map[string]uint64), why: make(map[string]pool.Reason)}
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	pause := 5 * time.Millisecond
	for end := time.Now().Add(patience); !ok(); pause = min(2*pause, 80*time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never came true: %s", what)
		}
		time.Sleep(pause)
	}
}

// watchable is a Node or a Client.
type watchable interface {
	Watch(context.Context) (<-chan cluster.Event, error)
}

// watch returns the events of a node or a client until the test ends. It asks again while the
// broker is slow to answer, as on a busy machine.
func watch(t testing.TB, of watchable) <-chan cluster.Event {
	t.Helper()
	var events <-chan cluster.Event
	eventually(t, "the directory can be watched", func() bool {
		var err error
		events, err = of.Watch(t.Context())
		if !errors.Is(err, cluster.ErrUnavailable) {
			require.NoError(t, err)
		}
		return err == nil
	})
	return events
}

// listed returns what List lists, by ID.
func listed(t testing.TB, s *site) map[string]cluster.Entry {
	t.Helper()
	var entries map[string]cluster.Entry
	eventually(t, "the directory can be listed", func() bool {
		entries = make(map[string]cluster.Entry)
		return s.node.List(within(t, patience), func(e cluster.Entry) bool {
			entries[e.ID] = e
			return true
		}) == nil
	})
	return entries
}

func names(n int, format string) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf(format, i)
	}
	return ids
}

// owners returns, for each session, the index of the site that has it, or the indexes of
// all sites that have it.
func owners(sites ...*site) map[string]string {
	want := make(map[string]string)
	for i, s := range sites {
		s.mu.Lock()
		for id := range maps.Keys(s.sessions) {
			want[id] += fmt.Sprint(i)
		}
		s.mu.Unlock()
	}
	return want
}
