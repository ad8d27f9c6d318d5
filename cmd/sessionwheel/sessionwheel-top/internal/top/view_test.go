package top

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/require"
)

// text is what a screen shows, without its colors.
func text(m *model) string { return ansi.Strip(strings.Join(m.screen(time.Now()), "\n")) }

func TestView_ShowsWhatTheServerAnswered(t *testing.T) {
	m := shown(t, 100, 40, statsAnswer, sessionsAnswer)
	got := text(m)
	for _, want := range []string{
		`a server  live  up 1h02m  http://127\.0\.0\.1:8080/\n`,
		`open +1,234 `, `registered +50,000 `, `closed +48,766 `, `refused +15 `,
		`bytes in +1.5 MB`, `bytes out +999 B`, `frames in +12,000`, `frames out +11,000`, `accept errors +5`, `fired +40,000`,
		`Timeout +40,000 █{13,}\n`, `EOF +8,000 █{2,3}\n`, `Error +766 █\n`,
		`tick 10ms  1,234 pending in 3 slots  2 running  1 waiting  6 rescued\n`,
		`late  p50 5.1ms  p99 10.2ms`,
		`level 0  10ms   ▄ {31}█ {31} 34\n`, `level 2  41\.0s    █ {61} 1,200\n`,
		`sessions  100 of 1,234, 1 to 2 shown`,
		`ID +ADDRESS +AGE +IDLE▼ +REMAINING`,
		`12 +127\.0\.0\.1:50000 alice +1h00m +1m01s +4\.2s\n`, `7 +\[::1\]:50001 +250ms +2ms +never`,
		`q quit`,
	} {
		require.Regexp(t, want, got)
	}
}

func TestView_FitsATerminalOfAnySize(t *testing.T) {
	many := `{"total":9,"matching":9,"offset":0,"sessions":[` + strings.Repeat(`{"id":"界界界界界界界界","address":"界界界界界界界界界界界界界界界界界界界界","age_seconds":1e300,"idle_seconds":-5,"remaining_seconds":1e9},`, 100)
	many = strings.TrimSuffix(many, ",") + `]}`
	for _, width := range []int{1, 2, 19, 40, 79, 80, 81, 200} {
		for _, height := range []int{1, 2, 3, 4, 5, 6, 7, 8, 12, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 60} {
			m := shown(t, width, height, statsAnswer, many)
			for _, state := range []func(){
				func() {}, func() { m.typing, m.typed = true, strings.Repeat("界", 80) },
				func() { m.lost = errors.New(strings.Repeat("x", 300)) }, func() { m.page = nil }, func() { m.help = true },
				func() { press(m, "?", "c"); tookClosed(t, m, closedAnswer) }, func() { m.help = true },
			} {
				state()
				lines := m.screen(time.Now())
				require.Len(t, lines, height, "%dx%d", width, height)
				for _, line := range lines {
					require.LessOrEqual(t, ansi.StringWidth(line), width, "%dx%d: %q", width, height, line)
				}
			}
		}
	}
}

func TestView_KeepsTheTableOnASmallTerminal(t *testing.T) {
	for _, height := range []int{6, 10, 16, 24} {
		m := shown(t, 80, height, statsAnswer, sessionsAnswer)
		require.Contains(t, text(m), "127.0.0.1:50000", "%d lines", height)
	}
}

func TestRates_AreOfTheServersOwnClock(t *testing.T) {
	m := shown(t, 100, 40, statsAnswer, sessionsAnswer)
	require.NotContains(t, text(m), "/s", "one sample has no rate")
	next := strings.NewReplacer(`"uptime_seconds":3725`, `"uptime_seconds":3729`, `"registered":50000`, `"registered":50010`,
		`"bytes_in":1500000`, `"bytes_in":1508000`, `"le_seconds":0.0102,"count":999`, `"le_seconds":0.0102,"count":1009`).Replace(statsAnswer)
	for range 2 { // the second time the server has not looked again, and nothing changes
		m.took(sample{stats: parsed(t, next)})
		require.Regexp(t, `registered +50,010 +2\.5/s`, text(m))
		require.Regexp(t, `bytes in +1\.5 MB +2\.0 kB/s`, text(m))
		require.Contains(t, text(m), "in the last 4.0s: p50 10.2ms  p99 10.2ms")
	}
}

