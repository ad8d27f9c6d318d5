package frame_test

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/frame"
)

// These are the worked examples of the documentation of Netty's
// LengthFieldBasedFrameDecoder: the parameters, the bytes in, and the bytes out.
var nettyExamples = []struct {
	name    string
	framing frame.LengthPrefix
	in, out string
}{
	{
		"header kept",
		frame.LengthPrefix{Size: 2},
		"\x00\x0cHELLO, WORLD", "\x00\x0cHELLO, WORLD",
	},
	{
		"header stripped",
		frame.LengthPrefix{Size: 2, Strip: 2},
		"\x00\x0cHELLO, WORLD", "HELLO, WORLD",
	},
	{
		"length of the whole message",
		frame.LengthPrefix{Size: 2, Adjust: -2},
		"\x00\x0eHELLO, WORLD", "\x00\x0eHELLO, WORLD",
	},
	{
		"header before the length",
		frame.LengthPrefix{Size: 3, Offset: 2},
		"\xca\xfe\x00\x00\x0cHELLO, WORLD", "\xca\xfe\x00\x00\x0cHELLO, WORLD",
	},
	{
		"header after the length",
		frame.LengthPrefix{Size: 3, Adjust: 2},
		"\x00\x00\x0c\xca\xfeHELLO, WORLD", "\x00\x00\x0c\xca\xfeHELLO, WORLD",
	},
	{
		"length between two headers",
		frame.LengthPrefix{Size: 2, Offset: 1, Adjust: 1, Strip: 3},
		"\xca\x00\x0c\xfeHELLO, WORLD", "\xfeHELLO, WORLD",
	},
	{
		"length of the whole message between two headers",
		frame.LengthPrefix{Size: 2, Offset: 1, Adjust: -3, Strip: 3},
		"\xca\x00\x10\xfeHELLO, WORLD", "\xfeHELLO, WORLD",
	},
}

func TestLengthPrefix_CutsTheExamplesOfNetty(t *testing.T) {
	for _, tt := range nettyExamples {
		t.Run(tt.name, func(t *testing.T) {
			stream := []byte(tt.in + tt.in)
			for _, sizes := range [][]byte{{255}, {0}, {2, 0, 7}} {
				got, err := scan(tt.framing.Split, &chunks{data: stream, sizes: sizes})
				require.NoError(t, err)
				require.Equal(t, []string{tt.out, tt.out}, got)
			}
			for n := 1; n < len(tt.in); n++ {
				_, _, err := tt.framing.Split([]byte(tt.in[:n]), true)
				require.ErrorIs(t, err, io.ErrUnexpectedEOF, "%d bytes", n)
			}
		})
	}
}

func TestLengthPrefix_AppendMakesTheExamplesOfNettyOrRefuses(t *testing.T) {
	for _, tt := range nettyExamples {
		t.Run(tt.name, func(t *testing.T) {
			after := tt.in[tt.framing.Offset+tt.framing.Size:]
			got, err := tt.framing.Append([]byte("kept"), []byte(after))
			if tt.framing.Offset > 0 {
				require.ErrorIs(t, err, frame.ErrHeader)
				require.Equal(t, "kept", string(got))
				return
			}
			require.NoError(t, err)
			require.Equal(t, "kept"+tt.in, string(got))
		})
	}
}

func TestLengthPrefix_HasFieldsOfOneToEightBytesInBothOrders(t *testing.T) {
	for size := 1; size <= 8; size++ {
		for _, little := range []bool{false, true} {
			f := frame.LengthPrefix{Size: size, Strip: size, LittleEndian: little}
			for _, n := range []int{0, 1, 200, 255, 256, 40_000, 65_535, 65_536} {
				framed, err := f.Append(nil, repeated(n))
				if size < 8 && n>>(8*size) > 0 {
					require.ErrorIs(t, err, frame.ErrTooLarge)
					continue
				}
				require.NoError(t, err)
				var want []byte // the lowest byte first
				for i := range size {
					want = append(want, byte(uint64(n)>>(8*i)))
				}
				for i := 0; i < size && !little; i++ {
					want[i] = byte(uint64(n) >> (8 * (size - 1 - i)))
				}
				require.Equal(t, want, framed[:size])
				advance, token, err := f.Split(append(framed, "next"...), false)
				require.NoError(t, err)
				require.Equal(t, size+n, advance)
				require.True(t, bytes.Equal(repeated(n), token))
			}
		}
	}
}

