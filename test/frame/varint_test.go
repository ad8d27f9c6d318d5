package frame_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sessionwheel/sessionwheel/frame"
)

func TestVarint_WritesLengthsAsProtocolBuffersDo(t *testing.T) {
	for n, prefix := range map[int]string{
		0: "\x00", 1: "\x01", 127: "\x7f", 128: "\x80\x01", 300: "\xac\x02", 16_383: "\xff\x7f", 16_384: "\x80\x80\x01",
	} {
		framed, err := frame.Varint{}.Append([]byte("kept"), repeated(n))
		require.NoError(t, err)
		require.True(t, bytes.Equal(framed, append([]byte("kept"+prefix), repeated(n)...)), "%d bytes", n)
		advance, token, err := frame.Varint{}.Split(framed[4:], false)
		require.NoError(t, err)
		require.Equal(t, len(prefix)+n, advance)
		require.True(t, token != nil && bytes.Equal(repeated(n), token))
	}
}

func TestVarint_TakesALengthWithMoreBytesThanItNeeds(t *testing.T) {
	got, err := scan(frame.Varint{}.Split, strings.NewReader("\x81\x00a\x82\x80\x80\x80\x80\x80\x80\x80\x80\x00bc\x80\x00"))
	require.NoError(t, err)
	require.Equal(t, []string{"a", "bc", ""}, got)
}

func TestVarint_RefusesAHostileLengthAsSoonAsItHasIt(t *testing.T) {
	nine := strings.Repeat("\xff", 9)
	for _, tt := range []struct {
		framing frame.Varint
		in      string
		want    error
	}{
		{frame.Varint{}, nine + "\x01", frame.ErrTooLarge}, // the largest of 64 bits
		{frame.Varint{}, nine + "\x02", frame.ErrBadLength},
		{frame.Varint{}, nine + "\x80", frame.ErrBadLength}, // it goes on past the tenth byte
		{frame.Varint{}, strings.Repeat("\x80", 10), frame.ErrBadLength},
		{frame.Varint{}, strings.Repeat("\xff", 8) + "\x7f", frame.ErrTooLarge}, // 1<<63 - 1: with its own bytes it overflows an int
		{frame.Varint{Max: 100}, "\x64", frame.ErrTooLarge},                     // 101 bytes on the wire
		{frame.Varint{Max: 128}, "\x80\x01", frame.ErrTooLarge},
		{frame.Varint{Max: 1}, "\x01", frame.ErrTooLarge},
		{frame.Varint{Max: 1}, "\x80", frame.ErrTooLarge}, // no frame of one byte begins like this
		{frame.Varint{Max: 3}, "\x80\x80\x80", frame.ErrTooLarge},
		{frame.Varint{Size: 4}, "\x80\x80\x80\x80", frame.ErrBadLength},
		{frame.Varint{Size: 1}, "\x80", frame.ErrBadLength},
		{frame.Varint{Offset: 1, Size: 4}, "\x30\x80\x80\x80\x80", frame.ErrBadLength},
		{frame.Varint{Offset: 2, Max: 100}, "\x00\xff\x62", frame.ErrTooLarge}, // 101 bytes on the wire
		{frame.Varint{Offset: 2, Max: 3}, "\x00\x00\x01", frame.ErrTooLarge},
	} {
		for _, atEOF := range []bool{false, true} {
			for _, more := range []string{"", "\x80", strings.Repeat("\x80", 20)} {
				n, token, err := tt.framing.Split([]byte(tt.in+more), atEOF)
				require.ErrorIs(t, err, tt.want, "%+v of %x", tt.framing, tt.in+more)
				require.True(t, n == 0 && token == nil)
			}
		}
		n, token, err := tt.framing.Split([]byte(tt.in[:len(tt.in)-1]), false)
		require.NoError(t, err)
		require.True(t, n == 0 && token == nil)
	}
}

func TestVarint_WithAnOffsetGivesTheWholeFrame(t *testing.T) {
	mqtt := frame.Varint{Offset: 1, Size: 4, Max: 200}
	in := "\x30\x03abc" + "\xc0\x00" + "\x82\x83\x80\x80\x00def" + "\x30\xc5\x01" + string(repeated(197))
	got, err := scan(mqtt.Split, strings.NewReader(in))
	require.NoError(t, err)
	require.Equal(t, []string{in[:5], in[5:7], in[7:15], in[15:]}, got)
	for n := range 15 {
		advance, token, err := mqtt.Split([]byte(in[15:15+n]), false)
		require.NoError(t, err)
		require.True(t, advance == 0 && token == nil, "it waits for the rest of it")
		_, _, err = mqtt.Split([]byte(in[15:15+n]), true)
		require.Equal(t, n > 0, errors.Is(err, io.ErrUnexpectedEOF))
	}
	data := []byte(in)
	_, token, err := mqtt.Split(data, false)
	require.NoError(t, err)
	_ = append(token, "XXXX"...)
	require.Equal(t, in, string(data))
	framed, err := mqtt.Append([]byte("kept"), []byte("abc"))
	require.ErrorIs(t, err, frame.ErrHeader)
	require.Equal(t, "kept", string(framed))
}

func TestVarint_WritesNoLengthThatItWouldNotRead(t *testing.T) {
	f := frame.Varint{Size: 2}
	framed, err := f.Append(nil, repeated(16_383))
	require.NoError(t, err)
	_, token, err := f.Split(framed, false)
	require.NoError(t, err)
	require.Len(t, token, 16_383)
	framed, err = f.Append([]byte("kept"), repeated(16_384))
	require.ErrorIs(t, err, frame.ErrTooLarge)
	require.Equal(t, "kept", string(framed))
}
