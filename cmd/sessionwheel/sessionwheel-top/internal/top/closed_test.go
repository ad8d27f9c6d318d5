package top

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/require"
)

// tookClosed hands a model an answer of api/closed to its current query.
func tookClosed(t *testing.T, m *model, body string) {
	t.Helper()
	list, err := parseClosed([]byte(body))
	require.NoError(t, err)
	m.took(sample{at: time.Now(), stats: parsed(t, statsAnswer), closed: list, asked: m.query})
}

func TestClosed_ReplacesTheTableAtAKey(t *testing.T) {
	m := shown(t, 100, 40, statsAnswer, sessionsAnswer)
	press(m, "n", "c")
	require.Equal(t, query{closed: true, sort: "idle", desc: true, limit: 40}, m.query)
	require.Equal(t, m.query, m.feed.query, "the feed is told")
	require.Regexp(t, `closed last  asking`, text(m))
	tookClosed(t, m, closedAnswer)
	got := text(m)
	for _, want := range []string{
		`closed last  3 of 48,766\n`, `ID +ADDRESS +REASON +AGO +LATE\n`,
		`31 +127\.0\.0\.1:50031 +Timeout +1\.5s +3\.1ms\n`, `30 +EOF +1m15s +-\n`, `29 +\[::1\]:50029 +\(none\) +1h01m +-\n`,
		`c open sessions`,
	} {
		require.Regexp(t, want, got)
	}
	require.NotContains(t, got, "127.0.0.1:50000")

	press(m, "s", "S", "r", "/", "x", "enter", "esc") // are for the open sessions
	require.False(t, m.typing)
	require.Equal(t, query{closed: true, sort: "idle", desc: true, limit: 40}, m.query)

	press(m, "c")
	require.Equal(t, query{open: true, sort: "idle", desc: true, limit: 40}, m.query)
	require.NotContains(t, text(m), "127.0.0.1:50031")
}

func TestClosed_IsPaged(t *testing.T) {
	m := shown(t, 100, 40, statsAnswer, sessionsAnswer)
	press(m, "c")
	var rows []string
	for i := range 100 {
		rows = append(rows, fmt.Sprintf(`{"id":"id-%d-"}`, i))
	}
	answer := `{"sessions":[` + strings.Join(rows, ",") + `]}`
	tookClosed(t, m, answer)
	n := m.rows()
	require.Contains(t, text(m), fmt.Sprintf("64 of 48,766, 1 to %d shown", n))
	press(m, "n")
	tookClosed(t, m, answer)
	require.Contains(t, text(m), fmt.Sprintf("id-%d-", n))
	require.NotContains(t, text(m), fmt.Sprintf("id-%d-", n-1))
	press(m, "n", "n", "n", "n", "n")
	tookClosed(t, m, answer)
	require.Contains(t, text(m), "id-63-")
	require.NotContains(t, text(m), "id-64-", "more than a dashboard gives")
	press(m, "g")
	tookClosed(t, m, answer)
	require.Contains(t, text(m), "id-0-")
}

func TestClosed_ARefusalIsShown(t *testing.T) {
	m := shown(t, 100, 40, statsAnswer, sessionsAnswer)
	press(m, "c")
	m.took(sample{stats: parsed(t, statsAnswer), refusedClosed: refusalError{"404 Not Found", "no such call"}, asked: m.query})
	require.Contains(t, text(m), "404 Not Found: no such call")

	s := newStub(t)
	s.setClosed(answer(404, `{"error":"no such call"}`))
	var out strings.Builder
	require.NoError(t, Once(t.Context(), &out, Config{URL: s.where(t), Rows: 1}))
	require.Contains(t, out.String(), "127.0.0.1:50000")
	require.Contains(t, out.String(), "closed last: 404 Not Found: no such call")
}

func TestClosed_OnceKeepsToTheRows(t *testing.T) {
	s := newStub(t)
	var out strings.Builder
	require.NoError(t, Once(t.Context(), &out, Config{URL: s.where(t), Rows: 2}))
	require.Contains(t, out.String(), "closed last: 2 of 48766")
	require.Contains(t, out.String(), "EOF     ")
	require.NotContains(t, out.String(), "(none)")
}