func TestLengthPrefix_RefusesAHostileLengthAsSoonAsItHasIt(t *testing.T) {
	for _, tt := range []struct {
		framing frame.LengthPrefix
		in      string
		want    error
	}{
		{frame.LengthPrefix{Size: 8}, "\xff\xff\xff\xff\xff\xff\xff\xff", frame.ErrTooLarge}, // -1, if it were signed
		{frame.LengthPrefix{Size: 8}, "\x80\x00\x00\x00\x00\x00\x00\x00", frame.ErrTooLarge},
		{frame.LengthPrefix{Size: 8}, "\x7f\xff\xff\xff\xff\xff\xff\xff", frame.ErrTooLarge}, // with the field it overflows an int
		{frame.LengthPrefix{Size: 8}, "\x7f\xff\xff\xff\xff\xff\xff\xf8", frame.ErrTooLarge},
		{frame.LengthPrefix{Size: 8, LittleEndian: true}, "\x00\x00\x00\x00\x00\x00\x00\x80", frame.ErrTooLarge},
		{frame.LengthPrefix{Size: 8, Adjust: 1}, "\xff\xff\xff\xff\xff\xff\xff\xff", frame.ErrTooLarge}, // would wrap to 0
		{frame.LengthPrefix{Size: 8, Adjust: math.MaxInt}, "\xff\xff\xff\xff\xff\xff\xff\xff", frame.ErrTooLarge},
		{frame.LengthPrefix{Size: 1, Adjust: math.MaxInt}, "\x00", frame.ErrTooLarge},
		{frame.LengthPrefix{Size: 1, Adjust: math.MinInt}, "\xff", frame.ErrBadLength},
		{frame.LengthPrefix{Size: 1, Adjust: -1}, "\x00", frame.ErrBadLength},
		{frame.LengthPrefix{Size: 2, Adjust: -2}, "\x00\x01", frame.ErrBadLength}, // the frame would end in its header
		{frame.LengthPrefix{Size: 2, Offset: 1, Adjust: -3}, "\xca\x00\x02", frame.ErrBadLength},
		{frame.LengthPrefix{Size: 1, Strip: 3}, "\x01", frame.ErrBadLength},
		{frame.LengthPrefix{Size: 2, Max: 100}, "\x00\x63", frame.ErrTooLarge}, // 101 bytes on the wire
		{frame.LengthPrefix{Size: 2, Max: 100, Offset: 2}, "ab\x00\x61", frame.ErrTooLarge},
		{frame.LengthPrefix{Size: 1, Max: 10, Adjust: 9}, "\x01", frame.ErrTooLarge},
	} {
		t.Run(fmt.Sprintf("%+v of %x", tt.framing, tt.in), func(t *testing.T) {
			for _, atEOF := range []bool{false, true} {
				n, token, err := tt.framing.Split([]byte(tt.in), atEOF)
				require.ErrorIs(t, err, tt.want)
				require.Zero(t, n)
				require.Nil(t, token)
			}
			// One byte less tells nothing yet.
			n, token, err := tt.framing.Split([]byte(tt.in[:len(tt.in)-1]), false)
			require.NoError(t, err)
			require.Zero(t, n)
			require.Nil(t, token)
		})
	}
}

func TestLengthPrefix_TakesTheLongestLengthThatTheLimitAllows(t *testing.T) {
	for _, tt := range []struct {
		framing frame.LengthPrefix
		in      string
	}{
		{frame.LengthPrefix{Size: 2, Max: 100}, "\x00\x62"},
		{frame.LengthPrefix{Size: 2, Max: 100, Offset: 2}, "ab\x00\x60"},
		{frame.LengthPrefix{Size: 2, Max: 100, Adjust: -2}, "\x00\x64"},
		{frame.LengthPrefix{Size: 1, Max: 100, Adjust: 99}, "\x00"},
	} {
		data := append([]byte(tt.in), repeated(100-len(tt.in))...)
		n, token, err := tt.framing.Split(data[:99], false)
		require.NoError(t, err)
		require.True(t, n == 0 && token == nil, "it waits for the last byte")
		n, token, err = tt.framing.Split(data, false)
		require.NoError(t, err)
		require.Equal(t, 100, n)
		require.Len(t, token, 100)
	}
	// The caller's limit holds where the framing has none.
	n, token, err := frame.LengthPrefix{Size: 4}.Split([]byte("\x7f\xff\xff\xf0xxxx"), false)
	require.NoError(t, err)
	require.True(t, n == 0 && token == nil)
}

func TestLengthPrefix_AppendMakesNothingThatSplitRefuses(t *testing.T) {
	for _, tt := range []struct {
		framing frame.LengthPrefix
		body    int
		want    error
	}{
		{frame.LengthPrefix{Size: 1}, 255, nil},
		{frame.LengthPrefix{Size: 1}, 256, frame.ErrTooLarge},
		{frame.LengthPrefix{Size: 1, Adjust: -1}, 254, nil},
		{frame.LengthPrefix{Size: 1, Adjust: -1}, 255, frame.ErrTooLarge},
		{frame.LengthPrefix{Size: 1, Adjust: 2}, 257, nil},
		{frame.LengthPrefix{Size: 1, Adjust: 2}, 2, nil},
		{frame.LengthPrefix{Size: 1, Adjust: 2}, 1, frame.ErrBadLength},
		{frame.LengthPrefix{Size: 8, Adjust: math.MinInt}, 5, nil},
		{frame.LengthPrefix{Size: bits.UintSize/8 - 1, Adjust: math.MinInt}, 5, frame.ErrTooLarge},
		{frame.LengthPrefix{Size: 8, Adjust: math.MaxInt}, 5, frame.ErrBadLength},
		{frame.LengthPrefix{Size: 1, Strip: 3}, 2, nil},
		{frame.LengthPrefix{Size: 1, Strip: 3}, 1, frame.ErrBadLength},
		{frame.LengthPrefix{Size: 2, Max: 100}, 98, nil},
		{frame.LengthPrefix{Size: 2, Max: 100}, 99, frame.ErrTooLarge},
	} {
		body := repeated(tt.body)
		framed, err := tt.framing.Append([]byte("kept"), body)
		if tt.want != nil {
			require.ErrorIs(t, err, tt.want, "%+v of %d bytes", tt.framing, tt.body)
			require.Equal(t, "kept", string(framed))
			continue
		}
		require.NoError(t, err, "%+v of %d bytes", tt.framing, tt.body)
		n, token, err := tt.framing.Split(framed[4:], true)
		require.NoError(t, err)
		require.Equal(t, tt.framing.Size+tt.body, n)
		require.Equal(t, string(framed[4+tt.framing.Strip:]), string(token))
	}
}
