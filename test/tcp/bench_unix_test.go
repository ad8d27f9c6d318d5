//go:build unix

package tcp_test

import (
	"fmt"
	"io"
	"net"
	"syscall"
)

// processCPU is the processor time that the process has used, in nanoseconds.
func processCPU() int64 {
	var ru syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &ru) != nil {
		return 0
	}
	return ru.Utime.Nano() + ru.Stime.Nano()
}

// dialRaw opens n connections as bare descriptors.
func dialRaw(addr *net.TCPAddr, n int) (fds []int, err error) {
	to := &syscall.SockaddrInet4{Port: addr.Port, Addr: [4]byte(addr.IP.To4())}
	for range n {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
		if err != nil {
			return fds, fmt.Errorf("socket: %w", err)
		}
		fds = append(fds, fd)
		if err := syscall.Connect(fd, to); err != nil {
			return fds, fmt.Errorf("connect: %w", err)
		}
	}
	return fds, nil
}

// echoRaw sends p and waits for it to come back.
func echoRaw(fd int, p []byte) error {
	if _, err := syscall.Write(fd, p); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	buf := make([]byte, len(p))
	for got := 0; got < len(p); {
		n, err := syscall.Read(fd, buf[got:])
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if n == 0 {
			return io.ErrUnexpectedEOF
		}
		got += n
	}
	return nil
}

func closeRaw(fd int) { _ = syscall.Close(fd) }
