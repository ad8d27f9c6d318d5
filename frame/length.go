package frame

import (
	"encoding/binary"
	"fmt"
)

// LengthPrefix is a framing with a length field of a fixed size. Its fields mean what the
// parameters of Netty's LengthFieldBasedFrameDecoder mean. The most common framing of this
// kind, a length of four bytes and the body, is
//
//	frame.LengthPrefix{Size: 4, Strip: 4}
//
// A frame consists of Offset bytes of a header, the length field, and the rest, which has
// as many bytes as the field says, plus Adjust.
type LengthPrefix struct {
	// Size is the size of the length field in bytes, from 1 to 8. The field is unsigned.
	// There is no default: 0 is an error.
	Size int

	// LittleEndian says that the field's first byte is the lowest. The zero value is
	// big-endian.
	LittleEndian bool

	// Offset is the number of bytes before the length field. 0 means that a frame begins
	// with it; negative is an error.
	Offset int

	// Adjust is added to the value of the length field to get the number of bytes after
	// the field. It is positive if there is a second header after the field that the
	// length does not count. It is negative if the length counts the field itself or what
	// is before it. 0 means that the length counts what is after the field.
	Adjust int

	// Strip is the number of bytes that Split drops from the beginning of a frame. 0 means
	// that the token is the whole frame, including the length field; Offset+Size leaves
	// what is after the field; negative is an error.
	Strip int

	// Max is the maximum length of a frame on the wire in bytes, including headers. 0 means
	// no limit but the caller's; negative is an error, and so is less than Offset+Size.
	Max int
}

// Split is a [bufio.SplitFunc]. The token is the frame without its first Strip bytes.
//
// It returns an error that wraps [ErrBadLength] if the length is less than a negative
// Adjust requires, or the frame is shorter than Strip, and one that wraps [ErrTooLarge] if
// the frame is longer than Max. It does so as soon as it has the length field. If the input
// ends within a frame, it returns io.ErrUnexpectedEOF.
func (f LengthPrefix) Split(data []byte, atEOF bool) (int, []byte, error) {
	if err := f.check(); err != nil {
		return 0, nil, err
	}
	header := f.Offset + f.Size
	if len(data) < header {
		return incomplete(data, atEOF, f.Max)
	}
	end, err := f.frameLen(f.decode(data[f.Offset:header]))
	if err != nil {
		return 0, nil, err
	}
	if len(data) < end {
		return incomplete(data, atEOF, f.Max)
	}
	return end, data[f.Strip:end:end], nil
}

// Append appends a frame to dst and returns the extended slice. The frame consists of the
// length field and body, which is all that follows the field: it begins with the second
// header, if the framing has one. Split gives body back if Strip is Size. The spare capacity
// of dst must not overlap body.
//
// If it returns an error, it returns dst unchanged. The error wraps [ErrHeader] if Offset
// is positive, since Append cannot know the bytes before the field; [ErrTooLarge] if the
// field is too small for the length or the frame is longer than Max; and [ErrBadLength]
// if body has fewer bytes than Adjust or the frame is shorter than Strip.
func (f LengthPrefix) Append(dst, body []byte) ([]byte, error) {
	if err := f.check(); err != nil {
		return dst, err
	}
	if f.Offset > 0 {
		return dst, fmt.Errorf("%w: LengthPrefix.Offset is %d", ErrHeader, f.Offset)
	}
	if len(body) < f.Adjust {
		return dst, fmt.Errorf("%w: the body has %d bytes, fewer than LengthPrefix.Adjust, %d", ErrBadLength, len(body), f.Adjust)
	}
	// With a negative Adjust this is more than len(body), but less than 1<<64.
	length := uint64(len(body)) - uint64(f.Adjust)
	if length>>(8*f.Size) != 0 {
		return dst, fmt.Errorf("%w: the length %d does not fit in %d bytes", ErrTooLarge, length, f.Size)
	}
	if _, err := f.frameLen(length); err != nil {
		return dst, err
	}
	return append(f.encode(dst, length), body...), nil
}

func (f LengthPrefix) check() error {
	switch {
	case f.Size < 1 || f.Size > 8:
		return fmt.Errorf("%w: LengthPrefix.Size is %d: use 1 to 8", ErrConfig, f.Size)
	case f.Offset < 0 || f.Offset > limit(0)-f.Size:
		return fmt.Errorf("%w: LengthPrefix.Offset is %d: use 0, or a positive number of bytes", ErrConfig, f.Offset)
	case f.Strip < 0:
		return fmt.Errorf("%w: LengthPrefix.Strip is %d: use 0, or a positive number of bytes", ErrConfig, f.Strip)
	default:
		return checkMax("LengthPrefix", f.Max, f.Offset+f.Size)
	}
}

// frameLen returns the length of a whole frame with the given value in its length field. It
// is within the limit, and not less than Offset+Size and Strip.
func (f LengthPrefix) frameLen(length uint64) (int, error) {
	rest := length + uint64(f.Adjust) // of a negative Adjust, this subtracts the amount
	switch {
	case f.Adjust < 0 && rest > length:
		return 0, fmt.Errorf("%w: the length is %d, and LengthPrefix.Adjust is %d", ErrBadLength, length, f.Adjust)
	case f.Adjust > 0 && rest < length:
		return 0, exceeds(f.Max)
	}
	header := f.Offset + f.Size
	if rest > uint64(limit(f.Max)-header) {
		return 0, exceeds(f.Max)
	}
	n := header + int(rest)
	if n < f.Strip {
		return 0, fmt.Errorf("%w: the frame has %d bytes, fewer than LengthPrefix.Strip, %d", ErrBadLength, n, f.Strip)
	}
	return n, nil
}

func (f LengthPrefix) decode(field []byte) uint64 {
	var b [8]byte
	if f.LittleEndian {
		copy(b[:], field)
		return binary.LittleEndian.Uint64(b[:])
	}
	copy(b[8-f.Size:], field)
	return binary.BigEndian.Uint64(b[:])
}

func (f LengthPrefix) encode(dst []byte, length uint64) []byte {
	var b [8]byte
	if f.LittleEndian {
		binary.LittleEndian.PutUint64(b[:], length)
		return append(dst, b[:f.Size]...)
	}
	binary.BigEndian.PutUint64(b[:], length)
	return append(dst, b[8-f.Size:]...)
}
