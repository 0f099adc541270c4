package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand"
	"runtime"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// rewrap puts another compressed payload into a batch of codec c.
func rewrap(b Batch, c Codec, payload []byte) Batch {
	out := append(Batch(bytes.Clone(b[:HeaderSize])), payload...)
	out[attributesLowByte] = out[attributesLowByte]&^codecMask | byte(c)
	binary.BigEndian.PutUint32(out[atLength:], uint32(len(out)-LogOverhead))
	return reseal(out)
}

func gzipOf(p []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(p)
	_ = w.Close()
	return out.Bytes()
}

func lz4Of(t testing.TB, p []byte, options ...lz4.Option) []byte {
	var out bytes.Buffer
	w := lz4.NewWriter(&out)
	if err := w.Apply(options...); err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(p)
	_ = w.Close()
	return out.Bytes()
}

// zstdOf makes a frame as a streaming encoder does, which does not know the size of the content.
func zstdOf(t testing.TB, p []byte, options ...zstd.EOption) []byte {
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out, options...)
	if err != nil {
		t.Fatal(err)
	}
	for len(p) > 0 { // in parts, so that it really streams
		n := min(len(p), 100_000)
		_, _ = w.Write(p[:n])
		_ = w.Flush()
		p = p[n:]
	}
	_ = w.Close()
	return out.Bytes()
}

// noise is data that hardly compresses but repeats over a long distance.
func noise(n int) []byte {
	p := make([]byte, n)
	rand.New(rand.NewSource(1)).Read(p[:min(n, 1<<20)])
	for at := 1 << 20; at < n; at += 1 << 20 {
		copy(p[at:], p[:1<<20])
	}
	return p
}

// What other clients write is read: other framings, block sizes, checksums, levels and windows.
func TestForeignPayloads(t *testing.T) {
	small := buildBatch(None, Record{Key: []byte("k"), Value: noise(1000)}, Record{Value: []byte("end")})
	big := buildBatch(None, Record{Key: []byte("k"), Value: noise(6 << 20)}, Record{Value: []byte("end")})
	half := len(big.Records()) / 2
	xerialTwice := appendXerial(appendXerial(nil, big.Records()[:half]), big.Records()[half:])
	skippable := []byte{0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4}
	for _, c := range []struct {
		name    string
		of      Batch
		codec   Codec
		payload []byte
	}{
		{"gzip of two members", big, Gzip, append(gzipOf(big.Records()[:half]), gzipOf(big.Records()[half:])...)},
		{"snappy without framing", big, Snappy, snappy.Encode(nil, big.Records())},
		{"snappy in two streams", big, Snappy, xerialTwice},
		{"lz4, 64 KiB", big, LZ4, lz4Of(t, big.Records(), lz4.BlockSizeOption(lz4.Block64Kb))},
		{"lz4, 4 MiB, all checksums and size", big, LZ4, lz4Of(t, big.Records(), lz4.BlockSizeOption(lz4.Block4Mb),
			lz4.BlockChecksumOption(true), lz4.ChecksumOption(true), lz4.SizeOption(uint64(len(big.Records()))))},
		{"lz4, 256 KiB, high compression", big, LZ4, lz4Of(t, big.Records(), lz4.BlockSizeOption(lz4.Block256Kb),
			lz4.CompressionLevelOption(lz4.Level5))},
		{"zstd, small, 2 MiB window", small, Zstd, zstdOf(t, small.Records(), zstd.WithWindowSize(2<<20))},
		{"zstd, small, 128 MiB window", small, Zstd, zstdOf(t, small.Records(), zstd.WithWindowSize(128<<20))},
		{"zstd, 2 MiB window", big, Zstd, zstdOf(t, big.Records(), zstd.WithWindowSize(2<<20))},
		{"zstd, 8 MiB window", big, Zstd, zstdOf(t, big.Records(), zstd.WithWindowSize(8<<20))},
		{"zstd, 128 MiB window", big, Zstd, zstdOf(t, big.Records(), zstd.WithWindowSize(128<<20))},
		{"zstd, two frames and a skippable one", big, Zstd, bytes.Join([][]byte{skippable,
			zstdOf(t, big.Records()[:half]), Compress(Zstd, nil, big.Records()[half:])}, nil)},
	} {
		b := rewrap(c.of, c.codec, c.payload)
		f, err := Validate(b, Limits{})
		if err != nil || f.UncompressedSize != int64(len(c.of.Records())) {
			t.Errorf("%s: %d bytes, %v", c.name, f.UncompressedSize, err)
			continue
		}
		if got := collect(t, b); len(got) != 2 || string(got[1].Value) != "end" {
			t.Errorf("%s: %d records", c.name, len(got))
		}
		if got, err := Decompress(c.codec, nil, b.Records(), Limits{}); err != nil || !bytes.Equal(got, c.of.Records()) {
			t.Errorf("%s: Decompress: %d bytes, %v", c.name, len(got), err)
		}
	}
}

