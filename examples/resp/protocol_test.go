package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// bulks returns a command as an array of bulk strings, as clients send it.
func bulks(args ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, arg := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(arg), arg)
	}
	return b.String()
}

// conversations end when the server closes the connection. Both servers must reply with
// the same, which is wants unless that is empty.
var conversations = []struct{ name, input, wants string }{
	{"invalid bulk length", "*1\r\n$x\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
	{"negative bulk length", "*1\r\n$-1\r\n", ""},
	{"bulk length with a sign", "*1\r\n$+4\r\nPING\r\n", ""},
	{"bulk over the limit", "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1048577\r\n", ""},
	{"no bulk", "*1\r\nxPING\r\n", "-ERR Protocol error: expected '$', got 'x'\r\n"},
	{"no bulk but a line's end", "*2\r\n\r\n\r\n", ""},
	{"no bulk but a byte", "*1\r\n\xff\r\n", ""},
	{"invalid multibulk length", "*x\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
	{"huge multibulk length", "*2147483648\r\n", ""},
	{"multibulk length of no digits", "*\r\n", ""},
	{"multibulk length with a zero", "*01\r\n$4\r\nPING\r\n", ""},
	{"too big inline request", strings.Repeat("a", maxInline+1), "-ERR Protocol error: too big inline request\r\n"},
	{"too big mbulk count", "*" + strings.Repeat("1", maxInline), "-ERR Protocol error: too big mbulk count string\r\n"},
	{"too big bulk count", "*1\r\n$" + strings.Repeat("1", maxInline), "-ERR Protocol error: too big bulk count string\r\n"},
	{"unbalanced quotes", "SET a \"b\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"},
	{"unbalanced single quotes", "SET a 'b\r\n", ""},
	{"text behind a quote", "SET a \"b\"c\r\n", ""},
	{"replies before the error", "PING\r\n*1\r\n$4\r\nPING\r\n*1\r\n?\r\n", "+PONG\r\n+PONG\r\n-ERR Protocol error: expected '$', got '?'\r\n"},
	{"quit", "QUIT\r\n", "+OK\r\n"},
	{"quit with arguments in a pipeline", "PING\r\nQUIT now\r\nPING\r\n", "+PONG\r\n+OK\r\n"},
	{"kill oneself", bulks("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no"), ":1\r\n"},
	{"empty commands", "\r\n\n*0\r\n*-1\r\n  \r\nPING\n*-10\r\nQUIT\n", "+PONG\r\n+OK\r\n"},
	{"words", "SET  key\tvalue \r\n get key\r\nQUIT\r\n", "+OK\r\n$5\r\nvalue\r\n+OK\r\n"},
	{"quotes", "SET \"a key\" \"\\x41\\n\\\"\\\\ \"\r\nECHO ''\r\nGET 'a key'\r\nQUIT\r\n", "+OK\r\n$0\r\n\r\n$5\r\nA\n\"\\ \r\n+OK\r\n"},
	{"escapes", "ECHO \"\\q\\x4\\xzz\\x7a\\xFF\\t\\0\\'\\\"\\\\\xff\"\r\nECHO '\\n\"'\r\nQUIT\r\n", "$14\r\nqx4xzzz\xff\t0'\"\\\xff\r\n$3\r\n\\n\"\r\n+OK\r\n"},
	{"text in quotes that do not end", "ECHO \"\\\"\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"},
	{"binary", bulks("ECHO", "\x00\r\n\xff") + bulks("QUIT"), "$4\r\n\x00\r\n\xff\r\n+OK\r\n"},
	{"no line's end behind a bulk", "*1\r\n$4\r\nPINGxx*1\r\n$4\r\nQUITxx", "+PONG\r\n+OK\r\n"},
}

func TestProtocol_RepliesAndErrorsAreThoseOfRedis(t *testing.T) {
	t.Parallel()
	theirs, mine := real(t), ours(t)
	for _, tt := range conversations {
		t.Run(tt.name, func(t *testing.T) {
			talk := func(addr string) string {
				c := dial(t, addr)
				c.send(tt.input)
				return c.closed()
			}
			answer := talk(mine)
			require.Equal(t, talk(theirs), answer)
			require.NotEmpty(t, answer)
			if tt.wants != "" {
				require.True(t, strings.HasPrefix(answer, tt.wants), answer)
			}
		})
	}
}

func TestProtocol_LargestValueIsAMebibyte(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, addr string) {
		big := strings.Repeat("v", maxBulk)
		c := dial(t, addr)
		c.send(bulks("SET", "k", big) + bulks("GET", "k"))
		c.want("+OK\r\n$1048576\r\n" + big + "\r\n")
		c.send(fmt.Sprintf("*2\r\n$4\r\nECHO\r\n$%d\r\n", maxBulk+1))
		require.Equal(t, "-ERR Protocol error: invalid bulk length\r\n", c.closed())
	})
}

// The client reads nothing before it has sent all, and the sockets do not take all replies.
func TestProtocol_APipelineOfLargeRepliesIsAnsweredWhole(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, addr string) {
		c := dial(t, addr)
		value := strings.Repeat("v", 1<<20)
		c.send("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1048576\r\n" + value + "\r\n")
		c.want("+OK\r\n")
		c.send(strings.Repeat("GET k\r\n", 50) + "QUIT\r\nGET k\r\n")
		for range 50 {
			c.want("$1048576\r\n" + value + "\r\n")
		}
		require.Equal(t, "+OK\r\n", c.closed())
	})
}

// Redis itself counts each argument separately.
func TestProtocol_CommandOverTwoMebibytesClosesTheConnection(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("k", maxBulk)
	c := dial(t, ours(t))
	_, _ = c.Write([]byte(bulks("DEL", big, big, big))) // fails when the server closes the connection
	require.Empty(t, c.closed())
}

func TestProtocol_CommandWithTooManyArgumentsIsAnError(t *testing.T) {
	t.Parallel()
	addr := ours(t)
	c := dial(t, addr)
	c.send(bulks(append([]string{"EXISTS"}, make([]string, maxArgs-1)...)...))
	c.want(":0\r\n")
	c.send(fmt.Sprintf("*%d\r\n", maxArgs+1))
	require.Equal(t, "-ERR Protocol error: invalid multibulk length\r\n", c.closed())
}

func TestProtocol_CommandMayArriveByteByByte(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, addr string) {
		c := dial(t, addr)
		for _, b := range bulks("SET", "k", "some\r\ntext") + "GET k\r\n" {
			c.send(string(b))
		}
		c.want("+OK\r\n$10\r\nsome\r\ntext\r\n")
	})
}

func FuzzParse(f *testing.F) {
	for _, tt := range conversations {
		f.Add([]byte(tt.input))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		args := 0
		count := func([]byte) { args++ }
		n, err := parse(data, count)
		if n < 0 || n > len(data) || err != nil && n != 0 || args > maxArgs {
			t.Fatalf("%d of %d bytes, %d args, %v", n, len(data), args, err)
		}
		advance, token, failure := split(data, false)
		if (failure != nil) != (err != nil) || failure == nil && (advance != n || token != nil && len(token) != n) {
			t.Fatalf("parse gives %d, %v and split %d, %q, %v", n, err, advance, token, failure)
		}
		for cut := range min(n, 200) { // what is whole is not so before its end
			if m, err := parse(data[:cut], count); m != 0 || err != nil {
				t.Fatalf("%q gives %d, %v before its end", data[:cut], m, err)
			}
		}
	})
}
