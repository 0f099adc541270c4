package wire

// The layouts of what nodes of a cluster say to each other, and of the requests about the cluster itself.

var alterReplicaLogDirs = schema{
	{shape: list, inner: schema{
		{shape: text}, {shape: list, inner: schema{{shape: text}, {shape: numbers}}},
	}},
}

var electLeaders = schema{
	{shape: one, from: 1},
	{shape: maybeList, inner: schema{{shape: text}, {shape: numbers}}},
	{shape: four},
}

var alterPartitionReassignments = schema{
	{shape: four}, {shape: one, from: 1},
	{shape: list, inner: schema{
		{shape: text}, {shape: list, inner: schema{{shape: four}, {shape: maybeNumbers}}},
	}},
}

var listPartitionReassignments = schema{
	{shape: four},
	{shape: maybeList, inner: schema{{shape: text}, {shape: numbers}}},
}

var describeQuorum = schema{
	{shape: list, inner: schema{
		{shape: text}, {shape: list, inner: schema{{shape: four}}},
	}},
}

var alterPartition = schema{
	{shape: four}, {shape: eight},
	{shape: list, inner: schema{
		{shape: sixteen},
		{shape: list, inner: schema{
			{shape: four}, {shape: four},
			{shape: numbers, until: 2},
			{shape: list, from: 3, inner: schema{{shape: four}, {shape: eight}}},
			{shape: one}, {shape: four},
		}},
	}},
}

var updateFeatures = schema{
	{shape: four},
	{shape: list, inner: schema{
		{shape: text}, {shape: two}, {shape: one}, // a flag in version 0, a number since
	}},
	{shape: one, from: 1},
}

var envelope = schema{
	{shape: blob}, {shape: maybeBlob}, {shape: blob},
}

var brokerRegistration = schema{
	{shape: four}, {shape: text}, {shape: sixteen},
	{shape: list, inner: schema{{shape: text}, {shape: text}, {shape: two}, {shape: two}}},
	{shape: list, inner: schema{{shape: text}, {shape: two}, {shape: two}}},
	{shape: maybeText}, {shape: one, from: 1}, {shape: uuids, from: 2}, {shape: eight, from: 3},
}

var brokerHeartbeat = schema{
	{shape: four}, {shape: eight}, {shape: eight}, {shape: one}, {shape: one},
}

var unregisterBroker = schema{{shape: four}}

var allocateProducerIDs = schema{{shape: four}, {shape: eight}}

var assignReplicasToDirs = schema{
	{shape: four}, {shape: eight},
	{shape: list, inner: schema{
		{shape: sixteen},
		{shape: list, inner: schema{
			{shape: sixteen}, {shape: list, inner: schema{{shape: four}}},
		}},
	}},
}

var addRaftVoter = schema{
	{shape: maybeText}, {shape: four}, {shape: four}, {shape: sixteen},
	{shape: list, inner: schema{{shape: text}, {shape: text}, {shape: two}}},
}

var removeRaftVoter = schema{
	{shape: maybeText}, {shape: four}, {shape: sixteen},
}

// responseSchema is the layout of a response that nodes read with the types of kmsg; nil for others.
func responseSchema(k Key) schema {
	switch k {
	case OffsetForLeaderEpoch:
		return offsetForLeaderEpochResponse
	case AlterPartition:
		return alterPartitionResponse
	case Envelope:
		return envelopeResponse
	case BrokerRegistration:
		return brokerRegistrationResponse
	case BrokerHeartbeat:
		return brokerHeartbeatResponse
	case AllocateProducerIDs:
		return allocateProducerIDsResponse
	case AssignReplicasToDirs:
		return assignReplicasToDirsResponse
	}
	return nil
}

var offsetForLeaderEpochResponse = schema{
	{shape: four},
	{shape: list, inner: schema{
		{shape: text}, {shape: list, inner: schema{{shape: two}, {shape: four}, {shape: four}, {shape: eight}}},
	}},
}

var alterPartitionResponse = schema{
	{shape: four}, {shape: two},
	{shape: list, inner: schema{
		{shape: sixteen},
		{shape: list, inner: schema{
			{shape: four}, {shape: two}, {shape: four}, {shape: four}, {shape: numbers}, {shape: one}, {shape: four},
		}},
	}},
}

var envelopeResponse = schema{{shape: maybeBlob}, {shape: two}}

var brokerRegistrationResponse = schema{{shape: four}, {shape: two}, {shape: eight}}

var brokerHeartbeatResponse = schema{{shape: four}, {shape: two}, {shape: one}, {shape: one}, {shape: one}}

var allocateProducerIDsResponse = schema{{shape: four}, {shape: two}, {shape: eight}, {shape: four}}

var assignReplicasToDirsResponse = schema{
	{shape: four}, {shape: two},
	{shape: list, inner: schema{
		{shape: sixteen},
		{shape: list, inner: schema{
			{shape: sixteen}, {shape: list, inner: schema{{shape: four}, {shape: two}}},
		}},
	}},
}
