package proxyproto

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	pp "github.com/pires/go-proxyproto"
)

// MaxHeader is the maximum length of a header in bytes, including what follows its
// addresses. A longer header is refused as soon as its length is known.
const MaxHeader = 4096

const (
	minHeader = 15 // the length of "PROXY UNKNOWN\r\n", the shortest header
	maxV1     = 107
	prefixV1  = "PROXY "

	fixedV2     = 16 // the length of the fixed part of a version 2 header
	lenOffsetV2 = 14 // where the fixed part has the length of the rest
)

// header is what a header says of its connection.
type header struct {
	remote, local net.Addr   // nil: the connection keeps its own
	fields        *pp.Header // for its type-length-value fields; nil: it has none
}

// readHeader reads one header from r, usually in one call of Read, and in two if it has
// more than 107 bytes. It also returns what it has read beyond the header, which is less
// than 107 bytes. Its errors contain no data from the peer.
func readHeader(r io.Reader) (h header, rest []byte, err error) {
	p, rest, err := readBytes(r)
	if err != nil {
		return header{}, nil, err
	}
	// The library needs all of a version 1 header in the reader's buffer.
	parsed, err := pp.Read(bufio.NewReaderSize(bytes.NewReader(p), len(p)))
	switch {
	case err != nil && isLocalV2(p): // its family and addresses are ignored
		return header{}, rest, nil
	case err != nil:
		return header{}, nil, fmt.Errorf("%w: %w", ErrHeader, sentinelOf(err))
	}
	if tlvs, err := parsed.TLVs(); len(tlvs) > 0 || err != nil { // an error is for Conn.TLVs
		h.fields = parsed
	}
	if parsed.Command.IsLocal() {
		return h, rest, nil
	}
	switch parsed.SourceAddr.(type) {
	case *net.TCPAddr:
		h.remote, h.local = parsed.SourceAddr, parsed.DestinationAddr
		return h, rest, nil
	case *net.UnixAddr:
		return h, rest, nil
	default: // datagram addresses, or none
		return header{}, nil, fmt.Errorf("%w: %w", ErrHeader, pp.ErrUnsupportedAddressFamilyAndProtocol)
	}
}

// readBytes reads the bytes of one header without parsing its addresses, and returns
// what it has read beyond them.
func readBytes(r io.Reader) (p, rest []byte, err error) {
	p, err = appendAtLeast(r, make([]byte, 0, maxV1), minHeader)
	switch {
	case len(p) == 0 && (err == io.EOF || isReset(err)): //nolint:errorlint // io.ReadAtLeast does not wrap it
		return nil, nil, errNoData
	case err != nil:
	case bytes.HasPrefix(p, []byte(prefixV1)):
		p, rest, err = readRestV1(r, p)
	case bytes.HasPrefix(p, pp.SIGV2):
		p, rest, err = readRestV2(r, p)
	default:
		return nil, nil, fmt.Errorf("%w: %w", ErrHeader, pp.ErrNoProxyProtocol)
	}
	if err == io.EOF { //nolint:errorlint // as above
		err = io.ErrUnexpectedEOF
	}
	return p, rest, err
}

// readRestV1 appends the rest of a version 1 header to p, which has room for the
// longest, up to the end of its line.
func readRestV1(r io.Reader, p []byte) (_, rest []byte, err error) {
	for {
		if end := bytes.IndexByte(p, '\n') + 1; end > 0 {
			return p[:end], p[end:], nil
		}
		if len(p) == maxV1 {
			return nil, nil, fmt.Errorf("%w: version 1 has at most %d bytes", ErrTooLong, maxV1)
		}
		if p, err = appendAtLeast(r, p, 1); err != nil {
			return nil, nil, err
		}
	}
}

// readRestV2 appends the rest of a version 2 header to p.
func readRestV2(r io.Reader, p []byte) (_, rest []byte, err error) {
	if p, err = appendAtLeast(r, p, fixedV2-len(p)); err != nil {
		return nil, nil, err
	}
	n := fixedV2 + int(binary.BigEndian.Uint16(p[lenOffsetV2:]))
	switch {
	case n > MaxHeader:
		return nil, nil, ErrTooLong
	case n <= len(p):
		return p[:n], p[n:], nil
	case n > cap(p):
		p = append(make([]byte, 0, n), p...)
	}
	if p, err = appendAtLeast(r, p, n-len(p)); err != nil {
		return nil, nil, err
	}
	return p[:n], p[n:], nil
}

// isLocalV2 reports whether a header of version 2 has the command LOCAL, with which a proxy
// connects on its own behalf, for example for a health check.
func isLocalV2(p []byte) bool {
	return bytes.HasPrefix(p, pp.SIGV2) && pp.ProtocolVersionAndCommand(p[len(pp.SIGV2)]).IsLocal()
}

// appendAtLeast appends n bytes of r to p, and more if they are there and p has room.
func appendAtLeast(r io.Reader, p []byte, n int) ([]byte, error) {
	if n <= 0 {
		return p, nil
	}
	n, err := io.ReadAtLeast(r, p[len(p):cap(p)], n)
	return p[:len(p)+n], err
}

// wsaEConnReset is what Windows returns for ECONNRESET, and no error number of
// another system.
const wsaEConnReset = syscall.Errno(10054)

// isReset reports whether a read failed because the peer has reset the connection.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, wsaEConnReset)
}

// sentinelOf returns the library's sentinel without the details, which quote the
// peer.
func sentinelOf(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // only the outermost error
		return joined.Unwrap()[0]
	}
	return err
}
