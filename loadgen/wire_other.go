//go:build !unix

package loadgen

import "net"

// canPeek is false: all requests go through http.Transport.
const canPeek = false

func quiet(net.Conn) bool { return false }
