package tcp_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/tcp"
	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func frameOf(t testing.TB, body string) string {
	t.Helper()
	frame, err := tcp.AppendFrame(nil, []byte(body))
	require.NoError(t, err)
	return string(frame)
}

func TestFrames_OfEverySizeArrive(t *testing.T) {
	overBoth(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		srv := &tcp.Server{Split: tcp.ScanFrames}
		e := watch(srv)
		c := listen(t, srv)()
		// 40,000 is negative where the length is read as signed.
		for i, size := range []int{0, 1, 40_000, 3, 65_535, 8188, 8189, 0, 32_768, 32_767, 65_535, 1} {
			body := strings.Repeat(string(rune('a'+i)), size)
			harness.Write(t, c, frameOf(t, body))
			require.Equal(t, body, harness.Next(t, e.messages))
		}
	})
}

func TestFrames_CutAtEveryByteAreTheSame(t *testing.T) {
	t.Parallel()
	bodies := []string{"", "first", "$", "", "the last one"}
	var stream string
	for _, b := range bodies {
		stream += frameOf(t, b)
	}
	overBoth(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		srv := &tcp.Server{Split: tcp.ScanFrames}
		e := watch(srv)
		dial := listen(t, srv)
		cuts := [][]int{}
		for i := 1; i < len(stream); i++ {
			cuts = append(cuts, []int{i})
		}
		all := []int{}
		for i := 1; i < len(stream); i++ {
			all = append(all, i)
		}
		for _, cut := range append(cuts, all) {
			c := dial()
			from := 0
			for _, to := range append(cut, len(stream)) {
				harness.Write(t, c, stream[from:to])
				from = to
				time.Sleep(time.Millisecond) // most parts then arrive separately
			}
			for _, want := range bodies {
				require.Equal(t, want, harness.Next(t, e.messages), "cut at %v", cut)
			}
			require.NoError(t, c.Close())
			require.Equal(t, tcp.ReasonEOF, harness.Next(t, e.closed))
		}
	})
}

func TestFrames_InputThatIsNoneClosesWithBadFrame(t *testing.T) {
	for input, want := range map[string]error{
		"GET / HTTP/1.1\r\n\r\n":      tcp.ErrFrameMarker,
		"$\x00\x01!x":                 tcp.ErrFrameMarker,
		"\x00":                        tcp.ErrFrameMarker,
		"$\x00\x05#hell":              io.ErrUnexpectedEOF, // and then the end
		"$":                           io.ErrUnexpectedEOF,
		"$\x00\x01#x$\x00\x01#y#\x00": tcp.ErrFrameMarker,
	} {
		t.Run(fmt.Sprintf("%q", input), func(t *testing.T) {
			srv := &tcp.Server{Split: tcp.ScanFrames}
			e := watch(srv)
			c := harness.ListenTCP(t, srv)()
			harness.Write(t, c, input)
			require.NoError(t, c.(*net.TCPConn).CloseWrite())
			require.Equal(t, tcp.ReasonBadFrame, harness.Next(t, e.closed))
			err := harness.Next(t, e.errors)
			require.ErrorIs(t, err, tcp.ErrBadFrame)
			require.ErrorIs(t, err, want)
			require.Len(t, e.messages, strings.Count(input, "\x00\x01#"), "what came before it was handed on")
		})
	}
}

func TestMaxFrame_AFrameOverItClosesWithTooLarge(t *testing.T) {
	line := func(n int) string { return strings.Repeat("x", n-1) + "\n" } // n bytes on the wire
	overBoth(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		for _, tt := range []struct{ maxFrame, effective int }{
			{1, 1}, {2, 2}, {100, 100}, {8191, 8191}, {8192, 8192}, {8193, 8193}, {20_000, 20_000}, {0, 128 << 10}, {3 << 20, 3 << 20},
		} {
			srv := &tcp.Server{MaxFrame: tt.maxFrame}
			e := watch(srv)
			dial := listen(t, srv)
			for _, before := range []int{0, 1, 2} { // short lines that come first
				if before > 0 && tt.effective == 1 {
					continue
				}
				c := dial()
				harness.Write(t, c, strings.Repeat("a\n", before)+line(tt.effective)+"\n")
				for range before {
					require.Equal(t, "a", harness.Next(t, e.messages))
				}
				require.Len(t, harness.Next(t, e.messages), tt.effective-1, "exactly MaxFrame is allowed")
				require.Empty(t, harness.Next(t, e.messages))
				go io.WriteString(c, line(tt.effective+1)) //nolint:errcheck // the server closes the connection before the end
				require.Equal(t, tcp.ReasonTooLarge, harness.Next(t, e.closed), "MaxFrame %d", tt.maxFrame)
				require.ErrorIs(t, harness.Next(t, e.errors), tcp.ErrTooLarge)
				require.Empty(t, e.messages)
			}
		}
	})
}

