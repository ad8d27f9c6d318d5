package tcp

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// frameHeader is the '$', two bytes of length and the '#'.
const frameHeader = 4

// ScanFrames is a [bufio.SplitFunc] for frames that consist of a '$', the length of the body
// as a big-endian uint16, a '#', and the body. The token is the body; for an empty body it
// is empty and not nil.
//
// If a marker is wrong, ScanFrames returns an error that wraps [ErrFrameMarker] as soon as
// it has the marker's byte. If the input ends within a frame, it returns
// io.ErrUnexpectedEOF.
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

// AppendFrame appends body to dst as a frame for [ScanFrames] and returns the extended
// slice. If the body is longer than 65,535 bytes, it returns dst unchanged and an error that
// wraps [ErrBodyTooLarge].
func AppendFrame(dst, body []byte) ([]byte, error) {
	if len(body) > math.MaxUint16 {
		return dst, fmt.Errorf("%w: %d bytes", ErrBodyTooLarge, len(body))
	}
	n := uint16(len(body))
	dst = append(dst, '$', byte(n>>8), byte(n), '#')
	return append(dst, body...), nil
}
