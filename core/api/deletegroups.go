package api

import (
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// deleteGroups removes empty groups with their offsets. API key 42, versions 0 to 2.
//
//	v2  flexible encoding
func (h *Handlers) deleteGroups(c *Call, r *kmsg.DeleteGroupsRequest) {
	out := r.ResponseKind().(*kmsg.DeleteGroupsResponse)
	out.Groups = make([]kmsg.DeleteGroupsResponseGroup, len(r.Groups))
	one := gather(len(r.Groups), func() { c.Answer(out) })
	for i, id := range r.Groups {
		to := &out.Groups[i]
		to.Group = id
		reply := func(code wire.ErrorCode) {
			to.ErrorCode = int16(code)
			one()
		}
		s, code := h.Groups.Find(id)
		if code != wire.None {
			reply(code)
			continue
		}
		s.Delete(id, reply)
	}
	one()
}
