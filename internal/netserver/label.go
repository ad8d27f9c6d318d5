package netserver

import (
	"runtime/debug"
	"strings"
	"unicode/utf8"
)

// maxLabel is the maximum length of a label in bytes.
const maxLabel = 256

// Label returns what label, which may be nil, returns for a session, as valid UTF-8
// and cut to maxLabel bytes. If label panics, it calls logPanic and returns "".
func Label[S any](s S, label func(S) string, logPanic func(v any, stack []byte)) (text string) {
	if label == nil {
		return ""
	}
	defer func() {
		if v := recover(); v != nil {
			logPanic(v, debug.Stack())
		}
	}()
	return clipLabel(label(s))
}

func clipLabel(text string) string {
	if len(text) > maxLabel { // before it is copied, since it may be very long
		n := maxLabel
		for n > maxLabel-utf8.UTFMax && !utf8.RuneStart(text[n]) {
			n--
		}
		text = text[:n]
	}
	return strings.ToValidUTF8(text, "?")
}
