package proxyproto

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"

	pp "github.com/pires/go-proxyproto"
	"github.com/stretchr/testify/require"
)

// v2 returns a version 2 header with the given 13th and 14th bytes.
func v2(command, family byte, rest string) string {
	p := append([]byte(nil), pp.SIGV2...)
	p = append(p, command, family)
	return string(binary.BigEndian.AppendUint16(p, uint16(len(rest)))) + rest
}

const (
	from4 = "\xcb\x00\x71\x07" + "\xc6\x33\x64\x02" + "\x30\x39" + "\x01\xbb"
	from6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02" + "\x30\x39" + "\x01\xbb"
	tlv = "\x04\x00\x03abc"
)

// headers are well-formed headers and their addresses; "" means none.
var headers = []struct{ name, header, remote, local string }{
	{"v1 TCP4", "PROXY TCP4 203.0.113.7 198.51.100.2 12345 443\r\n", "203.0.113.7:12345", "198.51.100.2:443"},
	{"v1 TCP6", "PROXY TCP6 2001:db8::1 2001:db8::2 12345 443\r\n", "[2001:db8::1]:12345", "[2001:db8::2]:443"},
	{"v1 shortest", "PROXY UNKNOWN\r\n", "", ""},
	{"v1 UNKNOWN, the longest", "PROXY UNKNOWN " + strings.Repeat("ffff:", 7) + "ffff " + strings.Repeat("ffff:", 7) + "ffff 65535 65535\r\n", "", ""},
	{"v2 TCP4", v2(0x21, 0x11, from4), "203.0.113.7:12345", "198.51.100.2:443"},
	{"v2 TCP6", v2(0x21, 0x21, from6), "[2001:db8::1]:12345", "[2001:db8::2]:443"},
	{"v2 TCP4 and more", v2(0x21, 0x11, from4+tlv), "203.0.113.7:12345", "198.51.100.2:443"},
	{"v2 TCP6, the longest", v2(0x21, 0x21, from6+strings.Repeat("x", MaxHeader-fixedV2-len(from6))), "[2001:db8::1]:12345", "[2001:db8::2]:443"},
	{"v2 LOCAL", v2(0x20, 0x00, ""), "", ""},
	{"v2 LOCAL with addresses", v2(0x20, 0x11, from4), "", ""},
	{"v2 LOCAL with a family and no addresses", v2(0x20, 0x11, ""), "", ""},
	{"v2 LOCAL with a family and another's addresses", v2(0x20, 0x21, from4), "", ""},
	{"v2 LOCAL of an unknown family", v2(0x20, 0x41, "ab"), "", ""},
	{"v2 unix", v2(0x21, 0x31, strings.Repeat("/", 216)), "", ""},
}

// bad are headers that are refused, and with which error.
var bad = []struct {
	name, header string
	want         error
}{
	{"garbage", "GET / HTTP/1.1\r\n\r\n", ErrHeader},
	{"another first word", "PROXYY TCP4 203.0.113.7 198.51.100.2 1 2\r\n", ErrHeader},
	{"v1 without an address", "PROXY TCP4 some-where 198.51.100.2 1 2\r\n", ErrHeader},
	{"v1 with a port too high", "PROXY TCP4 203.0.113.7 198.51.100.2 65536 443\r\n", ErrHeader},
	{"v1 of another family", "PROXY UDP4 203.0.113.7 198.51.100.2 1 2\r\n", ErrHeader},
	{"v1 with LF alone", "PROXY TCP4 203.0.113.7 198.51.100.2 1 2\n\n", ErrHeader},
	{"v1 without an end", "PROXY TCP4 " + strings.Repeat("1", 200), ErrTooLong},
	{"v1 a byte too long", "PROXY UNKNOWN" + strings.Repeat("x", maxV1-14) + "\r\n", ErrTooLong},
	{"v2 a byte too long", v2(0x21, 0x11, strings.Repeat("x", MaxHeader-fixedV2+1)), ErrTooLong},
	{"v2 as long as can be", v2(0x21, 0x11, strings.Repeat("x", 65535)), ErrTooLong},
	{"v2 of another version", v2(0x11, 0x11, from4), ErrHeader},
	{"v2 of another command", v2(0x22, 0x11, from4), ErrHeader},
	{"v2 without addresses", v2(0x21, 0x00, ""), ErrHeader},
	{"v2 too short for its addresses", v2(0x21, 0x21, from4), ErrHeader},
	{"v2 of datagrams", v2(0x21, 0x12, from4), ErrHeader},
	{"v2 of an unknown protocol", v2(0x21, 0x13, from4), ErrHeader},
	{"v2 of an unknown family", v2(0x21, 0x01, ""), ErrHeader},
}

func text(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}

// countingReader counts the calls of Read, which return all that is there.
type countingReader struct {
	io.Reader
	calls int
}

func (r *countingReader) Read(p []byte) (int, error) {
	r.calls++
	return r.Reader.Read(p)
}

