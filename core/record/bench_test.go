package record

import (
	"fmt"
	"math/rand"
	"testing"
)

// text is data with the redundancy of log lines.
func text(n int) []byte {
	words := []string{"request ", "broker ", "partition ", "timeout ", "offset=", "12345 ", "OK\n"}
	rnd := rand.New(rand.NewSource(2))
	var p []byte
	for len(p) < n {
		p = append(p, words[rnd.Intn(len(words))]...)
	}
	return p[:n]
}

func benchBatch(c Codec, count, size int) Batch {
	b := NewBuilder(c)
	for i := range count {
		b.Append(Record{Timestamp: 1_700_000_000_000 + int64(i), Key: fmt.Append(nil, "key-", i), Value: text(size)})
	}
	return b.Build()
}

var shapes = []struct{ count, size int }{{1, 1024}, {16, 1024}, {256, 1024}, {1000, 100}}

func BenchmarkValidate(b *testing.B) {
	for _, c := range codecs {
		for _, s := range shapes {
			b.Run(fmt.Sprintf("%v/%dx%d", c, s.count, s.size), func(b *testing.B) {
				batch := benchBatch(c, s.count, s.size)
				reader := NewReader(Limits{})
				b.SetBytes(int64(s.count * s.size))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := reader.Validate(batch); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkBuilder(b *testing.B) {
	for _, c := range codecs {
		for _, s := range shapes {
			b.Run(fmt.Sprintf("%v/%dx%d", c, s.count, s.size), func(b *testing.B) {
				builder := NewBuilder(c)
				key, value := []byte("key-123"), text(s.size)
				var dst []byte
				b.SetBytes(int64(s.count * s.size))
				b.ReportAllocs()
				for b.Loop() {
					builder.Reset()
					for range s.count {
						builder.Append(Record{Timestamp: 1_700_000_000_000, Key: key, Value: value})
					}
					dst = builder.AppendTo(dst[:0])
				}
			})
		}
	}
}
