package tcp

import (
	"bufio"
	"errors"
	"fmt"
)

// maxEmpties is how many tokens in a row Split may give without advancing, as
// in bufio.Scanner.
const maxEmpties = 100

// next cuts the next frame off the buffer. It returns a token, which is not
// nil; or what ends the session; or neither, if there is no whole frame yet.
func (s *Session) next() ([]byte, *fault) {
	b := s.buf
	if b == nil {
		if !s.ended {
			return nil, nil
		}
		b = &buffer{data: []byte{}} // a token cut from it is empty and not nil
	}
	for !s.final && (!b.empty() || s.ended) {
		advance, token, err := s.split()(b.data[b.start:b.end], s.ended)
		if err != nil {
			if !errors.Is(err, bufio.ErrFinalToken) {
				return nil, badFrame(err)
			}
			s.final = true
			b.start = b.end
			if token == nil {
				break
			}
			return token, nil
		}
		if advance < 0 || advance > b.end-b.start {
			return nil, badFrame(errAdvance)
		}
		if advance > s.maxFrame() {
			return nil, s.tooLarge()
		}
		b.start += advance
		if token == nil && advance > 0 {
			s.disarmFrame() // what was skipped is over, and what follows has its own time
			continue
		}
		if token == nil {
			break
		}
		if advance > 0 {
			s.empties = 0
		} else if s.empties++; s.empties > maxEmpties {
			return nil, badFrame(errNoProgress)
		}
		return token, nil
	}
	switch {
	case s.ended || s.final:
		return nil, eof
	case b.end-b.start >= s.maxFrame():
		return nil, s.tooLarge()
	default:
		return nil, nil
	}
}

// badFrame is the end of a session whose Split has failed. bufio's own error for what is too
// long, which errors of Split may wrap, makes it one of a frame that is too large.
func badFrame(err error) *fault {
	if errors.Is(err, bufio.ErrTooLong) {
		return &fault{ReasonTooLarge, fmt.Errorf("%w: %w", ErrTooLarge, err)}
	}
	return &fault{ReasonBadFrame, fmt.Errorf("%w: %w", ErrBadFrame, err)}
}

func (s *Session) tooLarge() *fault {
	return &fault{ReasonTooLarge, fmt.Errorf("%w: more than MaxFrame, %d bytes", ErrTooLarge, s.maxFrame())}
}
