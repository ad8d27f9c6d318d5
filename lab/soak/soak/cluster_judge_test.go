//go:build !nocluster

package soak

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/cluster"
	"github.com/sessionwheel/sessionwheel/pool"
)

func TestJudge_RefusesEachHistoryThatMustNotBe(t *testing.T) {
	on := func(node, id string, token uint64, from, to int64, why pool.Reason) tenure {
		return tenure{node: node, id: id, token: token, from: from, to: to, why: why}
	}
	for _, tt := range []struct {
		name    string
		tenures []tenure
		allowed []allowance
		want    string
	}{
		{name: "nothing"},
		{name: "one after the other", tenures: []tenure{on("a", "u", 1, 10, 20, pool.Replaced), on("b", "u", 2, 20, 0, "")}},
		{name: "two of different IDs", tenures: []tenure{on("a", "u", 1, 10, 0, ""), on("b", "v", 1, 10, 0, "")}},
		{
			name: "double", want: oneOwner,
			tenures: []tenure{on("a", "u", 1, 10, 0, ""), on("b", "u", 2, 20, 0, "")},
		},
		{
			name: "double for a nanosecond", want: oneOwner,
			tenures: []tenure{on("a", "u", 1, 10, 21, pool.Replaced), on("b", "u", 2, 20, 0, "")},
		},
		{
			name: "double on one node", want: oneOwner,
			tenures: []tenure{on("a", "u", 1, 10, 21, pool.Replaced), on("a", "u", 2, 20, 0, "")},
		},
		{
			name: "double beside one that has ended", want: oneOwner,
			tenures: []tenure{on("a", "u", 1, 10, 40, kicked), on("b", "u", 2, 15, 20, kicked), on("c", "u", 3, 30, 0, "")},
			allowed: []allowance{{node: "b", from: 15, to: 20}},
		},
		{
			name:    "double as allowed",
			tenures: []tenure{on("a", "u", 1, 10, 30, pool.Replaced), on("b", "u", 2, 20, 0, "")},
			allowed: []allowance{{node: "a", from: 20, to: 30}},
		},
		{
			name:    "double as allowed until now",
			tenures: []tenure{on("a", "u", 1, 10, 0, ""), on("b", "u", 2, 20, 0, "")},
			allowed: []allowance{{from: 20}},
		},
		{
			name: "double for longer than allowed", want: oneOwner,
			tenures: []tenure{on("a", "u", 1, 10, 31, pool.Replaced), on("b", "u", 2, 20, 0, "")},
			allowed: []allowance{{node: "a", from: 20, to: 30}},
		},
		{
			name: "double before it is allowed", want: oneOwner,
			tenures: []tenure{on("a", "u", 1, 10, 25, pool.Replaced), on("b", "u", 2, 19, 0, "")},
			allowed: []allowance{{node: "a", from: 20, to: 30}},
		},
		{
			name: "double to the end, and allowed for a time", want: oneOwner,
			tenures: []tenure{on("a", "u", 1, 10, 0, ""), on("b", "u", 2, 20, 0, "")},
			allowed: []allowance{{node: "a", from: 20, to: 30}},
		},
		{
			name: "double on others than those it is allowed to", want: oneOwner,
			tenures: []tenure{on("a", "u", 1, 10, 25, pool.Replaced), on("b", "u", 2, 20, 0, "")},
			allowed: []allowance{{node: "c", from: 20, to: 30}},
		},
		{
			name: "one token for two", want: oneToken,
			tenures: []tenure{on("a", "u", 1, 10, 20, pool.Replaced), on("b", "u", 1, 20, 0, "")},
		},
		{name: "a lease lost where the node fences", tenures: []tenure{on("f", "u", 1, 10, 20, cluster.LeaseLost)}},
		{name: "a lease lost where it keeps serving", want: rightEnd, tenures: []tenure{on("a", "u", 1, 10, 20, cluster.LeaseLost)}},
		{name: "ended for no reason", want: rightEnd, tenures: []tenure{on("a", "u", 1, 10, 20, pool.Shutdown)}},
		{name: "timed out", want: rightEnd, tenures: []tenure{on("a", "u", 1, 10, 20, pool.Timeout)}},
		{name: "taken from rest", tenures: []tenure{on("a", "rest-a-1", 1, 10, 20, pool.Replaced), on("b", "rest-a-1", 2, 20, 0, "")}},
		{name: "replaced at rest by nobody", want: rightEnd, tenures: []tenure{on("a", "rest-a-1", 1, 10, 20, pool.Replaced)}},
		{
			name: "replaced at rest by a lower token", want: rightEnd,
			tenures: []tenure{on("a", "rest-a-1", 2, 10, 20, pool.Replaced), on("b", "rest-a-1", 1, 20, 0, "")},
		},
		{name: "replaced by a login that was given up", tenures: []tenure{on("a", "u", 1, 10, 20, pool.Replaced)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := history{tenures: tt.tenures, allowed: tt.allowed, fenced: map[string]bool{"f": true}}
			requireBroken(t, tt.want, h.judge())
		})
	}
}

