package frame_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/frame"
)

// limited has a framing of each kind whose limit is 100 bytes, and a body that makes a frame
// of exactly that.
var limited = []struct {
	framing framing
	body    int
	told    int // how many bytes of a longer frame tell that it is longer
}{
	{frame.LengthPrefix{Size: 2, Strip: 2, Max: 100}, 98, 2},
	{frame.LengthPrefix{Size: 8, Strip: 8, LittleEndian: true, Adjust: -8, Max: 100}, 92, 8},
	{frame.Varint{Max: 100}, 99, 1},
	{frame.Delimiter{End: "\r\n", Max: 100}, 98, 100},
	{frame.Marks{Begin: "<<", End: ">", Max: 100}, 97, 100},
}

func TestMax_IsTheLongestFrameOnTheWire(t *testing.T) {
	for _, tt := range limited {
		t.Run(fmt.Sprintf("%T", tt.framing), func(t *testing.T) {
			framed, err := tt.framing.Append(nil, repeated(tt.body))
			require.NoError(t, err)
			require.Len(t, framed, 100)
			for n := range framed {
				advance, token, err := tt.framing.Split(framed[:n], false)
				require.NoError(t, err)
				require.True(t, advance == 0 && token == nil, "it waits for the rest of it")
			}
			advance, token, err := tt.framing.Split(framed, false)
			require.NoError(t, err)
			require.Equal(t, 100, advance)
			require.Equal(t, string(repeated(tt.body)), string(token))

			_, err = tt.framing.Append(nil, repeated(tt.body+1))
			require.ErrorIs(t, err, frame.ErrTooLarge)
		})
	}
}

// unlimited returns the framing without its Max.
func unlimited(f framing) framing {
	switch f := f.(type) {
	case frame.LengthPrefix:
		f.Max = 0
		return f
	case frame.Varint:
		f.Max = 0
		return f
	case frame.Delimiter:
		f.Max = 0
		return f
	case frame.Marks:
		f.Max = 0
		return f
	default:
		panic("no such framing")
	}
}

func TestMax_ALongerFrameIsRefusedAsSoonAsThatIsKnown(t *testing.T) {
	for _, tt := range limited {
		t.Run(fmt.Sprintf("%T", tt.framing), func(t *testing.T) {
			framed, err := unlimited(tt.framing).Append(nil, repeated(tt.body+1))
			require.NoError(t, err)
			for n := range len(framed) + 1 {
				for _, atEOF := range []bool{false, true} {
					advance, token, err := tt.framing.Split(framed[:n], atEOF)
					require.True(t, advance == 0 && token == nil)
					switch {
					case n >= tt.told:
						require.ErrorIs(t, err, frame.ErrTooLarge, "%d bytes", n)
					case atEOF && n > 0:
						require.ErrorIs(t, err, io.ErrUnexpectedEOF)
					default:
						require.NoError(t, err)
					}
				}
			}
		})
	}
}

func TestErrTooLarge_IsWhatScannerReturnsForAFullBuffer(t *testing.T) {
	require.ErrorIs(t, frame.ErrTooLarge, bufio.ErrTooLong)
	require.NotErrorIs(t, frame.ErrBadLength, bufio.ErrTooLong)
	for _, f := range []frame.LengthPrefix{{Size: 4, Max: 50}, {Size: 4}} {
		sc := bufio.NewScanner(bytes.NewReader(append([]byte("\x7f\xff\xff\xff"), repeated(1000)...)))
		sc.Buffer(nil, 100)
		sc.Split(f.Split)
		require.False(t, sc.Scan())
		require.ErrorIs(t, sc.Err(), bufio.ErrTooLong)
		require.Equal(t, f.Max > 0, errors.Is(sc.Err(), frame.ErrTooLarge))
	}
}

// usual has a framing of each kind, with a frame of it.
var usual = []struct {
	framing     framing
	frame, body string
}{
	{frame.LengthPrefix{Size: 1, Strip: 1}, "\x03abc", "abc"},
	{frame.LengthPrefix{Size: 1, Strip: 1}, "\x00", ""},
	{frame.LengthPrefix{Size: 1, Strip: 4}, "\x03abc", ""},
	{frame.Varint{}, "\x03abc", "abc"},
	{frame.Varint{}, "\x00", ""},
	{frame.Delimiter{End: "\r\n"}, "abc\r\n", "abc"},
	{frame.Delimiter{End: "\r\n"}, "\r\n", ""},
	{frame.Marks{Begin: "<", End: ">"}, "<abc>", "abc"},
	{frame.Marks{Begin: "<", End: ">"}, "<>", ""},
	{frame.Fixed{Size: 3}, "abc", "abc"},
}

func TestSplit_ATokenIsNeverNilAndCannotBeAppendedInPlace(t *testing.T) {
	for _, tt := range usual {
		data := []byte(tt.frame + "next")
		n, token, err := tt.framing.Split(data, false)
		require.NoError(t, err)
		require.Equal(t, len(tt.frame), n, "%+v", tt.framing)
		require.NotNil(t, token, "%+v of %q", tt.framing, tt.frame)
		require.Equal(t, tt.body, string(token))
		_ = append(token, "XXXX"...)
		require.Equal(t, tt.frame+"next", string(data), "%+v", tt.framing)
	}
}

