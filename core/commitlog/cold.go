package commitlog

import (
	"slices"

	"lignum/core/env"
	"lignum/core/record"
)

// maxCold is how many closed segments of one log stay open for readers.
const maxCold = 2

// coldFiles keeps the handles of the closed segments that were read last, the latest at the end.
type coldFiles struct {
	open []coldSet
}

type coldSet struct {
	base  record.Offset
	files fileSet
}

// get returns the handles of a segment, which stay the cache's; nil if they are not there.
func (c *coldFiles) get(base record.Offset) *fileSet {
	for i := range c.open {
		if c.open[i].base == base {
			set := c.open[i]
			c.open = append(slices.Delete(c.open, i, i+1), set)
			return &c.open[len(c.open)-1].files
		}
	}
	return nil
}

// put takes over handles and empties f. What it drops for them goes to closing.
func (c *coldFiles) put(base record.Offset, f *fileSet, closing *[]env.File) {
	c.forget(base, closing)
	c.open = append(c.open, coldSet{base, *f})
	*f = fileSet{}
	if len(c.open) > maxCold {
		c.forget(c.open[0].base, closing)
	}
}

// forget drops the handles of a segment.
func (c *coldFiles) forget(base record.Offset, closing *[]env.File) {
	i := slices.IndexFunc(c.open, func(s coldSet) bool { return s.base == base })
	if i < 0 {
		return
	}
	for _, f := range c.open[i].files.all() {
		if f != nil {
			*closing = append(*closing, f)
		}
	}
	c.open = slices.Delete(c.open, i, i+1)
}
