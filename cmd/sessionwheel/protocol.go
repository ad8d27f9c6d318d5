package main

import (
	"bufio"

	"github.com/sessionwheel/sessionwheel/tcp"
)

// protocol is a way to tell messages apart in a stream of bytes.
type protocol struct {
	split  bufio.SplitFunc
	append func(dst, body []byte) ([]byte, error) // appends the message as sent on the wire

	appendOne func(dst, body []byte) ([]byte, error) // append for what may have line breaks: it stays one message
}

// protocolOf returns the protocol that --split names: lines or frames.
func protocolOf(name string) protocol {
	if name == "frames" {
		return protocol{split: tcp.ScanFrames, append: tcp.AppendFrame, appendOne: tcp.AppendFrame}
	}
	return protocol{split: bufio.ScanLines, append: appendLine, appendOne: appendOneLine}
}

func appendLine(dst, body []byte) ([]byte, error) {
	return append(append(dst, body...), '\n'), nil
}

func appendOneLine(dst, body []byte) ([]byte, error) {
	begin := len(dst)
	dst = append(dst, body...)
	for i, b := range dst[begin:] {
		if b == '\n' || b == '\r' {
			dst[begin+i] = ' '
		}
	}
	return append(dst, '\n'), nil
}
