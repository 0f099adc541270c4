package broker

import (
	"lignum/core/api"
	"lignum/core/env"
	"lignum/core/peer"
	"lignum/core/record"
)

// Decode reads one frame at the edge: a request, or a reply on a connection that the node has opened.
func Decode(info env.ConnInfo, frame env.Buffer, records *record.Reader) (env.Request, error) {
	if info.Outgoing {
		return peer.DecodeReply(frame)
	}
	return api.Decode(frame, records)
}
