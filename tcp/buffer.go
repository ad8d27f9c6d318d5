package tcp

import "sync"

const (
	minBuffer = 8 << 10
	classes   = 9 // the largest that is kept for reuse has 2 MiB
)

// buffer is what was read and not handed on yet: data[start:end].
type buffer struct {
	data       []byte
	start, end int
	class      uint8
}

// buffers holds free buffers of minBuffer << class bytes, for all servers.
var buffers [classes]sync.Pool

// takeBuffer returns an empty buffer of the given class.
func takeBuffer(class uint8) *buffer {
	if b, ok := buffers[class].Get().(*buffer); ok {
		return b
	}
	return &buffer{data: make([]byte, minBuffer<<class), class: class}
}

// giveBack lets others have b, whose content nobody may look at any more.
func (b *buffer) giveBack() {
	if int(b.class) < classes {
		b.start, b.end = 0, 0
		buffers[b.class].Put(b)
	}
}

func (b *buffer) empty() bool { return b.start == b.end }

// room makes room to read into and returns the buffer to go on with, which is
// another one if b is full. No buffer gets larger than limit asks for; the
// caller has made sure that less than limit is pending.
func (b *buffer) room(limit int) *buffer {
	switch {
	case b.empty():
		b.start, b.end = 0, 0
		return b
	case b.start > len(b.data)/2, b.start > 0 && b.end == len(b.data):
		b.end = copy(b.data, b.data[b.start:b.end])
		b.start = 0
		return b
	case b.end < len(b.data):
		return b
	}
	var next *buffer
	if b.class+1 < classes {
		next = takeBuffer(b.class + 1)
	} else {
		next = &buffer{data: make([]byte, min(2*len(b.data), limit)), class: classes}
	}
	next.end = copy(next.data, b.data[b.start:b.end])
	b.giveBack()
	return next
}

// giveBack returns the session's buffer.
func (s *Session) giveBack() {
	if b := s.buf; b != nil {
		s.buf = nil
		b.giveBack()
	}
}