func TestJudge_RefusesEachDisagreementOfDirectoryAndPools(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(*census)
		want  string
	}{
		{"all is well", func(*census) {}, ""},
		{"double", func(c *census) { c.pools["b"]["u"] = 7 }, oneOwner},
		{"missing", func(c *census) { delete(c.directory, "u") }, agreeing},
		{"orphan", func(c *census) { c.enter("w", listed{Owner: "a_1", Node: "a", Token: 9}) }, agreeing},
		{"orphan of the dead", func(c *census) { c.directory["w"] = listed{Owner: "z_1", Node: "z", Token: 9} }, agreeing},
		{"wrong token", func(c *census) { c.enter("u", listed{Owner: "a_1", Node: "a", Token: 6}) }, agreeing},
		{"wrong node", func(c *census) { c.enter("u", listed{Owner: "b_1", Node: "b", Token: 7}) }, agreeing},
		{"dead incarnation", func(c *census) { c.alive["a_1"] = false }, agreeing},
		{"one node lists less", func(c *census) { delete(c.lists["b"], "u") }, agreeing},
		{"one node lists another", func(c *census) { delete(c.lists["b"], "u"); c.lists["b"]["w"] = 7 }, agreeing},
		{"one node lists another token", func(c *census) { c.lists["a"]["u"] = 6 }, agreeing},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := census{
				pools:     map[string]map[string]uint64{"a": {"u": 7}, "b": {"v": 8}},
				directory: map[string]listed{"u": {Owner: "a_1", Node: "a", Token: 7}, "v": {Owner: "b_1", Node: "b", Token: 8}},
				lists:     map[string]map[string]uint64{"a": {"u": 7, "v": 8}, "b": {"u": 7, "v": 8}},
				alive:     map[string]bool{"a_1": true, "b_1": true},
			}
			tt.spoil(&c)
			requireBroken(t, tt.want, c.balance())
		})
	}
}

// enter changes the directory, which all nodes list.
func (c *census) enter(id string, e listed) {
	c.directory[id] = e
	for _, list := range c.lists {
		list[id] = e.Token
	}
}

func TestJudge_NoticesASessionThatThePoolHasForgotten(t *testing.T) {
	open := []tenure{{node: "a", id: "u", token: 7, from: 1}, {node: "a", id: "v", token: 1, from: 1, to: 2}}
	for name, tt := range map[string]struct {
		pool map[string]uint64
		want string
	}{
		"all is well":      {map[string]uint64{"u": 7}, ""},
		"forgotten":        {map[string]uint64{}, nothingLost},
		"another's token":  {map[string]uint64{"u": 8}, nothingLost},
		"one never opened": {map[string]uint64{"u": 7, "w": 1}, nothingLost},
	} {
		t.Run(name, func(t *testing.T) {
			c := census{pools: map[string]map[string]uint64{"a": tt.pool}}
			requireBroken(t, tt.want, c.remembered(open))
		})
	}
}

func TestJudge_RefusesARecoveryThatIsTooLate(t *testing.T) {
	requireBroken(t, "", inTime("it", time.Second, time.Second))
	requireBroken(t, recovers, inTime("it", time.Second+1, time.Second))
}

func TestJournal_TellsWhatAProcessHadWhenItWasKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.journal")
	j, err := newJournal(path)
	require.NoError(t, err)
	j.note(journalLine{Kind: noteOpen, ID: "u", Token: 1})
	j.note(journalLine{Kind: noteOpen, ID: "v", Token: 2})
	j.note(journalLine{Kind: noteClose, ID: "u", Token: 1, Why: kicked})
	j.note(journalLine{Kind: noteStill, Since: 5})
	require.NoError(t, j.trouble())
	_, err = j.f.WriteString(`{"kind":"open","at":`) // and no more
	require.NoError(t, err)

	all, stood, err := readJournal(path, "a", 0)
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.Equal(t, []pool.Reason{kicked, ""}, []pool.Reason{all[0].why, all[1].why})
	require.Zero(t, all[1].to)
	require.Positive(t, all[0].to)
	require.Len(t, stood, 1)
	require.EqualValues(t, 5, stood[0].from)

	killed := time.Now().UnixNano()
	all, _, err = readJournal(path, "a", killed)
	require.NoError(t, err)
	require.Equal(t, died, all[1].why)
	require.Equal(t, killed, all[1].to)
	require.Less(t, all[0].to, killed)
}

func TestJournal_ThatClosesWhatWasNotOpenIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.journal")
	j, err := newJournal(path)
	require.NoError(t, err)
	j.note(journalLine{Kind: noteOpen, ID: "u", Token: 1})
	j.note(journalLine{Kind: noteClose, ID: "u", Token: 1, Why: kicked})
	j.note(journalLine{Kind: noteClose, ID: "u", Token: 1, Why: kicked})
	_, _, err = readJournal(path, "a", 0)
	requireBroken(t, exactlyOnce, err)

	require.NoError(t, os.WriteFile(path, []byte("?\n"), 0o600))
	_, _, err = readJournal(path, "a", 0)
	require.Error(t, err)
	require.False(t, errors.As(err, new(*Broken)))
}
