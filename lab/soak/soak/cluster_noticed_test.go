//go:build !nocluster

package soak

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
)

func TestNoticed_IsTheFirstLineOfTheMessageSinceTheMoment(t *testing.T) {
	const log = `time=2026-01-02T03:04:05.000Z level=WARN msg="lease lost" node=a fenced=3
time=2026-01-02T03:04:06.123Z level=INFO msg=joined node=a epoch=a_1
time=2026-01-02T03:04:07.000Z level=WARN msg="lease lost" node=a fenced=0
time=2026-01-02T03:04:08.000Z level=DEBUG msg="heartbeat failed" error="msg=\"declared dead\" "
time=2026-01-02T03:04:09.0`
	at := func(clock string) time.Time {
		when, err := time.Parse(time.RFC3339Nano, "2026-01-02T03:04:"+clock+"Z")
		require.NoError(t, err)
		return when
	}
	for _, tt := range []struct {
		since, message string
		want           time.Time
	}{
		{"05.000", saysLeaseLost, at("05")},
		{"05.0009", saysLeaseLost, at("05")}, // in the same millisecond
		{"05.001", saysLeaseLost, at("07")},
		{"07.001", saysLeaseLost, time.Time{}},
		{"05.000", "joined", at("06.123")},
		{"05.000", saysDeclared, time.Time{}}, // within another line
		{"05.000", "lost", time.Time{}},
		{"05.001", "lease", at("07")}, // more may follow
	} {
		require.Equal(t, tt.want, firstLogged(log, at(tt.since), tt.message), "%s since %s", tt.message, tt.since)
	}
}

func TestSummary_CountsTheSessionsByTheirEnds(t *testing.T) {
	h := history{tenures: []tenure{
		{from: 1}, {from: 1, to: 2, why: pool.Replaced}, {from: 1, to: 2, why: kicked}, {from: 2, to: 3, why: pool.Replaced},
	}}
	require.Equal(t, "4 sessions; ended: 1 Kicked, 2 Replaced", h.summary())
}
