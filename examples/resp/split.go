package main

import (
	"bufio"
	"bytes"
	"errors"
	"strconv"
	"strings"
)

const (
	maxInline  = 64 << 10 // bytes of a line that has not ended, as in Redis
	maxBulk    = 1 << 20  // bytes of one argument: proto-max-bulk-len
	maxCommand = 2 << 20  // bytes of one command on the wire: client-query-buffer-limit
	maxArgs    = 1 << 16  // arguments of one command: each read goes over them again
)

// split is the bufio.SplitFunc of the protocol. Input that breaks it is given
// whole, as the last token, for parse to say what is wrong with it.
func split(data []byte, _ bool) (int, []byte, error) {
	var few [8][]byte
	n, args, err := parse(data, few[:0])
	switch {
	case err != nil:
		return 0, data, bufio.ErrFinalToken
	case len(args) == 0: // nothing, an empty line or an empty array
		return n, nil, nil
	}
	return n, data[:n], nil
}

// parse appends the arguments of the first command in data, which they may be
// part of, and returns its size; 0 if it is not whole.
func parse(data []byte, args [][]byte) (int, [][]byte, error) {
	if len(data) > 0 && data[0] != '*' {
		return parseInline(data, args)
	}
	count, pos, err := parseLength(data, "mbulk")
	if pos > 0 && (err != nil || count > maxArgs) {
		return 0, nil, errors.New("invalid multibulk length")
	}
	for ; pos > 0 && count > 0; count-- {
		size, n, err := parseLength(data[pos:], "bulk")
		start := pos + n
		switch {
		case n == 0:
			return 0, nil, err
		case data[pos] != '$':
			return 0, nil, errors.New("expected '$', got '" + string(data[pos:pos+1]) + "'")
		case err != nil || size < 0 || size > maxBulk:
			return 0, nil, errors.New("invalid bulk length")
		case start+int(size)+2 > len(data):
			return 0, nil, nil
		}
		pos = start + int(size) + 2
		args = append(args, data[start:pos-2:pos-2])
	}
	return pos, args, err
}

// parseLength reads a line such as "$12\r\n" and returns its size; 0 if it is
// not whole.
func parseLength(data []byte, what string) (length int64, size int, err error) {
	end := bytes.IndexByte(data, '\r')
	switch {
	case end < 0 && len(data) > maxInline:
		return 0, 0, errors.New("too big " + what + " count string")
	case end < 0 || end+2 > len(data):
		return 0, 0, nil
	}
	length, err = parseInt(data[min(1, end):end])
	return length, end + 2, err
}

// parseInt takes an integer in the one form that Redis takes.
func parseInt(p []byte) (int64, error) {
	n, err := strconv.ParseInt(string(p), 10, 64)
	if err == nil && len(p) > 1 && (p[0] == '+' || p[0] == '0' || p[0] == '-' && p[1] == '0') {
		err = strconv.ErrSyntax
	}
	return n, err
}

// parseInline is parse for a line as people type it: words, and quoted text.
func parseInline(data []byte, args [][]byte) (int, [][]byte, error) {
	end := bytes.IndexByte(data, '\n')
	if end < 0 && len(data) > maxInline {
		return 0, nil, errors.New("too big inline request")
	} else if end < 0 {
		return 0, nil, nil
	}
	const space = " \t\v\f\r"
	for rest := strings.TrimLeft(string(data[:end]), space); rest != ""; {
		var arg string
		closed := true
		switch rest[0] {
		case '"':
			quoted, err := strconv.QuotedPrefix(rest)
			closed = err == nil
			arg, _ = strconv.Unquote(quoted)
			rest = rest[len(quoted):]
		case '\'':
			arg, rest, closed = strings.Cut(rest[1:], "'")
		default:
			word := strings.IndexAny(rest+" ", space)
			arg, rest = rest[:word], rest[word:]
		}
		next := strings.TrimLeft(rest, space)
		if !closed || next != "" && next == rest {
			return 0, nil, errors.New("unbalanced quotes in request")
		}
		args, rest = append(args, []byte(arg)), next
	}
	return end + 1, args, nil
}
