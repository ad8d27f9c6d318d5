package top

import (
	"context"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/stretchr/testify/require"
)

// press sends keys: a name of bubbletea's, or a character each.
func press(m *model, keys ...string) tea.Cmd {
	var cmd tea.Cmd
	for _, k := range keys {
		switch k {
		case "enter":
			_, cmd = m.Update(tea.KeyPressMsg{Code: tea.KeyEnter})
		case "esc":
			_, cmd = m.Update(tea.KeyPressMsg{Code: tea.KeyEscape})
		case "backspace":
			_, cmd = m.Update(tea.KeyPressMsg{Code: tea.KeyBackspace})
		case "space":
			_, cmd = m.Update(tea.KeyPressMsg{Code: tea.KeySpace, Text: " "})
		case "ctrl+c":
			_, cmd = m.Update(tea.KeyPressMsg{Code: 'c', Mod: tea.ModCtrl})
		default:
			_, cmd = m.Update(tea.KeyPressMsg{Code: []rune(k)[0], Text: k})
		}
	}
	return cmd
}

func TestKeys_ChangeWhatIsAskedFor(t *testing.T) {
	for _, tt := range []struct {
		keys []string
		want query
	}{
		{nil, query{sort: "idle", desc: true}},
		{[]string{"s"}, query{sort: "remaining", desc: true}},
		{[]string{"s", "s"}, query{sort: "id", desc: true}},
		{[]string{"S"}, query{sort: "age", desc: true}},
		{[]string{"S", "S", "S", "S"}, query{sort: "remaining", desc: true}},
		{[]string{"r"}, query{sort: "idle"}},
		{[]string{"n"}, query{sort: "idle", desc: true, offset: 36}},
		{[]string{"n", "n"}, query{sort: "idle", desc: true, offset: 72}},
		{[]string{"n", "n", "n", "n"}, query{sort: "idle", desc: true, offset: 72}},
		{[]string{"n", "n", "p"}, query{sort: "idle", desc: true, offset: 36}},
		{[]string{"p"}, query{sort: "idle", desc: true}},
		{[]string{"n", "g"}, query{sort: "idle", desc: true}},
		{[]string{"n", "r"}, query{sort: "idle"}},
		{[]string{"n", "/", "1", "q", "7", "enter"}, query{sort: "idle", desc: true, filter: "1q7"}},
		{[]string{"/", "1", "2", "backspace", "enter"}, query{sort: "idle", desc: true, filter: "1"}},
		{[]string{"/", "backspace", "\x1b", "a", "enter"}, query{sort: "idle", desc: true, filter: "a"}},
		{[]string{"/", "1", "esc"}, query{sort: "idle", desc: true}},
		{[]string{"/", "1", "enter", "esc"}, query{sort: "idle", desc: true}},
		{[]string{"/", strings.Repeat("x", 99), "y", "z", "enter"}, query{sort: "idle", desc: true, filter: strings.Repeat("x", 99) + "y"}},
	} {
		m := shown(t, 80, 40, `{"uptime_seconds":1,"sessions":{}}`, sessionsAnswer)
		m.height = 36 + 2 + tableHead + len(m.panels())
		require.Equal(t, 36, m.rows())
		require.Nil(t, press(m, tt.keys...), "%q quits", tt.keys)
		tt.want.limit, tt.want.open = 40, true
		require.Equal(t, tt.want, m.query, "%q", tt.keys)
		require.Equal(t, m.query, m.feed.query, "the feed is told")
	}
}

func TestKeys_SpacePausesAndGoesOn(t *testing.T) {
	m := shown(t, 80, 40, statsAnswer, sessionsAnswer)
	for _, want := range []bool{true, false} {
		press(m, "space")
		require.Equal(t, want, m.feed.paused)
		require.Equal(t, want, strings.Contains(text(m), "paused"))
	}
}

func TestKeys_Quit(t *testing.T) {
	for _, keys := range [][]string{{"q"}, {"ctrl+c"}, {"/", "ctrl+c"}} {
		m := shown(t, 80, 40, statsAnswer, sessionsAnswer)
		cmd := press(m, keys...)
		require.NotNil(t, cmd, "%q", keys)
		require.Equal(t, tea.QuitMsg{}, cmd(), "%q", keys)
	}
}

func TestModel_DoesNotShowAnAnswerToAnOlderQuestion(t *testing.T) {
	m := shown(t, 80, 40, statsAnswer, sessionsAnswer)
	old := m.query
	press(m, "/", "7", "enter")
	late := &sessionPage{Sessions: []session{{ID: "12-late"}}}
	m.took(sample{stats: parsed(t, statsAnswer), sessions: late, asked: old})
	require.NotContains(t, text(m), "12-late")
	m.took(sample{stats: parsed(t, statsAnswer), sessions: late, asked: m.query})
	require.Same(t, late, m.page)
}

func TestModel_LeavesAPageThatIsGoneForTheLast(t *testing.T) {
	m := shown(t, 80, 24, statsAnswer, sessionsAnswer)
	press(m, "n", "n")
	offset := m.query.offset
	require.Positive(t, offset)
	m.took(sample{stats: parsed(t, statsAnswer), sessions: &sessionPage{Matching: 1}, asked: m.query})
	require.Zero(t, m.query.offset)
}

func TestModel_ShowsARefusalInPlaceOfTheTable(t *testing.T) {
	m := shown(t, 80, 40, statsAnswer, sessionsAnswer)
	m.took(sample{stats: parsed(t, statsAnswer), refused: refusalError{"429 Too Many Requests", "slow down"}})
	require.Contains(t, text(m), "429 Too Many Requests: slow down")
	require.NotContains(t, text(m), "127.0.0.1:50000")
	m.took(sample{stats: parsed(t, statsAnswer), sessions: &sessionPage{}, asked: m.query})
	require.NotContains(t, text(m), "slow down")
}

func TestFeed_GoesOnWhenTheServerComesBackAndEndsWithItsContext(t *testing.T) {
	s := newStub(t)
	u := s.where(t)
	addr := s.Listener.Addr().String()
	f := newFeed(newServer(u, ""), time.Millisecond, Config{Rows: 3}.query())
	samples := make(chan sample)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		f.run(ctx, func(got sample) {
			select {
			case samples <- got:
			case <-ctx.Done():
			}
		})
	})
	next := func(want bool) sample {
		t.Helper()
		for timeout := time.After(patience); ; {
			select {
			case got := <-samples:
				if (got.err == nil) == want {
					return got
				}
			case <-timeout:
				require.FailNow(t, "no such sample in time")
			}
		}
	}
	require.NotNil(t, next(true).sessions)
	s.CloseClientConnections()
	s.Close()
	err := next(false).err
	for end := time.Now().Add(patience); cause(err) != "connection refused" && time.Now().Before(end); {
		err = next(false).err // a request that was under way may end with a reset
	}
	require.Equal(t, "connection refused", cause(err))
	s.set(answer(200, statsAnswer), nil)
	again := httptest.NewUnstartedServer(s.Config.Handler)
	require.NoError(t, again.Listener.Close())
	again.Listener = listen(t, addr)
	again.Start()
	defer again.Close()
	require.NotNil(t, next(true).stats)

	f.pause(true)
	f.ask(query{open: true, sort: "id", limit: 1})
	for next(true).asked.sort != "id" { // it is asked although it is paused
	}
	cancel()
	wg.Wait()
	f.server.close()
}
