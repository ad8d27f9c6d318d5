package dashboard

import (
	"bytes"
	"fmt"
	"net/http"
	"time"
)

// snapshot holds the statistics at one moment, encoded once for all clients.
type snapshot struct {
	at    time.Time
	id    uint64 // counts from 1
	json  []byte
	event []byte // the same as an event of a stream
}

// statsJSON and the types in it are described by openapi.json.
type statsJSON struct {
	Time     time.Time    `json:"time"`
	Uptime   float64      `json:"uptime_seconds"`
	Interval float64      `json:"interval_seconds"`
	Title    string       `json:"title"`
	Closable bool         `json:"closable"`
	Cluster  bool         `json:"cluster"`
	Sessions sessionsJSON `json:"sessions"`
	Traffic  *trafficJSON `json:"traffic"`
	Wheel    *wheelJSON   `json:"wheel"`
}

type sessionsJSON struct {
	Open           int               `json:"open"`
	Registered     uint64            `json:"registered"`
	Closed         uint64            `json:"closed"`
	Refused        refusedJSON       `json:"refused"`
	ClosedByReason map[string]uint64 `json:"closed_by_reason"`
}

type refusedJSON struct {
	Duplicate uint64 `json:"duplicate"`
	Unclaimed uint64 `json:"unclaimed"`
	Full      uint64 `json:"full"`
	Closed    uint64 `json:"closed"`
	PerIP     uint64 `json:"per_ip"`
}

func (s sourceStats) refused() refusedJSON {
	return refusedJSON{s.RefusedDuplicate, s.RefusedUnclaimed, s.RefusedFull, s.RefusedClosed, s.refusedPerIP}
}

// sum returns how many sessions were refused for any cause.
func (r refusedJSON) sum() uint64 { return r.Duplicate + r.Unclaimed + r.Full + r.Closed + r.PerIP }

type trafficJSON struct {
	BytesIn      uint64 `json:"bytes_in"`
	BytesOut     uint64 `json:"bytes_out"`
	FramesIn     uint64 `json:"frames_in"`
	FramesOut    uint64 `json:"frames_out"`
	Outbound     int64  `json:"outbound"`
	Dropped      uint64 `json:"dropped"`
	Slow         uint64 `json:"slow"`
	AcceptErrors uint64 `json:"accept_errors"`
	Probes       uint64 `json:"probes"`
}

// serveStats serves the statistics.
func (h *Handler) serveStats(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, h.snapshot().json)
}

// snapshot takes the statistics. It returns the last snapshot if that is less than
// a tenth of an interval old, so clients that poll cost ten times as much as a
// stream at most.
func (h *Handler) snapshot() *snapshot {
	h.sampling.Lock()
	defer h.sampling.Unlock()
	now := time.Now()
	id := uint64(1)
	if h.last != nil {
		if now.Sub(h.last.at) < h.c.Interval/10 {
			return h.last
		}
		id = h.last.id + 1
	}
	h.last = newSnapshot(now, id, h.stats(now))
	return h.last
}

func newSnapshot(at time.Time, id uint64, st statsJSON) *snapshot {
	body := encode(st)
	var b bytes.Buffer
	fmt.Fprintf(&b, "id: %d\nevent: stats\ndata: %s\n\n", id, body) // body is a single line
	return &snapshot{at: at, id: id, json: body, event: b.Bytes()}
}

func (h *Handler) stats(now time.Time) statsJSON {
	src := h.source.stats()
	st := statsJSON{
		Time:     now.UTC().Truncate(time.Millisecond),
		Uptime:   now.Sub(h.created).Seconds(),
		Interval: h.c.Interval.Seconds(),
		Title:    h.c.Title,
		Closable: h.c.Authorize != nil,
		Cluster:  h.c.Cluster != nil,
		Sessions: sessionsJSON{
			Open:           src.Sessions,
			Registered:     src.Registered,
			Closed:         src.Closed,
			Refused:        src.refused(),
			ClosedByReason: make(map[string]uint64, len(src.ByReason)),
		},
	}
	for r, n := range src.ByReason {
		st.Sessions.ClosedByReason[clip(string(r), maxName)] += n
	}
	if t := src.traffic; t != nil {
		st.Traffic = &trafficJSON{t.BytesIn, t.BytesOut, t.FramesIn, t.FramesOut, t.Outbound, t.Dropped, t.Slow, t.AcceptErrors, t.Probes}
	}
	if h.c.Wheel != nil {
		st.Wheel = newWheelJSON(h.c.Wheel, &h.rescues, now)
	}
	return st
}
