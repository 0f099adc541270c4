package quorum

// MessagesIn returns raft's messages in a payload, and who sent them, for tests that watch the network.
func MessagesIn(payload []byte) (all []*Message) {
	k, _, d := openPayload(payload)
	if k != kindMessages {
		return nil
	}
	for len(d.p) > 0 && d.err == nil {
		all = append(all, readMessage(d))
	}
	if d.err != nil {
		panic(d.err)
	}
	return all
}

// FirstState is the state file that the first release left on node 1, which voted for itself in a term.
func FirstState(term uint64) []byte {
	s := savedState{self: 2, term: term, vote: 2, voters: []uint64{2}}
	return s.encodeFirst()
}

// ForgetCommit is a state file that says less of what was committed: nothing. A crash may come before it is written what was.
func ForgetCommit(p []byte) ([]byte, error) {
	s, err := decodeState(p)
	s.commit = 0
	return s.encode(), err
}
