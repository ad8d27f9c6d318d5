package pool_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

// operation is one operation on the pool or on the session last registered under
// an ID.
type operation struct {
	Do string
	ID int
	N  int // seconds to advance by, or the idle timeout in seconds
}

// modelSetup is the Config, as the model needs it.
type modelSetup struct {
	Idle    time.Duration
	Life    time.Duration
	Max     int
	Replace bool
}

// modelIdle returns an idle timeout of a little more than n seconds. Operations
// happen on whole seconds and lifetimes end on half ones, so that no two coincide.
func modelIdle(n int) time.Duration {
	if n < 0 {
		return -1
	}
	return time.Duration(n)*time.Second + 30*time.Millisecond
}

// modelIDs is how many IDs there are.
const modelIDs = 4

// operationNames are the operations. "refuse" registers a session that is closed
// inside OnNewSessionRegister. Inside OnSessionClosed, a session that was closed
// closes the one with the next ID, and one that was kicked registers again.
var operationNames = []string{
	"register", "advance", "touch", "close", "kick", "idle", "idle of all", "hold", "release", "pin", "unpin", "refuse",
}

var anyOperation = rapid.Custom(func(t *rapid.T) operation {
	op := operation{
		Do: rapid.SampledFrom(operationNames).Draw(t, "do"),
		ID: rapid.IntRange(0, modelIDs-1).Draw(t, "id"),
	}
	switch op.Do {
	case "advance":
		op.N = rapid.IntRange(1, 5).Draw(t, "seconds")
	case "idle":
		op.N = rapid.IntRange(-1, 5).Draw(t, "seconds") // 0 is the pool's
	case "idle of all":
		op.N = rapid.SampledFrom([]int{3, 1, -1}).Draw(t, "seconds")
	}
	return op
})

var anySetup = rapid.Custom(func(t *rapid.T) modelSetup {
	return modelSetup{
		Idle:    modelIdle(rapid.SampledFrom([]int{3, 1, -1}).Draw(t, "idle")),
		Life:    rapid.SampledFrom([]time.Duration{0, 7500 * time.Millisecond}).Draw(t, "lifetime"),
		Max:     rapid.IntRange(0, 3).Draw(t, "max"),
		Replace: rapid.Bool().Draw(t, "replace"),
	}
})

// sessionEnd says how and when a session ended. The zero value is an open one.
type sessionEnd struct {
	Reason pool.Reason
	At     time.Duration
}

// modelTrace is all that can be observed: the result of each operation with Len
// after it, and each session's end and last activity.
type modelTrace struct {
	Results []string
	Ends    []sessionEnd
	Active  []time.Duration
}

func (tr *modelTrace) note(n int, result any) {
	tr.Results = append(tr.Results, fmt.Sprintf("%v, %d in", result, n))
}

