package main

import (
	"encoding/binary"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

// frameHeader is the '$', two bytes of length and the '#' that tcp.ScanFrames
// wants before a body.
const frameHeader = 4

// largestFrame is the longest that a frame's length can say.
const largestFrame = frameHeader + 65_535

// scan finds the whole frames that data begins with: n bytes of them. need is
// how many bytes must be there, from n on, before another scan finds more. why
// is the reason to close for what comes after the n bytes, and "" if that may
// become a frame of at most limit bytes.
func scan(data []byte, limit int) (n, need int, why pool.Reason) {
	for {
		rest := data[n:]
		size, body, err := tcp.ScanFrames(rest, false)
		need = frameSize(rest)
		switch {
		case err != nil:
			return n, need, reasonBadFrame
		case need > limit:
			return n, need, reasonTooLarge
		case body == nil:
			return n, need, ""
		}
		n += size
	}
}

// frameSize is the size of the frame that data begins with, header included. As
// long as the header is cut, it is one byte more than there is.
func frameSize(data []byte) int {
	if len(data) < frameHeader {
		return len(data) + 1
	}
	return frameHeader + int(binary.BigEndian.Uint16(data[1:3]))
}
