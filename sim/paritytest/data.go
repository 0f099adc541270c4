package paritytest

import (
	"io"
	"strings"

	"lignum/core/env"
)

// readCase reads n bytes at off of a file with the given content.
func readCase(content string, off int64, n int, want string, wantErr error) func(b *bench) {
	return func(b *bench) {
		b.put("x", content)
		f := b.open("x", env.ReadOnly)
		defer b.close(f)
		p := []byte(strings.Repeat("#", n))
		got, err := f.ReadAt(p, off)
		b.want(err, wantErr)
		if err == nil && got != n {
			b.t.Errorf("read %d of %d without an error", got, n)
		}
		if wantErr == io.EOF && err != io.EOF {
			b.t.Errorf("error %v, want io.EOF itself", err)
		}
		if string(p[:got]) != want {
			b.t.Errorf("read %q, want %q", p[:got], want)
		}
	}
}

var dataCases = []testCase{
	{"read all", readCase("hello", 0, 5, "hello", nil)},
	{"read the middle", readCase("hello", 1, 3, "ell", nil)},
	{"read up to the end", readCase("hello", 3, 2, "lo", nil)},
	{"read over the end", readCase("hello", 3, 5, "lo", io.EOF)},
	{"read at the end", readCase("hello", 5, 1, "", io.EOF)},
	{"read behind the end", readCase("hello", 99, 1, "", io.EOF)},
	{"read an empty file", readCase("", 0, 1, "", io.EOF)},
	{"read no bytes", readCase("hello", 2, 0, "", nil)},
	{"read no bytes behind the end", readCase("hello", 9, 0, "", nil)},
	{"read before the start", readCase("hello", -1, 2, "", errAny)},
	{"write and read through one file", func(b *bench) {
		f := b.open("x", env.Create)
		b.want(f.WriteAt(0, []byte("abc")), nil)
		b.want(f.WriteAt(1, []byte("ZZZ")), nil)
		b.holds(f, "aZZZ")
		b.close(f)
	}},
	{"two files of one name see each other", func(b *bench) {
		f, g := b.open("x", env.Create), b.open("x", env.ReadWrite)
		b.want(f.WriteAt(0, []byte("abc")), nil)
		b.holds(g, "abc")
		b.want(g.WriteAt(3, []byte("def")), nil)
		b.holds(f, "abcdef")
		b.close(f)
		b.close(g)
	}},
	{"a gap reads as zeroes", func(b *bench) {
		f := b.open("x", env.Create)
		b.want(f.WriteAt(0, []byte("a")), nil)
		b.want(f.WriteAt(10000, []byte("b")), nil)
		b.holds(f, "a"+zeroes(9999)+"b")
		b.close(f)
	}},
	{"write before the start", func(b *bench) {
		f := b.open("x", env.Create)
		err := f.WriteAt(-1, []byte("abc"))
		b.want(err, errAny)
		b.mentions(err, "write", "x")
		b.holds(f, "")
		b.close(f)
	}},
	{"write far behind any end", func(b *bench) {
		f := b.open("x", env.Create)
		b.want(f.WriteAt(1<<62, []byte("abc")), errAny)
		b.close(f)
	}},
	{"write nothing", func(b *bench) {
		f := b.open("x", env.Create)
		b.want(f.WriteAt(0), nil)
		b.want(f.WriteAt(100), nil)
		b.want(f.WriteAt(100, nil, []byte{}), nil)
		b.holds(f, "")
		b.close(f)
	}},
	{"write several slices", func(b *bench) {
		f := b.open("x", env.Create)
		b.want(f.WriteAt(2, []byte("ab"), nil, []byte("c"), []byte{}, []byte("def")), nil)
		b.holds(f, "\x00\x00abcdef")
		b.close(f)
	}},
	{"write leaves the slices alone", func(b *bench) {
		f := b.open("x", env.Create)
		p := [][]byte{[]byte("ab"), nil, []byte("cd")}
		b.want(f.WriteAt(0, p...), nil)
		if string(p[0]) != "ab" || p[1] != nil || string(p[2]) != "cd" {
			b.t.Errorf("slices are now %q", p)
		}
		b.close(f)
	}},
	{"write more slices than one call of the kernel takes", func(b *bench) {
		f := b.open("x", env.Create)
		whole := pattern(5000)
		var p [][]byte
		for i := range whole {
			p = append(p, whole[i:i+1])
		}
		b.want(f.WriteAt(7, p...), nil)
		b.holds(f, zeroes(7)+string(whole))
		b.close(f)
	}},
	{"write large slices over page borders", func(b *bench) {
		f := b.open("x", env.Create)
		whole := pattern(300000)
		b.want(f.WriteAt(0, whole[:4095], whole[4095:4097], whole[4097:70000], whole[70000:]), nil)
		b.holds(f, string(whole))
		b.close(f)
		b.get("x", string(whole))
	}},
	{"overwrite across page borders", func(b *bench) {
		b.put("x", strings.Repeat("-", 10000))
		f := b.open("x", env.ReadWrite)
		b.want(f.WriteAt(4000, []byte(strings.Repeat("+", 5000))), nil)
		b.holds(f, strings.Repeat("-", 4000)+strings.Repeat("+", 5000)+strings.Repeat("-", 1000))
		b.close(f)
	}},
	{"the slices may be used again after a write", func(b *bench) {
		f := b.open("x", env.Create)
		p := []byte("abc")
		b.want(f.WriteAt(0, p), nil)
		copy(p, "zzz")
		b.holds(f, "abc")
		b.close(f)
	}},
	{"sync again and again", func(b *bench) {
		f := b.open("x", env.Create)
		b.want(f.Sync(), nil)
		b.want(f.WriteAt(0, []byte("abc")), nil)
		b.want(f.Sync(), nil)
		b.want(f.Sync(), nil)
		b.holds(f, "abc")
		b.close(f)
	}},
}

