package tcp

import (
	"slices"
	"sync"
	"time"

	"github.com/sessionwheel/sessionwheel/wheel"
)

// keepFree is how long a worker that has nothing to do is kept, and up to twice as long.
const keepFree = time.Second

// workers runs sessions, each on a worker while it has something to do. A worker that is done
// is kept for a while, so that the next session finds a stack that has grown already.
type workers struct {
	running sync.WaitGroup // the workers

	mu sync.Mutex
	// Guarded by mu.
	free     []*worker    // the last one ran most recently
	surplus  int          // how many of them were free all the time since trim ran
	trimmer  *wheel.Timer // nil until a worker is first free
	trimming bool         // the trimmer is armed
	stopped  bool
}

// worker is a goroutine that runs sessions, one after the other, with what a session needs
// only while it runs.
type worker struct {
	server *Server
	next   chan *Session // what to run next; nil: nothing any more

	// Of the goroutine.
	s       *Session
	try     func(fd uintptr) bool // tryRead
	tryTLS  func(fd uintptr) bool // tryReadInto
	into    []byte                // what tryReadInto reads into
	got     int32                 // what either got
	one     [1]byte
	hurried bool // the session reads what is there, and does not wait
	vain    bool // it was woken, and has read nothing yet
	worked  bool // it has read something
	check   inputCheck
}

// run has s run by a worker. It does not wait.
func (ws *workers) run(s *Session) {
	ws.mu.Lock()
	if last := len(ws.free) - 1; last >= 0 {
		w := ws.free[last]
		ws.free[last] = nil
		ws.free = ws.free[:last]
		ws.surplus = min(ws.surplus, last)
		ws.mu.Unlock()
		w.next <- s // there is room
		return
	}
	ws.running.Add(1)
	ws.mu.Unlock()
	w := &worker{server: s.server, next: make(chan *Session, 1)}
	w.try, w.tryTLS = w.tryRead, w.tryReadInto
	w.check.timer.Init(s.server.wheel, w.check.look)
	go w.run(s) // owned by the server; ends when it was free for a while; stop waits for it
}

func (w *worker) run(s *Session) {
	defer w.server.workers.running.Done()
	for s != nil {
		s.serve(w)
		s = w.server.workers.rest(w)
	}
}

// rest returns the next session for w; nil if w is to end.
func (ws *workers) rest(w *worker) *Session {
	ws.mu.Lock()
	if ws.stopped {
		ws.mu.Unlock()
		return nil
	}
	ws.free = append(ws.free, w)
	if !ws.trimming {
		ws.trimming, ws.surplus = true, 0
		if ws.trimmer == nil {
			ws.trimmer = new(wheel.Timer)
			ws.trimmer.Init(w.server.wheel, ws.trim)
		}
		ws.trimmer.Reset(keepFree)
	}
	ws.mu.Unlock()
	return <-w.next
}

// trim ends the workers that nobody has needed since it last ran.
func (ws *workers) trim() {
	ws.mu.Lock()
	spare := slices.Clone(ws.free[:ws.surplus])
	ws.free = slices.Delete(ws.free, 0, ws.surplus)
	ws.surplus = len(ws.free)
	if ws.trimming = len(ws.free) > 0 && !ws.stopped; ws.trimming {
		ws.trimmer.Reset(keepFree)
	}
	ws.mu.Unlock()
	endWorkers(spare)
}

// stop ends the workers that are free, and the others when their sessions have ended.
func (ws *workers) stop() {
	ws.mu.Lock()
	ws.stopped = true
	free := ws.free
	ws.free, ws.surplus = nil, 0
	if ws.trimmer != nil {
		ws.trimmer.Stop()
	}
	ws.mu.Unlock()
	endWorkers(free)
}

func endWorkers(free []*worker) {
	for _, w := range free {
		w.next <- nil // there is room
	}
}

// attach gives the worker a session to run.
func (w *worker) attach(s *Session) {
	w.s, s.w = s, w
	w.hurried, w.vain, w.worked = false, false, false
	w.check.begin(s)
}

// detach takes the session from the worker, which does not look at it from then on.
func (w *worker) detach(s *Session) {
	w.check.end()
	w.s, s.w = nil, nil
}
