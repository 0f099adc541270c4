package commitlog

import (
	"slices"

	"lignum/core/env"
	"lignum/core/record"
)

// defaultCold is how many files stay open for readers, of a log that shares with none.
const defaultCold = 4

// ColdFiles keeps open the files of the segments that were read last: the .log file of one that nothing is written to, and the offset index
// of one that was searched. They are at most a number for all the logs that share it. It lives on the loop.
//
// An index is mended in place, so its file stays the same. Where another file takes the name, the segment is another one, too: see discard.
type ColdFiles struct {
	limit   int
	n       int           // files that are open
	open    []coldSegment // the latest at the end
	closing []env.File    // a job is to close them
}

type coldSegment struct {
	log  *Log
	base record.Offset
	coldFiles
}

// coldFiles are files of one segment; each may be nil.
type coldFiles struct{ data, index env.File }

// NewColdFiles returns an empty set for at most so many files.
func NewColdFiles(limit int) *ColdFiles { return &ColdFiles{limit: max(1, limit)} }

// ShareCold makes the log use a set that others use too. It must be called before the first read.
func (l *Log) ShareCold(c *ColdFiles) { l.cold = c }

// get returns the files of a segment, which stay the set's.
func (c *ColdFiles) get(l *Log, base record.Offset) coldFiles {
	if s := c.find(l, base); s != nil {
		return s.coldFiles
	}
	return coldFiles{}
}

// find finds a segment and makes it the latest; nil if it is not there.
func (c *ColdFiles) find(l *Log, base record.Offset) *coldSegment {
	last := len(c.open) - 1
	for i := last; i >= 0; i-- {
		if s := c.open[i]; s.log == l && s.base == base {
			copy(c.open[i:], c.open[i+1:])
			c.open[last] = s
			return &c.open[last]
		}
	}
	return nil
}

// put takes over files, in the place of those that are there.
func (c *ColdFiles) put(l *Log, base record.Offset, f coldFiles) {
	s := c.find(l, base)
	if s == nil {
		c.open = append(c.open, coldSegment{log: l, base: base})
		s = &c.open[len(c.open)-1]
	}
	c.replace(&s.data, f.data)
	c.replace(&s.index, f.index)
	for c.n > c.limit {
		c.drop(c.open[0].coldFiles)
		c.open = slices.Delete(c.open, 0, 1)
	}
}

// replace puts a file, if there is one, where another may be.
func (c *ColdFiles) replace(at *env.File, f env.File) {
	if f == nil {
		return
	}
	c.close(*at)
	*at, c.n = f, c.n+1
}

// forget drops the files of a segment.
func (c *ColdFiles) forget(l *Log, base record.Offset) {
	c.remove(func(s coldSegment) bool { return s.log == l && s.base == base })
}

// forgetAll drops the files of a log.
func (c *ColdFiles) forgetAll(l *Log) {
	c.remove(func(s coldSegment) bool { return s.log == l })
}

func (c *ColdFiles) remove(those func(coldSegment) bool) {
	kept := c.open[:0]
	for _, s := range c.open {
		if those(s) {
			c.drop(s.coldFiles)
		} else {
			kept = append(kept, s)
		}
	}
	clear(c.open[len(kept):])
	c.open = kept
}

// drop leaves files of the set to be closed.
func (c *ColdFiles) drop(f coldFiles) {
	c.close(f.data)
	c.close(f.index)
}

func (c *ColdFiles) close(f env.File) {
	if f != nil {
		c.n--
		c.closing = append(c.closing, f)
	}
}

// take hands out what a job is to close.
func (c *ColdFiles) take() []env.File {
	list := c.closing
	c.closing = nil
	return list
}
