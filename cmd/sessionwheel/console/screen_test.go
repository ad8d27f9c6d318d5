package console

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProgress_RedrawsALiveLineAndNoPlainOnes(t *testing.T) {
	var out bytes.Buffer
	s := NewScreen(&out)
	s.Progress("one")
	s.Progress("two") // within the same second
	s.Separate()
	s.Printf("done")
	require.Equal(t, "one\n\ndone\n", out.String())

	out.Reset()
	s = NewScreen(&out)
	null, err := os.Open(os.DevNull) // whose width is unknown: 80
	require.NoError(t, err)
	defer null.Close()
	s.live, s.file = true, null
	s.Progress("one")
	s.Progress(strings.Repeat("x", 200))
	s.Printf("done")
	require.Equal(t, "\rone\x1b[K\r"+strings.Repeat("x", 79)+"\x1b[K\r\x1b[Kdone\n", out.String())
}

func TestPaint_ColorsOnlyWhereThatIsWanted(t *testing.T) {
	s := NewScreen(&bytes.Buffer{})
	require.Equal(t, "x", s.Paint(Red, "x"))
	s.color = true
	require.Equal(t, Red+"x"+plain, s.Paint(Red, "x"))
}

func TestBar_AlwaysHasItsWidth(t *testing.T) {
	s := NewScreen(&bytes.Buffer{})
	require.Equal(t, "##--", s.Bar(5, 5, 10, 4))
	require.Equal(t, "#   ", s.Bar(3, 0, 10, 4))
	require.Equal(t, "####", s.Bar(30, 5, 10, 4))
	require.Equal(t, "    ", s.Bar(1, 1, 0, 4))
}
