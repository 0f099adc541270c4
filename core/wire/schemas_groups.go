package wire

// The layouts of the requests about groups.

var offsetCommit = schema{
	{shape: text}, {shape: four, from: 1}, {shape: text, from: 1}, {shape: maybeText, from: 7}, {shape: eight, from: 2, until: 4},
	{shape: list, inner: schema{
		{shape: text, until: 9}, {shape: sixteen, from: 10},
		{shape: list, inner: schema{{shape: four}, {shape: eight}, {shape: four, from: 6}, {shape: maybeText}}},
	}},
}

var offsetFetch = schema{
	{shape: text, until: 7},
	{shape: maybeList, until: 7, inner: schema{{shape: text}, {shape: numbers}}},
	{shape: list, from: 8, inner: schema{
		{shape: text}, {shape: maybeText, from: 9}, {shape: four, from: 9},
		{shape: maybeList, inner: schema{{shape: text, until: 9}, {shape: sixteen, from: 10}, {shape: numbers}}},
	}},
	{shape: one, from: 7},
}

var joinGroup = schema{
	{shape: text}, {shape: four}, {shape: four, from: 1}, {shape: text}, {shape: maybeText, from: 5}, {shape: text},
	{shape: list, inner: schema{{shape: text}, {shape: blob}}},
	{shape: maybeText, from: 8},
}

var heartbeat = schema{
	{shape: text}, {shape: four}, {shape: text}, {shape: maybeText, from: 3},
}

var leaveGroup = schema{
	{shape: text}, {shape: text, until: 2},
	{shape: list, from: 3, inner: schema{{shape: text}, {shape: maybeText}, {shape: maybeText, from: 5}}},
}

var syncGroup = schema{
	{shape: text}, {shape: four}, {shape: text}, {shape: maybeText, from: 3}, {shape: maybeText, from: 5}, {shape: maybeText, from: 5},
	{shape: list, inner: schema{{shape: text}, {shape: blob}}},
}

var describeGroups = schema{
	{shape: texts}, {shape: one, from: 3},
}

var listGroups = schema{
	{shape: texts, from: 4}, {shape: texts, from: 5},
}

var deleteGroups = schema{
	{shape: texts},
}

var consumerGroupHeartbeat = schema{
	{shape: text}, {shape: text}, {shape: four}, {shape: maybeText}, {shape: maybeText}, {shape: four},
	{shape: maybeTexts}, {shape: maybeText, from: 1}, {shape: maybeText},
	{shape: maybeList, inner: schema{{shape: sixteen}, {shape: numbers}}},
}

var consumerGroupDescribe = schema{
	{shape: texts}, {shape: one},
}

var offsetDelete = schema{
	{shape: text},
	{shape: list, inner: schema{{shape: text}, {shape: list, inner: schema{{shape: four}}}}},
}
