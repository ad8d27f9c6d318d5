package top

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestClosed_IsShownInPlaceOfTheOpenSessionsAndBack(t *testing.T) {
	m := shown(t, 80, 24, statsAnswer, sessionsAnswer)
	require.NotContains(t, text(m), "127.0.0.1:50009")
	press(m, "c")
	require.Regexp(t, `ID +ADDRESS +REASON +AGO +LATE *\n41 +127\.0\.0\.1:50009 +Timeout +1\.5s +7\.1ms\n40 +\[::1\]:50008 +EOF +1m10s +-`, text(m))
	require.NotContains(t, text(m), "127.0.0.1:50000")
	press(m, "c")
	require.Contains(t, text(m), "127.0.0.1:50000")
	m.closed = nil
	press(m, "c")
	require.Contains(t, text(m), "the server does not tell")
}

func TestKeys_AreListedUntilEscOrTheSameKey(t *testing.T) {
	m := shown(t, 80, 40, statsAnswer, sessionsAnswer)
	for _, end := range []string{"esc", "?"} {
		press(m, "?")
		for _, k := range keys {
			require.Contains(t, text(m), k.does)
		}
		press(m, end)
		require.Contains(t, text(m), "127.0.0.1:50000")
	}
}

func TestSpark_HasRoomAt80Columns(t *testing.T) {
	m := shown(t, 80, 24, statsAnswer, sessionsAnswer)
	for range 20 {
		m.history.open = append(m.history.open, 1234)
	}
	require.Contains(t, text(m), strings.Repeat("█", 10))
}

func TestSortMark_IsAnArrowOrASignWhereThereIsOnlyASCII(t *testing.T) {
	require.Equal(t, "▼▲", blocks.sortMark(true)+blocks.sortMark(false))
	require.Equal(t, "-+", asciis.sortMark(true)+asciis.sortMark(false))
}

func TestParseClosed_MakesTextsSafeAndRefusesWhatIsNoAnswer(t *testing.T) {
	p, err := parseClosed([]byte(`{"sessions":[{"id":"a\u001b[31m","address":"x\n","reason":"r\u202e"}]}`))
	require.NoError(t, err)
	require.Equal(t, []closedSession{{ID: printable("a\x1b[31m", 40), Address: "x", Reason: printable("r\u202e", 40)}}, p.Sessions)
	_, err = parseClosed([]byte(`<html>`))
	require.ErrorIs(t, err, errForeign)
}
