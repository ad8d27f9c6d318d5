package wheel

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// logged is a slog.Handler that keeps what it is given, and may block first.
type logged struct {
	slog.Handler
	block chan struct{} // nil: it does not

	mu sync.Mutex
	// Guarded by mu.
	records []slog.Record
}

func newLogged() *logged { return &logged{Handler: slog.DiscardHandler} }

func (h *logged) Enabled(context.Context, slog.Level) bool { return true }

func (h *logged) Handle(_ context.Context, r slog.Record) error {
	if h.block != nil {
		<-h.block
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.records = append(h.records, r)
	return nil
}

// of counts the lines of a kind, and returns the attributes of the last.
func (h *logged) of(e event) (n int, attrs map[string]slog.Value) {
	h.mu.Lock()
	defer h.mu.Unlock()
	attrs = make(map[string]slog.Value)
	for _, r := range h.records {
		if r.Message != events[e].msg || r.Level != events[e].level {
			continue
		}
		n++
		r.Attrs(func(a slog.Attr) bool { attrs[a.Key] = a.Value; return true })
	}
	return n, attrs
}

func TestLogger_GetsRescuesUntilTheLibraryIsGivenUp(t *testing.T) {
	for _, tt := range []struct {
		between time.Duration
		lines   int
	}{{2 * block, 1}, {18 * block, maxRescues}} {
		synctest.Test(t, func(t *testing.T) {
			h := newLogged()
			w, err := newWheel(Config{Logger: slog.New(h)}, func() pacer { return deadPacer{} })
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			withoutPhases(w)
			for range 2 * maxRescues {
				w.AfterFunc(askedOnce, func() {})
				time.Sleep(tt.between)
			}
			synctest.Wait()
			n, attrs := h.of(rescued)
			if n != tt.lines || attrs["rescued"].Uint64() != uint64(tt.lines) {
				t.Errorf("every %v: %d lines, want %d; the last says %v", tt.between, n, tt.lines, attrs)
			}
			if n, attrs := h.of(libraryDisabled); n != 1 || attrs["rescued"].Uint64() != maxRescues {
				t.Errorf("given up: %d lines, want 1; it says %v", n, attrs)
			}
		})
	}
}

func TestLogger_ThatBlocksDelaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newLogged()
		h.block = make(chan struct{})
		w, err := newWheel(Config{Logger: slog.New(h)}, func() pacer { return deadPacer{} })
		if err != nil {
			t.Fatal(err)
		}
		withoutPhases(w)
		for range 100 {
			var late time.Duration = -1
			due := w.Elapsed() + askedOnce
			w.AfterFunc(askedOnce, func() { late = w.Elapsed() - due })
			time.Sleep(24 * block)
			synctest.Wait()
			if late < 0 || late > defaultTick {
				t.Fatalf("a timer was %v late", late)
			}
		}
		w.driver.reporter.mu.Lock()
		waiting := len(w.driver.reporter.waiting)
		w.driver.reporter.mu.Unlock()
		if waiting > eventNum {
			t.Errorf("%d lines wait", waiting)
		}
		w.Close()
		close(h.block)
	})
}

func TestLogger_GetsCallbacksThatDelayTheWheel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newLogged()
		w, err := New(Config{MaxCallbacks: 2, Logger: slog.New(h)})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		release := make(chan struct{})
		defer close(release)
		for range 2 {
			w.AfterFunc(time.Millisecond, func() { <-release })
		}
		for range 2 * maxQueued {
			w.AfterFunc(time.Second, func() {})
		}
		time.Sleep(3*time.Second + 2*reportEvery)
		synctest.Wait()
		n, attrs := h.of(heldUp)
		if n != 3 || attrs["running"].Int64() != 2 || attrs["waiting"].Int64() < maxQueued {
			t.Errorf("%d lines, want 3; the last says %v", n, attrs)
		}
		if n, _ := h.of(stood); n != 0 {
			t.Error("logged as a stall, which it is none")
		}
	})
}

func TestLogger_GetsAStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newLogged()
		w, err := New(Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		d := &driver{w: w, reporter: reporter{log: slog.New(h)}}
		time.Sleep(time.Second)
		d.noteWake(Never)
		time.Sleep(5 * time.Second)
		d.noteWake(d.seen + time.Second)
		synctest.Wait()
		if n, attrs := h.of(stood); n != 1 || attrs["stalled"].Duration() != 5*time.Second {
			t.Errorf("%d lines, want 1; it says %v", n, attrs)
		}
	})
}
