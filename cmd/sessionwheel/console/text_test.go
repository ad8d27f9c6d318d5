package console

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestText_NumbersAreWrittenForReaders(t *testing.T) {
	for n, want := range map[int]string{0: "0", 7: "7", 999: "999", 1000: "1,000", 12345: "12,345", 1234567: "1,234,567", -5000: "-5000"} {
		require.Equal(t, want, Count(n))
	}
	for d, want := range map[time.Duration]string{
		0: "0s", 1234 * time.Nanosecond: "1µs", 1234567: "1.23ms", 12345678: "12.3ms",
		123456789: "123ms", 1234567890: "1.23s", 12345678901: "12.3s",
	} {
		require.Equal(t, want, Short(d))
	}
	for b, want := range map[float64]string{0: "0.0 B", 999: "999.0 B", 1500: "1.5 kB", 2.5e6: "2.5 MB", 3e9: "3.0 GB", 4e12: "4000.0 GB"} {
		require.Equal(t, want, Size(b))
	}
	require.Equal(t, "1 client", Plural(1, "client"))
	require.Equal(t, "2,000 clients", Plural(2000, "client"))
}
