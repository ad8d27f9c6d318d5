package dashboard

import (
	"errors"
	"net/http"
	"sync"
	"time"
)

var (
	errTooManyPages = errors.New("as many pages are open as Config.MaxPages allows")
	errClosed       = errors.New("the dashboard is closed")
)

// streams is the set of open event streams.
type streams struct {
	// Immutable.
	max     int
	closing chan struct{} // closed when close begins

	mu sync.Mutex
	// Guarded by mu.
	open     map[*stream]struct{}
	sampling bool // the sampling goroutine is running
	closed   bool

	running sync.WaitGroup // streams and the sampling goroutine; incremented under mu while not closed
}

// stream is the event stream of one page.
type stream struct {
	mailbox chan *snapshot // holds one: the newest event that the stream has not taken
}

func newStreams(limit int) *streams {
	return &streams{max: limit, closing: make(chan struct{}), open: make(map[*stream]struct{})}
}

// join opens a stream, which must leave. It starts sample on a goroutine if that
// is not running. sample returns within an interval after the last stream has
// left, or when close is called, which waits for it.
func (ss *streams) join(sample func()) (*stream, error) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	switch {
	case ss.closed:
		return nil, errClosed
	case len(ss.open) >= ss.max:
		return nil, errTooManyPages
	}
	st := &stream{make(chan *snapshot, 1)}
	ss.open[st] = struct{}{}
	ss.running.Add(1)
	if !ss.sampling {
		ss.sampling = true
		ss.running.Go(sample)
	}
	return st, nil
}

func (ss *streams) leave(st *stream) {
	ss.mu.Lock()
	delete(ss.open, st)
	ss.mu.Unlock()
	ss.running.Done()
}

// receivers returns the streams that get the next event. If it returns none, the
// sampling goroutine must end.
func (ss *streams) receivers() []*stream {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if len(ss.open) == 0 || ss.closed {
		ss.sampling = false
		return nil
	}
	all := make([]*stream, 0, len(ss.open))
	for st := range ss.open {
		all = append(all, st)
	}
	return all
}

func (ss *streams) close() {
	ss.mu.Lock()
	if !ss.closed {
		ss.closed = true
		close(ss.closing)
	}
	ss.mu.Unlock()
	ss.running.Wait()
}

// post replaces what is in the mailbox. It does not block, since the sampling
// goroutine alone calls it.
func (st *stream) post(event *snapshot) {
	select {
	case <-st.mailbox:
	default:
	}
	st.mailbox <- event
}

// sample sends one event to all streams every Config.Interval.
func (h *Handler) sample() {
	ticker := time.NewTicker(h.c.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-h.streams.closing:
		}
		receivers := h.streams.receivers()
		if receivers == nil {
			return
		}
		event := h.snapshot()
		for _, st := range receivers {
			st.post(event)
		}
	}
}

// serveEvents serves an event stream: the statistics at once, and then every
// Config.Interval.
func (h *Handler) serveEvents(w http.ResponseWriter, r *http.Request) {
	conn := http.NewResponseController(w)
	if err := conn.SetWriteDeadline(time.Now().Add(h.c.WriteTimeout)); err != nil {
		writeError(w, http.StatusInternalServerError, "the server cannot limit how long writing an event may take: "+
			"an http.ResponseWriter that wraps another one needs a method Unwrap")
		return
	}
	header := w.Header()
	if r.Method == http.MethodHead {
		header.Set("Content-Type", "text/event-stream")
		return
	}
	st, err := h.streams.join(h.sample)
	if err != nil {
		header.Set("Retry-After", "5")
		writeError(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	defer h.streams.leave(st)
	header.Set("Content-Type", "text/event-stream")
	header.Set("X-Accel-Buffering", "no") // nginx would buffer the events
	sent := h.snapshot()
	err = h.send(w, conn, append([]byte("retry: 1000\n"), sent.event...))
	for err == nil {
		select {
		case event := <-st.mailbox:
			if event != sent { // the mailbox may hold the first event too
				err = h.send(w, conn, event.event)
				sent = event
			}
		case <-r.Context().Done():
			return
		case <-h.streams.closing:
			_ = conn.SetWriteDeadline(time.Now().Add(h.c.WriteTimeout)) // for the end of the response
			return
		}
	}
}

// send writes to a stream within Config.WriteTimeout. It clears the deadline
// afterwards, since one that passes between two events ends an HTTP/2 stream.
func (h *Handler) send(w http.ResponseWriter, conn *http.ResponseController, b []byte) error {
	if err := conn.SetWriteDeadline(time.Now().Add(h.c.WriteTimeout)); err != nil {
		return err
	}
	if _, err := w.Write(b); err != nil {
		return err
	}
	if err := conn.Flush(); err != nil {
		return err
	}
	return conn.SetWriteDeadline(time.Time{})
}
