package wire

// A schema describes the layout of a body well enough to walk over it. It knows lengths, not meanings.
type schema []field

type shape uint8

const (
	one          shape = 1  // bool, int8
	two          shape = 2  // int16
	four         shape = 4  // int32
	eight        shape = 8  // int64
	sixteen      shape = 16 // uuid
	text         shape = 32 + iota
	maybeText          // nullable
	list               // array of structures
	maybeList          // nullable
	texts              // array of strings
	maybeTexts         // nullable
	numbers            // array of int32
	maybeNumbers       // nullable
	uuids              // array of uuid
	blob               // bytes
	maybeBlob          // nullable
	maybeStruct        // a byte, below zero for null, then a structure
)

// field is one field, present in versions [from, until]; until 0 is without end.
type field struct {
	shape       shape
	from, until int16
	inner       schema
}

// fits reports whether the body holds all that it claims to hold. It allocates nothing.
func (s schema) fits(body []byte, version int16, flexible bool) bool {
	d := reader{src: body, flexible: flexible}
	s.walk(&d, version)
	return !d.failed
}

func (s schema) walk(d *reader, version int16) {
	for i := range s {
		f := &s[i]
		if version >= f.from && (f.until == 0 || version <= f.until) && !d.failed {
			f.walk(d, version)
		}
	}
	d.skipTags()
}

func (f *field) walk(d *reader, version int16) {
	switch f.shape {
	case one, two, four, eight, sixteen:
		d.span(int(f.shape))
	case text:
		d.string()
	case maybeText:
		d.nullableString()
	case list:
		f.walkList(d, version, d.array(1))
	case maybeList:
		f.walkList(d, version, d.nullableArray(1))
	case texts:
		f.walkTexts(d, d.array(1))
	case maybeTexts:
		f.walkTexts(d, d.nullableArray(1))
	case numbers:
		d.span(4 * d.array(4))
	case maybeNumbers:
		d.span(4 * max(d.nullableArray(4), 0))
	case uuids:
		d.span(16 * d.array(16))
	case blob:
		d.bytes()
	case maybeBlob:
		d.nullableBytes()
	case maybeStruct:
		if d.int8() >= 0 {
			f.inner.walk(d, version)
		}
	}
}

func (f *field) walkList(d *reader, version int16, n int) {
	for ; n > 0 && !d.failed; n-- {
		f.inner.walk(d, version)
	}
}

func (f *field) walkTexts(d *reader, n int) {
	for ; n > 0 && !d.failed; n-- {
		d.string()
	}
}
