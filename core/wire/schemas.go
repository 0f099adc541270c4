package wire

// The layouts of the requests that kmsg reads. What the fields are called is said in kmsg; here only the order,
// the sizes and the versions matter. A test holds each of them against kmsg's own encoding in every served version.

var apiVersions = schema{
	{shape: text, from: 3}, {shape: text, from: 3},
}

var findCoordinator = schema{
	{shape: text, until: 3}, {shape: one, from: 1}, {shape: texts, from: 4},
}

var createTopics = schema{
	{shape: list, inner: schema{
		{shape: text}, {shape: four}, {shape: two},
		{shape: list, inner: schema{{shape: four}, {shape: numbers}}},
		{shape: list, inner: schema{{shape: text}, {shape: maybeText}}},
	}},
	{shape: four}, {shape: one, from: 1},
}

var deleteTopics = schema{
	{shape: texts, until: 5},
	{shape: list, from: 6, inner: schema{{shape: maybeText}, {shape: sixteen}}},
	{shape: four},
}

var deleteRecords = schema{
	{shape: list, inner: schema{
		{shape: text}, {shape: list, inner: schema{{shape: four}, {shape: eight}}},
	}},
	{shape: four},
}

var initProducerID = schema{
	{shape: maybeText}, {shape: four}, {shape: eight, from: 3}, {shape: two, from: 3},
}

var offsetForLeaderEpoch = schema{
	{shape: four, from: 3},
	{shape: list, inner: schema{
		{shape: text}, {shape: list, inner: schema{{shape: four}, {shape: four, from: 2}, {shape: four}}},
	}},
}

var describeConfigs = schema{
	{shape: list, inner: schema{{shape: one}, {shape: text}, {shape: maybeTexts}}},
	{shape: one, from: 1}, {shape: one, from: 3},
}

var alterConfigs = schema{
	{shape: list, inner: schema{
		{shape: one}, {shape: text},
		{shape: list, inner: schema{{shape: text}, {shape: maybeText}}},
	}},
	{shape: one},
}

var incrementalAlterConfigs = schema{
	{shape: list, inner: schema{
		{shape: one}, {shape: text},
		{shape: list, inner: schema{{shape: text}, {shape: one}, {shape: maybeText}}},
	}},
	{shape: one},
}

var describeLogDirs = schema{
	{shape: maybeList, inner: schema{{shape: text}, {shape: numbers}}},
}

var createPartitions = schema{
	{shape: list, inner: schema{
		{shape: text}, {shape: four},
		{shape: maybeList, inner: schema{{shape: numbers}}},
	}},
	{shape: four}, {shape: one},
}

var describeCluster = schema{
	{shape: one}, {shape: one, from: 1}, {shape: one, from: 2},
}

var describeProducers = schema{
	{shape: list, inner: schema{{shape: text}, {shape: numbers}}},
}

var describeTopicPartitions = schema{
	{shape: list, inner: schema{{shape: text}}},
	{shape: four},
	{shape: maybeStruct, inner: schema{{shape: text}, {shape: four}}},
}
