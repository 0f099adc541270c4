package paritytest

import (
	"strings"

	"lignum/core/env"
)

var openCases = []testCase{
	{"read-only of nothing", func(b *bench) { b.fails("x", env.ReadOnly, env.ErrNotExist) }},
	{"read-write of nothing", func(b *bench) { b.fails("x", env.ReadWrite, env.ErrNotExist) }},
	{"create makes an empty file", func(b *bench) {
		b.close(b.open("x", env.Create))
		b.list(".", "x:0")
	}},
	{"create keeps what is there", func(b *bench) {
		b.put("x", "abc")
		f := b.open("x", env.Create)
		b.holds(f, "abc")
		b.close(f)
	}},
	{"create new makes a file", func(b *bench) {
		f := b.open("x", env.CreateNew)
		b.want(f.WriteAt(0, []byte("a")), nil)
		b.close(f)
		b.get("x", "a")
	}},
	{"create new of a file that is there", func(b *bench) {
		b.put("x", "abc")
		b.fails("x", env.CreateNew, env.ErrExist)
		b.get("x", "abc")
	}},
	{"create new of a directory", func(b *bench) {
		b.mkdir("x")
		b.fails("x", env.CreateNew, env.ErrExist)
	}},
	{"a directory is no file, read-only", func(b *bench) { b.mkdir("x"); b.fails("x", env.ReadOnly, errAny) }},
	{"a directory is no file, read-write", func(b *bench) { b.mkdir("x"); b.fails("x", env.ReadWrite, errAny) }},
	{"a directory is no file, create", func(b *bench) { b.mkdir("x"); b.fails("x", env.Create, errAny) }},
	{"the root is no file", func(b *bench) { b.fails(".", env.ReadOnly, errAny) }},
	{"open in a directory that is not there", func(b *bench) {
		b.fails("d/x", env.ReadOnly, env.ErrNotExist)
		b.fails("d/x", env.Create, env.ErrNotExist)
		b.fails("d/x", env.CreateNew, env.ErrNotExist)
	}},
	{"open below a file", func(b *bench) {
		b.put("f", "")
		b.fails("f/x", env.ReadOnly, errAny)
		b.fails("f/x", env.Create, errAny)
	}},
	{"paths do not leave the root", func(b *bench) {
		for _, p := range []string{"..", "../x", "d/../x", "/x", "/", "", "d//x", "x/", "./x", "x/.", "a\x00b"} {
			b.fails(p, env.Create, errAny)
			b.want(b.disk.Mkdir(p), errAny)
			b.want(b.disk.Remove(p), errAny)
			b.want(b.disk.Rename(p, "y"), errAny)
			_, err := b.disk.ReadDir(p)
			b.want(err, errAny)
		}
		b.list(".")
	}},
	{"a name of 255 bytes", func(b *bench) {
		long := strings.Repeat("n", 255)
		b.put(long, "abc")
		b.list(".", long+":3")
	}},
	{"a name of 256 bytes", func(b *bench) { b.fails(strings.Repeat("n", 256), env.Create, errAny) }},
	{"a read-only file takes no write", func(b *bench) {
		b.put("x", "abc")
		f := b.open("x", env.ReadOnly)
		b.want(f.WriteAt(0, []byte("z")), errAny)
		b.want(f.Truncate(1), errAny)
		b.holds(f, "abc")
		b.close(f)
	}},
	{"a read-only file can be synced", func(b *bench) {
		b.put("x", "abc")
		f := b.open("x", env.ReadOnly)
		b.want(f.Sync(), nil)
		b.close(f)
	}},
	{"open errors name the path", func(b *bench) {
		_, err := b.disk.Open("some/where", env.ReadOnly)
		b.mentions(err, "open", "some/where")
	}},
}

