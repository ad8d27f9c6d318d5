package frame_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/sessionwheel/sessionwheel/frame"
)

// Frames with a length of two bytes before the body, made and cut again.
func Example() {
	framing := frame.LengthPrefix{Size: 2, Strip: 2, Max: 1024}

	var stream []byte
	for _, body := range []string{"hello", "", "world"} {
		var err error
		if stream, err = framing.Append(stream, []byte(body)); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Printf("%q\n", stream)

	frames := bufio.NewScanner(bytes.NewReader(stream))
	frames.Split(framing.Split)
	for frames.Scan() {
		fmt.Printf("%q\n", frames.Text())
	}
	fmt.Println(frames.Err())
	// Output:
	// "\x00\x05hello\x00\x00\x00\x05world"
	// "hello"
	// ""
	// "world"
	// <nil>
}

// PostgreSQL's messages have a type of one byte, a length that counts itself and the body,
// and the body. The token is the whole message, since the type is needed.
func ExampleLengthPrefix() {
	framing := frame.LengthPrefix{Size: 4, Offset: 1, Adjust: -4, Max: 1024}
	messages := bufio.NewScanner(strings.NewReader("Q\x00\x00\x00\x0dselect 1\x00S\x00\x00\x00\x04Q\xff\xff\xff\xff"))
	messages.Split(framing.Split)
	for messages.Scan() {
		kind, body := messages.Bytes()[0], messages.Bytes()[5:]
		fmt.Printf("%c %q\n", kind, body)
	}
	fmt.Println(messages.Err())
	fmt.Println(errors.Is(messages.Err(), frame.ErrTooLarge))
	// Output:
	// Q "select 1\x00"
	// S ""
	// frame: frame too large: more than 1024 bytes
	// true
}

func ExampleVarint() {
	framed, err := frame.Varint{}.Append(nil, []byte(strings.Repeat("x", 300)))
	fmt.Printf("%x %d %v\n", framed[:2], len(framed), err)
	// Output: ac02 302 <nil>
}

func ExampleDelimiter() {
	framing := frame.Delimiter{End: "\r\n"}
	fmt.Println(framing.Append(nil, []byte("PING\r\nQUIT")))
	// Output: [] frame: the body contains the end, "\r\n"
}

// HL7 messages come between these marks.
func ExampleMarks() {
	framing := frame.Marks{Begin: "\x0b", End: "\x1c\r"}
	frames := bufio.NewScanner(strings.NewReader("\x0bMSH|1\x1c\r\x0bMSH|2\x1c\r\n"))
	frames.Split(framing.Split)
	for frames.Scan() {
		fmt.Printf("%q\n", frames.Text())
	}
	fmt.Println(frames.Err())
	// Output:
	// "MSH|1"
	// "MSH|2"
	// frame: missing mark: no "\v" at the beginning
}
