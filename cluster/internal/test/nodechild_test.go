package test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/pool"
)

// nodeArg is the argument of a child process that is a node.
type nodeArg struct {
	Name, URL string
	Fence     bool
	Logins    int    // the number of logins, as u0, u1, ...
	Watched   string // the session for which Served is recorded
}

// nodeReport is an answer of such a child.
type nodeReport struct {
	Active   bool
	Epoch    string
	Sessions map[string]uint64 // the tokens
	Why      map[string]pool.Reason
	// The wall clock just before the last check that found a lease and the watched
	// session. A server makes this check before it serves a session.
	Served time.Time
}

func (r nodeReport) has(id string) bool { return r.Sessions[id] != 0 }

// report asks a child for a report.
func report(c *child) nodeReport {
	c.t.Helper()
	var r nodeReport
	c.ask(&r)
	return r
}

// nodeChild joins the cluster, logs in, and answers with reports.
func nodeChild(arg []byte) error {
	var a nodeArg
	if err := json.Unmarshal(arg, &a); err != nil {
		return err
	}
	s := &site{o: newObserver(), sessions: make(map[string]uint64), why: make(map[string]pool.Reason)}
	c := cluster.Config{Name: a.Name, URL: a.URL, Local: s}
	if a.Fence {
		c.OnLeaseLost = cluster.Fence
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	defer cancel()
	var err error
	if s.node, err = cluster.Join(ctx, c); err != nil {
		return err
	}
	if err := many(ctx, s.retryLogin, names(a.Logins, "u%d")...); err != nil {
		return err
	}

	var mu sync.Mutex
	var served time.Time // guarded by mu
	go func() {          // runs until the process ends
		for ; ; time.Sleep(time.Millisecond) {
			now := time.Now()
			if s.node.State() == cluster.Active && s.has(a.Watched) {
				mu.Lock()
				served = now
				mu.Unlock()
			}
		}
	}()
	if err := answer(true); err != nil {
		return err
	}
	return questions(func() error {
		r := nodeReport{Active: s.node.State() == cluster.Active, Sessions: make(map[string]uint64), Why: make(map[string]pool.Reason)}
		for _, info := range s.node.Nodes() {
			if info.Name == a.Name {
				r.Epoch = info.Epoch
			}
		}
		s.mu.Lock()
		for id, token := range s.sessions {
			r.Sessions[id] = token
		}
		for id, why := range s.why {
			r.Why[id] = why
		}
		s.mu.Unlock()
		mu.Lock()
		r.Served = served
		mu.Unlock()
		return answer(r)
	})
}

// agree waits until the directory has exactly the sessions of the sites and children, each
// with its token. If it never has, agree reports the difference.
func agree(t *testing.T, by *site, sites []*site, children ...nodeReport) {
	t.Helper()
	var problem string
	defer func() {
		if t.Failed() {
			t.Log(problem)
		}
	}()
	eventually(t, "the directory and the pools agree", func() bool {
		problem = disagreement(t, by, sites, children)
		return problem == ""
	})
}

func disagreement(t *testing.T, by *site, sites []*site, children []nodeReport) string {
	entries := listed(t, by)
	want := make(map[string]uint64)
	for _, r := range children {
		for id, token := range r.Sessions {
			want[id] = token
		}
	}
	for _, s := range sites {
		s.mu.Lock()
		for id, token := range s.sessions {
			if want[id] != 0 {
				s.mu.Unlock()
				return id + " has two sessions"
			}
			want[id] = token
		}
		s.mu.Unlock()
	}
	for id, token := range want {
		if entries[id].Token != token {
			return fmt.Sprintf("%s has a session with token %d, and in the directory %d", id, token, entries[id].Token)
		}
	}
	if len(entries) != len(want) {
		return fmt.Sprintf("%d entries, %d sessions", len(entries), len(want))
	}
	return ""
}
