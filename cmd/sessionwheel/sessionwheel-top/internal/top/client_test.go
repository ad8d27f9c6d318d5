package top

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cmd/sessionwheel/flags"
)

func TestServer_DoesNotShowAPassword(t *testing.T) {
	u, err := flags.DashboardURL("http://me:secret@127.0.0.1:1/")
	require.NoError(t, err)
	require.NotContains(t, newServer(u, "").String(), "secret")
	require.NotContains(t, Once(t.Context(), io.Discard, Config{URL: u}).Error(), "secret")
}

func TestOnce_NamesAnAnswerThatNoDashboardGives(t *testing.T) {
	for _, tt := range []struct {
		status int
		body   string
		want   string
	}{
		{200, `<!doctype html>`, "is no sessionwheel dashboard"},
		{200, ``, "is no sessionwheel dashboard"},
		{200, `{}`, "is no sessionwheel dashboard"},
		{200, `{"uptime_seconds":1}`, "is no sessionwheel dashboard"},
		{200, `{"sessions":{}}`, "is no sessionwheel dashboard"},
		{200, `{"uptime_seconds":1,"sessions":{"open":-1}}`, "is no sessionwheel dashboard"},
		{200, `[1,2]`, "is no sessionwheel dashboard"},
		{404, `404 page not found`, "is no sessionwheel dashboard: the answer is not a sessionwheel's: it says 404"},
		{500, `{"message":"x"}`, "is no sessionwheel dashboard"},
		{503, `{"error":"too many\u001b[2J readers"}`, "refuses: 503 Service Unavailable: too many readers"},
	} {
		s := newStub(t)
		s.set(answer(tt.status, tt.body), nil)
		err := Once(t.Context(), io.Discard, Config{URL: s.where(t), Rows: 1})
		require.ErrorContains(t, err, tt.want, "%d %s", tt.status, tt.body)
		require.ErrorContains(t, err, s.URL)
	}
}

// It is what an echo server does.
func TestOnce_NamesAServerThatDoesNotSpeakHTTP(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	go func() { // ends with the listener
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("GET /\x1b[31m what you said\r\n"))
			_, _ = io.CopyN(io.Discard, c, 1)
			_ = c.Close()
		}
	}()
	u, err := flags.DashboardURL(ln.Addr().String())
	require.NoError(t, err)
	err = Once(t.Context(), io.Discard, Config{URL: u})
	require.ErrorContains(t, err, "is no sessionwheel dashboard")
	require.NotContains(t, err.Error(), "\x1b")
}

func TestOnce_NamesTheFixWhereNothingAnswers(t *testing.T) {
	s := newStub(t)
	u := s.where(t)
	s.Close()
	for _, err := range []error{Once(t.Context(), io.Discard, Config{URL: u}), Live(t.Context(), nil, Config{URL: u, Interval: time.Second})} {
		require.ErrorContains(t, err, "no answer from "+u.String()+": connection refused")
		require.ErrorContains(t, err, "sessionwheel serve --http")
	}
}

func TestOnce_ReturnsTheCauseOfAnEndedContext(t *testing.T) {
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	require.ErrorIs(t, Once(ctx, io.Discard, Config{URL: newStub(t).where(t)}), why)
}

// endless writes without end, and tells how much was taken.
func endless(start string, taken chan<- int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, start)
		chunk, n := bytes.Repeat([]byte("1,"), 16<<10), 0
		for {
			wrote, err := w.Write(chunk)
			if n += wrote; err != nil {
				taken <- n
				return
			}
		}
	}
}

func TestServer_CutsOffAnswersWithoutEnd(t *testing.T) {
	const slack = 32 << 20 // what the sockets hold
	taken := make(chan int, 1)
	s := newStub(t)
	s.set(endless(`{"uptime_seconds":1,"sessions":{"open":[`, taken), nil)
	require.ErrorContains(t, Once(t.Context(), io.Discard, Config{URL: s.where(t)}), "longer than 4194304 bytes")
	require.Less(t, <-taken, maxStats+slack)
	s.set(answer(200, statsAnswer), endless(`{"sessions":[`, taken))
	require.ErrorContains(t, Once(t.Context(), io.Discard, Config{URL: s.where(t), Rows: 1}), "longer than 1048576 bytes")
	require.Less(t, <-taken, maxSessions+slack)
	s.set(endless("", taken), nil)
	s.set(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		endless(`{"error":"`, taken)(w, r)
	}, nil)
	require.ErrorContains(t, Once(t.Context(), io.Discard, Config{URL: s.where(t)}), "is no sessionwheel dashboard")
	require.Less(t, <-taken, maxRefusal+slack)
}

func TestSessions_BeyondWhatWasAskedForAreDropped(t *testing.T) {
	p, err := parseSessions([]byte(sessionsAnswer), 1)
	require.NoError(t, err)
	require.Len(t, p.Sessions, 1)
}

// evil has whatever could do harm in a terminal or mislead its reader.
const evil = `\u001b]0;EVIL\u0007\u001b[2J\u001b[31mred\u009b31m\u0000\u0007\b\u007f\r\n\t\u202ertl\u200bok\u2028\ufeff\u001bP1EVIL\u001b\\`

func TestText_IsShownWithoutControlCharacters(t *testing.T) {
	hostile := strings.NewReplacer(`"a server"`, `"`+evil+`"`, `"Timeout"`, `"`+evil+`"`).Replace(statsAnswer)
	table := strings.NewReplacer(`"12"`, `"`+evil+`"`, `"[::1]:50001"`, `"`+evil+`"`).Replace(sessionsAnswer)
	require.Greater(t, len(table), len(sessionsAnswer))
	m := shown(t, 200, 50, hostile, table)
	m.lost = errors.New("\x1b[2Jlost\x1b]0;EVIL\a")
	s := newStub(t)
	s.set(answer(200, hostile), answer(200, table))
	var out strings.Builder
	require.NoError(t, Once(t.Context(), &out, Config{URL: s.where(t), Rows: 5}))
	for _, got := range []string{text(m), out.String()} {
		for _, r := range got {
			require.False(t, r != '\n' && (r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x202e || r == 0x200b || r == 0x2028 || r == 0xfeff), "%q in:\n%s", r, got)
		}
		require.NotContains(t, got, "EVIL")
		require.GreaterOrEqual(t, strings.Count(got, "rtlok"), 3)
	}
	for _, line := range m.screen(time.Now()) { // only the program's own styles
		require.NotRegexp(t, "\x1b[^\\[]|\x1b\\[[0-9;]*[^0-9;m]", line)
	}
	require.Equal(t, "", printable("\x1b[31m\x00\xff\xfe", 10))
	require.Equal(t, "ab~", printable("abcdef", 3))
	require.Equal(t, "x", printable("x\u0301\u0301\u0301\u20dd", 10))
	require.LessOrEqual(t, len(printable(strings.Repeat("x", 1<<20), 10)), 10)
}
