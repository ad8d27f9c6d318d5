package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

const (
	maxInline  = 64 << 10  // bytes of a line without an end, as in Redis
	maxBulk    = 1 << 20   // bytes of one argument: proto-max-bulk-len
	maxCommand = 2 << 20   // bytes of one command on the wire: client-query-buffer-limit
	maxArgs    = 1 << 16   // arguments of one command: each read parses them again
	maxTimeout = 1<<31 - 1 // seconds
)

// split is the bufio.SplitFunc of the protocol. Invalid input becomes the last token,
// so that parse can report what is wrong with it.
func split(data []byte, _ bool) (int, []byte, error) {
	empty := true // a line or an array without arguments
	n, err := parse(data, func([]byte) { empty = false })
	switch {
	case err != nil:
		return 0, data, bufio.ErrFinalToken
	case n == 0 || empty:
		return n, nil, nil
	}
	return n, data[:n], nil
}

// parse calls arg with each argument of the first command in data and returns the size
// of the command, or 0 if it is incomplete.
func parse(data []byte, arg func([]byte)) (int, error) {
	if len(data) > 0 && data[0] != '*' {
		return parseInline(data, arg)
	}
	count, pos, err := parseLength(data, "mbulk")
	if pos > 0 && (err != nil || count > maxArgs) {
		return 0, errors.New("invalid multibulk length")
	}
	for ; pos > 0 && count > 0; count-- {
		length, n, err := parseLength(data[pos:], "bulk")
		start, end := pos+n, pos+n+int(length)
		switch {
		case n == 0:
			return 0, err
		case data[pos] != '$':
			return 0, fmt.Errorf("expected '$', got '%s'", data[pos:pos+1])
		case err != nil || length < 0 || length > maxBulk:
			return 0, errors.New("invalid bulk length")
		case end+2 > len(data):
			return 0, nil
		}
		arg(data[start:end])
		pos = end + 2
	}
	return pos, err
}

// parseLength parses a line such as "$12\r\n" and returns the length and the size of the
// line, which is 0 if it is incomplete.
func parseLength(data []byte, what string) (length int64, size int, err error) {
	end := bytes.IndexByte(data, '\r')
	switch {
	case end < 0 && len(data) > maxInline:
		return 0, 0, fmt.Errorf("too big %s count string", what)
	case end < 0 || end+2 > len(data):
		return 0, 0, nil
	}
	length, err = parseInt(string(data[min(1, end):end]))
	return length, end + 2, err
}

// parseInt parses an integer in the only form that Redis accepts.
func parseInt(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err == nil && strconv.FormatInt(n, 10) != s {
		err = strconv.ErrSyntax
	}
	return n, err
}

// word matches an argument of an inline command: "quoted", 'quoted' or plain. escape
// matches an escape sequence in the first form.
var (
	word   = regexp.MustCompile(`^(?:"((?:\\.|[^"\\])*)"|'([^']*)'|([^"'\s\v][^\s\v]*))(?:[\s\v]+|$)`)
	escape = regexp.MustCompile(`\\(?:x[0-9a-fA-F]{2}|.)`)
)

// unescape returns the text that an escape sequence stands for.
func unescape(s string) string {
	if text, err := strconv.Unquote(`"` + s + `"`); err == nil {
		return text
	}
	return s[1:] // the character stands for itself
}

// parseInline is parse for an inline command, which is a line of words.
func parseInline(data []byte, arg func([]byte)) (int, error) {
	end := bytes.IndexByte(data, '\n')
	if end < 0 && len(data) > maxInline {
		return 0, errors.New("too big inline request")
	}
	for rest := strings.TrimLeft(string(data[:max(end, 0)]), " \t\v\f\r"); rest != ""; {
		found := word.FindStringSubmatch(rest)
		if found == nil {
			return 0, errors.New("unbalanced quotes in request")
		}
		arg([]byte(escape.ReplaceAllStringFunc(found[1], unescape) + found[2] + found[3]))
		rest = rest[len(found[0]):]
	}
	return end + 1, nil
}

// Replies, encoded.
var (
	ok         = []byte("+OK\r\n")
	null       = []byte("$-1\r\n")
	errSyntax  = []byte("-ERR syntax error\r\n")
	errInteger = []byte("-ERR value is not an integer or out of range\r\n")
)

func integer(n int64) []byte { return []byte(":" + strconv.FormatInt(n, 10) + "\r\n") }

func bulk(s string) []byte { return []byte("$" + strconv.Itoa(len(s)) + "\r\n" + s + "\r\n") }

func array(texts []string) []byte {
	all := []byte("*" + strconv.Itoa(len(texts)) + "\r\n")
	for _, text := range texts {
		all = append(all, bulk(text)...)
	}
	return all
}

// oneLine removes line breaks, which would end an error reply.
var oneLine = strings.NewReplacer("\r", " ", "\n", " ")

func failure(format string, args ...any) []byte {
	return []byte("-" + oneLine.Replace(fmt.Sprintf(format, args...)) + "\r\n")
}
