package dashboard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// clusterTimeout limits how long one request to the cluster may take.
const clusterTimeout = 10 * time.Second

var errSlow = fmt.Errorf("no answer within %v", clusterTimeout)

// clusterParameters are the parameters of api/cluster/sessions.
var clusterParameters = []string{"q", "limit"}

// Why a search of the cluster is incomplete.
const (
	cutByLimit = "limit" // more sessions match than the limit allows
	cutByTime  = "time"  // the cluster took too long
)

// clusterPageJSON and the types in it are described by openapi.json.
type clusterPageJSON struct {
	Searched int                  `json:"looked_at"`
	Cut      string               `json:"cut"` // "": the search is complete
	Sessions []clusterSessionJSON `json:"sessions"`
}

type clusterSessionJSON struct {
	ID         string     `json:"id"`
	Exact      bool       `json:"exact"` // ID is exact
	Key        *string    `json:"key"`   // nil: the ID is too long
	Generation string     `json:"generation"`
	Node       string     `json:"node"`
	Since      *time.Time `json:"since"` // nil: unknown
	Metadata   string     `json:"metadata"`
	Bytes      int        `json:"metadata_bytes"` // of the whole metadata
}

// withClusterTimeout returns the context of one request to the cluster.
func withClusterTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, clusterTimeout, errSlow)
}

// clusterError returns the cause of ctx if ctx has ended, and err otherwise.
func clusterError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// serveClusterSessions serves a search of the cluster.
func (h *Handler) serveClusterSessions(w http.ResponseWriter, r *http.Request) {
	s, err := parseSearch(r.URL.RawQuery, clusterParameters)
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	page, err := h.searchCluster(r.Context(), s)
	if err != nil {
		writeClusterError(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, encode(page))
}

// writeClusterError answers a request that the cluster did not.
func writeClusterError(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, errBusy) || r.Context().Err() != nil {
		writeSearchError(w, err)
		return
	}
	writeError(w, http.StatusServiceUnavailable, "the cluster cannot be reached: "+err.Error())
}

// searchCluster finds the session whose ID is the text, or otherwise those whose ID
// contains it. The error is errBusy, the context's or the cluster's.
func (h *Handler) searchCluster(ctx context.Context, s search) (clusterPageJSON, error) {
	if s.text != "" {
		one, ok, err := h.lookUp(ctx, s.text)
		if err != nil {
			return clusterPageJSON{}, err
		}
		if ok {
			return clusterPageJSON{1, "", []clusterSessionJSON{newClusterSessionJSON(one)}}, nil
		}
	}
	return h.listCluster(ctx, s)
}

// lookUp finds the session of the cluster with the given ID. One call runs at a time, and
// none waits for listCluster. The error is as of searchCluster.
func (h *Handler) lookUp(ctx context.Context, id string) (ClusterSession, bool, error) {
	leave, err := h.clusterLookups.enter(ctx)
	if err != nil {
		return ClusterSession{}, false, err
	}
	defer leave()
	limited, cancel := withClusterTimeout(ctx)
	defer cancel()
	s, ok, err := h.c.Cluster.Lookup(limited, id)
	if err != nil {
		return s, false, clusterError(limited, err)
	}
	return s, ok, nil
}

// listCluster goes through the sessions of the cluster until it has found enough.
// One call runs at a time. The error is as of searchCluster.
func (h *Handler) listCluster(ctx context.Context, s search) (clusterPageJSON, error) {
	page := clusterPageJSON{Sessions: []clusterSessionJSON{}}
	leave, err := h.clusterSearches.enter(ctx)
	if err != nil {
		return page, err
	}
	defer leave()
	limited, cancel := withClusterTimeout(ctx)
	defer cancel()
	err = h.c.Cluster.List(limited, func(one ClusterSession) bool {
		if page.Searched%checkEvery == checkEvery-1 && limited.Err() != nil {
			page.Cut = cutByTime
			return false
		}
		page.Searched++
		switch {
		case !strings.Contains(one.ID, s.text):
		case len(page.Sessions) == s.limit:
			page.Cut = cutByLimit
			return false
		default:
			page.Sessions = append(page.Sessions, newClusterSessionJSON(one))
		}
		return true
	})
	switch {
	case ctx.Err() != nil:
		return page, ctx.Err()
	case page.Cut == "" && err != nil && limited.Err() != nil && page.Searched > 0:
		page.Cut = cutByTime
	case page.Cut == "" && err != nil:
		return page, clusterError(limited, err)
	}
	slices.SortFunc(page.Sessions, func(a, b clusterSessionJSON) int { return compareIDs(a.ID, b.ID) })
	return page, nil
}

func newClusterSessionJSON(s ClusterSession) clusterSessionJSON {
	shown := clusterSessionJSON{
		ID: clip(s.ID, maxID), Exact: isExact(s.ID), Key: keyOf(s.ID), Generation: formatGeneration(s.Generation), Node: clip(s.Node, maxName), Metadata: clip(s.Metadata, maxMetadata), Bytes: len(s.Metadata),
	}
	if since := s.Since.UTC(); !since.IsZero() && since.Year() > 0 && since.Year() < 10_000 { // JSON has no other years
		shown.Since = &since
	}
	return shown
}

// serveKick closes a session of the cluster. It answers when the session is closed.
func (h *Handler) serveKick(w http.ResponseWriter, r *http.Request, key string) {
	c, ok := h.parseClose(w, r, key)
	if !ok {
		return
	}
	limited, cancel := withClusterTimeout(r.Context())
	defer cancel()
	ok, err := h.c.Cluster.Kick(limited, c.id, c.generation, c.reason)
	switch {
	case err != nil:
		writeClusterError(w, r, clusterError(limited, err))
	case !ok:
		writeError(w, http.StatusNotFound, "this session is not in the cluster any more")
	default:
		c.writeDone(w)
	}
}
