package frame_test

import (
	"bufio"
	"bytes"
	"io"
	"testing"

	"github.com/sessionwheel/sessionwheel/test/internal/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// framing is what all framings have.
type framing interface {
	Split(data []byte, atEOF bool) (int, []byte, error)
	Append(dst, body []byte) ([]byte, error)
}

// scan returns the tokens of a stream until its end or an error.
func scan(split bufio.SplitFunc, r io.Reader) (tokens []string, err error) {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 1<<26)
	sc.Split(split)
	for sc.Scan() {
		if sc.Bytes() == nil {
			panic("a token is nil")
		}
		tokens = append(tokens, sc.Text())
	}
	return tokens, sc.Err()
}

// chunks reads data in pieces of the given sizes, over and over again.
type chunks struct {
	data  []byte
	sizes []byte
	next  int
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.data) == 0 {
		return 0, io.EOF
	}
	n := 1
	if len(c.sizes) > 0 {
		n = 1 + int(c.sizes[c.next%len(c.sizes)])
		c.next++
	}
	n = copy(p, c.data[:min(n, len(c.data))])
	c.data = c.data[n:]
	return n, nil
}

func repeated(n int) []byte { return bytes.Repeat([]byte("x"), n) }
