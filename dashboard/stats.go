package dashboard

import (
	"bytes"
	"fmt"
	"time"
)

// snapshot is the figures of one moment, made into JSON once for all who ask.
type snapshot struct {
	at    time.Time
	id    uint64 // they count from 1
	json  []byte
	event []byte // the same as an event of a stream
}

// statsJSON and what is in it are described by openapi.json.
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
	Full      uint64 `json:"full"`
	Closed    uint64 `json:"closed"`
	PerIP     uint64 `json:"per_ip"`
}

type trafficJSON struct {
	BytesIn      uint64 `json:"bytes_in"`
	BytesOut     uint64 `json:"bytes_out"`
	FramesIn     uint64 `json:"frames_in"`
	FramesOut    uint64 `json:"frames_out"`
	AcceptErrors uint64 `json:"accept_errors"`
}

// snapshot takes the figures, unless some were taken within the last tenth of an
// interval, so that those who poll cost no more than ten times what a stream does.
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
	fmt.Fprintf(&b, "id: %d\nevent: stats\ndata: %s\n\n", id, body) // JSON has no line breaks of its own
	return &snapshot{at: at, id: id, json: body, event: b.Bytes()}
}

func (h *Handler) stats(now time.Time) statsJSON {
	f := h.source.figures()
	st := statsJSON{
		Time:     now.UTC().Truncate(time.Millisecond),
		Uptime:   now.Sub(h.born).Seconds(),
		Interval: h.c.Interval.Seconds(),
		Title:    h.c.Title,
		Closable: h.c.Authorize != nil,
		Cluster:  h.c.Cluster != nil,
		Sessions: sessionsJSON{
			Open:           f.Sessions,
			Registered:     f.Registered,
			Closed:         f.Closed,
			Refused:        refusedJSON{Duplicate: f.RefusedDuplicate, Full: f.RefusedFull, Closed: f.RefusedClosed, PerIP: f.refusedPerIP},
			ClosedByReason: make(map[string]uint64, len(f.ByReason)),
		},
	}
	for r, n := range f.ByReason {
		st.Sessions.ClosedByReason[string(r)] = n
	}
	if t := f.traffic; t != nil {
		st.Traffic = &trafficJSON{t.BytesIn, t.BytesOut, t.FramesIn, t.FramesOut, t.AcceptErrors}
	}
	if h.c.Wheel != nil {
		st.Wheel = drawWheel(h.c.Wheel)
	}
	return st
}
