package frame

import (
	"bytes"
	"fmt"
	"io"
	"math"
)

// limit returns the maximum length of a frame: maximum, or what an int can count if that
// is 0.
func limit(maximum int) int {
	if maximum > 0 {
		return maximum
	}
	return math.MaxInt
}

// incomplete is what Split returns when data, which holds no whole frame, is all there is
// so far. A frame within its limit would be complete if data had reached it.
func incomplete(data []byte, atEOF bool, maximum int) (int, []byte, error) {
	switch {
	case len(data) >= limit(maximum):
		return 0, nil, exceeds(maximum)
	case atEOF && len(data) > 0:
		return 0, nil, io.ErrUnexpectedEOF
	default:
		return 0, nil, nil
	}
}

// exceeds is the error for a frame longer than limit(maximum).
func exceeds(maximum int) error {
	return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit(maximum))
}

// checkMax returns an error if a limit is negative or below the length of the shortest
// frame.
func checkMax(framing string, maximum, shortest int) error {
	switch {
	case maximum < 0:
		return fmt.Errorf("%w: %s.Max is %d: use a positive number, or 0 for no limit", ErrConfig, framing, maximum)
	case shortest > limit(maximum):
		return fmt.Errorf("%w: %s.Max is %d: the shortest frame has %d bytes", ErrConfig, framing, maximum, shortest)
	default:
		return nil
	}
}

// appendEnded appends body and end to dst. The first end from there on must be the one
// that was appended: a body may contain another, or its last bytes may be the beginning of
// one that ends with the first bytes of end.
func appendEnded(dst, body []byte, end string) ([]byte, error) {
	extended := append(append(dst, body...), end...)
	if bytes.Index(extended[len(dst):], []byte(end)) != len(body) {
		return dst, fmt.Errorf("%w, %q", ErrContainsEnd, end)
	}
	return extended, nil
}
