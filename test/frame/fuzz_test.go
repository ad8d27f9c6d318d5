package frame_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/frame"
)

// settings are a framing's as the fuzzer draws them: of each kind, with numbers that cannot
// work as well.
type settings struct {
	kind                             uint8
	little                           bool
	size, offset, adjust, strip, max uint8
	begin, end                       string
}

func (s settings) framing() framing {
	switch s.kind % 5 {
	case 0:
		return frame.LengthPrefix{
			Size: int(s.size % 10), LittleEndian: s.little, Max: number(s.max),
			Offset: number(s.offset), Adjust: number(s.adjust), Strip: number(s.strip),
		}
	case 1:
		return frame.Varint{Offset: number(s.offset), Size: int(s.size % 12), Max: number(s.max)}
	case 2:
		return frame.Delimiter{End: s.end, Max: number(s.max)}
	case 3:
		return frame.Marks{Begin: s.begin, End: s.end, Max: number(s.max)}
	default:
		return frame.Fixed{Size: number(s.size)}
	}
}

// number is one from -20 to 220, or an extreme one.
func number(b uint8) int {
	extremes := []int{math.MaxInt, math.MaxInt - 1, math.MaxInt - 8, math.MaxInt / 2, math.MaxUint16, math.MinInt, math.MinInt + 1, math.MinInt + 8}
	if n := 255 - int(b); n < len(extremes) {
		return extremes[n]
	}
	if b > 220 {
		return 220 - int(b)
	}
	return int(b)
}

// maxOf returns the framing's limit, 0 for none.
func maxOf(f framing) int {
	switch f := f.(type) {
	case frame.LengthPrefix:
		return f.Max
	case frame.Varint:
		return f.Max
	case frame.Delimiter:
		return f.Max
	case frame.Marks:
		return f.Max
	case frame.Fixed:
		return f.Size
	default:
		return 0
	}
}

// offsetOf returns how many bytes are before the length.
func offsetOf(f framing) int {
	switch f := f.(type) {
	case frame.LengthPrefix:
		return f.Offset
	case frame.Varint:
		return f.Offset
	default:
		return 0
	}
}

func seed(f *testing.F) {
	add := func(s settings, stream string) {
		f.Add(s.kind, s.little, s.size, s.offset, s.adjust, s.strip, s.max, s.begin, s.end, []byte(stream), []byte{0, 3, 1})
	}
	for _, size := range []uint8{0, 1, 2, 3, 8, 9} {
		for _, adjust := range []uint8{0, 1, 2, 222, 223, 250, 255} {
			add(settings{size: size, adjust: adjust, strip: size}, "\x00\x0cHELLO, WORLD\xff\xff\xff\xff\xff\xff\xff\xff")
			add(settings{size: size, adjust: adjust, offset: 1, max: 40}, "\xca\x00\x10\xfeHELLO, WORLD\xff\xff\xff\xff\xff\xff\xff\xff")
			add(settings{size: size, adjust: adjust, little: true, strip: 250}, "\x02\x00\x00\x00\x00\x00\x00\x00ab\x00\x00\x00\x00\x00\x00\x00\x80")
		}
	}
	for _, limit := range []uint8{0, 1, 3, 100, 221, 255} {
		add(settings{kind: 1, max: limit}, "\x03abc\x00\xac\x02\x81\x00a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")
		add(settings{kind: 1, max: limit}, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80")
		add(settings{kind: 1, offset: 1, size: 4, max: limit}, "\x30\x03abc\xc0\x00\x82\x81\x00a\x30\xff\xff\xff\x80\x01")
		add(settings{kind: 2, end: "\r\n", max: limit}, "a\r\n\r\n\r\r\nb")
		add(settings{kind: 2, end: "aa", max: limit}, "baaaa")
		add(settings{kind: 3, begin: "<", end: ">", max: limit}, "<a><><b<>c")
		add(settings{kind: 3, begin: "~", end: "~", max: limit}, "~a~~b~~~")
		add(settings{kind: 4, size: limit}, "abcdefg")
	}
}

// FuzzSplit gives each framing input from a hostile peer.
func FuzzSplit(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, kind uint8, little bool, size, offset, adjust, strip, limit uint8, begin, end string, data, _ []byte) {
		fr := settings{kind, little, size, offset, adjust, strip, limit, begin, end}.framing()
		_, _, err := fr.Split(nil, false)
		broken := err != nil
		if broken {
			require.ErrorIs(t, err, frame.ErrConfig)
		}
		for data = data[:min(len(data), 400)]; len(data) > 0; {
			advance, token := checkSplit(t, fr, data, broken)
			if advance == 0 {
				return
			}
			checkAppend(t, fr, data[:advance], token)
			data = data[advance:]
		}
	})
}

