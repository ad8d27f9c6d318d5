package ctl

import (
	"bufio"
	"bytes"
	"errors"
	"testing"
	"text/tabwriter"

	"github.com/stretchr/testify/require"
)

// onTerminal is lines as they print on a terminal.
func onTerminal(out *bytes.Buffer) *lines {
	w := bufio.NewWriter(out)
	return &lines{w: w, table: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
}

func TestLines_HaveAHeaderAndColumnsOnATerminalOnly(t *testing.T) {
	print := func(l *lines) {
		l.header("NODE", "SESSIONS", "INCARNATION")
		require.True(t, l.put(nodeLine{Node: "a", Sessions: 12_345, Epoch: "a_1"}))
		require.True(t, l.put(nodeLine{Node: "longer", Sessions: 0, Epoch: "b_2"}))
		require.NoError(t, l.flush())
	}
	var out bytes.Buffer
	print(onTerminal(&out))
	require.Equal(t, "NODE    SESSIONS  INCARNATION\na       12345     a_1\nlonger  0         b_2\n", out.String())
	out.Reset()
	print(newLines(&out, false))
	require.Equal(t, "a\t12345\ta_1\nlonger\t0\tb_2\n", out.String())
	out.Reset()
	print(newLines(&out, true))
	require.Equal(t, "{\"node\":\"a\",\"sessions\":12345,\"epoch\":\"a_1\"}\n{\"node\":\"longer\",\"sessions\":0,\"epoch\":\"b_2\"}\n", out.String())
}

func TestLines_OfALongTableAppearAsTheyCome(t *testing.T) {
	var out bytes.Buffer
	l := onTerminal(&out)
	for range 100 * tableRows {
		require.True(t, l.put(nodeLine{Node: "a", Epoch: "a_1"}))
	}
	require.Positive(t, out.Len(), "before the end")
	require.NoError(t, l.flush())
	require.Equal(t, 100*tableRows, bytes.Count(out.Bytes(), []byte("\n")))
}

// full is a disk.
type full struct{}

var errFull = errors.New("no space left on device")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestLines_ThatAreNotWrittenAreAnError(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		l := newLines(full{}, asJSON)
		for l.put(nodeLine{Node: "a"}) { // until the buffer is full
		}
		require.ErrorIs(t, l.flush(), errFull)
	}
}