func TestMaxFrame_AnEndlessFrameEndsAtIt(t *testing.T) {
	srv := &tcp.Server{MaxFrame: 1000}
	e := watch(srv)
	c := harness.ListenTCP(t, srv)()
	for _, err := c.Write([]byte("x")); err == nil && len(e.closed) == 0; {
		_, err = c.Write([]byte("xxxxxxxxxx"))
	}
	require.Equal(t, tcp.ReasonTooLarge, harness.Next(t, e.closed))
}

// skip splits lines, and drops bytes that only keep the connection alive.
func skip(data []byte, atEOF bool) (int, []byte, error) {
	if len(data) > 0 && data[0] == '.' {
		return 1, nil, nil
	}
	return bufio.ScanLines(data, atEOF)
}

func TestSplit_HasTheContractOfScanner(t *testing.T) {
	final := func(data []byte, atEOF bool) (int, []byte, error) {
		if bytes.HasPrefix(data, []byte("stop")) {
			return 0, []byte("stopped"), bufio.ErrFinalToken
		}
		if bytes.HasPrefix(data, []byte("halt")) {
			return 0, nil, bufio.ErrFinalToken
		}
		return bufio.ScanLines(data, atEOF)
	}
	// It returns an empty token at the end, as a split at separators does.
	separated := func(data []byte, atEOF bool) (int, []byte, error) {
		if i := bytes.IndexByte(data, ','); i >= 0 {
			return i + 1, data[:i], nil
		}
		if atEOF {
			return len(data), data[:len(data):len(data)], bufio.ErrFinalToken
		}
		return 0, nil, nil
	}
	for name, split := range map[string]bufio.SplitFunc{
		"lines": bufio.ScanLines, "words": bufio.ScanWords, "bytes": bufio.ScanBytes, "runes": bufio.ScanRunes,
		"frames": tcp.ScanFrames, "final": final, "separated": separated,
	} {
		for _, input := range []string{
			"", "\n", "a", "a\n", "a\r\nb\n\nc", " a  b ", "  ", "é\xffü\xc3", "a,b,,c", "a,b,", ",",
			"go\nstop\nmore\n", "go\nhalt\nmore\n",
			frameOf(t, "") + frameOf(t, "x"), frameOf(t, "xyz")[:6],
		} {
			var want []string
			sc := bufio.NewScanner(strings.NewReader(input))
			sc.Split(split)
			for sc.Scan() {
				want = append(want, sc.Text())
			}
			overBoth(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
				srv := &tcp.Server{Split: split}
				e := watch(srv)
				c := listen(t, srv)()
				for i := range len(input) {
					if _, err := io.WriteString(c, input[i:i+1]); err != nil {
						break // after the final token
					}
				}
				_ = c.Close()
				reason := harness.Next(t, e.closed)
				var got []string
				for len(e.messages) > 0 {
					got = append(got, <-e.messages)
				}
				require.Equal(t, want, got, "%s of %q", name, input)
				if sc.Err() == nil && !strings.Contains(input, "more") { // unread input resets the connection
					require.Equal(t, tcp.ReasonEOF, reason, "%s of %q", name, input)
					require.Empty(t, e.errors)
				}
				if sc.Err() != nil {
					require.Equal(t, tcp.ReasonBadFrame, reason, "%s of %q", name, input)
					require.ErrorContains(t, harness.Next(t, e.errors), sc.Err().Error())
				}
			})
		}
	}
}

