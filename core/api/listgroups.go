package api

import (
	"cmp"
	"slices"

	"lignum/core/group"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// listGroups lists the groups that this broker coordinates. API key 16, versions 0 to 5.
//
//	v3  flexible encoding
//	v4  only groups in certain states
//	v5  only groups of certain types
func (h *Handlers) listGroups(c *Call, r *kmsg.ListGroupsRequest) {
	out := r.ResponseKind().(*kmsg.ListGroupsResponse)
	out.Groups = []kmsg.ListGroupsResponseGroup{}
	shards, code := h.Groups.All()
	out.ErrorCode = int16(code)
	var all []group.Listed
	one := gather(len(shards), func() {
		slices.SortFunc(all, func(a, b group.Listed) int { return cmp.Compare(a.ID, b.ID) })
		for _, l := range all {
			g := kmsg.NewListGroupsResponseGroup()
			g.Group, g.ProtocolType, g.GroupState, g.GroupType = l.ID, l.ProtocolType, l.State, l.Type
			out.Groups = append(out.Groups, g)
		}
		c.Answer(out)
	})
	for _, s := range shards {
		s.List(r.StatesFilter, r.TypesFilter, func(list []group.Listed, code wire.ErrorCode) {
			if code != wire.None && code != wire.NotCoordinator {
				out.ErrorCode = int16(code)
			}
			all = append(all, list...)
			one()
		})
	}
	one()
}