var nameCases = []testCase{
	{"an empty root", func(b *bench) { b.list(".") }},
	{"mkdir and list", func(b *bench) {
		b.mkdir("d")
		b.mkdir("d/e")
		b.put("d/f", "12")
		b.list(".", "d/")
		b.list("d", "e/", "f:2")
		b.list("d/e")
	}},
	{"mkdir of a name that is taken", func(b *bench) {
		b.mkdir("d")
		b.put("f", "")
		b.want(b.disk.Mkdir("d"), env.ErrExist)
		b.want(b.disk.Mkdir("f"), env.ErrExist)
		b.want(b.disk.Mkdir("."), env.ErrExist)
	}},
	{"mkdir without a parent", func(b *bench) { b.want(b.disk.Mkdir("d/e"), env.ErrNotExist) }},
	{"mkdir below a file", func(b *bench) { b.put("f", ""); b.want(b.disk.Mkdir("f/e"), errAny) }},
	{"readdir sorts by bytes", func(b *bench) {
		for _, n := range []string{"b", "a", "B", "a-", "a0", "10", "9", "é", "_"} {
			b.put(n, "")
		}
		b.list(".", "10:0", "9:0", "B:0", "_:0", "a:0", "a-:0", "a0:0", "b:0", "é:0")
	}},
	{"readdir of many names", func(b *bench) {
		var want []string
		for i := range 300 {
			name := strings.Repeat("k", i/26) + string(rune('a'+i%26))
			b.put("f"+name, "")
		}
		entries, err := b.disk.ReadDir(".")
		b.want(err, nil)
		for _, e := range entries {
			want = append(want, e.Name+":0")
		}
		if len(want) != 300 {
			b.t.Errorf("%d names, want 300", len(want))
		}
		b.list(".", want...)
	}},
	{"readdir of nothing", func(b *bench) {
		_, err := b.disk.ReadDir("d")
		b.want(err, env.ErrNotExist)
		b.mentions(err, "d")
	}},
	{"readdir of a file", func(b *bench) {
		b.put("f", "")
		_, err := b.disk.ReadDir("f")
		b.want(err, errAny)
	}},
	{"remove a file", func(b *bench) {
		b.put("x", "abc")
		b.want(b.disk.Remove("x"), nil)
		b.list(".")
		b.fails("x", env.ReadOnly, env.ErrNotExist)
	}},
	{"remove of nothing", func(b *bench) {
		err := b.disk.Remove("x")
		b.want(err, env.ErrNotExist)
		b.mentions(err, "remove", "x")
	}},
	{"remove in no directory", func(b *bench) { b.want(b.disk.Remove("d/x"), env.ErrNotExist) }},
	{"remove an empty directory", func(b *bench) {
		b.mkdir("d")
		b.want(b.disk.Remove("d"), nil)
		b.list(".")
	}},
	{"remove a full directory", func(b *bench) {
		b.mkdir("d")
		b.put("d/f", "1")
		b.want(b.disk.Remove("d"), errAny)
		b.list("d", "f:1")
	}},
	{"remove the root", func(b *bench) { b.want(b.disk.Remove("."), errAny) }},
	{"a removed file lives on while open", func(b *bench) {
		b.put("x", "abc")
		f := b.open("x", env.ReadWrite)
		b.want(b.disk.Remove("x"), nil)
		b.want(f.WriteAt(3, []byte("def")), nil)
		b.want(f.Sync(), nil)
		b.holds(f, "abcdef")
		b.close(f)
		b.list(".")
	}},
	{"a name can be used again while the old file is open", func(b *bench) {
		b.put("x", "old")
		f := b.open("x", env.ReadOnly)
		b.want(b.disk.Remove("x"), nil)
		b.put("x", "newer")
		b.holds(f, "old")
		b.close(f)
		b.get("x", "newer")
	}},
	{"sync a directory", func(b *bench) {
		b.mkdir("d")
		b.put("d/f", "1")
		b.want(b.disk.SyncDir("d"), nil)
		b.want(b.disk.SyncDir("."), nil)
	}},
	{"sync of no directory", func(b *bench) { b.want(b.disk.SyncDir("d"), env.ErrNotExist) }},
	{"sync of a file as a directory", func(b *bench) { b.put("f", ""); b.want(b.disk.SyncDir("f"), errAny) }},
	{"usage", func(b *bench) {
		u, err := b.disk.Usage(".")
		b.want(err, nil)
		if u.TotalBytes <= 0 || u.FreeBytes < 0 || u.FreeBytes > u.TotalBytes {
			b.t.Errorf("usage %+v", u)
		}
	}},
	{"usage of nothing", func(b *bench) {
		_, err := b.disk.Usage("d")
		b.want(err, env.ErrNotExist)
	}},
}

