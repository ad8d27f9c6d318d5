package frame

import (
	"cmp"
	"encoding/binary"
	"fmt"
)

// Varint is a framing with the body's length before it as a base-128 varint, as Protocol
// Buffers use for streams of messages. The zero value works. The framing of MQTT, which has
// one byte before a length of at most four, is
//
//	frame.Varint{Offset: 1, Size: 4}
type Varint struct {
	// Offset is the number of bytes before the length, which does not count them. 0 means
	// that a frame begins with the length; negative is an error.
	Offset int

	// Size is the maximum size of the length in bytes, from 1 to 10. 0 means 10; anything
	// else is an error.
	Size int

	// Max is the maximum length of a frame on the wire in bytes, including the length and
	// what is before it. 0 means no limit but the caller's; negative is an error, and so is
	// less than Offset+1.
	Max int
}

// Split is a [bufio.SplitFunc]. The token is the body. If Offset is positive, it is the whole
// frame, since the bytes before the length belong to the message.
//
// If the length has more than Size bytes or 64 bits, Split returns an error that wraps
// [ErrBadLength]. As in Protocol Buffers, it may have more bytes than it needs. If the frame
// is longer than Max, Split returns an error that wraps [ErrTooLarge], as soon as it has the
// length. If the input ends within a frame, it returns io.ErrUnexpectedEOF.
func (f Varint) Split(data []byte, atEOF bool) (int, []byte, error) {
	if err := f.check(); err != nil {
		return 0, nil, err
	}
	most := limit(f.Max) - f.Offset
	prefix := data[min(len(data), f.Offset):]
	prefix = prefix[:min(len(prefix), most, f.size())]
	length, n := binary.Uvarint(prefix)
	switch {
	case n < 0 || n == 0 && len(prefix) == f.size():
		return 0, nil, fmt.Errorf("%w: a varint of more than %d bytes or 64 bits", ErrBadLength, f.size())
	case n == 0:
		return incomplete(data, atEOF, f.Max)
	case length > uint64(most-n):
		return 0, nil, exceeds(f.Max)
	}
	end := f.Offset + n + int(length)
	if len(data) < end {
		return incomplete(data, atEOF, f.Max)
	}
	if f.Offset > 0 {
		return end, data[:end:end], nil
	}
	return end, data[n:end:end], nil
}

// Append appends body to dst as a frame and returns the extended slice. The length has no
// more bytes than it needs. The spare capacity of dst must not overlap body.
//
// If it returns an error, it returns dst unchanged. The error wraps [ErrHeader] if Offset is
// positive, since Append cannot know the bytes before the length, and [ErrTooLarge] if the
// length has more than Size bytes or the frame is longer than Max.
func (f Varint) Append(dst, body []byte) ([]byte, error) {
	if err := f.check(); err != nil {
		return dst, err
	}
	if f.Offset > 0 {
		return dst, fmt.Errorf("%w: Varint.Offset is %d", ErrHeader, f.Offset)
	}
	var prefix [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(prefix[:], uint64(len(body)))
	if n > f.size() {
		return dst, fmt.Errorf("%w: the length %d does not fit in %d bytes", ErrTooLarge, len(body), f.size())
	}
	if len(body) > limit(f.Max)-n {
		return dst, exceeds(f.Max)
	}
	return append(append(dst, prefix[:n]...), body...), nil
}

func (f Varint) size() int { return cmp.Or(f.Size, binary.MaxVarintLen64) }

func (f Varint) check() error {
	switch {
	case f.Offset < 0 || f.Offset >= limit(0):
		return fmt.Errorf("%w: Varint.Offset is %d: use 0, or a positive number of bytes", ErrConfig, f.Offset)
	case f.Size < 0 || f.Size > binary.MaxVarintLen64:
		return fmt.Errorf("%w: Varint.Size is %d: use 1 to 10, or 0 for 10", ErrConfig, f.Size)
	default:
		return checkMax("Varint", f.Max, f.Offset+1)
	}
}
