package proxyproto

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
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

// readHeader reads one header from r, and no byte beyond a well-formed one. It
// returns nil addresses if the connection keeps its own. Its errors contain no data
// from the peer.
func readHeader(r io.Reader) (remote, local net.Addr, err error) {
	p, err := readBytes(r)
	if err != nil {
		return nil, nil, err
	}
	// The library needs all of a version 1 header in the reader's buffer.
	h, err := pp.Read(bufio.NewReaderSize(bytes.NewReader(p), len(p)))
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrHeader, sentinelOf(err))
	}
	if h.Command.IsLocal() {
		return nil, nil, nil
	}
	switch h.SourceAddr.(type) {
	case *net.TCPAddr:
		return h.SourceAddr, h.DestinationAddr, nil
	case *net.UnixAddr:
		return nil, nil, nil
	default: // datagram addresses, or none
		return nil, nil, fmt.Errorf("%w: %w", ErrHeader, pp.ErrUnsupportedAddressFamilyAndProtocol)
	}
}

// readBytes reads the bytes of one header without parsing its addresses.
func readBytes(r io.Reader) ([]byte, error) {
	p, err := appendN(r, make([]byte, 0, maxV1), minHeader)
	switch {
	case len(p) == 0 && (err == io.EOF || isReset(err)): //nolint:errorlint // io.ReadFull does not wrap it
		return nil, errNoData
	case err != nil:
	case bytes.HasPrefix(p, []byte(prefixV1)):
		p, err = readRestV1(r, p)
	case bytes.HasPrefix(p, pp.SIGV2):
		p, err = readRestV2(r, p)
	default:
		return nil, fmt.Errorf("%w: %w", ErrHeader, pp.ErrNoProxyProtocol)
	}
	if err == io.EOF { //nolint:errorlint // as above
		err = io.ErrUnexpectedEOF
	}
	return p, err
}

// readRestV1 appends the rest of a version 1 header to p, up to the end of its line.
// It reads two bytes at a time until it has the CR, so that it never reads beyond
// the LF.
func readRestV1(r io.Reader, p []byte) (_ []byte, err error) {
	for bytes.IndexByte(p, '\n') < 0 {
		n := 2
		if p[len(p)-1] == '\r' {
			n = 1
		}
		if len(p)+n > maxV1 {
			return nil, fmt.Errorf("%w: version 1 has at most %d bytes", ErrTooLong, maxV1)
		}
		if p, err = appendN(r, p, n); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// readRestV2 appends the rest of a version 2 header to p.
func readRestV2(r io.Reader, p []byte) ([]byte, error) {
	p, err := appendN(r, p, fixedV2-len(p))
	if err != nil {
		return nil, err
	}
	rest := int(binary.BigEndian.Uint16(p[lenOffsetV2:]))
	if fixedV2+rest > MaxHeader {
		return nil, ErrTooLong
	}
	return appendN(r, p, rest)
}

// appendN appends the next n bytes of r to p.
func appendN(r io.Reader, p []byte, n int) ([]byte, error) {
	p = slices.Grow(p, n)
	n, err := io.ReadFull(r, p[len(p):len(p)+n])
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
