//go:build unix

package loadgen

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

const canPeek = true

// quiet reports whether an idle connection is as it should be: open, with
// nothing to read. What is no socket is taken to be.
func quiet(c net.Conn) bool {
	s, ok := c.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return false
	}
	is := false
	var b [1]byte
	err = raw.Control(func(fd uintptr) {
		_, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		is = err == unix.EAGAIN || err == unix.EWOULDBLOCK
	})
	return err == nil && is
}
