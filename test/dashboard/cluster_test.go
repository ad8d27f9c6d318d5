package dashboard_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/dashboard"
	"github.com/sessionwheel/sessionwheel/pool"
)

// fakeCluster is a cluster in memory. A nil function stands for normal behavior.
type fakeCluster struct {
	state    string // "" is Active
	nodes    []dashboard.ClusterNode
	sessions []dashboard.ClusterSession
	ask      func(ctx context.Context) error // before Lookup and Kick answer
	list     func(ctx context.Context, f func(dashboard.ClusterSession) bool) error
	lookups  atomic.Int32
	lists    atomic.Int32
	kicked   atomic.Pointer[string] // ID and reason of the last
}

var _ dashboard.Cluster = (*fakeCluster)(nil)

func (c *fakeCluster) State() string {
	if c.state == "" {
		return "Active"
	}
	return c.state
}

func (c *fakeCluster) Nodes() []dashboard.ClusterNode { return c.nodes }

func (c *fakeCluster) Lookup(ctx context.Context, id string) (dashboard.ClusterSession, bool, error) {
	c.lookups.Add(1)
	if c.ask != nil {
		if err := c.ask(ctx); err != nil {
			return dashboard.ClusterSession{}, false, err
		}
	}
	for _, s := range c.sessions {
		if s.ID == id {
			return s, true, nil
		}
	}
	return dashboard.ClusterSession{}, false, nil
}

func (c *fakeCluster) List(ctx context.Context, f func(dashboard.ClusterSession) bool) error {
	c.lists.Add(1)
	if c.list != nil {
		return c.list(ctx, f)
	}
	for _, s := range c.sessions {
		if !f(s) {
			break
		}
	}
	return nil
}

func (c *fakeCluster) Kick(ctx context.Context, id string, generation uint64, reason string) (bool, error) {
	if s, ok, err := c.Lookup(ctx, id); !ok || err != nil || s.Generation != generation {
		return false, err
	}
	what := id + ": " + reason
	c.kicked.Store(&what)
	return true, nil
}

// newFakeCluster returns a cluster of two nodes with some sessions.
func newFakeCluster() *fakeCluster {
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	c := &fakeCluster{nodes: []dashboard.ClusterNode{
		{Name: "a", Incarnation: "a_1", Sessions: 2, This: true}, {Name: "b", Incarnation: "b_7", Sessions: 3},
	}}
	for i, id := range []string{"joanna", "bob", "ann", "annabel", "10", "9"} {
		c.sessions = append(c.sessions, dashboard.ClusterSession{ID: id, Generation: uint64(i + 1), Node: c.nodes[i%2].Name, Since: since, Metadata: []byte("of " + id)})
	}
	return c
}

type (
	clusterAnswer struct {
		State    string
		Active   bool
		Sessions int
		Count    int `json:"node_count"`
		Nodes    []struct {
			Name, Incarnation string
			Sessions          int
			This              bool
			Silent            float64 `json:"silent_seconds"`
		}
	}
	clusterPageAnswer struct {
		Looked   int `json:"looked_at"`
		Cut      string
		Sessions []struct {
			ID, Node, Metadata string
			Since              *time.Time
			Bytes              int `json:"metadata_bytes"`
		}
	}
)

func (p clusterPageAnswer) ids() []string {
	ids := []string{}
	for _, s := range p.Sessions {
		ids = append(ids, s.ID)
	}
	return ids
}

// handlerIn returns a dashboard of an idle server in a cluster.
func handlerIn(t *testing.T, c dashboard.Cluster) *dashboard.Handler {
	t.Helper()
	return newHandler(t, dashboard.Config{Source: idleSource(), Cluster: c, Authorize: allowAll, MaxPages: 2})
}

const clusterSessions = "/api/cluster/sessions"

func TestCluster_NodesAreShownAndCounted(t *testing.T) {
	c := newFakeCluster()
	h := handlerIn(t, c)
	got := getJSON[clusterAnswer](t, h, "/api/cluster")
	require.Equal(t, []any{"Active", true, 5, 2}, []any{got.State, got.Active, got.Sessions, got.Count})
	require.Equal(t, "a a_1 2 true, b b_7 3 false", fmt.Sprintf("%s %s %d %t, %s %s %d %t",
		got.Nodes[0].Name, got.Nodes[0].Incarnation, got.Nodes[0].Sessions, got.Nodes[0].This,
		got.Nodes[1].Name, got.Nodes[1].Incarnation, got.Nodes[1].Sessions, got.Nodes[1].This))
	require.Zero(t, c.lookups.Load()+c.lists.Load(), "nobody is asked for it")

	c.nodes[1].Silent = 3500 * time.Millisecond
	got = getJSON[clusterAnswer](t, h, "/api/cluster")
	require.Equal(t, []float64{0, 3.5}, []float64{got.Nodes[0].Silent, got.Nodes[1].Silent})

	c.state, c.nodes = "Isolated", nil
	got = getJSON[clusterAnswer](t, h, "/api/cluster")
	require.Equal(t, []any{"Isolated", false, 0, 0}, []any{got.State, got.Active, got.Sessions, got.Count})
	require.Contains(t, request(h, http.MethodGet, "/api/cluster").Body.String(), `"nodes":[]`)

	for range 3000 {
		c.nodes = append(c.nodes, dashboard.ClusterNode{Name: strings.Repeat("n", 300), Incarnation: strings.Repeat("é", 150), Sessions: 2})
	}
	got = getJSON[clusterAnswer](t, h, "/api/cluster")
	require.Equal(t, []int{6000, 3000, 500}, []int{got.Sessions, got.Count, len(got.Nodes)})
	require.Equal(t, []string{strings.Repeat("n", 256), strings.Repeat("é", 128)}, []string{got.Nodes[0].Name, got.Nodes[0].Incarnation})
}

