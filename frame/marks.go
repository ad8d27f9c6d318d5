package frame

import (
	"bytes"
	"fmt"
)

// Marks is a framing in which each frame begins with one sequence of bytes and ends with
// another. For example, HL7 messages are sent as
//
//	frame.Marks{Begin: "\x0b", End: "\x1c\r"}
//
// The first End after Begin ends the frame. A body cannot contain End; there is no
// escaping. Begin has no meaning within a frame, so a body may contain it, and Begin and End
// may be equal. The next frame begins directly after End.
type Marks struct {
	// Begin and End are the marks, of one byte or more. There are no defaults: "" is an
	// error.
	Begin, End string

	// Max is the maximum length of a frame on the wire in bytes, including the marks. 0
	// means no limit but the caller's; negative is an error, and so is less than the
	// length of both marks.
	Max int
}

// Split is a [bufio.SplitFunc]. The token is what is between the marks.
//
// If the input does not begin with Begin, Split returns an error that wraps
// [ErrMissingMark], as soon as it has the first wrong byte. If the frame is longer than
// Max, it returns one that wraps [ErrTooLarge], as soon as it has Max bytes without an End.
// If the input ends within a frame, it returns io.ErrUnexpectedEOF.
func (f Marks) Split(data []byte, atEOF bool) (int, []byte, error) {
	if err := f.check(); err != nil {
		return 0, nil, err
	}
	begin := len(f.Begin)
	if k := min(len(data), begin); string(data[:k]) != f.Begin[:k] {
		return 0, nil, fmt.Errorf("%w: no %q at the beginning", ErrMissingMark, f.Begin)
	}
	if len(data) < begin {
		return incomplete(data, atEOF, f.Max)
	}
	i := bytes.Index(data[begin:min(len(data), limit(f.Max))], []byte(f.End))
	if i < 0 {
		return incomplete(data, atEOF, f.Max)
	}
	end := begin + i
	return end + len(f.End), data[begin:end:end], nil
}

// Append appends Begin, body and End to dst and returns the extended slice. The spare
// capacity of dst must not overlap body.
//
// If it returns an error, it returns dst unchanged. The error wraps [ErrContainsEnd] if Split
// would find an End before the one that Append writes, and [ErrTooLarge] if the frame is
// longer than Max.
func (f Marks) Append(dst, body []byte) ([]byte, error) {
	if err := f.check(); err != nil {
		return dst, err
	}
	if len(body) > limit(f.Max)-len(f.Begin)-len(f.End) {
		return dst, exceeds(f.Max)
	}
	extended, err := appendEnded(append(dst, f.Begin...), body, f.End)
	if err != nil {
		return dst, err
	}
	return extended, nil
}

func (f Marks) check() error {
	switch {
	case f.Begin == "":
		return fmt.Errorf("%w: Marks.Begin is empty; Delimiter needs no mark at the beginning", ErrConfig)
	case f.End == "":
		return fmt.Errorf("%w: Marks.End is empty", ErrConfig)
	default:
		return checkMax("Marks", f.Max, len(f.Begin)+len(f.End))
	}
}
