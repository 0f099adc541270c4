//go:build !linux || !(amd64 || arm64 || riscv64 || ppc64le || s390x || loong64 || mips64le)

package transport

import (
	"net"

	"lignum/core/env"
)

// socket writes pieces to a connection.
type socket struct {
	nc    net.Conn
	moved func()
}

func (s *socket) open(nc net.Conn, moved func()) { s.nc, s.moved = nc, moved }

// send writes all parts.
func (s *socket) send(parts []env.Piece) error { return plainSend(s.nc, parts, s.moved) }
