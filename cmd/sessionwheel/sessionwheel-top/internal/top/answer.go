package top

import (
	"encoding/json"
	"errors"
	"math"
	"time"
)

// stats is the answer of api/stats, as far as it is shown. Durations are
// seconds, counters run since the server's start.
type stats struct {
	Uptime   *float64  `json:"uptime_seconds"` // a pointer, to tell an answer without one
	Title    string    `json:"title"`
	Time     time.Time `json:"time"`
	Sessions *struct {
		Open       uint64            `json:"open"`
		Registered uint64            `json:"registered"`
		Closed     uint64            `json:"closed"`
		Refused    refused           `json:"refused"`
		ByReason   map[string]uint64 `json:"closed_by_reason"`
	} `json:"sessions"`
	Traffic *struct {
		BytesIn      uint64 `json:"bytes_in"`
		BytesOut     uint64 `json:"bytes_out"`
		FramesIn     uint64 `json:"frames_in"`
		FramesOut    uint64 `json:"frames_out"`
		Outbound     uint64 `json:"outbound"`
		Dropped      uint64 `json:"dropped"`
		Slow         uint64 `json:"slow"`
		AcceptErrors uint64 `json:"accept_errors"`
		Probes       uint64 `json:"probes"`
	} `json:"traffic"` // nil: the server counts none
	Wheel *wheelStats `json:"wheel"` // nil: the server shows none
}

type refused struct {
	Duplicate uint64 `json:"duplicate"`
	Unclaimed uint64 `json:"unclaimed"`
	Full      uint64 `json:"full"`
	Closed    uint64 `json:"closed"`
	PerIP     uint64 `json:"per_ip"`
}

func (r refused) total() uint64 { return r.Duplicate + r.Unclaimed + r.Full + r.Closed + r.PerIP }

type wheelStats struct {
	Tick            float64  `json:"tick_seconds"`
	Now             float64  `json:"now_seconds"`
	Pending         uint64   `json:"pending"`
	Slots           uint64   `json:"slots"`
	Fired           uint64   `json:"fired"`
	Moved           uint64   `json:"moved"`
	Running         uint64   `json:"running"`
	Waiting         uint64   `json:"waiting"`
	Rescued         uint64   `json:"rescued"`
	LibraryDisabled bool     `json:"library_disabled"`
	Lateness        lateness `json:"lateness"`
	Levels          []level  `json:"levels"`
}

// level is one level of the wheel and its slots in use.
type level struct {
	Level int     `json:"level"`
	Slot  float64 `json:"slot_seconds"`
	Slots []struct {
		Up     float64 `json:"up_seconds"` // when it comes up, on the clock of wheelStats.Now
		Timers uint64  `json:"timers"`
	} `json:"slots"`
}

// slotsALevel is how many slots a level of the wheel has.
const slotsALevel = 64

// ahead is how many timers each of the level's slots holds, in the order in
// which they come up; the first is the one that comes up next.
func (l level) ahead(now float64) []uint64 {
	timers := make([]uint64, slotsALevel)
	for _, s := range l.Slots {
		place := 0
		if d := (s.Up - now) / l.Slot; d > 0 { // false for a NaN
			place = int(math.Min(d, slotsALevel-1))
		}
		timers[place] += s.Timers
	}
	return timers
}

// timers is how many the level holds.
func (l level) timers() uint64 {
	var n uint64
	for _, s := range l.Slots {
		n += s.Timers
	}
	return n
}

// sessionPage is the answer of api/sessions.
type sessionPage struct {
	Total    uint64    `json:"total"`
	Matching uint64    `json:"matching"`
	Offset   uint64    `json:"offset"`
	Sessions []session `json:"sessions"`
}

type session struct {
	ID        string   `json:"id"`
	Address   string   `json:"address"`
	Label     string   `json:"label"` // "" from a server without labels
	Age       float64  `json:"age_seconds"`
	Idle      float64  `json:"idle_seconds"`
	Remaining *float64 `json:"remaining_seconds"` // nil: it never ends, or is held
}

// errForeign is returned for an answer that no dashboard gives.
var errForeign = errors.New("the answer is not a sessionwheel's")

// parseStats reads the answer of api/stats. The texts in it are made safe to
// show.
func parseStats(body []byte) (*stats, error) {
	s := new(stats)
	if err := json.Unmarshal(body, s); err != nil || s.Uptime == nil || s.Sessions == nil {
		return nil, errForeign
	}
	s.Title = printable(s.Title, 60)
	reasons := make(map[string]uint64, len(s.Sessions.ByReason))
	for text, n := range s.Sessions.ByReason {
		if text = printable(text, 40); text == "" {
			text = "(none)"
		}
		reasons[text] += n
	}
	s.Sessions.ByReason = reasons
	if s.Wheel != nil && len(s.Wheel.Levels) > slotsALevel {
		s.Wheel.Levels = s.Wheel.Levels[:slotsALevel]
	}
	return s, nil
}

// parseSessions reads the answer of api/sessions, at most limit of them. The
// texts in it are made safe to show.
func parseSessions(body []byte, limit int) (*sessionPage, error) {
	p := new(sessionPage)
	if err := json.Unmarshal(body, p); err != nil {
		return nil, errForeign
	}
	p.Sessions = p.Sessions[:min(len(p.Sessions), limit)]
	for i := range p.Sessions {
		s := &p.Sessions[i]
		s.ID, s.Address, s.Label = printable(s.ID, 40), printable(s.Address, 60), printable(s.Label, 60)
	}
	return p, nil
}

// seconds makes a duration of a number of seconds; what no duration can be
// becomes the longest or the shortest there is.
func seconds(s float64) time.Duration {
	switch ns := s * float64(time.Second); {
	case ns >= math.MaxInt64:
		return math.MaxInt64
	case ns > math.MinInt64:
		return time.Duration(ns)
	default: // a NaN as well
		return math.MinInt64
	}
}