var renameCases = []testCase{
	{"rename a file", func(b *bench) {
		b.put("x", "abc")
		b.want(b.disk.Rename("x", "y"), nil)
		b.list(".", "y:3")
		b.get("y", "abc")
	}},
	{"rename over a file", func(b *bench) {
		b.put("x", "new")
		b.put("y", "older")
		b.want(b.disk.Rename("x", "y"), nil)
		b.list(".", "y:3")
		b.get("y", "new")
	}},
	{"the replaced file lives on while open", func(b *bench) {
		b.put("x", "new")
		b.put("y", "older")
		f := b.open("y", env.ReadOnly)
		b.want(b.disk.Rename("x", "y"), nil)
		b.holds(f, "older")
		b.close(f)
		b.get("y", "new")
	}},
	{"an open file follows its rename", func(b *bench) {
		f := b.open("x", env.Create)
		b.want(b.disk.Rename("x", "y"), nil)
		b.want(f.WriteAt(0, []byte("abc")), nil)
		b.close(f)
		b.get("y", "abc")
	}},
	{"rename to itself", func(b *bench) {
		b.put("x", "abc")
		b.want(b.disk.Rename("x", "x"), nil)
		b.get("x", "abc")
	}},
	{"rename of nothing", func(b *bench) {
		err := b.disk.Rename("x", "y")
		b.want(err, env.ErrNotExist)
		b.mentions(err, "rename", "x", "y")
	}},
	{"rename into no directory", func(b *bench) {
		b.put("x", "abc")
		b.want(b.disk.Rename("x", "d/x"), env.ErrNotExist)
		b.get("x", "abc")
	}},
	{"rename into another directory", func(b *bench) {
		b.mkdir("d")
		b.mkdir("e")
		b.put("d/x", "abc")
		b.want(b.disk.Rename("d/x", "e/y"), nil)
		b.list("d")
		b.list("e", "y:3")
	}},
	{"rename a directory with its files", func(b *bench) {
		b.mkdir("d")
		b.put("d/x", "abc")
		b.want(b.disk.Rename("d", "e"), nil)
		b.list(".", "e/")
		b.get("e/x", "abc")
		b.fails("d/x", env.ReadOnly, env.ErrNotExist)
	}},
	{"rename a directory into another", func(b *bench) {
		b.mkdir("d")
		b.put("d/x", "abc")
		b.mkdir("e")
		b.want(b.disk.Rename("d", "e/d"), nil)
		b.get("e/d/x", "abc")
	}},
	{"rename onto a directory", func(b *bench) {
		b.mkdir("d")
		b.mkdir("e")
		b.put("f", "")
		b.want(b.disk.Rename("d", "e"), env.ErrExist)
		b.want(b.disk.Rename("f", "e"), env.ErrExist)
		b.want(b.disk.Rename("d", "d"), env.ErrExist)
		b.list(".", "d/", "e/", "f:0")
	}},
	{"rename of nothing onto a directory", func(b *bench) {
		b.mkdir("e")
		b.want(b.disk.Rename("x", "e"), env.ErrNotExist)
	}},
	{"rename a directory onto a file", func(b *bench) {
		b.mkdir("d")
		b.put("f", "1")
		b.want(b.disk.Rename("d", "f"), errAny)
		b.list(".", "d/", "f:1")
	}},
	{"rename a directory into itself", func(b *bench) {
		b.mkdir("d")
		b.want(b.disk.Rename("d", "d/e"), errAny)
		b.list(".", "d/")
	}},
	{"files opened before their directory moved", func(b *bench) {
		b.mkdir("d")
		b.put("d/x", "abc")
		f := b.open("d/x", env.ReadWrite)
		b.want(b.disk.Rename("d", "e"), nil)
		b.want(f.WriteAt(3, []byte("d")), nil)
		b.close(f)
		b.get("e/x", "abcd")
	}},
}
