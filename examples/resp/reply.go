package main

import (
	"fmt"
	"strconv"
	"strings"
)

// A reply is nil, an int64, a string, an *entry, a []any, an error, or one of these.
type (
	status  string // a line such as OK
	failure string // an error, in the words that clients know
)

// Error makes a failure an error.
func (f failure) Error() string { return string(f) }

// oneLine keeps what a client sent from ending an error early.
var oneLine = strings.NewReplacer("\r", " ", "\n", " ")

// reply appends v in the second version of the protocol.
func (c *client) reply(v any) {
	switch v := v.(type) {
	case nil:
		c.line('$', "-1")
	case status:
		c.line('+', string(v))
	case error:
		c.line('-', oneLine.Replace(v.Error()))
	case int64:
		c.number(':', v)
	case *entry:
		c.reply(v.value)
	case string:
		c.number('$', int64(len(v)))
		c.out = append(append(c.out, v...), "\r\n"...)
	case []any:
		c.number('*', int64(len(v)))
		for _, each := range v {
			c.reply(each)
		}
	}
}

func (c *client) line(kind byte, s string) {
	c.out = append(append(append(c.out, kind), s...), "\r\n"...)
}

func (c *client) number(kind byte, n int64) {
	c.out = append(strconv.AppendInt(append(c.out, kind), n, 10), "\r\n"...)
}

// unknown is the error for a command that there is not.
func unknown(args [][]byte) failure {
	rest := ""
	for i := 1; i < len(args) && len(rest) < 128; i++ {
		rest += fmt.Sprintf("'%.*s' ", 128-len(rest), args[i])
	}
	return failure(fmt.Sprintf("ERR unknown command '%.128s', with args beginning with: %s", args[0], rest))
}
