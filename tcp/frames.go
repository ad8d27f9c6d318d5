package tcp

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// frameHeader is the '$', two bytes of length and the '#'.
const frameHeader = 4

// ScanFrames is a [bufio.SplitFunc] for frames of a '$', the body's length as a
// big-endian uint16, a '#', and the body. Its token is the body; an empty body
// gives a token that is empty and not nil.
//
// A wrong marker is an error that wraps [ErrFrameMarker], as soon as its byte
// is there. Input that ends within a frame is io.ErrUnexpectedEOF.
func ScanFrames(data []byte, atEOF bool) (int, []byte, error) {
	if len(data) > 0 && data[0] != '$' {
		return 0, nil, fmt.Errorf("%w: no '$' at the beginning", ErrFrameMarker)
	}
	if len(data) >= frameHeader {
		if data[3] != '#' {
			return 0, nil, fmt.Errorf("%w: no '#' after the length", ErrFrameMarker)
		}
		end := frameHeader + int(binary.BigEndian.Uint16(data[1:3]))
		if len(data) >= end {
			return end, data[frameHeader:end:end], nil
		}
	}
	if atEOF && len(data) > 0 {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return 0, nil, nil
}

// AppendFrame appends body to dst as a frame for [ScanFrames] and returns the
// extended slice. A body over 65,535 bytes is [ErrBodyTooLarge], and dst is
// returned as it was.
func AppendFrame(dst, body []byte) ([]byte, error) {
	if len(body) > math.MaxUint16 {
		return dst, fmt.Errorf("%w: %d bytes", ErrBodyTooLarge, len(body))
	}
	n := uint16(len(body))
	dst = append(dst, '$', byte(n>>8), byte(n), '#')
	return append(dst, body...), nil
}
