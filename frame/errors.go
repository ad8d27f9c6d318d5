package frame

import (
	"bufio"
	"errors"
)

// Errors of this package, to be matched with errors.Is. Split and Append return errors
// that wrap them. Split also returns io.ErrUnexpectedEOF.
var (
	// ErrTooLarge means that a frame is longer than Max, that no slice could hold it,
	// or that the length field is too small for its length. It also matches
	// bufio.ErrTooLong, which bufio.Scanner returns when a frame exceeds its buffer.
	ErrTooLarge error = tooLarge{}

	ErrBadLength   = errors.New("frame: invalid length")            // no frame of this framing has it
	ErrMissingMark = errors.New("frame: missing mark")              // the input does not begin with Marks.Begin
	ErrContainsEnd = errors.New("frame: the body contains the end") // Append was given a body that Split would cut short
	ErrHeader      = errors.New("frame: unknown header")            // Append cannot know what is before the length field
	ErrConfig      = errors.New("frame: invalid setting")
)

type tooLarge struct{}

func (tooLarge) Error() string { return "frame: frame too large" }

// Is lets a caller match every frame that is too large in one way, whether the
// framing or the buffer set the limit.
func (tooLarge) Is(target error) bool { return target == bufio.ErrTooLong }
