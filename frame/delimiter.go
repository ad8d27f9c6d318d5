package frame

import (
	"bytes"
	"fmt"
)

// Delimiter is a framing in which each body is followed by the same bytes, such as a line
// break. A body cannot contain them; there is no escaping.
type Delimiter struct {
	// End is the delimiter, of one byte or more. There is no default: "" is an error.
	End string

	// Max is the maximum length of a frame on the wire in bytes, including the delimiter. 0
	// means no limit but the caller's; negative is an error, and so is less than the
	// length of End.
	Max int
}

// Split is a [bufio.SplitFunc]. The token is what comes before the first End.
//
// If the frame is longer than Max, Split returns an error that wraps [ErrTooLarge], as soon
// as it has Max bytes without an End. If the input ends within a frame, it returns
// io.ErrUnexpectedEOF; bufio.ScanLines accepts a last line without its end.
func (f Delimiter) Split(data []byte, atEOF bool) (int, []byte, error) {
	if err := f.check(); err != nil {
		return 0, nil, err
	}
	i := bytes.Index(data[:min(len(data), limit(f.Max))], []byte(f.End))
	if i < 0 {
		return incomplete(data, atEOF, f.Max)
	}
	return i + len(f.End), data[:i:i], nil
}

// Append appends body and End to dst and returns the extended slice. The spare capacity of
// dst must not overlap body.
//
// If it returns an error, it returns dst unchanged. The error wraps [ErrContainsEnd] if Split
// would find an End before the one that Append writes, and [ErrTooLarge] if the frame is
// longer than Max.
func (f Delimiter) Append(dst, body []byte) ([]byte, error) {
	if err := f.check(); err != nil {
		return dst, err
	}
	if len(body) > limit(f.Max)-len(f.End) {
		return dst, exceeds(f.Max)
	}
	return appendEnded(dst, body, f.End)
}

func (f Delimiter) check() error {
	if f.End == "" {
		return fmt.Errorf("%w: Delimiter.End is empty", ErrConfig)
	}
	return checkMax("Delimiter", f.Max, len(f.End))
}
