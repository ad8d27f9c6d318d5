package frame

import (
	"encoding/binary"
	"fmt"
)

// Varint is a framing with the body's length before it as a base-128 varint, as Protocol
// Buffers use for streams of messages. The zero value works.
type Varint struct {
	// Max is the maximum length of a frame on the wire in bytes, including the length. 0
	// means no limit but the caller's; negative is an error.
	Max int
}

// Split is a [bufio.SplitFunc]. The token is the body.
//
// A length has at most ten bytes and 64 bits; otherwise Split returns an error that wraps
// [ErrBadLength]. As in Protocol Buffers, it may have more bytes than it needs. If the frame
// is longer than Max, Split returns an error that wraps [ErrTooLarge], as soon as it has the
// length. If the input ends within a frame, it returns io.ErrUnexpectedEOF.
func (f Varint) Split(data []byte, atEOF bool) (int, []byte, error) {
	if err := checkMax("Varint", f.Max, 1); err != nil {
		return 0, nil, err
	}
	most := limit(f.Max)
	prefix := data[:min(len(data), most, binary.MaxVarintLen64)]
	length, n := binary.Uvarint(prefix)
	switch {
	case n < 0 || n == 0 && len(prefix) == binary.MaxVarintLen64:
		return 0, nil, fmt.Errorf("%w: a varint of more than 64 bits", ErrBadLength)
	case n == 0:
		return incomplete(data, atEOF, f.Max)
	case length > uint64(most-n):
		return 0, nil, exceeds(f.Max)
	}
	end := n + int(length)
	if len(data) < end {
		return incomplete(data, atEOF, f.Max)
	}
	return end, data[n:end:end], nil
}

// Append appends body to dst as a frame and returns the extended slice. The length has no
// more bytes than it needs. The spare capacity of dst must not overlap body.
//
// If the frame is longer than Max, Append returns dst unchanged and an error that wraps
// [ErrTooLarge].
func (f Varint) Append(dst, body []byte) ([]byte, error) {
	if err := checkMax("Varint", f.Max, 1); err != nil {
		return dst, err
	}
	var prefix [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(prefix[:], uint64(len(body)))
	if len(body) > limit(f.Max)-n {
		return dst, exceeds(f.Max)
	}
	return append(append(dst, prefix[:n]...), body...), nil
}
