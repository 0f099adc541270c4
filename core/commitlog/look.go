package commitlog

// AtRest reports whether the files say all that the log says: no Writes is out and nothing waits for one. It is for those who compare the two.
func (l *Log) AtRest() bool {
	return l.failure == nil && !l.closed && !l.stale && len(l.outstanding) == 0 && !l.due()
}
