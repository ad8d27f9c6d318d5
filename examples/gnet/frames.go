package main

import (
	"encoding/binary"

	"github.com/sessionwheel/sessionwheel/pool"
	"github.com/sessionwheel/sessionwheel/tcp"
)

// frameHeader is the length of a frame's header for tcp.ScanFrames: '$', two bytes of
// length, and '#'.
const frameHeader = 4

// largestFrame is the maximum size of a frame, given its two bytes of length.
const largestFrame = frameHeader + 65_535

// scan returns the length n of the whole frames at the beginning of data, and how many
// bytes must follow them before another scan finds more. If the bytes after n cannot
// become a frame of at most limit bytes, why is the reason to close the session;
// otherwise it is "".
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

// frameSize returns the size of the first frame in data, including its header. If the
// header is incomplete, it returns one byte more than there is.
func frameSize(data []byte) int {
	if len(data) < frameHeader {
		return len(data) + 1
	}
	return frameHeader + int(binary.BigEndian.Uint16(data[1:3]))
}
