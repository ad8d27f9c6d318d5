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

	pp "github.com/pires/go-proxyproto"
)

// MaxHeader is how many bytes a header may have, what follows its addresses
// included. A longer one is refused when its length is known, and is not read.
const MaxHeader = 4096

const (
	// shortest is how many bytes every header has: "PROXY UNKNOWN\r\n".
	shortest   = 15
	longestV1  = 107
	prefixV1   = "PROXY "
	fixedV2    = 16 // what a version 2 header begins with, the length of its rest included
	lengthAtV2 = 14
)

// errNothing is that the peer closed before its first byte.
var errNothing = errors.New("proxyproto: the peer sent nothing")

// readHeader reads one header off r, and no byte beyond a well-formed one. The
// addresses are nil if the connection's own are to be used. Errors hold nothing
// of what the peer sent.
func readHeader(r io.Reader) (remote, local net.Addr, err error) {
	p, err := readWhole(r)
	if err != nil {
		return nil, nil, err
	}
	// The reader's buffer must hold all of a version 1 header at once.
	h, err := pp.Read(bufio.NewReaderSize(bytes.NewReader(p), len(p)))
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrHeader, kindOf(err))
	}
	if h.Command.IsLocal() {
		return nil, nil, nil
	}
	switch h.SourceAddr.(type) {
	case *net.TCPAddr:
		return h.SourceAddr, h.DestinationAddr, nil
	case *net.UnixAddr:
		return nil, nil, nil
	default: // of datagrams, or of no address at all
		return nil, nil, fmt.Errorf("%w: %w", ErrHeader, pp.ErrUnsupportedAddressFamilyAndProtocol)
	}
}

// readWhole reads the bytes of one header, without looking at what they say.
func readWhole(r io.Reader) ([]byte, error) {
	p, err := more(r, make([]byte, 0, longestV1), shortest)
	switch {
	case len(p) == 0 && err == io.EOF: //nolint:errorlint // io.ReadFull does not wrap it
		return nil, errNothing
	case err != nil:
	case bytes.HasPrefix(p, []byte(prefixV1)):
		p, err = restOfV1(r, p)
	case bytes.HasPrefix(p, pp.SIGV2):
		p, err = restOfV2(r, p)
	default:
		return nil, fmt.Errorf("%w: %w", ErrHeader, pp.ErrNoProxyProtocol)
	}
	if err == io.EOF { //nolint:errorlint // as above
		err = io.ErrUnexpectedEOF
	}
	return p, err
}

// restOfV1 reads up to the end of the line. While no CR was read, two bytes are
// missing at least.
func restOfV1(r io.Reader, p []byte) (_ []byte, err error) {
	for bytes.IndexByte(p, '\n') < 0 {
		n := 2
		if p[len(p)-1] == '\r' {
			n = 1
		}
		if len(p)+n > longestV1 {
			return nil, fmt.Errorf("%w: of a version 1 header there are %d at most", ErrTooLong, longestV1)
		}
		if p, err = more(r, p, n); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func restOfV2(r io.Reader, p []byte) ([]byte, error) {
	p, err := more(r, p, fixedV2-len(p))
	if err != nil {
		return nil, err
	}
	rest := int(binary.BigEndian.Uint16(p[lengthAtV2:]))
	if fixedV2+rest > MaxHeader {
		return nil, ErrTooLong
	}
	return more(r, p, rest)
}

// more appends the next n bytes of r to p.
func more(r io.Reader, p []byte, n int) ([]byte, error) {
	p = slices.Grow(p, n)
	n, err := io.ReadFull(r, p[len(p):len(p)+n])
	return p[:len(p)+n], err
}

// kindOf is the library's sentinel without the details, which quote the peer.
func kindOf(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // the outermost alone
		return joined.Unwrap()[0]
	}
	return err
}