var sizeCases = []testCase{
	{"size of an empty file", func(b *bench) { b.put("x", ""); b.get("x", "") }},
	{"truncate shortens", func(b *bench) {
		b.put("x", "abcdef")
		f := b.open("x", env.ReadWrite)
		b.want(f.Truncate(2), nil)
		b.holds(f, "ab")
		b.close(f)
	}},
	{"truncate to nothing", func(b *bench) {
		b.put("x", "abcdef")
		f := b.open("x", env.ReadWrite)
		b.want(f.Truncate(0), nil)
		b.holds(f, "")
		b.close(f)
		b.list(".", "x:0")
	}},
	{"truncate lengthens with zeroes", func(b *bench) {
		b.put("x", "ab")
		f := b.open("x", env.ReadWrite)
		b.want(f.Truncate(9000), nil)
		b.holds(f, "ab"+zeroes(8998))
		b.close(f)
	}},
	{"truncate to the same size", func(b *bench) {
		b.put("x", "ab")
		f := b.open("x", env.ReadWrite)
		b.want(f.Truncate(2), nil)
		b.holds(f, "ab")
		b.close(f)
	}},
	{"what was cut off does not come back", func(b *bench) {
		b.put("x", string(pattern(9000)))
		f := b.open("x", env.ReadWrite)
		b.want(f.Truncate(3), nil)
		b.want(f.Truncate(9000), nil)
		b.holds(f, string(pattern(3))+zeroes(8997))
		b.close(f)
	}},
	{"a write behind a cut leaves zeroes between", func(b *bench) {
		b.put("x", "abcdef")
		f := b.open("x", env.ReadWrite)
		b.want(f.Truncate(1), nil)
		b.want(f.WriteAt(4, []byte("z")), nil)
		b.holds(f, "a\x00\x00\x00z")
		b.close(f)
	}},
	{"truncate to a negative size", func(b *bench) {
		b.put("x", "abc")
		f := b.open("x", env.ReadWrite)
		err := f.Truncate(-1)
		b.want(err, errAny)
		b.mentions(err, "truncate", "x")
		b.holds(f, "abc")
		b.close(f)
	}},
	{"truncate to a size that no file has", func(b *bench) {
		f := b.open("x", env.Create)
		b.want(f.Truncate(1<<62), errAny)
		b.close(f)
	}},
	{"truncate, write and sync", func(b *bench) {
		b.put("x", "abcdef")
		f := b.open("x", env.ReadWrite)
		b.want(f.Truncate(3), nil)
		b.want(f.WriteAt(3, []byte("XY")), nil)
		b.want(f.Sync(), nil)
		b.close(f)
		b.get("x", "abcXY")
	}},
	{"a long hole costs nothing", func(b *bench) {
		f := b.open("x", env.Create)
		b.want(f.Truncate(1<<30), nil)
		b.want(f.WriteAt(1<<30-2, []byte("zz")), nil)
		p := make([]byte, 4)
		n, err := f.ReadAt(p, 1<<30-4)
		b.want(err, nil)
		if string(p[:n]) != "\x00\x00zz" {
			b.t.Errorf("end is %q", p[:n])
		}
		b.close(f)
		b.list(".", "x:1073741824")
	}},
	{"size follows other files of the name", func(b *bench) {
		b.put("x", "abc")
		f := b.open("x", env.ReadOnly)
		b.put("x", "abcdefgh")
		b.holds(f, "abcdefgh")
		b.close(f)
	}},
}

var countCases = []testCase{
	{"a retained file outlives a close", func(b *bench) {
		f := b.open("x", env.Create)
		f.Retain()
		b.close(f)
		b.want(f.WriteAt(0, []byte("abc")), nil)
		b.holds(f, "abc")
		b.close(f)
	}},
	{"many references", func(b *bench) {
		b.put("x", "abc")
		f := b.open("x", env.ReadOnly)
		for range 100 {
			f.Retain()
		}
		for range 100 {
			b.close(f)
		}
		b.holds(f, "abc")
		b.close(f)
	}},
	{"files of one name are counted apart", func(b *bench) {
		b.put("x", "abc")
		f, g := b.open("x", env.ReadOnly), b.open("x", env.ReadOnly)
		b.close(f)
		b.holds(g, "abc")
		b.close(g)
	}},
	{"a second close", func(b *bench) {
		f := b.open("x", env.Create)
		b.close(f)
		b.violates(func() { _ = f.Close() })
	}},
	{"retain after the last close", func(b *bench) {
		f := b.open("x", env.Create)
		b.close(f)
		b.violates(f.Retain)
	}},
	{"use after the last close", func(b *bench) {
		f := b.open("x", env.Create)
		b.close(f)
		b.violates(func() { _, _ = f.ReadAt(make([]byte, 1), 0) })
		b.violates(func() { _ = f.WriteAt(0, []byte("a")) })
		b.violates(func() { _ = f.Truncate(0) })
		b.violates(func() { _, _ = f.Size() })
		b.violates(func() { _ = f.Sync() })
	}},
	{"close does not lose what was written", func(b *bench) {
		b.put("x", "abc")
		b.get("x", "abc")
	}},
}