func TestRates_BeginAgainWithAServerThatRestarted(t *testing.T) {
	for name, next := range map[string]string{
		"its clock went back": strings.Replace(statsAnswer, `"uptime_seconds":3725`, `"uptime_seconds":2`, 1),
		"a counter went back": strings.NewReplacer(`"uptime_seconds":3725`, `"uptime_seconds":9999`, `"closed":48766`, `"closed":1`).Replace(statsAnswer),
	} {
		m := shown(t, 100, 40, statsAnswer, sessionsAnswer)
		m.took(sample{stats: parsed(t, next)})
		require.NotContains(t, text(m), "/s", name)
		require.Contains(t, text(m), "live restarted", name)
	}
}

func TestView_SaysThatAServerIsGoneAboveItsLastAnswer(t *testing.T) {
	m := shown(t, 120, 40, statsAnswer, sessionsAnswer)
	since := time.Now().Add(-7 * time.Second)
	m.took(sample{at: since, err: errors.New("gone")})
	m.took(sample{at: time.Now(), err: errors.New("gone")})
	require.Contains(t, text(m), "no answer for 7.0s (gone), trying again")
	require.Contains(t, text(m), "127.0.0.1:50000")
	m.took(sample{stats: parsed(t, statsAnswer)})
	require.NotContains(t, text(m), "no answer")
	require.Contains(t, text(m), "live")
}

func TestBars_ShowTheLastValuesAndNeverHideAFew(t *testing.T) {
	require.Equal(t, " ▁█", blocks.spark([]float64{900, 0, 0.001, 100}, 3))
	require.Equal(t, "   ▄█", blocks.spark([]float64{0, 2, 4}, 5))
	require.Equal(t, "#=", asciis.spark([]float64{9, 4, 2}, 2))
	require.Equal(t, "", blocks.spark([]float64{1}, 0))
	require.Equal(t, "", blocks.spark([]float64{1}, -3))
	require.Equal(t, "▄█", blocks.row([]uint64{1, 0, 0, 2}, 2))
	require.Equal(t, "", blocks.row(nil, 5))
	require.Equal(t, "█", blocks.gauge(1, 1_000_000, 10))
	require.Equal(t, "█████", blocks.gauge(1, 2, 10))
	require.Equal(t, "", blocks.gauge(0, 2, 10))
	require.Equal(t, strings.Repeat("█", 10), blocks.gauge(9, 2, 10), "a server that lies")
}

func TestLevel_IsDrawnFromWhatComesUpNext(t *testing.T) {
	l := parsed(t, statsAnswer).Wheel.Levels[0]
	ahead := l.ahead(100)
	require.Len(t, ahead, 64)
	require.EqualValues(t, 12, ahead[0])
	require.EqualValues(t, 22, ahead[32])
	require.EqualValues(t, 34, l.ahead(1e300)[0], "overdue")
	require.EqualValues(t, 34, l.ahead(-1e300)[63], "too far")
	l.Slot = 0
	require.EqualValues(t, 34, l.ahead(0)[63], "a level without a span")
	l.Slots[0].Up, l.Slots[1].Up = 0, 0
	require.EqualValues(t, 34, l.ahead(0)[0])
}

func TestText_NumbersAreWrittenForPeople(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-1: "0s", 0: "0s", 1500: "2µs", 5_123_000: "5.1ms", 123_456_000: "123ms", 1_250_000_000: "1.3s",
		59 * time.Second: "59.0s", 61 * time.Second: "1m01s", 3 * time.Hour: "3h00m", 50 * time.Hour: "2d02h", seconds(1e300): "for ever",
	} {
		require.Equal(t, want, short(d), "%d", d)
	}
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		require.Equal(t, want, count(n))
	}
	for n, want := range map[float64]string{0: "0 B", 1: "1.0 B", 999: "999 B", 12345: "12.3 kB", 1e9: "1.0 GB", 1e15: "1000 TB"} {
		require.Equal(t, want, size(n), fmt.Sprint(n))
	}
}
