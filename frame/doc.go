// Package frame cuts a stream of bytes into frames and makes frames. It has the
// usual framings: a length before the body ([LengthPrefix], [Varint]), a delimiter
// after it ([Delimiter]), marks around it ([Marks]), or one size for all
// ([Fixed]).
//
// Each framing is a small struct with two methods. Split is a [bufio.SplitFunc],
// for bufio.Scanner and for the Split field of a tcp.Server:
//
//	srv := &tcp.Server{Split: frame.Varint{Max: 1 << 20}.Split, MaxFrame: 1 << 20}
//
// Append appends a body to a slice as a frame, and Split gives the same body back, in
// the case of LengthPrefix only if it strips the length and nothing else. Append returns
// an error for a body that Split would refuse or cut short.
//
// # Split
//
// The token is a part of Split's input. It is never nil, even for an empty body,
// and appending to it does not overwrite what follows it in the input. If the input
// ends within a frame, Split returns [io.ErrUnexpectedEOF], even for a last line
// that lacks only its delimiter. After an error it is unknown where the next
// frame begins, so close the connection.
//
// # Limits
//
// A peer may announce any length. Split computes with it without overflow and
// allocates nothing for it. Split asks for more input until the frame is complete, so
// its caller limits how much that is: tcp.Server by MaxFrame, bufio.Scanner by its
// buffer. The field Max is a limit of the framing's own. With it, Split returns
// [ErrTooLarge] as soon as the length has arrived, and the caller's buffer does not
// have to fill up first. Max counts bytes on the wire, with headers, delimiters and
// marks, as tcp.Server.MaxFrame does.
//
// [Delimiter] and [Marks] search all that is pending at each call. For a frame of n
// bytes that arrives byte by byte they look at n*n/2 bytes, so keep their limits low.
// The other framings look at the length alone.
//
// # Settings that cannot work
//
// Split and Append return an error that wraps [ErrConfig] and names the field if the
// framing's settings cannot work. Split(nil, false) returns it too, so a server can
// check its framing when it starts.
//
// The framings hold no state. All methods may be called from several goroutines at
// the same time.
package frame
