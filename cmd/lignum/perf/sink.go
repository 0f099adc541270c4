package perf

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
)

// server accepts connections on loopback and hands each to its own goroutine.
type server struct {
	listener net.Listener
	handle   func(net.Conn)
	running  sync.WaitGroup
	mu       sync.Mutex
	conns    []net.Conn
}

func serve(handle func(net.Conn)) (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{listener: l, handle: handle}
	s.running.Go(s.accept)
	return s, nil
}

func (s *server) address() string { return s.listener.Addr().String() }

func (s *server) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns = append(s.conns, c)
		s.mu.Unlock()
		s.running.Go(func() {
			defer c.Close()
			s.handle(c)
		})
	}
}

// close ends every connection and waits for their goroutines.
func (s *server) close() {
	s.listener.Close()
	s.mu.Lock()
	for _, c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
}

// frameOf is a frame of n bytes, its length included.
func frameOf(n int) []byte {
	p := make([]byte, n)
	binary.BigEndian.PutUint32(p, uint32(n-4))
	return p
}

// skipFrame reads one frame whole, into memory as a broker must.
func skipFrame(in *bufio.Reader, scratch []byte) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(in, length[:]); err != nil {
		return scratch, err
	}
	n := int(binary.BigEndian.Uint32(length[:]))
	if n > cap(scratch) {
		scratch = make([]byte, n)
	}
	_, err := io.ReadFull(in, scratch[:n])
	return scratch, err
}

// answerSmall answers each frame with one of n bytes until the connection ends.
func answerSmall(c net.Conn, n int) {
	in, answer, scratch := bufio.NewReaderSize(c, 64*kib), frameOf(n), []byte(nil)
	for {
		var err error
		if scratch, err = skipFrame(in, scratch); err != nil {
			return
		}
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

// cachedFile is a file of 64 MiB in the page cache.
func cachedFile(dir string) (*os.File, error) {
	name := filepath.Join(dir, "cached")
	if err := os.WriteFile(name, make([]byte, cachedFileBytes), 0o600); err != nil {
		return nil, err
	}
	return os.Open(name)
}

const cachedFileBytes = 64 * mib

// answerFile answers each frame with a frame of n bytes, all but its length from the file, each from another place.
func answerFile(c net.Conn, f *os.File, n int) {
	in, scratch := bufio.NewReaderSize(c, 4*kib), []byte(nil)
	head := frameOf(n)[:4]
	for off := int64(0); ; off = (off + int64(n)) % (cachedFileBytes - int64(n)) {
		var err error
		if scratch, err = skipFrame(in, scratch); err != nil {
			return
		}
		if _, err = c.Write(head); err != nil {
			return
		}
		if err = sendRange(c, f, off, n-4); err != nil {
			return
		}
	}
}
