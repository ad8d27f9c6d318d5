package top

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// golden is what Once prints of the stub's answers; URL stands for its address.
const golden = `a server  URL  2026-01-02T15:04:05Z  up 1h02m

sessions
  open               1234
  registered         50000
  closed             48766
  refused-duplicate  1
  refused-unclaimed  5
  refused-full       2
  refused-closed     3
  refused-per-ip     4

closed by reason
  Timeout            40000
  EOF                8000
  Error              766

traffic
  bytes-in           1500000
  bytes-out          999
  frames-in          12000
  frames-out         11000
  outbound           4096
  dropped            8
  slow               9
  accept-errors      5
  probes             10

wheel
  tick               10ms
  pending            1234
  slots              3
  fired              40000
  moved              7
  running            2
  waiting            1
  rescued            6
  library-disabled   false
  late-p50           5.1ms
  late-p99           10.2ms
  level-0            34 timers in 2 slots of 10ms
  level-2            1200 timers in 1 slots of 40.96s

sessions by idle: 2 of 100 that match, of 1234
  ID         ADDRESS                                 AGE        IDLE   REMAINING
  12         127.0.0.1:50000 alice                 1h00m       1m01s        4.2s
  7          [::1]:50001                           250ms         2ms       never

closed last: 3 of 48766
  ID         ADDRESS                    REASON                     AGO      LATE
  31         127.0.0.1:50031            Timeout                   1.5s     3.1ms
  30                                    EOF                      1m15s         -
  29         [::1]:50029                (none)                   1h01m         -
`

func TestOnce_PrintsPlainText(t *testing.T) {
	s := newStub(t)
	var out strings.Builder
	require.NoError(t, Once(t.Context(), &out, Config{URL: s.where(t), Rows: 10, Filter: "127", Sort: "idle"}))
	require.Equal(t, strings.Replace(golden, "URL", s.where(t).String(), 1), out.String())
	require.Equal(t, []string{"127 idle desc 0 10"}, asked(s))
}

func TestOnce_PrintsWhatThereIs(t *testing.T) {
	s := newStub(t)
	s.set(answer(200, `{"uptime_seconds":1,"sessions":{},"traffic":null,"wheel":null,"time":"2026-01-02T15:04:05Z"}`), answer(400, `{"error":"no such sort"}`))
	var out strings.Builder
	require.NoError(t, Once(t.Context(), &out, Config{URL: s.where(t), Rows: 1, Reverse: true}))
	require.Contains(t, out.String(), "sessionwheel  "+s.where(t).String())
	require.Contains(t, out.String(), "sessions by idle: 400 Bad Request: no such sort")
	for _, none := range []string{"traffic", "wheel\n", "reason", "level"} {
		require.NotContains(t, out.String(), none)
	}
	out.Reset()
	require.NoError(t, Once(t.Context(), &out, Config{URL: s.where(t)}))
	require.NotContains(t, out.String(), "sessions by")
	require.NotContains(t, out.String(), "closed last")
	require.Equal(t, []string{" idle asc 0 1"}, asked(s), "no table, no question")
}

// asked are the queries for sessions: filter, sort, order, offset and limit.
func asked(s *stub) (list []string) {
	for _, q := range s.queries() {
		list = append(list, strings.Join([]string{q.Get("q"), q.Get("sort"), q.Get("order"), q.Get("offset"), q.Get("limit")}, " "))
	}
	return list
}
