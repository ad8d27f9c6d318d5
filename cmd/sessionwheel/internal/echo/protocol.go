// Package echo has the echo protocol of serve, demo and load: its messages, and a
// client.
package echo

import (
	"bufio"

	"github.com/sessionwheel/sessionwheel/tcp"
)

// Protocol is a way to tell messages apart in a stream of bytes.
type Protocol struct {
	Split  bufio.SplitFunc
	Append func(dst, body []byte) ([]byte, error) // appends the message as sent on the wire

	// AppendOne is Append for a body that may have line breaks: it stays one
	// message.
	AppendOne func(dst, body []byte) ([]byte, error)
}

// Lines is the protocol of the demo: messages ended by a newline.
var Lines = Protocol{Split: bufio.ScanLines, Append: appendLine, AppendOne: appendOneLine}

// ProtocolOf returns the protocol that --split names: lines or frames.
func ProtocolOf(name string) Protocol {
	if name == "frames" {
		return Protocol{Split: tcp.ScanFrames, Append: tcp.AppendFrame, AppendOne: tcp.AppendFrame}
	}
	return Lines
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
