package frame

import "fmt"

// Fixed is a framing in which each frame has the same length and nothing but a body.
type Fixed struct {
	// Size is the length of a frame in bytes. It must be positive: there is no default, and
	// 0 is an error.
	Size int
}

// Split is a [bufio.SplitFunc]. The token is the frame. If the input ends within a frame,
// Split returns io.ErrUnexpectedEOF.
func (f Fixed) Split(data []byte, atEOF bool) (int, []byte, error) {
	if err := f.check(); err != nil {
		return 0, nil, err
	}
	if len(data) < f.Size {
		return incomplete(data, atEOF, f.Size)
	}
	return f.Size, data[:f.Size:f.Size], nil
}

// Append appends body to dst and returns the extended slice. If body does not have Size
// bytes, it returns dst unchanged and an error that wraps [ErrBadLength]. The spare
// capacity of dst must not overlap body.
func (f Fixed) Append(dst, body []byte) ([]byte, error) {
	if err := f.check(); err != nil {
		return dst, err
	}
	if len(body) != f.Size {
		return dst, fmt.Errorf("%w: the body has %d bytes, and Fixed.Size is %d", ErrBadLength, len(body), f.Size)
	}
	return append(dst, body...), nil
}

func (f Fixed) check() error {
	if f.Size < 1 {
		return fmt.Errorf("%w: Fixed.Size is %d: use a positive number of bytes", ErrConfig, f.Size)
	}
	return nil
}