func TestCluster_WithoutOneNothingOfItIsShown(t *testing.T) {
	for _, c := range []dashboard.Cluster{nil, newFakeCluster()} {
		h := handlerIn(t, c)
		require.Equal(t, c != nil, getJSON[map[string]any](t, h, "/api/stats")["cluster"])
		for path, method := range map[string]string{"/api/cluster": "GET", clusterSessions: "GET", clusterSessions + "/x616e6e?generation=3": "DELETE"} {
			w := request(h, method, path)
			if c != nil {
				require.Equal(t, http.StatusOK, w.Code, "%s: %s", path, w.Body)
				continue
			}
			require.Contains(t, errorText(t, w, http.StatusNotFound), "in no cluster", path)
		}
		for _, path := range []string{"/api/clusters", "/api/cluster/", "/api/cluster/nodes"} {
			errorText(t, request(h, http.MethodGet, path), http.StatusNotFound)
		}
	}
}

func TestClusterSearch_FindsASessionByItsIDAndElseByAPart(t *testing.T) {
	c := newFakeCluster()
	h := handlerIn(t, c)
	one := getJSON[clusterPageAnswer](t, h, clusterSessions+"?q=ann")
	require.Equal(t, []any{1, "", []string{"ann"}}, []any{one.Looked, one.Cut, one.ids()})
	s := one.Sessions[0]
	require.Equal(t, []any{"a", "of ann", 6, "2026-01-02T02:04:05Z"}, []any{s.Node, s.Metadata, s.Bytes, s.Since.Format(time.RFC3339)})
	require.Zero(t, c.lists.Load(), "the directory is not read for it")

	all := []string{"9", "10", "ann", "annabel", "bob", "joanna"}
	lookups := c.lookups.Load()
	for query, want := range map[string]struct {
		looked int
		cut    string
		ids    []string
	}{
		"?q=nna":         {6, "", []string{"annabel", "joanna"}},
		"?q=Ann":         {6, "", []string{}},
		"?q=a%2Fb%00c":   {6, "", []string{}},
		"?q=nn&limit=1":  {3, "limit", []string{"joanna"}},
		"?q=nna&limit=2": {6, "", []string{"annabel", "joanna"}},
		"":               {6, "", all},
		"?q=&limit=":     {6, "", all},
		"?limit=6":       {6, "", all},
		"?limit=2":       {3, "limit", []string{"bob", "joanna"}},
	} {
		got := getJSON[clusterPageAnswer](t, h, clusterSessions+query)
		require.Equal(t, []any{want.looked, want.cut, want.ids}, []any{got.Looked, got.Cut, got.ids()}, query)
	}
	require.EqualValues(t, lookups+5, c.lookups.Load(), "no ID is empty")
}

func TestClusterSearch_NamesWrongParameters(t *testing.T) {
	c := newFakeCluster()
	h := handlerIn(t, c)
	for query, want := range map[string]string{
		"limit=0": "1 to 500", "limit=501": "1 to 500", "limit=x": "1 to 500", "q=a&q=b": "once", "q=%zz": "query",
		"q=" + strings.Repeat("x", 257): "256", "sort=id": `"limit"`, "offset=1": `"limit"`,
	} {
		require.Contains(t, errorText(t, request(h, http.MethodGet, clusterSessions+"?"+query), http.StatusBadRequest), want, query)
	}
	require.Zero(t, c.lookups.Load()+c.lists.Load())
	d := apiParse(t, request(h, http.MethodGet, "/api/openapi.json").Body.Bytes())
	described := d.Paths[clusterSessions]["get"].Parameters
	require.Equal(t, []string{"q", "limit"}, []string{described[0].Name, described[1].Name})
	require.Equal(t, d.Paths["/api/sessions"]["get"].Parameters[0].Schema.MaxLength, described[0].Schema.MaxLength)
	require.Equal(t, d.Paths["/api/sessions"]["get"].Parameters[5].Schema, described[1].Schema)
	require.Equal(t, d.Paths["/api/sessions/{key}"]["delete"].Parameters, d.Paths[clusterSessions+"/{key}"]["delete"].Parameters)
}