func TestSplit_AnEndOfInputWithinAFrameIsUnexpected(t *testing.T) {
	for _, tt := range usual {
		for n := range len(tt.frame) {
			advance, token, err := tt.framing.Split([]byte(tt.frame[:n]), true)
			require.True(t, advance == 0 && token == nil)
			if n == 0 { // between two frames
				require.NoError(t, err)
				continue
			}
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, "%+v of %q", tt.framing, tt.frame[:n])
		}
	}
}

func TestFixed_TakesNoOtherLength(t *testing.T) {
	f := frame.Fixed{Size: 3}
	got, err := scan(f.Split, bytes.NewReader([]byte("abcdefg")))
	require.Equal(t, []string{"abc", "def"}, got)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	for _, body := range []string{"", "ab", "abcd"} {
		framed, err := f.Append([]byte("kept"), []byte(body))
		require.ErrorIs(t, err, frame.ErrBadLength)
		require.Equal(t, "kept", string(framed))
	}
	framed, err := f.Append([]byte("kept"), []byte("abc"))
	require.NoError(t, err)
	require.Equal(t, "keptabc", string(framed))
}

func TestSettings_ThatCannotWorkAreNamedByEachCall(t *testing.T) {
	for _, tt := range []struct {
		framing framing
		field   string
	}{
		{frame.LengthPrefix{}, "LengthPrefix.Size"},
		{frame.LengthPrefix{Size: -1}, "LengthPrefix.Size"},
		{frame.LengthPrefix{Size: 9}, "LengthPrefix.Size"},
		{frame.LengthPrefix{Size: 4, Offset: -1}, "LengthPrefix.Offset"},
		{frame.LengthPrefix{Size: 4, Offset: math.MinInt}, "LengthPrefix.Offset"},
		{frame.LengthPrefix{Size: 4, Offset: math.MaxInt - 3}, "LengthPrefix.Offset"},
		{frame.LengthPrefix{Size: 4, Strip: -1}, "LengthPrefix.Strip"},
		{frame.LengthPrefix{Size: 4, Max: -1}, "LengthPrefix.Max"},
		{frame.LengthPrefix{Size: 4, Max: 3}, "LengthPrefix.Max"},
		{frame.LengthPrefix{Size: 4, Offset: 2, Max: 5}, "LengthPrefix.Max"},
		{frame.Varint{Max: -1}, "Varint.Max"},
		{frame.Varint{Offset: 2, Max: 2}, "Varint.Max"},
		{frame.Varint{Offset: -1}, "Varint.Offset"},
		{frame.Varint{Offset: math.MaxInt}, "Varint.Offset"},
		{frame.Varint{Size: -1}, "Varint.Size"},
		{frame.Varint{Size: 11}, "Varint.Size"},
		{frame.Delimiter{}, "Delimiter.End"},
		{frame.Delimiter{End: "\n", Max: -1}, "Delimiter.Max"},
		{frame.Delimiter{End: "\r\n", Max: 1}, "Delimiter.Max"},
		{frame.Fixed{}, "Fixed.Size"},
		{frame.Fixed{Size: -1}, "Fixed.Size"},
		{frame.Marks{}, "Marks.Begin"},
		{frame.Marks{End: ">"}, "Marks.Begin"},
		{frame.Marks{Begin: "<"}, "Marks.End"},
		{frame.Marks{Begin: "<", End: ">", Max: -1}, "Marks.Max"},
		{frame.Marks{Begin: "<", End: ">", Max: 1}, "Marks.Max"},
	} {
		for _, in := range []string{"", "x", "<\x00\x00\x00\x00>\r\n"} {
			for _, atEOF := range []bool{false, true} {
				n, token, err := tt.framing.Split([]byte(in), atEOF)
				require.ErrorIs(t, err, frame.ErrConfig, "%+v", tt.framing)
				require.ErrorContains(t, err, tt.field+" is ")
				require.True(t, n == 0 && token == nil)
			}
			got, err := tt.framing.Append([]byte("kept"), []byte(in))
			require.ErrorIs(t, err, frame.ErrConfig, "%+v", tt.framing)
			require.Equal(t, "kept", string(got))
		}
	}
	for _, tt := range usual {
		_, _, err := tt.framing.Split(nil, false)
		require.NoError(t, err, "%+v", tt.framing)
	}
}

func TestFraming_AllocatesNothing(t *testing.T) {
	for _, tt := range usual {
		data, dst := []byte(tt.frame), make([]byte, 0, 200)
		body := []byte(tt.body)
		if f, ok := tt.framing.(frame.LengthPrefix); ok {
			body = data[f.Size:]
		}
		require.Zero(t, testing.AllocsPerRun(100, func() {
			if n, _, err := tt.framing.Split(data, false); n != len(data) || err != nil {
				panic("Split failed")
			}
			if framed, err := tt.framing.Append(dst, body); len(framed) != len(data) || err != nil {
				panic("Append failed")
			}
		}), "%+v", tt.framing)
	}
}
