package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/pool"
)

func TestScan_FindsWholeFramesAndWhatTheNextOneNeeds(t *testing.T) {
	for _, tt := range []struct {
		name, data string
		n, need    int
		why        pool.Reason
	}{
		{"nothing", "", 0, 1, ""},
		{"the first byte", "$", 0, 2, ""},
		{"a cut header", "$\x00\x05", 0, 4, ""},
		{"a header", "$\x00\x05#", 0, 9, ""},
		{"a cut body", "$\x00\x05#hell", 0, 9, ""},
		{"a frame", "$\x00\x05#hello", 9, 1, ""},
		{"no body", "$\x00\x00#", 4, 1, ""},
		{"two and a half", "$\x00\x01#a$\x00\x00#$\x00\x02#b", 9, 6, ""},
		{"as large as may be", "$\x00\x10#" + strings.Repeat("x", 16), 20, 1, ""},
		{"too large, whole", "$\x00\x11#" + strings.Repeat("x", 17), 0, 21, reasonTooLarge},
		{"too large, by its header", "$\xff\xff#", 0, largestFrame, reasonTooLarge},
		{"too large, after a frame", "$\x00\x01#a$\xff\xff#", 5, largestFrame, reasonTooLarge},
		{"no first marker", "x", 0, 2, reasonBadFrame},
		{"no second marker", "$\x00\x01!a", 0, 5, reasonBadFrame},
		{"garbage after a frame", "$\x00\x01#aGET /", 5, 17_752, reasonBadFrame},
	} {
		n, need, why := scan([]byte(tt.data), 20)
		require.Equal(t, tt.why, why, tt.name)
		require.Equal(t, tt.n, n, tt.name)
		if why != reasonBadFrame {
			require.Equal(t, tt.need, need, tt.name)
		}
	}
}

func FuzzScan(f *testing.F) {
	f.Add([]byte("$\x00\x01#a$\x00\x00#$\x00\x02#b"), uint16(20))
	f.Add([]byte("$\xff\xff#x"), uint16(9))
	f.Fuzz(func(t *testing.T, data []byte, limit uint16) {
		n, need, why := scan(data, int(limit))
		require.LessOrEqual(t, n, len(data))
		if why != "" {
			return
		}
		require.Greater(t, need, len(data)-n, "it could be scanned further")
		require.LessOrEqual(t, need, max(frameHeader, int(limit)))
		again, _, why := scan(data[:n], int(limit))
		require.Equal(t, n, again)
		require.Empty(t, why)
		more := append(bytes.Clone(data[n:]), make([]byte, need-(len(data)-n))...)
		if len(data)-n >= frameHeader { // the header is there: it is a frame now
			whole, _, _ := scan(more, int(limit))
			require.Equal(t, need, whole)
		}
	})
}
