package quorum

// CheckpointImage takes the image out of the content of a checkpoint file. index is that of the last entry in it. It is for those who compare the two.
func CheckpointImage(p []byte) (index uint64, image []byte, err error) {
	c, err := decodeCheckpoint(p)
	if err != nil {
		return 0, nil, err
	}
	return c.index, c.image, nil
}

// Votes reports whether this node takes part as a voter, as far as it has heard. It is for those who look at a node from outside.
func (q *Quorum) Votes() bool { return q.node != nil && q.votes() }