func TestClosed_IsShownWithoutControlCharacters(t *testing.T) {
	hostile := strings.NewReplacer(`"31"`, `"`+evil+`"`, `"127.0.0.1:50031"`, `"`+evil+`"`, `"Timeout"`, `"`+evil+`"`).Replace(closedAnswer)
	m := shown(t, 100, 40, statsAnswer, sessionsAnswer)
	press(m, "c")
	tookClosed(t, m, hostile)
	s := newStub(t)
	s.setClosed(answer(200, hostile))
	var out strings.Builder
	require.NoError(t, Once(t.Context(), &out, Config{URL: s.where(t), Rows: 5}))
	for _, got := range []string{text(m), out.String()} {
		for _, r := range got {
			require.False(t, r != '\n' && (r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x202e || r == 0x200b), "%q in:\n%s", r, got)
		}
		require.NotContains(t, got, "EVIL")
		require.GreaterOrEqual(t, strings.Count(got, "rtlok"), 2)
	}
}

func TestClosed_AnswersWithoutEndAreCutOff(t *testing.T) {
	taken := make(chan int, 1)
	s := newStub(t)
	s.setClosed(endless(`{"sessions":[`, taken))
	require.ErrorContains(t, Once(t.Context(), io.Discard, Config{URL: s.where(t), Rows: 1}), "longer than 1048576 bytes")
	<-taken
	for _, foreign := range []string{`[]`, `<html>`} {
		_, err := parseClosed([]byte(foreign))
		require.ErrorIs(t, err, errForeign)
	}
	s.setClosed(answer(200, `[]`))
	require.ErrorContains(t, Once(t.Context(), io.Discard, Config{URL: s.where(t), Rows: 1}), "is no sessionwheel dashboard")
}

func TestHelp_ListsTheKeysUntilItIsClosed(t *testing.T) {
	for _, closing := range []string{"?", "esc"} {
		m := shown(t, 80, 24, statsAnswer, sessionsAnswer)
		before := text(m)
		press(m, "?")
		got := text(m)
		for _, k := range keys {
			require.Contains(t, got, "│ "+k.key)
			require.Contains(t, got, k.does)
		}
		require.Contains(t, got, "a server", "the rest is seen beside it")
		q := m.query
		require.Nil(t, press(m, "s", "c", "/"), "other keys do nothing")
		require.Equal(t, q, m.query)
		require.False(t, m.typing)
		require.Equal(t, got, text(m))
		press(m, closing)
		require.Equal(t, before, text(m), closing)
	}
	m := shown(t, 80, 24, statsAnswer, sessionsAnswer)
	press(m, "/", "?")
	require.Equal(t, "?", m.typed, "it can be typed into a filter")
	press(m, "esc", "?")
	require.NotNil(t, press(m, "q"), "q quits here too")
}

func TestSparklines_HaveRoomAtEightyColumns(t *testing.T) {
	m := shown(t, 80, 24, statsAnswer, sessionsAnswer)
	for i := range 20 {
		m.took(sample{stats: parsed(t, strings.NewReplacer(`"uptime_seconds":3725`, fmt.Sprintf(`"uptime_seconds":%d`, 3726+i),
			`"registered":50000`, fmt.Sprintf(`"registered":%d`, 50_001+100*i), `"bytes_in":1500000`, fmt.Sprintf(`"bytes_in":%d`, 1_600_000+i*200_000)).Replace(statsAnswer))})
	}
	require.Regexp(t, `registered +51,901 +100/s [▁▂▃▄▅▆▇█]{8,} `, text(m))
	require.Regexp(t, `bytes in +5\.4 MB +200 kB/s [▁▂▃▄▅▆▇█]{8,}\s`, text(m))
}

func TestSortMark_IsAnArrowOrASignWhereThereIsOnlyASCII(t *testing.T) {
	for glyphs, want := range map[*glyphs][2]string{&blocks: {"IDLE▼", "IDLE▲"}, &asciis: {"IDLE-", "IDLE+"}} {
		m := shown(t, 100, 40, statsAnswer, sessionsAnswer)
		m.glyphs = *glyphs
		require.Contains(t, text(m), want[0])
		press(m, "r")
		m.took(sample{stats: parsed(t, statsAnswer), sessions: &sessionPage{}, asked: m.query})
		require.Contains(t, text(m), want[1])
		if glyphs == &asciis {
			press(m, "?")
			require.Equal(t, ansi.Strip(text(m)), strings.Map(func(r rune) rune {
				if r > 0x7e {
					return -1
				}
				return r
			}, text(m)))
		}
	}
}