// runOnPool does the operations on a pool, on fake time, and shuts it down.
func runOnPool(t *testing.T, setup modelSetup, ops []operation) (tr modelTrace) {
	harness.Bubble(t, func(t *testing.T) {
		start := time.Now()
		var mu sync.Mutex
		ends := make(map[*testSession]sessionEnd)
		var p *testPool
		var all []*testSession
		last := make(map[int]*testSession)
		register := func(id int) error {
			s, err := p.Register(id, new(testConn))
			if err == nil {
				last[id] = s
				all = append(all, s)
			}
			return err
		}
		refuses, refused := false, false
		c := testConfig{
			IdleTimeout: setup.Idle, MaxLifetime: setup.Life, MaxSessions: setup.Max,
			OnNewSessionRegister: func(s *testSession) {
				if refuses {
					refused = s.Close("Refused")
				}
			},
			OnSessionClosed: func(s *testSession, r pool.Reason) {
				mu.Lock()
				end := sessionEnd{r, time.Since(start)}
				if _, twice := ends[s]; twice || s.Touch() {
					end.Reason = "told twice, or touched"
				}
				ends[s] = end
				mu.Unlock()
				switch r { // on the goroutine of the operation
				case "Bye":
					p.CloseSession((s.ID()+1)%modelIDs, "Follows")
				case "Kicked":
					_ = register(s.ID()) // it may be taken
				}
			},
		}
		if setup.Replace {
			c.OnDuplicate = pool.Replace
		}
		var err error
		p, err = pool.New(c)
		require.NoError(t, err)
		releases := make(map[*testSession][]func())
		pins := make(map[*testSession]int)
		for _, op := range ops {
			s := last[op.ID]
			var result any
			switch {
			case op.Do == "advance":
				time.Sleep(time.Duration(op.N) * time.Second)
			case op.Do == "register":
				result = register(op.ID)
			case op.Do == "refuse":
				refuses, refused = true, false
				result = fmt.Sprint(register(op.ID), refused)
				refuses = false
			case op.Do == "kick":
				result = p.CloseSession(op.ID, "Kicked")
			case op.Do == "idle of all":
				p.SetIdleTimeout(modelIdle(op.N))
			case s == nil:
			case op.Do == "touch":
				result = s.Touch()
			case op.Do == "close":
				result = s.Close("Bye")
			case op.Do == "idle":
				d := modelIdle(op.N)
				if op.N == 0 {
					d = 0
				}
				s.SetIdleTimeout(d)
			case op.Do == "hold":
				releases[s] = append(releases[s], s.Hold())
			case op.Do == "pin":
				pins[s]++
				s.Pin()
			case op.Do == "release" && len(releases[s]) > 0:
				releases[s][0]()
				releases[s] = releases[s][1:]
			case op.Do == "unpin" && pins[s] > 0:
				pins[s]--
				s.Unpin()
			}
			synctest.Wait() // a changed idle timeout may be over already
			tr.note(p.Len(), result)
		}
		require.NoError(t, p.Shutdown(context.Background()))
		for _, s := range all {
			tr.Ends = append(tr.Ends, ends[s])
			tr.Active = append(tr.Active, s.LastActive().Sub(start))
		}
	})
	return tr
}

// modelSession is the model's session.
type modelSession struct {
	id          int
	idle        time.Duration // negative: never
	life        time.Duration // negative: never
	holds, pins int
	lapsed, own bool
	active      time.Duration
	end         sessionEnd
}

// listModel is a plain list of sessions.
type listModel struct {
	setup modelSetup
	now   time.Duration
	all   []*modelSession
}

func (m *listModel) open(id int) *modelSession {
	for _, s := range m.all {
		if s.id == id && s.end.Reason == "" {
			return s
		}
	}
	return nil
}

func (m *listModel) last(id int) (last *modelSession) {
	for _, s := range m.all {
		if s.id == id {
			last = s
		}
	}
	return last
}

func (m *listModel) len() (n int) {
	for _, s := range m.all {
		if s.end.Reason == "" {
			n++
		}
	}
	return n
}

func (m *listModel) close(s *modelSession, r pool.Reason) bool {
	if s == nil || s.end.Reason != "" {
		return false
	}
	s.end = sessionEnd{r, m.now}
	switch r {
	case "Bye":
		m.close(m.open((s.id+1)%modelIDs), "Follows")
	case "Kicked":
		_ = m.register(s.id)
	}
	return true
}

// due is when a session times out unless it is touched or kept; negative: never.
func (s *modelSession) due() time.Duration {
	if s.idle < 0 {
		return -1
	}
	return s.active + s.idle
}

// setIdle gives an open session another idle timeout, which may be over already.
func (m *listModel) setIdle(s *modelSession, idle time.Duration) {
	s.idle = idle
	switch due := s.due(); {
	case due < 0 || due > m.now:
	case s.holds+s.pins > 0:
		s.lapsed = true
	default:
		s.end = sessionEnd{pool.Timeout, m.now}
	}
}

func (m *listModel) touch(s *modelSession) bool {
	if s.end.Reason != "" {
		return false
	}
	s.active = m.now
	return true
}

// advance moves time on and ends what comes due.
func (m *listModel) advance(d time.Duration) {
	until := m.now + d
	for _, s := range m.all {
		if s.end.Reason != "" {
			continue
		}
		due, kept := s.due(), s.holds+s.pins > 0
		switch {
		case s.life >= 0 && s.life < until && (due < 0 || kept || s.life < due):
			s.end = sessionEnd{pool.Lifetime, s.life}
		case due < 0 || due >= until:
		case kept:
			s.lapsed = true
		default:
			s.end = sessionEnd{pool.Timeout, due}
		}
	}
	m.now = until
}