// checkSplit gives Split each part of data that begins it. Once it has decided, more input
// must not change its mind.
func checkSplit(t *testing.T, fr framing, data []byte, broken bool) (int, []byte) {
	for n := 1; n <= len(data); n++ {
		advance, token, err := fr.Split(data[:n], false)
		require.Equal(t, broken, errors.Is(err, frame.ErrConfig))
		require.Equal(t, advance > 0, token != nil, "a token or no advance")
		require.True(t, advance >= 0 && advance <= n)
		if limit := maxOf(fr); limit > 0 && !broken {
			require.LessOrEqual(t, advance, limit)
			require.True(t, advance > 0 || err != nil || n < limit, "it waits beyond its limit")
		}
		_, _, atEOF := fr.Split(data[:n], true)
		if advance == 0 && err == nil {
			require.ErrorIs(t, atEOF, io.ErrUnexpectedEOF)
			continue
		}
		require.Equal(t, err, atEOF)
		all, last, allErr := fr.Split(data, true)
		require.Equal(t, advance, all)
		require.True(t, bytes.Equal(token, last))
		require.Equal(t, err, allErr)
		return advance, token
	}
	return 0, nil
}

// checkAppend makes the frame again that Split has cut. A varint may have been longer than it
// needs.
func checkAppend(t *testing.T, fr framing, framed, token []byte) {
	body := token
	if p, ok := fr.(frame.LengthPrefix); ok {
		body = framed[p.Offset+p.Size:]
	}
	again, err := fr.Append(nil, body)
	if offsetOf(fr) > 0 {
		require.ErrorIs(t, err, frame.ErrHeader)
		return
	}
	require.NoError(t, err)
	if _, ok := fr.(frame.Varint); ok {
		require.LessOrEqual(t, len(again), len(framed))
		require.True(t, bytes.HasSuffix(framed, body))
		return
	}
	require.True(t, bytes.Equal(framed, again), "a frame has one form")
}

// FuzzAppend makes frames of bodies and cuts them again from a stream in chunks.
func FuzzAppend(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, kind uint8, little bool, size, offset, adjust, strip, limit uint8, begin, end string, data, sizes []byte) {
		fr := settings{kind, little, size, offset, adjust, strip, limit, begin, end}.framing()
		var want []string
		stream := []byte{}
		for i := 0; i < 20 && (i == 0 || len(data) > 0); i++ {
			n := len(data)
			if len(sizes) > 0 {
				n = min(n, int(sizes[i%len(sizes)]))
			}
			var body []byte
			body, data = data[:n], data[n:]
			next, err := fr.Append(stream, body)
			if err != nil {
				require.True(t, bytes.Equal(stream, next), "an error changes nothing")
				continue
			}
			require.True(t, bytes.HasPrefix(next, stream))
			framed := next[len(stream):]
			require.True(t, bytes.Contains(framed, body))
			if p, ok := fr.(frame.LengthPrefix); ok {
				body = framed[p.Strip:]
				require.Equal(t, len(framed), p.Size+n)
			}
			want = append(want, string(body))
			stream = next
		}
		if want == nil { // the settings may be such that Split refuses everything
			return
		}
		for _, chunk := range [][]byte{{255}, {0}, sizes} {
			got, err := scan(fr.Split, &chunks{data: stream, sizes: chunk})
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
	})
}
