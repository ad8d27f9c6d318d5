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

// streams are the event streams that are open, and the goroutine that gives them
// events.
type streams struct {
	// Immutable.
	most    int
	closing chan struct{} // closed when close begins

	mu sync.Mutex
	// Guarded by mu.
	open    map[*stream]struct{}
	sampled bool // the sampling goroutine runs
	closed  bool

	running sync.WaitGroup // streams, and the sampling goroutine; grows under mu while not closed
}

// stream is one page's. Its mailbox keeps the newest event that it has not taken.
type stream struct {
	mailbox chan *snapshot // of one
}

func newStreams(most int) *streams {
	return &streams{most: most, closing: make(chan struct{}), open: make(map[*stream]struct{})}
}

// join opens a stream, which must leave. If nobody samples, sample is started
// on a goroutine, which ends within an interval of the last stream, or with
// close, which waits for it.
func (ss *streams) join(sample func()) (*stream, error) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	switch {
	case ss.closed:
		return nil, errClosed
	case len(ss.open) >= ss.most:
		return nil, errTooManyPages
	}
	st := &stream{make(chan *snapshot, 1)}
	ss.open[st] = struct{}{}
	ss.running.Add(1)
	if !ss.sampled {
		ss.sampled = true
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

// watching is who is to get the next event. If it is nobody, the sampling
// goroutine must end.
func (ss *streams) watching() []*stream {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if len(ss.open) == 0 || ss.closed {
		ss.sampled = false
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

// put replaces what is in the mailbox. Only the sampling goroutine calls it, so
// there is room.
func (st *stream) put(ev *snapshot) {
	select {
	case <-st.mailbox:
	default:
	}
	st.mailbox <- ev
}

// sample gives all streams the same event once each interval.
func (h *Handler) sample() {
	ticker := time.NewTicker(h.c.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-h.streams.closing:
		}
		watching := h.streams.watching()
		if watching == nil {
			return
		}
		ev := h.snapshot()
		for _, st := range watching {
			st.put(ev)
		}
	}
}

// serveEvents is an event stream: the figures at once, and then each interval.
func (h *Handler) serveEvents(w http.ResponseWriter, r *http.Request) {
	conn := http.NewResponseController(w)
	if err := conn.SetWriteDeadline(time.Now().Add(h.c.WriteTimeout)); err != nil {
		fail(w, http.StatusInternalServerError, "the server cannot limit how long an event takes to be written: "+
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
		fail(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	defer h.streams.leave(st)
	header.Set("Content-Type", "text/event-stream")
	header.Set("X-Accel-Buffering", "no") // nginx would keep the events
	sent := h.snapshot()
	err = h.send(w, conn, append([]byte("retry: 1000\n"), sent.event...))
	for err == nil {
		select {
		case ev := <-st.mailbox:
			if ev != sent { // which the first one may be
				err = h.send(w, conn, ev.event)
				sent = ev
			}
		case <-r.Context().Done():
			return
		case <-h.streams.closing:
			_ = conn.SetWriteDeadline(time.Now().Add(h.c.WriteTimeout)) // for the end of the answer
			return
		}
	}
}

// send writes to a stream within Config.WriteTimeout. Between events there is no
// deadline, which would end an HTTP/2 stream.
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
