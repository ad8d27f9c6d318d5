package main

import (
	"bufio"

	"github.com/sessionwheel/sessionwheel/tcp"
)

// protocol is a way to tell messages apart in a stream of bytes.
type protocol struct {
	split  bufio.SplitFunc
	append func(dst, body []byte) ([]byte, error) // appends the message as sent on the wire
}

// protocolOf returns the protocol that --split names: lines or frames.
func protocolOf(name string) protocol {
	if name == "frames" {
		return protocol{split: tcp.ScanFrames, append: tcp.AppendFrame}
	}
	return protocol{split: bufio.ScanLines, append: appendLine}
}

func appendLine(dst, body []byte) ([]byte, error) {
	return append(append(dst, body...), '\n'), nil
}
