package transport

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// BenchmarkEcho is pairs of request and small answer through the whole of the package: size is that of the
// request, and each connection keeps depth of them in flight.
func BenchmarkEcho(b *testing.B) {
	for _, conns := range []int{1, 10, 100} {
		for _, size := range []int{1 << 10, 16 << 10, 256 << 10} {
			for _, depth := range []int{1, 5} {
				b.Run(fmt.Sprintf("conns=%d/size=%dKiB/depth=%d", conns, size>>10, depth), func(b *testing.B) {
					benchEcho(b, conns, size, depth)
				})
			}
		}
	}
}

func benchEcho(b *testing.B, conns, size, depth int) {
	h := start(b, Options{Memory: NewPool(PoolOptions{Footprint: 64 << 20})})
	request := framed(make([]byte, size))
	request[4] = doShort
	clients := make([]*client, conns)
	for i := range clients {
		clients[i] = h.dial()
		_ = clients[i].SetDeadline(noDeadline)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(func() { drive(b, c, request, depth, &left) })
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
}

// drive keeps depth requests in flight from one goroutine, so that the client costs little.
func drive(b *testing.B, c *client, request []byte, depth int, left *atomic.Int64) {
	buf := make([]byte, 4096)
	flying, pending := 0, 0
	for {
		for flying < depth && left.Add(-1) >= 0 {
			if _, err := c.Write(request); err != nil {
				b.Error(err)
				return
			}
			flying++
		}
		if flying == 0 {
			return
		}
		n, err := c.Read(buf)
		if err != nil {
			b.Error(err)
			return
		}
		pending += n
		flying -= pending / shortReplySize
		pending %= shortReplySize
	}
}

// BenchmarkSendfile is answers of 1 MiB from a file, and the same without a broker between: the machine's limit.
func BenchmarkSendfile(b *testing.B) {
	for _, conns := range []int{1, 10} {
		b.Run(fmt.Sprintf("conns=%d", conns), func(b *testing.B) { benchSendfile(b, conns, false) })
		b.Run(fmt.Sprintf("raw/conns=%d", conns), func(b *testing.B) { benchSendfile(b, conns, true) })
	}
}

func benchSendfile(b *testing.B, conns int, raw bool) {
	const size = 1 << 20
	h := start(b, Options{Memory: NewPool(PoolOptions{Footprint: 64 << 20})})
	h.node.file = tempFile(b, 64<<20)
	addr := h.addr
	if raw {
		addr = rawSendfile(b, h.node.file.(*diskFile), size)
	}
	request := make([]byte, 4+17)
	binary.BigEndian.PutUint32(request, 17)
	request[4] = doFile
	binary.BigEndian.PutUint64(request[4+9:], size)
	var clients []net.Conn
	for range conns {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		clients = append(clients, c)
	}
	b.SetBytes(size)
	b.ResetTimer()
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() {
			buf := make([]byte, 256<<10)
			for at := int64(i); left.Add(-1) >= 0; at++ {
				binary.BigEndian.PutUint64(request[4+1:], 0)
				if _, err := c.Write(request); err != nil {
					b.Error(err)
					return
				}
				for n := 0; n < 4+4+size+3; {
					k, err := c.Read(buf)
					if err != nil {
						b.Error(err)
						return
					}
					n += k
				}
			}
		})
	}
	wg.Wait()
}

// rawSendfile answers every request with the same frame as the echo node, with nothing but a goroutine and sendfile.
func rawSendfile(b *testing.B, f *diskFile, size int) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				var s socket
				s.open(nc, func() {})
				parts := rawParts(f, size)
				req := make([]byte, 21)
				for {
					if _, err := io.ReadFull(nc, req); err != nil {
						return
					}
					if s.send(parts) != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}
