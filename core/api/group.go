package api

import (
	"strings"

	"lignum/core/group"
	"lignum/core/wire"
)

// coordinating finds the shard of a group, or has the refusal sent.
func (h *Handlers) coordinating(id string, refused func(wire.ErrorCode)) *group.Shard {
	if id == "" {
		refused(wire.InvalidGroupID)
		return nil
	}
	s, code := h.Groups.Find(id)
	if code != wire.None {
		refused(code)
		return nil
	}
	return s
}

// clientHost is where a call comes from, as groups describe their members.
func (c *Call) clientHost() string {
	host := c.session.Info.Remote
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		host = host[:i]
	}
	return "/" + strings.Trim(host, "[]")
}

// orEmpty is the string, or "" for null.
func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// orNull is the string, or null for "".
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// gather calls done once it has been called n times itself, and once more: the caller's own, when it has begun everything.
func gather(n int, done func()) (one func()) {
	left := n + 1
	return func() {
		if left--; left == 0 {
			done()
		}
	}
}

// groupOperations are what somebody may do with a group if there is no authorizer.
const groupOperations = opRead | opDelete | opDescribe | opDescribeConfigs | opAlterConfigs