func TestHeader_EndsAtItsLastByteAndWhatFollowsIsKept(t *testing.T) {
	for _, tt := range headers {
		t.Run(tt.name, func(t *testing.T) {
			for _, wrap := range []func(io.Reader) io.Reader{
				func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader,
			} {
				for _, after := range []string{"", "\n", "\r\nPROXY UNKNOWN\r\n", "data", strings.Repeat("data\n", 1000)} {
					r := wrap(strings.NewReader(tt.header + after))
					h, rest, err := readHeader(r)
					require.NoError(t, err)
					require.Equal(t, tt.remote, text(h.remote))
					require.Equal(t, tt.local, text(h.local))
					require.Less(t, len(rest), maxV1)
					unread, err := io.ReadAll(r)
					require.NoError(t, err)
					require.Equal(t, after, string(rest)+string(unread))
				}
			}
		})
	}
}

func TestHeader_TakesOneReadOrTwo(t *testing.T) {
	for _, tt := range headers {
		for _, after := range []string{"", "data", strings.Repeat("data\n", 1000)} {
			r := &countingReader{Reader: strings.NewReader(tt.header + after)}
			_, _, err := readHeader(r)
			require.NoError(t, err)
			want := 1
			if len(tt.header) > maxV1 {
				want = 2
			}
			require.Equal(t, want, r.calls, tt.name)
		}
	}
}

func TestHeader_ThatEndsEarlyIsAnError(t *testing.T) {
	for _, tt := range headers {
		_, _, err := readHeader(strings.NewReader(""))
		require.ErrorIs(t, err, errNoData)
		for cut := 1; cut < len(tt.header); cut++ {
			_, _, err := readHeader(strings.NewReader(tt.header[:cut]))
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, "%s: %d bytes", tt.name, cut)
		}
	}
}

func TestHeader_ThatIsInvalidIsAnErrorWithoutItsContent(t *testing.T) {
	for _, tt := range bad {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := readHeader(strings.NewReader(tt.header))
			require.ErrorIs(t, err, tt.want)
			for _, word := range strings.Fields(tt.header)[1:] {
				if len(word) > 4 {
					require.NotContains(t, err.Error(), word)
				}
			}
		})
	}
}

func TestHeader_ThatIsTooLongIsNotRead(t *testing.T) {
	r := strings.NewReader(v2(0x21, 0x11, strings.Repeat("x", 65535)))
	_, _, err := readHeader(r)
	require.ErrorIs(t, err, ErrTooLong)
	require.GreaterOrEqual(t, r.Len(), fixedV2+65535-maxV1)
	r = strings.NewReader("PROXY " + strings.Repeat("x", 1000))
	_, _, err = readHeader(r)
	require.ErrorIs(t, err, ErrTooLong)
	require.GreaterOrEqual(t, r.Len(), 1006-maxV1)
}

// FuzzReadHeader compares readHeader with the library reading the same input: a
// header that readHeader accepts has the same length and addresses for the library,
// except for a LOCAL one, and one that the library accepts is accepted here, except
// for those that are refused on purpose.
func FuzzReadHeader(f *testing.F) {
	for _, tt := range headers {
		f.Add([]byte(tt.header + "data"))
	}
	for _, tt := range bad {
		f.Add([]byte(tt.header))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		r := bytes.NewReader(p)
		h, rest, err := readHeader(r)
		slow := bytes.NewReader(p)
		slowH, slowRest, slowErr := readHeader(iotest.OneByteReader(slow))
		require.Equal(t, []any{h, err}, []any{slowH, slowErr})
		require.Equal(t, string(p[len(p)-r.Len()-len(rest):]), string(rest)+string(p[len(p)-r.Len():]))

		theirs := bytes.NewReader(p)
		br := bufio.NewReaderSize(theirs, max(16, len(p)))
		their, theirErr := pp.Read(br)
		if err == nil {
			require.Empty(t, slowRest)
			require.Equal(t, r.Len()+len(rest), slow.Len())
			if theirErr != nil && isLocalV2(p) { // they look at its family
				require.Zero(t, h)
				require.Equal(t, fixedV2+int(binary.BigEndian.Uint16(p[lenOffsetV2:])), len(p)-slow.Len())
				return
			}
			require.NoError(t, theirErr)
			require.Equal(t, theirs.Len()+br.Buffered(), r.Len()+len(rest))
			if h.remote != nil {
				require.Equal(t, their.SourceAddr, h.remote)
				require.Equal(t, their.DestinationAddr, h.local)
			}
			theirTLVs, theirTLVErr := their.TLVs()
			tlvs, err := newConn(nil, h, nil).TLVs()
			require.Equal(t, theirTLVErr == nil, err == nil)
			require.Equal(t, theirTLVs, tlvs)
			return
		}
		require.Zero(t, h)
		require.Empty(t, rest)
		if theirErr == nil {
			_, isTCP := their.SourceAddr.(*net.TCPAddr)
			require.True(t, errors.Is(err, ErrTooLong) || // the limit of 4096 bytes includes the fixed part
				!isTCP && their.Command == pp.PROXY ||
				their.Version == 1 && !bytes.HasPrefix(p, []byte("PROXY ")), "the library reads it: %v", err)
		}
	})
}