func (m *listModel) register(id int) error {
	old := m.open(id)
	switch {
	case old != nil && !m.setup.Replace:
		return pool.ErrDuplicateID
	case old != nil:
		m.close(old, pool.Replaced)
	case m.setup.Max > 0 && m.len() >= m.setup.Max:
		return pool.ErrFull
	}
	s := &modelSession{id: id, idle: m.setup.Idle, active: m.now, life: -1}
	if m.setup.Life > 0 {
		s.life = m.now + m.setup.Life
	}
	m.all = append(m.all, s)
	return nil
}

// unpinned gives a session a whole idle timeout if one has passed while it was
// kept, and again when others who keep it still let go.
func (m *listModel) unpinned(s *modelSession) {
	if s.lapsed {
		s.lapsed = s.holds+s.pins > 0
		m.touch(s)
	}
}

func (m *listModel) do(op operation) (result any) {
	s := m.last(op.ID)
	switch {
	case op.Do == "advance":
		m.advance(time.Duration(op.N) * time.Second)
	case op.Do == "register":
		result = m.register(op.ID)
	case op.Do == "refuse":
		err := m.register(op.ID)
		result = fmt.Sprint(err, err == nil && m.close(m.open(op.ID), "Refused"))
	case op.Do == "kick":
		result = m.close(m.open(op.ID), "Kicked")
	case op.Do == "idle of all":
		m.setup.Idle = modelIdle(op.N)
		for _, s := range m.all {
			if s.end.Reason == "" && !s.own {
				m.setIdle(s, m.setup.Idle)
			}
		}
	case s == nil:
	case op.Do == "touch":
		result = m.touch(s)
	case op.Do == "close":
		result = m.close(s, "Bye")
	case op.Do == "idle" && s.end.Reason == "":
		s.own = op.N != 0
		if s.own {
			m.setIdle(s, modelIdle(op.N))
		} else {
			m.setIdle(s, m.setup.Idle)
		}
	case op.Do == "hold":
		s.holds++
	case op.Do == "pin":
		s.pins++
	case op.Do == "release" && s.holds > 0:
		m.touch(s)
		s.holds--
		m.unpinned(s)
	case op.Do == "unpin" && s.pins > 0:
		s.pins--
		m.unpinned(s)
	}
	return result
}

func runOnModel(setup modelSetup, ops []operation) (tr modelTrace) {
	m := listModel{setup: setup}
	for _, op := range ops {
		result := m.do(op)
		tr.note(m.len(), result)
	}
	for _, s := range m.all {
		m.close(s, pool.Shutdown)
		tr.Ends = append(tr.Ends, s.end)
		tr.Active = append(tr.Active, s.active)
	}
	return tr
}

// compareTraces returns an error that says where pool and model differ. A session
// may end up to a tick after its time.
func compareTraces(got, want modelTrace) error {
	for i := range want.Results {
		if got.Results[i] != want.Results[i] {
			return fmt.Errorf("operation %d: got %s, want %s", i, got.Results[i], want.Results[i])
		}
	}
	if len(got.Ends) != len(want.Ends) {
		return errors.New("another number of sessions")
	}
	for i := range want.Ends {
		g, w := got.Ends[i], want.Ends[i]
		if g.Reason != w.Reason || g.At < w.At || g.At > w.At+harness.Tick || got.Active[i] != want.Active[i] {
			return fmt.Errorf("session %d: ended %v, active %v; want %v, %v", i, g, got.Active[i], w, want.Active[i])
		}
	}
	return nil
}

func TestModel_APoolDoesWhatAPlainListOfSessionsDoes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		setup := anySetup.Draw(rt, "config")
		ops := rapid.SliceOfN(anyOperation, 1, 60).Draw(rt, "operations")
		if err := compareTraces(runOnPool(t, setup, ops), runOnModel(setup, ops)); err != nil {
			rt.Log(err)
			rt.Fatal("the pool and the model differ")
		}
	})
}
