package dashboard

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	stateActive = "Active"

	maxNodes    = 500  // in an answer
	maxName     = 256  // bytes of a node's name, incarnation or state
	maxMetadata = 256  // bytes
	maxID       = 1024 // bytes
)

var errNoCluster = errors.New("this server is in no cluster: the dashboard's Config.Cluster is nil")

// Cluster is the view of a cluster that a dashboard shows. Its methods are called
// on the goroutines of requests, by several at once, with no lock held. A panic ends
// only the request, as net/http has it.
//
// The dashboard does not trust what they return, and the page shows it as text. It
// cuts IDs to 1 KiB, and metadata and other texts to 256 bytes.
type Cluster interface {
	// State returns "Active" if this node may decide who owns an ID. The page shows
	// any other text, such as "Isolated", as a warning. State is called with Nodes.
	State() string

	// Nodes returns the live nodes, this one included, in the order in which to show
	// them; the page shows the first 500. It is called for each request for
	// api/cluster. An open page sends one every two seconds, so Nodes must answer
	// from memory.
	Nodes() []ClusterNode

	// Lookup returns the session with the given ID, at the cost of a request or two to
	// the broker. It is called before every List that searches for a text, with a text
	// of 1 to 256 bytes. It must return soon after ctx ends, which happens after 10
	// seconds and when the client has gone. The error says, for people to read, why it
	// is unknown whether there is such a session.
	Lookup(ctx context.Context, id string) (s ClusterSession, ok bool, err error)

	// List calls f for each session of the cluster, in any order, on the goroutine of
	// its caller, until f returns false. It may read the broker's whole directory: only
	// one call runs at a time, and each is followed by a pause of its own length. It
	// must return soon after ctx ends, as Lookup must; that is not an error of the
	// cluster. f does not keep the metadata.
	List(ctx context.Context, f func(ClusterSession) bool) error

	// Kick closes the session with this ID and this Generation, on whichever node it is,
	// and returns when it is closed; ok is false if there is no such session. It is called
	// once for each DELETE that Config.Authorize allows, with a reason of at most 64 bytes.
	// It must return soon after ctx ends, as Lookup must. After an error the session may
	// be closed or not.
	Kick(ctx context.Context, id string, generation uint64, reason string) (ok bool, err error)
}

// ClusterNode is a node of a [Cluster].
type ClusterNode struct {
	Name        string
	Incarnation string // differs each time the node starts
	Sessions    int    // as far as this node knows
	This        bool   // it is the dashboard's own node

	// Silent is how long ago the node gave its last sign of life, if that is longer than
	// it should be, and 0 otherwise.
	Silent time.Duration
}

// ClusterSession is a session of a [Cluster].
type ClusterSession struct {
	ID         string
	Generation uint64    // distinguishes it from earlier and later sessions with its ID
	Node       string    // the name of the session's node
	Since      time.Time // when it logged in; the zero time means unknown
	Metadata   []byte    // given at login
}

// clusterJSON and the types in it are described by openapi.json.
type clusterJSON struct {
	State    string     `json:"state"`
	Active   bool       `json:"active"`
	Sessions int        `json:"sessions"`
	Count    int        `json:"node_count"`
	Nodes    []nodeJSON `json:"nodes"`
}

type nodeJSON struct {
	Name        string  `json:"name"`
	Incarnation string  `json:"incarnation"`
	Sessions    int     `json:"sessions"`
	This        bool    `json:"this"`
	Silent      float64 `json:"silent_seconds"` // 0: it is not
}

// serveCluster serves api/cluster and the paths beneath it. rest is what follows
// api/cluster.
func (h *Handler) serveCluster(w http.ResponseWriter, r *http.Request, rest string) {
	if h.c.Cluster == nil {
		writeError(w, http.StatusNotFound, errNoCluster.Error())
		return
	}
	id, ok := strings.CutPrefix(rest, "/sessions/")
	switch {
	case ok:
		if allowMethod(w, r, http.MethodDelete) {
			h.serveKick(w, r, id)
		}
	case rest == "":
		if allowMethod(w, r, http.MethodGet, http.MethodHead) {
			h.nodes.serve(w, r, func() any { return h.cluster() })
		}
	case rest == "/sessions":
		if allowMethod(w, r, http.MethodGet, http.MethodHead) {
			h.serveClusterSessions(w, r)
		}
	default:
		writeError(w, http.StatusNotFound, noSuchCall)
	}
}

// cluster returns the cluster's state, nodes and counts.
func (h *Handler) cluster() clusterJSON {
	state, nodes := h.c.Cluster.State(), h.c.Cluster.Nodes()
	c := clusterJSON{State: clip(state, maxName), Active: state == stateActive, Count: len(nodes), Nodes: []nodeJSON{}}
	for _, n := range nodes {
		c.Sessions += n.Sessions
		if len(c.Nodes) < maxNodes {
			c.Nodes = append(c.Nodes, nodeJSON{clip(n.Name, maxName), clip(n.Incarnation, maxName), n.Sessions, n.This, n.Silent.Seconds()})
		}
	}
	return c
}

// clip returns the first bytes of a text, at most limit, without cutting a character
// in two.
func clip[T string | []byte](text T, limit int) string {
	if len(text) <= limit {
		return string(text)
	}
	cut := limit
	for cut > limit-utf8.UTFMax && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return string(text[:cut])
}