func TestBrokenPayloads(t *testing.T) {
	b := buildBatch(None, Record{Value: noise(100_000)})
	flip := func(p []byte, at int) []byte {
		p = bytes.Clone(p)
		p[at] ^= 0x40
		return p
	}
	frame := lz4Of(t, b.Records())
	linked := flip(frame, 4)
	linked[4] = frame[4] &^ lz4Independent
	legacy := lz4Of(t, b.Records(), lz4.LegacyOption(true))
	lie := binary.AppendUvarint(nil, 1<<31)
	for _, c := range []struct {
		name    string
		codec   Codec
		payload []byte
	}{
		{"lz4 with dependent blocks", LZ4, linked},
		{"lz4 legacy", LZ4, legacy},
		{"lz4 twice", LZ4, append(bytes.Clone(frame), frame...)},
		{"lz4 with a trailing byte", LZ4, append(bytes.Clone(frame), 0)},
		{"lz4 header checksum", LZ4, flip(frame, 6)},
		{"lz4 content checksum", LZ4, flip(frame, len(frame)-1)},
		{"lz4 block size", LZ4, flip(frame, 5)},
		{"lz4 dictionary", LZ4, flip(flip(frame, 4), 4)[:6]},
		{"snappy that claims 2 GiB", Snappy, append(lie, 0)},
		{"snappy frame that claims too much", Snappy, append([]byte(xerialHeader), 0x7f, 0xff, 0xff, 0xff)},
		{"snappy frame cut", Snappy, append([]byte(xerialHeader), 0, 0)},
		{"gzip and garbage", Gzip, append(gzipOf(b.Records()), "garbage"...)},
	} {
		if _, err := Validate(rewrap(b, c.codec, c.payload), Limits{}); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for _, c := range codecs[1:] {
		whole := Compress(c, nil, b.Records())
		for _, n := range []int{0, 1, 5, len(whole) / 2, len(whole) - 1} {
			if _, err := Validate(rewrap(b, c, whole[:n]), Limits{}); !errors.Is(err, ErrInvalid) {
				t.Errorf("%v cut at %d of %d: %v", c, n, len(whole), err)
			}
		}
		// The payload is good, but it does not hold what the header says.
		for _, p := range [][]byte{append(bytes.Clone(b.Records()), 0), b.Records()[:len(b.Records())-1], nil} {
			if _, err := Validate(rewrap(b, c, Compress(c, nil, p)), Limits{}); !errors.Is(err, ErrInvalid) {
				t.Errorf("%v of %d bytes: %v", c, len(p), err)
			}
		}
	}
}

// zeroes is the start of a record of 2 GiB and then nothing but zeroes.
func zeroes(c Codec, n int) []byte {
	return Compress(c, nil, append([]byte{0xfe, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 1, 0xf0, 0xff, 0xff, 0xff, 0x0f}, make([]byte, n)...))
}

// A small batch that unpacks to very much is refused at the bound and at a bounded price in memory.
func TestBombs(t *testing.T) {
	limits := Limits{MaxUncompressed: 16 << 20}
	for _, c := range codecs[1:] {
		b := plain(1, zeroes(c, 32<<20))
		b[attributesLowByte] |= byte(c)
		reseal(b)
		var err error
		bytesPerRun := allocated(func() { _, err = Validate(b, limits) })
		if !errors.Is(err, ErrTooLarge) {
			t.Errorf("%v: Validate: %v", c, err)
		}
		if bytesPerRun > 14<<20 {
			t.Errorf("%v: %d bytes were allocated for %d", c, bytesPerRun, len(b))
		}
		if err := b.Each(limits, func(Record) error { return nil }); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%v: Each: %v", c, err)
		}
		if _, err := Decompress(c, nil, b.Records(), limits); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%v: Decompress: %v", c, err)
		}
	}
	// Much content behind a window that nobody can hold.
	b := plain(1, zstdOf(t, make([]byte, 12<<20), zstd.WithWindowSize(128<<20)))
	b[attributesLowByte] |= byte(Zstd)
	if _, err := Validate(reseal(b), Limits{}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("window of 128 MiB: %v", err)
	}
}

// allocated is what f takes in bytes, the second time.
func allocated(f func()) uint64 {
	f()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// A Reader's answers do not depend on what it read before.
func TestReaderForgets(t *testing.T) {
	reader := NewReader(Limits{})
	good := make(map[Codec]Batch)
	for _, c := range codecs {
		good[c] = buildBatch(c, Record{Value: noise(200_000)})
	}
	for _, spoiled := range codecs {
		b := Batch(bytes.Clone(good[spoiled]))
		b[len(b)-10] ^= 0xff
		b[HeaderSize+100] ^= 0xff
		_, _ = reader.Validate(reseal(b))
		_ = reader.Each(b, func(Record) error { return io.ErrClosedPipe })
		for _, c := range codecs {
			if _, err := reader.Validate(good[c]); err != nil {
				t.Errorf("%v after a bad %v: %v", c, spoiled, err)
			}
		}
	}
}
