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

// clusterLimit is how long the cluster may take for one thing.
const clusterLimit = 10 * time.Second

var errSlow = fmt.Errorf("no answer within %v", clusterLimit)

// clusterParameters are those of a search in the cluster.
var clusterParameters = []string{"q", "limit"}

// What a search in the cluster was cut off by.
const (
	cutByLimit = "limit" // more match than were asked for
	cutByTime  = "time"  // the cluster took too long
)

// clusterPageJSON and what is in it are described by openapi.json.
type clusterPageJSON struct {
	Looked   int                  `json:"looked_at"`
	Cut      string               `json:"cut"` // "": these are all that match
	Sessions []clusterSessionJSON `json:"sessions"`
}

type clusterSessionJSON struct {
	ID       string     `json:"id"`
	Node     string     `json:"node"`
	Since    *time.Time `json:"since"` // nil: unknown
	Metadata string     `json:"metadata"`
	Bytes    int        `json:"metadata_bytes"` // of all of it
}

// limited is the context of one thing that the cluster is asked for.
func limited(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, clusterLimit, errSlow)
}

// why is the reason for an error of the cluster, given the context that it had.
func why(limit context.Context, err error) error {
	if limit.Err() != nil {
		return context.Cause(limit)
	}
	return err
}

// serveClusterSessions answers a search in the cluster.
func (h *Handler) serveClusterSessions(w http.ResponseWriter, r *http.Request) {
	s, err := parseSearch(r.URL.RawQuery, clusterParameters)
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	page, err := h.searchCluster(r.Context(), s)
	if err != nil {
		failCluster(w, r, err)
		return
	}
	write(w, http.StatusOK, encode(page))
}

// failCluster answers what the cluster did not. Who has gone meanwhile needs no
// answer.
func failCluster(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, errBusy) || r.Context().Err() != nil {
		failSearch(w, err)
		return
	}
	fail(w, http.StatusServiceUnavailable, "the cluster cannot be reached: "+err.Error())
}

// searchCluster finds the session whose ID is the text, or else those whose ID
// contains it. The error is errBusy, the context's or the cluster's.
func (h *Handler) searchCluster(ctx context.Context, s search) (clusterPageJSON, error) {
	if s.text != "" {
		limit, cancel := limited(ctx)
		defer cancel()
		one, ok, err := h.c.Cluster.Lookup(limit, s.text)
		if err != nil {
			return clusterPageJSON{}, why(limit, err)
		}
		if ok {
			return clusterPageJSON{1, "", []clusterSessionJSON{showClusterSession(one)}}, nil
		}
	}
	return h.listCluster(ctx, s)
}

// listCluster goes over the sessions of the cluster until it has found enough of
// them. One call runs at a time. The error is as of searchCluster.
func (h *Handler) listCluster(ctx context.Context, s search) (clusterPageJSON, error) {
	page := clusterPageJSON{Sessions: []clusterSessionJSON{}}
	if err := h.lists.enter(ctx); err != nil {
		return page, err
	}
	defer h.lists.leave(time.Now())
	limit, cancel := limited(ctx)
	defer cancel()
	err := h.c.Cluster.List(limit, func(one ClusterSession) bool {
		if page.Looked%lookUp == lookUp-1 && limit.Err() != nil {
			page.Cut = cutByTime
			return false
		}
		page.Looked++
		switch {
		case !strings.Contains(one.ID, s.text):
		case len(page.Sessions) == s.limit:
			page.Cut = cutByLimit
			return false
		default:
			page.Sessions = append(page.Sessions, showClusterSession(one))
		}
		return true
	})
	switch {
	case ctx.Err() != nil:
		return page, ctx.Err()
	case page.Cut == "" && err != nil && limit.Err() != nil && page.Looked > 0:
		page.Cut = cutByTime
	case page.Cut == "" && err != nil:
		return page, why(limit, err)
	}
	slices.SortFunc(page.Sessions, func(a, b clusterSessionJSON) int { return compareIDs(a.ID, b.ID) })
	return page, nil
}

func showClusterSession(s ClusterSession) clusterSessionJSON {
	shown := clusterSessionJSON{
		ID: clip(s.ID, maxID), Node: clip(s.Node, maxName), Metadata: clip(s.Metadata, maxMetadata), Bytes: len(s.Metadata),
	}
	if since := s.Since.UTC(); !since.IsZero() && since.Year() > 0 && since.Year() < 10_000 { // others have no form in JSON
		shown.Since = &since
	}
	return shown
}

// serveKick closes a session of the cluster by its ID, and answers when that is
// done.
func (h *Handler) serveKick(w http.ResponseWriter, r *http.Request, escaped string) {
	id, reason, ok := h.parseClose(w, r, escaped)
	if !ok {
		return
	}
	limit, cancel := limited(r.Context())
	defer cancel()
	ok, err := h.c.Cluster.Kick(limit, id, reason)
	switch {
	case err != nil:
		failCluster(w, r, why(limit, err))
	case !ok:
		fail(w, http.StatusNotFound, "no session with this ID is in the cluster")
	default:
		write(w, http.StatusOK, encode(closedJSON{id, reason}))
	}
}
