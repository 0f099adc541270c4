package commitlog

import (
	"slices"

	"lignum/core/env"
	"lignum/core/record"
)

// defaultCold is how many closed segments stay open for readers, of a log that shares with none.
const defaultCold = 2

// ColdFiles keeps open the files of the segments that were read last and that nothing is written to, at most a number for all the logs that
// share it. It lives on the loop.
type ColdFiles struct {
	limit   int
	open    []coldFile // the latest at the end
	closing []env.File // a job is to close them
}

type coldFile struct {
	log  *Log
	base record.Offset
	file env.File
}

// NewColdFiles returns an empty set for at most so many files.
func NewColdFiles(limit int) *ColdFiles { return &ColdFiles{limit: max(1, limit)} }

// ShareCold makes the log use a set that others use too. It must be called before the first read.
func (l *Log) ShareCold(c *ColdFiles) { l.cold = c }

// get returns the file of a segment, which stays the set's; nil if it is not there.
func (c *ColdFiles) get(l *Log, base record.Offset) env.File {
	for i := len(c.open) - 1; i >= 0; i-- {
		if f := c.open[i]; f.log == l && f.base == base {
			c.open = append(slices.Delete(c.open, i, i+1), f)
			return f.file
		}
	}
	return nil
}

// put takes over a file.
func (c *ColdFiles) put(l *Log, base record.Offset, file env.File) {
	c.forget(l, base)
	c.open = append(c.open, coldFile{l, base, file})
	if len(c.open) > c.limit {
		c.drop(c.open[0].file)
		c.open = slices.Delete(c.open, 0, 1)
	}
}

// forget drops the file of a segment.
func (c *ColdFiles) forget(l *Log, base record.Offset) {
	c.remove(func(f coldFile) bool { return f.log == l && f.base == base })
}

// forgetAll drops the files of a log.
func (c *ColdFiles) forgetAll(l *Log) {
	c.remove(func(f coldFile) bool { return f.log == l })
}

func (c *ColdFiles) remove(those func(coldFile) bool) {
	kept := c.open[:0]
	for _, f := range c.open {
		if those(f) {
			c.drop(f.file)
		} else {
			kept = append(kept, f)
		}
	}
	clear(c.open[len(kept):])
	c.open = kept
}

// drop leaves a file to be closed.
func (c *ColdFiles) drop(file env.File) { c.closing = append(c.closing, file) }

// take hands out what a job is to close.
func (c *ColdFiles) take() []env.File {
	list := c.closing
	c.closing = nil
	return list
}
