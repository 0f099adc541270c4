package transport

import "lignum/core/env"

// The methods of env.Network. They are called on the loop.

// Send queues a frame. Its connection's writer hears of it when the loop has drained its mailbox.
func (s *Server) Send(id env.ConnID, out env.Outgoing) {
	c := s.byID[id]
	if c == nil {
		out.Release()
		return
	}
	var size int64
	if z, ok := out.(Sizer); ok {
		size = z.Size()
	}
	if !c.enqueue(out, size) {
		out.Release()
		return
	}
	s.touch(c)
}

// Close sends what is queued and closes.
func (s *Server) Close(id env.ConnID) {
	if c := s.byID[id]; c != nil {
		c.finish()
		c.giveUp()
		s.touch(c)
	}
}

// Resume counts one request of the connection as done with.
func (s *Server) Resume(id env.ConnID) {
	if c := s.byID[id]; c != nil {
		c.unanswered.Add(-1)
		c.changed()
	}
}

func (s *Server) touch(c *conn) {
	if !c.dirty {
		c.dirty = true
		s.dirty = append(s.dirty, c)
	}
}

// flush tells the writers of all connections that got frames, each once.
func (s *Server) flush() {
	for i, c := range s.dirty {
		c.dirty = false
		s.dirty[i] = nil
		c.kick()
	}
	s.dirty = s.dirty[:0]
}
