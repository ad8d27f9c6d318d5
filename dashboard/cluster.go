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

	maxNodes    = 500  // that are shown
	maxName     = 256  // bytes of a node's name, incarnation or state
	maxMetadata = 256  // bytes
	maxID       = 1024 // bytes
)

var errNoCluster = errors.New("this server is in no cluster: the dashboard's Config.Cluster is nil")

// Cluster is what a dashboard shows of the cluster that its server is a node of.
// All methods are called on the goroutines of requests, by several at once, with
// no lock held. A panic ends the request alone, as net/http has it.
//
// What they return may be hostile: it reaches the page as text. Of an ID more than
// 1 KiB, and of metadata and of all other text more than 256 bytes, is cut off.
type Cluster interface {
	// State is whether this node may decide who owns an ID: "Active" if it may. Any
	// other text, such as "Isolated", is shown as a warning. It is called with Nodes.
	State() string

	// Nodes are the nodes that live, this one included, in the order in which they
	// are shown: the first 500. It is called for each request for api/cluster, of
	// which every page that is open makes one in five seconds, and must answer from
	// memory.
	Nodes() []ClusterNode

	// Lookup finds a session by its whole ID, with a request or so to the broker. It
	// is called before every List that looks for a text, of 1 to 256 bytes, and must
	// return soon after ctx ends: that is 10 seconds on, or when the client has gone.
	// The error, for people to read, says why it is not known whether there is one.
	Lookup(ctx context.Context, id string) (s ClusterSession, ok bool, err error)

	// List calls f for each session of the cluster, in any order, on its own
	// goroutine, until f returns false. It may read all of the directory from the
	// broker: only one call runs at a time, and each is followed by a pause of its
	// own length. It must return soon after ctx ends, as of Lookup; that is no error
	// of the cluster's. The metadata need not stay as it is once f has returned.
	List(ctx context.Context, f func(ClusterSession) bool) error

	// Kick closes a session, on whichever node it is, and returns when that is done;
	// ok is false if there is none. It is called once for each DELETE that
	// Config.Authorize allows, with a reason of at most 64 bytes, and must return
	// soon after ctx ends, as of Lookup. After an error it may have happened.
	Kick(ctx context.Context, id, reason string) (ok bool, err error)
}

// ClusterNode is a node of a [Cluster].
type ClusterNode struct {
	Name        string
	Incarnation string // tells one life of the node from the next
	Sessions    int    // as far as this node knows
	This        bool   // it is the one that the dashboard is of
}

// ClusterSession is a session of a [Cluster].
type ClusterSession struct {
	ID       string
	Node     string    // the name of the node that has it
	Since    time.Time // when it logged in; the zero time is shown as unknown
	Metadata []byte    // what it logged in with
}

// clusterJSON and what is in it are described by openapi.json.
type clusterJSON struct {
	State    string     `json:"state"`
	Active   bool       `json:"active"`
	Sessions int        `json:"sessions"`
	Count    int        `json:"node_count"`
	Nodes    []nodeJSON `json:"nodes"`
}

type nodeJSON struct {
	Name        string `json:"name"`
	Incarnation string `json:"incarnation"`
	Sessions    int    `json:"sessions"`
	This        bool   `json:"this"`
}

// serveCluster serves what is at and beneath api/cluster.
func (h *Handler) serveCluster(w http.ResponseWriter, r *http.Request, part string) {
	if h.c.Cluster == nil {
		fail(w, http.StatusNotFound, errNoCluster.Error())
		return
	}
	id, one := strings.CutPrefix(part, "/sessions/")
	switch {
	case one:
		if allow(w, r, http.MethodDelete) {
			h.serveKick(w, r, id)
		}
	case part == "":
		if allow(w, r, http.MethodGet, http.MethodHead) {
			write(w, http.StatusOK, encode(h.cluster()))
		}
	case part == "/sessions":
		if allow(w, r, http.MethodGet, http.MethodHead) {
			h.serveClusterSessions(w, r)
		}
	default:
		fail(w, http.StatusNotFound, noCall)
	}
}

// cluster is the cluster's nodes and counts.
func (h *Handler) cluster() clusterJSON {
	state, nodes := h.c.Cluster.State(), h.c.Cluster.Nodes()
	c := clusterJSON{State: clip(state, maxName), Active: state == stateActive, Count: len(nodes), Nodes: []nodeJSON{}}
	for _, n := range nodes {
		c.Sessions += n.Sessions
		if len(c.Nodes) < maxNodes {
			c.Nodes = append(c.Nodes, nodeJSON{clip(n.Name, maxName), clip(n.Incarnation, maxName), n.Sessions, n.This})
		}
	}
	return c
}

// clip is the first bytes of a text, at most so many, that are whole characters.
func clip[T string | []byte](text T, most int) string {
	if len(text) <= most {
		return string(text)
	}
	cut := most
	for cut > most-utf8.UTFMax && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return string(text[:cut])
}
