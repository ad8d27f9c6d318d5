package frame_test

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/frame"
)

func TestDelimiter_CutsAtEachEnd(t *testing.T) {
	long := strings.Repeat("=", 100)
	for _, tt := range []struct {
		end, in string
		want    []string
		err     error
	}{
		{"\n", "", nil, nil},
		{"\n", "a\n\nb\r\n", []string{"a", "", "b\r"}, nil},
		{"\r\n", "a\nb\r\n\r\r\n\r\n", []string{"a\nb", "\r", ""}, nil},
		{"\x00", "a\x00", []string{"a"}, nil},
		{"aa", "baaaa", []string{"b", ""}, nil},
		{"aab", "aaabaab", []string{"a", ""}, nil},
		{long, "x" + long + "y" + long, []string{"x", "y"}, nil},
		{"\n", "a\nb", []string{"a"}, io.ErrUnexpectedEOF},
		{"\r\n", "a\r", nil, io.ErrUnexpectedEOF},
		{"aa", "baaa", []string{"b"}, io.ErrUnexpectedEOF},
	} {
		for _, sizes := range [][]byte{{255}, {0}, {1, 0}} {
			got, err := scan(frame.Delimiter{End: tt.end}.Split, &chunks{data: []byte(tt.in), sizes: sizes})
			require.Equal(t, tt.want, got, "%q at %q", tt.in, tt.end)
			require.ErrorIs(t, err, tt.err, "%q at %q", tt.in, tt.end)
		}
	}
}

func TestMarks_CutsBetweenBeginAndEnd(t *testing.T) {
	for _, tt := range []struct {
		begin, end, in string
		want           []string
		err            error
	}{
		{"<", ">", "", nil, nil},
		{"<", ">", "<a><><b<c>", []string{"a", "", "b<c"}, nil},
		{"~", "~", "~a~~b~~~", []string{"a", "b", ""}, nil}, // one mark for both
		{"ab", "bc", "abbcababc", []string{"", "a"}, nil},
		{"\x0b", "\x1c\r", "\x0ba\x1cb\r\x1c\r\x0b\x1c\r", []string{"a\x1cb\r", ""}, nil},
		{"ab", "bc", "abc", nil, io.ErrUnexpectedEOF}, // the marks share no byte
		{"<", ">", "<a><b", []string{"a"}, io.ErrUnexpectedEOF},
		{"<<", ">", "<", nil, io.ErrUnexpectedEOF},
		{"<", ">", "<a>\n<b>", []string{"a"}, frame.ErrMissingMark},
		{"<", ">", "GET /", nil, frame.ErrMissingMark},
		{"<<", ">", "<a", nil, frame.ErrMissingMark},
	} {
		for _, sizes := range [][]byte{{255}, {0}, {1, 0}} {
			got, err := scan(frame.Marks{Begin: tt.begin, End: tt.end}.Split, &chunks{data: []byte(tt.in), sizes: sizes})
			require.Equal(t, tt.want, got, "%q between %q and %q", tt.in, tt.begin, tt.end)
			require.ErrorIs(t, err, tt.err, "%q between %q and %q", tt.in, tt.begin, tt.end)
		}
	}
}

func TestMarks_RefusesTheFirstWrongByteAtOnce(t *testing.T) {
	f := frame.Marks{Begin: "STX", End: "ETX"}
	for in, bad := range map[string]bool{
		"": false, "S": false, "ST": false, "STX": false, "s": true, "Sx": true, "STx": true,
	} {
		_, _, err := f.Split([]byte(in), false)
		if bad {
			require.ErrorIs(t, err, frame.ErrMissingMark, in)
		} else {
			require.NoError(t, err, in)
		}
	}
}

func TestAppend_RefusesABodyInWhichSplitWouldFindTheEnd(t *testing.T) {
	for _, tt := range []struct {
		end, body string
		ok        bool
	}{
		{"\r\n", "a\r\nb", false},
		{"\r\n", "\r\n", false},
		{"\r\n", "a\n\r", true},
		{"\r\n", "a\r", true}, // a\r\r\n
		{"\r\n", "", true},
		{"aa", "a", false}, // aaa: the first end is at 0
		{"aa", "ba", false},
		{"aa", "ab", true},
		{"abab", "xab", false}, // xababab
		{"abab", "xaba", true}, // xabaabab
		{"~", "a~", false},
	} {
		for _, f := range []framing{frame.Delimiter{End: tt.end}, frame.Marks{Begin: "aa", End: tt.end}} {
			framed, err := f.Append([]byte("kept"), []byte(tt.body))
			if !tt.ok {
				require.ErrorIs(t, err, frame.ErrContainsEnd, "%q in %+v", tt.body, f)
				require.Equal(t, "kept", string(framed))
				continue
			}
			require.NoError(t, err, "%q in %+v", tt.body, f)
			require.Equal(t, "kept", string(framed[:4]))
			n, token, err := f.Split(framed[4:], false)
			require.NoError(t, err)
			require.Equal(t, len(framed)-4, n)
			require.Equal(t, tt.body, string(token))
		}
	}
}