func TestCluster_WhatPeersChoseIsCutAndEscaped(t *testing.T) {
	const script = `"'><script>alert(1)</script>`
	long := strings.Repeat("é", 40_000)
	c := &fakeCluster{sessions: []dashboard.ClusterSession{
		{ID: script, Node: script, Metadata: []byte(script + "\x00\xff\u202e")},
		{ID: "long", Node: long, Metadata: []byte("x" + long)},
		{ID: "late", Since: time.UnixMilli(1 << 53)},
		{ID: strings.Repeat("z", 5000), Since: time.UnixMilli(-1 << 53)},
	}}
	h := handlerIn(t, c)
	body := request(h, http.MethodGet, clusterSessions).Body.String()
	require.NotContains(t, body, "<script")
	page := getJSON[clusterPageAnswer](t, h, clusterSessions)
	require.Equal(t, []string{script, "late", "long", strings.Repeat("z", 1024)}, page.ids())
	require.Equal(t, []string{script, script + "\x00\ufffd\u202e"}, []string{page.Sessions[0].Node, page.Sessions[0].Metadata})
	require.Nil(t, page.Sessions[1].Since)
	require.Nil(t, page.Sessions[3].Since)
	require.Equal(t, []string{strings.Repeat("é", 128), "x" + strings.Repeat("é", 127)}, []string{page.Sessions[2].Node, page.Sessions[2].Metadata})
	require.Equal(t, 80_001, page.Sessions[2].Bytes)
}

func TestCluster_ASessionIsClosedOnlyByAnAuthorizedRequest(t *testing.T) {
	const id = `a/b "c"?d%e#f`
	for _, tt := range []struct {
		name      string
		authorize func(*http.Request) error
		query     string
		changes   []func(*http.Request)
		want      int
	}{
		{"read-only", nil, "", nil, 403},
		{"no header", allowAll, "", []func(*http.Request){withoutHeader("X-Sessionwheel-Request")}, 403},
		{"another site", allowAll, "", []func(*http.Request){withHeader("Sec-Fetch-Site", "cross-site")}, 403},
		{"another name", allowAll, "", []func(*http.Request){func(r *http.Request) { r.Host = "evil.example" }}, 421},
		{"somebody", func(r *http.Request) error {
			return errors.New("not at " + r.URL.Path)
		}, "", nil, 403},
		{"a reason that cannot be printed", allowAll, "&reason=%07", nil, 400},
		{"who may", allowAll, "&reason=Rude", nil, 200},
	} {
		c := &fakeCluster{sessions: []dashboard.ClusterSession{{ID: id, Generation: math.MaxUint64}}}
		h := newHandler(t, dashboard.Config{Source: idleSource(), Cluster: c, Authorize: tt.authorize})
		w := request(h, http.MethodDelete, fmt.Sprintf("%s/x%x?generation=18446744073709551615%s", clusterSessions, id, tt.query), tt.changes...)
		require.Equal(t, tt.want, w.Code, "%s: %s", tt.name, w.Body)
		if tt.want != http.StatusOK {
			errorText(t, w, tt.want)
			require.Zero(t, c.lookups.Load(), tt.name)
			continue
		}
		require.Equal(t, id+": Rude", *c.kicked.Load())
		require.Contains(t, errorText(t, request(h, http.MethodDelete, clusterSessions+"/x61?generation=1"), http.StatusNotFound), "in the cluster")
	}
}

func TestCluster_IsGuardedAsTheRestOfTheAPI(t *testing.T) {
	plain, _ := oneSession(t, dashboard.Config{})
	c := newFakeCluster()
	h := handlerIn(t, c)
	for _, path := range []string{"/api/cluster", clusterSessions, clusterSessions + "/x616e6e", "/api/cluster/nothing"} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodDelete, http.MethodPost} {
			require.Equal(t, http.StatusMisdirectedRequest, request(h, method, path, func(r *http.Request) { r.Host = "evil.example" }).Code)
			for _, change := range []func(*http.Request){
				withHeader("Sec-Fetch-Site", "cross-site"),
				func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "http://evil.example") },
			} {
				require.Equal(t, http.StatusForbidden, request(h, method, path, change).Code, "%s %s", method, path)
			}
			w := request(plain, method, path)
			require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			require.NotEmpty(t, w.Header().Get("Content-Security-Policy"))
		}
	}
	require.Zero(t, c.lookups.Load()+c.lists.Load())
}

// It says nothing about the pool's sessions, which are closed separately.
func TestCluster_SessionsAreNotThoseOfTheServer(t *testing.T) {
	p := newPool(t, pool.Config[string, addrConn]{})
	s := register(t, p, "ann", "")
	c := newFakeCluster()
	h := newHandler(t, dashboard.Config{Source: dashboard.Pool(p, nil, nil), Cluster: c, Authorize: allowAll})
	require.Equal(t, http.StatusOK, request(h, http.MethodDelete, clusterSessions+"/x616e6e?generation=3").Code)
	require.Empty(t, s.Reason())
	c.kicked.Store(nil)
	require.Equal(t, http.StatusOK, request(h, http.MethodDelete, closePath("ann", s.RegisteredAt())).Code)
	require.Nil(t, c.kicked.Load())
}
