package api

import (
	"lignum/core/group"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeGroups describes classic groups. API key 15, versions 0 to 6.
//
//	v3  authorized operations
//	v4  instance ids
//	v5  flexible encoding
//	v6  an error for a group that is not there (KIP-1043); before, it is dead
func (h *Handlers) describeGroups(c *Call, r *kmsg.DescribeGroupsRequest) {
	out := r.ResponseKind().(*kmsg.DescribeGroupsResponse)
	r.Groups = distinct(r.Groups, same)
	out.Groups = make([]kmsg.DescribeGroupsResponseGroup, len(r.Groups))
	one := gather(len(r.Groups), func() { c.Answer(out) })
	for i, id := range r.Groups {
		to := &out.Groups[i]
		reply := func(d group.Described) {
			*to = describedGroup(r, &d)
			one()
		}
		s, code := h.Groups.Find(id)
		if code != wire.None {
			reply(group.Described{ID: id, Code: code})
			continue
		}
		s.Describe(id, reply)
	}
	one()
}

func describedGroup(r *kmsg.DescribeGroupsRequest, d *group.Described) kmsg.DescribeGroupsResponseGroup {
	to := kmsg.NewDescribeGroupsResponseGroup()
	to.ErrorCode, to.ErrorMessage, to.Group, to.State = int16(d.Code), orNull(d.Message), d.ID, d.State
	to.ProtocolType, to.Protocol, to.Members = d.ProtocolType, d.Protocol, []kmsg.DescribeGroupsResponseGroupMember{}
	if d.Code == wire.GroupIDNotFound && r.Version < 6 {
		to.ErrorCode, to.ErrorMessage = 0, nil
	}
	if r.IncludeAuthorizedOperations {
		to.AuthorizedOperations = groupOperations
	}
	for i := range d.Members {
		m, from := kmsg.NewDescribeGroupsResponseGroupMember(), &d.Members[i]
		m.MemberID, m.InstanceID, m.ClientID, m.ClientHost = from.ID, orNull(from.Instance), from.ClientID, from.Host
		m.ProtocolMetadata, m.MemberAssignment = from.Metadata, from.Assignment
		to.Members = append(to.Members, m)
	}
	return to
}