func TestSplit_ThatSkipsDoesNotDelayTheFrameBehind(t *testing.T) {
	overBoth(t, func(t *testing.T, listen func(testing.TB, *tcp.Server) func() net.Conn) {
		srv := &tcp.Server{Split: skip}
		e := watch(srv)
		c := listen(t, srv)()
		harness.Write(t, c, "...hello\n.")
		require.Equal(t, "hello", harness.Next(t, e.messages))
		harness.Write(t, c, ".world\n")
		require.Equal(t, "world", harness.Next(t, e.messages))
	})
}

func TestSplit_AtFaultClosesItsSession(t *testing.T) {
	bad := errors.New("bad")
	for name, split := range map[string]bufio.SplitFunc{
		"negative":    func([]byte, bool) (int, []byte, error) { return -1, nil, nil },
		"too far":     func(data []byte, _ bool) (int, []byte, error) { return len(data) + 1, data, nil },
		"no progress": func([]byte, bool) (int, []byte, error) { return 0, []byte{}, nil },
		"an error":    func([]byte, bool) (int, []byte, error) { return 0, nil, bad },
	} {
		t.Run(name, func(t *testing.T) {
			srv := &tcp.Server{Split: split}
			e := watch(srv)
			harness.Write(t, harness.ListenTCP(t, srv)(), "x")
			require.Equal(t, tcp.ReasonBadFrame, harness.Next(t, e.closed))
			err := harness.Next(t, e.errors)
			require.ErrorIs(t, err, tcp.ErrBadFrame)
			require.Equal(t, name == "an error", errors.Is(err, bad))
			want := 0
			if name == "no progress" {
				want = 100
			}
			require.Len(t, e.messages, want)
		})
	}
}

func TestScanFrames_AnEmptyBodyIsATokenThatIsNotNil(t *testing.T) {
	n, token, err := tcp.ScanFrames([]byte("$\x00\x00#$"), false)
	require.NoError(t, err)
	require.Equal(t, 4, n)
	require.NotNil(t, token)
	require.Empty(t, token)
}

func TestAppendFrame_RefusesABodyOver65535Bytes(t *testing.T) {
	dst := []byte("kept")
	got, err := tcp.AppendFrame(dst, make([]byte, 65_536))
	require.ErrorIs(t, err, tcp.ErrBodyTooLarge)
	require.Equal(t, dst, got)
	got, err = tcp.AppendFrame(dst, make([]byte, 65_535))
	require.NoError(t, err)
	require.Equal(t, "kept$\xff\xff#", string(got[:8]))
}

// scanAll reads frames until the end or an error.
func scanAll(r io.Reader) (bodies [][]byte, err error) {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 1<<20)
	sc.Split(tcp.ScanFrames)
	for sc.Scan() {
		bodies = append(bodies, bytes.Clone(sc.Bytes()))
	}
	return bodies, sc.Err()
}

func FuzzScanFrames(f *testing.F) {
	f.Add([]byte("$\x00\x05#hello$\x00\x00#"), []byte("body"))
	f.Add([]byte("$\x9c\x40#"), bytes.Repeat([]byte("$"), 40_000))
	f.Add([]byte("GET /"), []byte{})
	f.Add([]byte("$\x00\x01!"), []byte("#"))
	f.Fuzz(func(t *testing.T, stream, body []byte) {
		whole, wholeErr := scanAll(bytes.NewReader(stream))
		for _, r := range []io.Reader{
			iotest.OneByteReader(bytes.NewReader(stream)),
			iotest.HalfReader(bytes.NewReader(stream)),
			iotest.DataErrReader(bytes.NewReader(stream)),
		} {
			got, err := scanAll(r)
			require.Equal(t, whole, got)
			require.Equal(t, wholeErr == nil, err == nil)
		}
		var again []byte
		for _, b := range whole {
			var err error
			again, err = tcp.AppendFrame(again, b)
			require.NoError(t, err)
		}
		require.True(t, bytes.HasPrefix(stream, again), "a frame has one form")
		if wholeErr == nil {
			require.Len(t, again, len(stream), "no error: all of it was frames")
		}

		frame, err := tcp.AppendFrame([]byte("kept"), body)
		require.Equal(t, len(body) > 65_535, err != nil)
		if err == nil {
			n, token, err := tcp.ScanFrames(append(frame[4:], stream...), false)
			require.NoError(t, err)
			require.Equal(t, len(body)+4, n)
			require.True(t, token != nil && bytes.Equal(body, token))
		}
	})
}
