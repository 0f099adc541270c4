package wire

// ErrorCode is a refusal, as it stands in a response.
type ErrorCode int16

// Kafka's error codes.
const (
	None                                   ErrorCode = 0
	UnknownServerError                     ErrorCode = -1
	OffsetOutOfRange                       ErrorCode = 1
	CorruptMessage                         ErrorCode = 2
	UnknownTopicOrPartition                ErrorCode = 3
	InvalidFetchSize                       ErrorCode = 4
	LeaderNotAvailable                     ErrorCode = 5
	NotLeaderOrFollower                    ErrorCode = 6
	RequestTimedOut                        ErrorCode = 7
	BrokerNotAvailable                     ErrorCode = 8
	ReplicaNotAvailable                    ErrorCode = 9
	MessageTooLarge                        ErrorCode = 10
	StaleControllerEpoch                   ErrorCode = 11
	OffsetMetadataTooLarge                 ErrorCode = 12
	NetworkException                       ErrorCode = 13
	CoordinatorLoadInProgress              ErrorCode = 14
	CoordinatorNotAvailable                ErrorCode = 15
	NotCoordinator                         ErrorCode = 16
	InvalidTopicException                  ErrorCode = 17
	RecordListTooLarge                     ErrorCode = 18
	NotEnoughReplicas                      ErrorCode = 19
	NotEnoughReplicasAfterAppend           ErrorCode = 20
	InvalidRequiredAcks                    ErrorCode = 21
	IllegalGeneration                      ErrorCode = 22
	InconsistentGroupProtocol              ErrorCode = 23
	InvalidGroupID                         ErrorCode = 24
	UnknownMemberID                        ErrorCode = 25
	InvalidSessionTimeout                  ErrorCode = 26
	RebalanceInProgress                    ErrorCode = 27
	InvalidCommitOffsetSize                ErrorCode = 28
	TopicAuthorizationFailed               ErrorCode = 29
	GroupAuthorizationFailed               ErrorCode = 30
	ClusterAuthorizationFailed             ErrorCode = 31
	InvalidTimestamp                       ErrorCode = 32
	UnsupportedSASLMechanism               ErrorCode = 33
	IllegalSASLState                       ErrorCode = 34
	UnsupportedVersion                     ErrorCode = 35
	TopicAlreadyExists                     ErrorCode = 36
	InvalidPartitions                      ErrorCode = 37
	InvalidReplicationFactor               ErrorCode = 38
	InvalidReplicaAssignment               ErrorCode = 39
	InvalidConfig                          ErrorCode = 40
	NotController                          ErrorCode = 41
	InvalidRequest                         ErrorCode = 42
	UnsupportedForMessageFormat            ErrorCode = 43
	PolicyViolation                        ErrorCode = 44
	OutOfOrderSequenceNumber               ErrorCode = 45
	DuplicateSequenceNumber                ErrorCode = 46
	InvalidProducerEpoch                   ErrorCode = 47
	InvalidTxnState                        ErrorCode = 48
	InvalidProducerIDMapping               ErrorCode = 49
	InvalidTransactionTimeout              ErrorCode = 50
	ConcurrentTransactions                 ErrorCode = 51
	TransactionCoordinatorFenced           ErrorCode = 52
	TransactionalIDAuthorizationFailed     ErrorCode = 53
	SecurityDisabled                       ErrorCode = 54
	OperationNotAttempted                  ErrorCode = 55
	KafkaStorageError                      ErrorCode = 56
	LogDirNotFound                         ErrorCode = 57
	SASLAuthenticationFailed               ErrorCode = 58
	UnknownProducerID                      ErrorCode = 59
	ReassignmentInProgress                 ErrorCode = 60
	DelegationTokenAuthDisabled            ErrorCode = 61
	DelegationTokenNotFound                ErrorCode = 62
	DelegationTokenOwnerMismatch           ErrorCode = 63
	DelegationTokenRequestNotAllowed       ErrorCode = 64
	DelegationTokenAuthorizationFailed     ErrorCode = 65
	DelegationTokenExpired                 ErrorCode = 66
	InvalidPrincipalType                   ErrorCode = 67
	NonEmptyGroup                          ErrorCode = 68
	GroupIDNotFound                        ErrorCode = 69
	FetchSessionIDNotFound                 ErrorCode = 70
	InvalidFetchSessionEpoch               ErrorCode = 71
	ListenerNotFound                       ErrorCode = 72
	TopicDeletionDisabled                  ErrorCode = 73
	FencedLeaderEpoch                      ErrorCode = 74
	UnknownLeaderEpoch                     ErrorCode = 75
	UnsupportedCompressionType             ErrorCode = 76
	StaleBrokerEpoch                       ErrorCode = 77
	OffsetNotAvailable                     ErrorCode = 78
	MemberIDRequired                       ErrorCode = 79
	PreferredLeaderNotAvailable            ErrorCode = 80
	GroupMaxSizeReached                    ErrorCode = 81
	FencedInstanceID                       ErrorCode = 82
	EligibleLeadersNotAvailable            ErrorCode = 83
	ElectionNotNeeded                      ErrorCode = 84
	NoReassignmentInProgress               ErrorCode = 85
	GroupSubscribedToTopic                 ErrorCode = 86
	InvalidRecord                          ErrorCode = 87
	UnstableOffsetCommit                   ErrorCode = 88
	ThrottlingQuotaExceeded                ErrorCode = 89
	ProducerFenced                         ErrorCode = 90
	ResourceNotFound                       ErrorCode = 91
	DuplicateResource                      ErrorCode = 92
	UnacceptableCredential                 ErrorCode = 93
	InconsistentVoterSet                   ErrorCode = 94
	InvalidUpdateVersion                   ErrorCode = 95
	FeatureUpdateFailed                    ErrorCode = 96
	PrincipalDeserializationFailure        ErrorCode = 97
	SnapshotNotFound                       ErrorCode = 98
	PositionOutOfRange                     ErrorCode = 99
	UnknownTopicID                         ErrorCode = 100
	DuplicateBrokerRegistration            ErrorCode = 101
	BrokerIDNotRegistered                  ErrorCode = 102
	InconsistentTopicID                    ErrorCode = 103
	InconsistentClusterID                  ErrorCode = 104
	TransactionalIDNotFound                ErrorCode = 105
	FetchSessionTopicIDError               ErrorCode = 106
	IneligibleReplica                      ErrorCode = 107
	NewLeaderElected                       ErrorCode = 108
	OffsetMovedToTieredStorage             ErrorCode = 109
	FencedMemberEpoch                      ErrorCode = 110
	UnreleasedInstanceID                   ErrorCode = 111
	UnsupportedAssignor                    ErrorCode = 112
	StaleMemberEpoch                       ErrorCode = 113
	MismatchedEndpointType                 ErrorCode = 114
	UnsupportedEndpointType                ErrorCode = 115
	UnknownControllerID                    ErrorCode = 116
	UnknownSubscriptionID                  ErrorCode = 117
	TelemetryTooLarge                      ErrorCode = 118
	InvalidRegistration                    ErrorCode = 119
	TransactionAbortable                   ErrorCode = 120
	InvalidRecordState                     ErrorCode = 121
	ShareSessionNotFound                   ErrorCode = 122
	InvalidShareSessionEpoch               ErrorCode = 123
	FencedStateEpoch                       ErrorCode = 124
	InvalidVoterKey                        ErrorCode = 125
	DuplicateVoter                         ErrorCode = 126
	VoterNotFound                          ErrorCode = 127
	InvalidRegularExpression               ErrorCode = 128
	RebootstrapRequired                    ErrorCode = 129
	StreamsInvalidTopology                 ErrorCode = 130
	StreamsInvalidTopologyEpoch            ErrorCode = 131
	StreamsTopologyFenced                  ErrorCode = 132
	ShareSessionLimitReached               ErrorCode = 133
	GroupDeletionFailed                    ErrorCode = 134
	StreamsTopologyDescriptionUpdateFailed ErrorCode = 135
	ControllerIDNotRegistered              ErrorCode = 136
)

// codes is indexed by the code's number plus one.
var codes = [...]codeFacts{
	-1 + 1:  {"UNKNOWN_SERVER_ERROR", "the broker hit an error it has no code for", false},
	0 + 1:   {"NONE", "no error", false},
	1 + 1:   {"OFFSET_OUT_OF_RANGE", "the log has no such offset", false},
	2 + 1:   {"CORRUPT_MESSAGE", "a record batch is damaged or breaks the rules of its format", true},
	3 + 1:   {"UNKNOWN_TOPIC_OR_PARTITION", "this broker knows no such topic or partition", true},
	4 + 1:   {"INVALID_FETCH_SIZE", "the fetch size makes no sense", false},
	5 + 1:   {"LEADER_NOT_AVAILABLE", "the partition has no leader at the moment", true},
	6 + 1:   {"NOT_LEADER_OR_FOLLOWER", "this broker does not hold the partition in the role that the request needs", true},
	7 + 1:   {"REQUEST_TIMED_OUT", "the request was not finished within its time", true},
	8 + 1:   {"BROKER_NOT_AVAILABLE", "the broker cannot be reached", false},
	9 + 1:   {"REPLICA_NOT_AVAILABLE", "the replica is not there", true},
	10 + 1:  {"MESSAGE_TOO_LARGE", "a record batch is larger than the topic allows", false},
	11 + 1:  {"STALE_CONTROLLER_EPOCH", "the controller has moved", false},
	12 + 1:  {"OFFSET_METADATA_TOO_LARGE", "the text that goes with a committed offset is too long", false},
	13 + 1:  {"NETWORK_EXCEPTION", "the connection broke before the answer came", true},
	14 + 1:  {"COORDINATOR_LOAD_IN_PROGRESS", "the coordinator is still loading its state", true},
	15 + 1:  {"COORDINATOR_NOT_AVAILABLE", "there is no coordinator at the moment", true},
	16 + 1:  {"NOT_COORDINATOR", "another broker is the coordinator", true},
	17 + 1:  {"INVALID_TOPIC_EXCEPTION", "the topic's name is not allowed, or the topic is not open to this operation", false},
	18 + 1:  {"RECORD_LIST_TOO_LARGE", "the batches are larger than a segment may be", false},
	19 + 1:  {"NOT_ENOUGH_REPLICAS", "too few replicas are in sync to accept the records", true},
	20 + 1:  {"NOT_ENOUGH_REPLICAS_AFTER_APPEND", "the records were written, but too few replicas are in sync", true},
	21 + 1:  {"INVALID_REQUIRED_ACKS", "acks must be 0, 1 or -1", false},
	22 + 1:  {"ILLEGAL_GENERATION", "the generation is not the group's current one", false},
	23 + 1:  {"INCONSISTENT_GROUP_PROTOCOL", "the member's protocols do not fit those of the group", false},
	24 + 1:  {"INVALID_GROUP_ID", "the group id is not allowed", false},
	25 + 1:  {"UNKNOWN_MEMBER_ID", "the group has no such member", false},
	26 + 1:  {"INVALID_SESSION_TIMEOUT", "the session timeout is outside the broker's limits", false},
	27 + 1:  {"REBALANCE_IN_PROGRESS", "the group is rebalancing; join again", false},
	28 + 1:  {"INVALID_COMMIT_OFFSET_SIZE", "the commit is too large to be stored", false},
	29 + 1:  {"TOPIC_AUTHORIZATION_FAILED", "access to the topic is denied", false},
	30 + 1:  {"GROUP_AUTHORIZATION_FAILED", "access to the group is denied", false},
	31 + 1:  {"CLUSTER_AUTHORIZATION_FAILED", "the operation on the cluster is denied", false},
	32 + 1:  {"INVALID_TIMESTAMP", "a record's timestamp is too far from the broker's time, or not allowed", false},
	33 + 1:  {"UNSUPPORTED_SASL_MECHANISM", "the broker does not offer this SASL mechanism", false},
	34 + 1:  {"ILLEGAL_SASL_STATE", "the request does not belong at this point of the authentication", false},
	35 + 1:  {"UNSUPPORTED_VERSION", "this version of the request is not supported", false},
	36 + 1:  {"TOPIC_ALREADY_EXISTS", "there is a topic of this name already", false},
	37 + 1:  {"INVALID_PARTITIONS", "the number of partitions is not allowed", false},
	38 + 1:  {"INVALID_REPLICATION_FACTOR", "the replication factor is not possible with these brokers", false},
	39 + 1:  {"INVALID_REPLICA_ASSIGNMENT", "the replica assignment is not allowed", false},
	40 + 1:  {"INVALID_CONFIG", "a setting is not allowed", false},
	41 + 1:  {"NOT_CONTROLLER", "this node is not the controller", true},
	42 + 1:  {"INVALID_REQUEST", "the request contradicts itself or a rule of the protocol", false},
	43 + 1:  {"UNSUPPORTED_FOR_MESSAGE_FORMAT", "the topic's record format cannot do this", false},
	44 + 1:  {"POLICY_VIOLATION", "a policy of the cluster forbids this", false},
	45 + 1:  {"OUT_OF_ORDER_SEQUENCE_NUMBER", "a batch of the producer before this one is missing", false},
	46 + 1:  {"DUPLICATE_SEQUENCE_NUMBER", "the batch is already in the log", false},
	47 + 1:  {"INVALID_PRODUCER_EPOCH", "a newer instance of the producer has taken over", false},
	48 + 1:  {"INVALID_TXN_STATE", "the transaction is in a state that does not allow this", false},
	49 + 1:  {"INVALID_PRODUCER_ID_MAPPING", "the producer id does not belong to this transactional id", false},
	50 + 1:  {"INVALID_TRANSACTION_TIMEOUT", "the transaction timeout is above the broker's limit", false},
	51 + 1:  {"CONCURRENT_TRANSACTIONS", "the producer's previous transaction is still being finished", true},
	52 + 1:  {"TRANSACTION_COORDINATOR_FENCED", "a newer transaction coordinator has taken over", false},
	53 + 1:  {"TRANSACTIONAL_ID_AUTHORIZATION_FAILED", "access to the transactional id is denied", false},
	54 + 1:  {"SECURITY_DISABLED", "security features are switched off", false},
	55 + 1:  {"OPERATION_NOT_ATTEMPTED", "not tried, because another part of the request failed", false},
	56 + 1:  {"KAFKA_STORAGE_ERROR", "the disk failed under the log", true},
	57 + 1:  {"LOG_DIR_NOT_FOUND", "there is no such log directory", false},
	58 + 1:  {"SASL_AUTHENTICATION_FAILED", "authentication failed", false},
	59 + 1:  {"UNKNOWN_PRODUCER_ID", "the partition knows nothing of the producer id", false},
	60 + 1:  {"REASSIGNMENT_IN_PROGRESS", "the partition is being reassigned", false},
	61 + 1:  {"DELEGATION_TOKEN_AUTH_DISABLED", "delegation tokens are switched off", false},
	62 + 1:  {"DELEGATION_TOKEN_NOT_FOUND", "there is no such delegation token", false},
	63 + 1:  {"DELEGATION_TOKEN_OWNER_MISMATCH", "the delegation token belongs to somebody else", false},
	64 + 1:  {"DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", "delegation tokens may not be asked for over this connection", false},
	65 + 1:  {"DELEGATION_TOKEN_AUTHORIZATION_FAILED", "access to the delegation token is denied", false},
	66 + 1:  {"DELEGATION_TOKEN_EXPIRED", "the delegation token has expired", false},
	67 + 1:  {"INVALID_PRINCIPAL_TYPE", "this type of principal is not supported", false},
	68 + 1:  {"NON_EMPTY_GROUP", "the group still has members", false},
	69 + 1:  {"GROUP_ID_NOT_FOUND", "there is no such group", false},
	70 + 1:  {"FETCH_SESSION_ID_NOT_FOUND", "there is no such fetch session", true},
	71 + 1:  {"INVALID_FETCH_SESSION_EPOCH", "the fetch session is at another epoch", true},
	72 + 1:  {"LISTENER_NOT_FOUND", "the leader has no listener that matches this one", true},
	73 + 1:  {"TOPIC_DELETION_DISABLED", "deleting topics is switched off", false},
	74 + 1:  {"FENCED_LEADER_EPOCH", "the request names an older leader epoch than this replica knows", true},
	75 + 1:  {"UNKNOWN_LEADER_EPOCH", "the request names a newer leader epoch than this replica knows", true},
	76 + 1:  {"UNSUPPORTED_COMPRESSION_TYPE", "the request's version cannot carry this compression", false},
	77 + 1:  {"STALE_BROKER_EPOCH", "the broker has registered again since", false},
	78 + 1:  {"OFFSET_NOT_AVAILABLE", "the leader has just been elected and does not know the high watermark yet", true},
	79 + 1:  {"MEMBER_ID_REQUIRED", "join again with the member id that comes with this answer", false},
	80 + 1:  {"PREFERRED_LEADER_NOT_AVAILABLE", "the preferred leader is not available", true},
	81 + 1:  {"GROUP_MAX_SIZE_REACHED", "the group is full", false},
	82 + 1:  {"FENCED_INSTANCE_ID", "another member has taken over this instance id", false},
	83 + 1:  {"ELIGIBLE_LEADERS_NOT_AVAILABLE", "no replica that may lead is available", true},
	84 + 1:  {"ELECTION_NOT_NEEDED", "the partition has the right leader already", true},
	85 + 1:  {"NO_REASSIGNMENT_IN_PROGRESS", "the partition is not being reassigned", false},
	86 + 1:  {"GROUP_SUBSCRIBED_TO_TOPIC", "the group is subscribed to the topic", false},
	87 + 1:  {"INVALID_RECORD", "the topic refuses one of the records", false},
	88 + 1:  {"UNSTABLE_OFFSET_COMMIT", "a transaction on these offsets is still open", true},
	89 + 1:  {"THROTTLING_QUOTA_EXCEEDED", "the quota is used up", true},
	90 + 1:  {"PRODUCER_FENCED", "a newer producer with the same transactional id has taken over", false},
	91 + 1:  {"RESOURCE_NOT_FOUND", "there is no such resource", false},
	92 + 1:  {"DUPLICATE_RESOURCE", "the request names a resource twice", false},
	93 + 1:  {"UNACCEPTABLE_CREDENTIAL", "the credential does not meet the rules", false},
	94 + 1:  {"INCONSISTENT_VOTER_SET", "one side is not a voter by what the other knows", false},
	95 + 1:  {"INVALID_UPDATE_VERSION", "the update is not based on the current version", false},
	96 + 1:  {"FEATURE_UPDATE_FAILED", "the feature level could not be changed", false},
	97 + 1:  {"PRINCIPAL_DESERIALIZATION_FAILURE", "the forwarded principal could not be read", false},
	98 + 1:  {"SNAPSHOT_NOT_FOUND", "there is no such snapshot", false},
	99 + 1:  {"POSITION_OUT_OF_RANGE", "the position is outside the snapshot", false},
	100 + 1: {"UNKNOWN_TOPIC_ID", "this broker knows no topic of this id", true},
	101 + 1: {"DUPLICATE_BROKER_REGISTRATION", "another broker uses this node id", false},
	102 + 1: {"BROKER_ID_NOT_REGISTERED", "no broker of this id is registered", false},
	103 + 1: {"INCONSISTENT_TOPIC_ID", "the topic id is not the one in the log", true},
	104 + 1: {"INCONSISTENT_CLUSTER_ID", "the request is meant for another cluster", false},
	105 + 1: {"TRANSACTIONAL_ID_NOT_FOUND", "there is no such transactional id", false},
	106 + 1: {"FETCH_SESSION_TOPIC_ID_ERROR", "the fetch session mixes topic names and topic ids", true},
	107 + 1: {"INELIGIBLE_REPLICA", "a new member of the ISR is not eligible", false},
	108 + 1: {"NEW_LEADER_ELECTED", "the change has made another replica the leader", false},
	109 + 1: {"OFFSET_MOVED_TO_TIERED_STORAGE", "the offset is in tiered storage only", false},
	110 + 1: {"FENCED_MEMBER_EPOCH", "the coordinator has fenced this member epoch; join again", false},
	111 + 1: {"UNRELEASED_INSTANCE_ID", "another member still holds this instance id", false},
	112 + 1: {"UNSUPPORTED_ASSIGNOR", "the group cannot use this assignor", false},
	113 + 1: {"STALE_MEMBER_EPOCH", "the member epoch is old; wait for the next heartbeat", false},
	114 + 1: {"MISMATCHED_ENDPOINT_TYPE", "this kind of endpoint does not take the request", false},
	115 + 1: {"UNSUPPORTED_ENDPOINT_TYPE", "this kind of endpoint is not supported", false},
	116 + 1: {"UNKNOWN_CONTROLLER_ID", "there is no such controller", false},
	117 + 1: {"UNKNOWN_SUBSCRIPTION_ID", "the telemetry subscription is outdated", false},
	118 + 1: {"TELEMETRY_TOO_LARGE", "the telemetry is larger than the broker takes", false},
	119 + 1: {"INVALID_REGISTRATION", "the broker's registration is not valid", false},
	120 + 1: {"TRANSACTION_ABORTABLE", "the transaction must be aborted", false},
	121 + 1: {"INVALID_RECORD_STATE", "the record's delivery state does not allow this", false},
	122 + 1: {"SHARE_SESSION_NOT_FOUND", "there is no such share session", true},
	123 + 1: {"INVALID_SHARE_SESSION_EPOCH", "the share session is at another epoch", true},
	124 + 1: {"FENCED_STATE_EPOCH", "the share state is at another epoch", false},
	125 + 1: {"INVALID_VOTER_KEY", "the key of the voter does not match", false},
	126 + 1: {"DUPLICATE_VOTER", "the voter is a member already", false},
	127 + 1: {"VOTER_NOT_FOUND", "there is no such voter", false},
	128 + 1: {"INVALID_REGULAR_EXPRESSION", "the regular expression cannot be read", false},
	129 + 1: {"REBOOTSTRAP_REQUIRED", "the client's metadata is too old; start again from the bootstrap servers", false},
	130 + 1: {"STREAMS_INVALID_TOPOLOGY", "the topology is not valid", false},
	131 + 1: {"STREAMS_INVALID_TOPOLOGY_EPOCH", "the topology is at another epoch", false},
	132 + 1: {"STREAMS_TOPOLOGY_FENCED", "the topology is outdated", false},
	133 + 1: {"SHARE_SESSION_LIMIT_REACHED", "there are as many share sessions as there may be", true},
	134 + 1: {"GROUP_DELETION_FAILED", "the group could not be deleted", false},
	135 + 1: {"STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED", "the description of the topology could not be stored", false},
	136 + 1: {"CONTROLLER_ID_NOT_REGISTERED", "no controller of this id is registered", false},
}

type codeFacts struct {
	name, message string
	retriable     bool
}

func (c ErrorCode) facts() codeFacts {
	if int(c) < -1 || int(c)+1 >= len(codes) {
		return codes[0]
	}
	return codes[c+1]
}

// String is Kafka's name of the code.
func (c ErrorCode) String() string { return c.facts().name }

// Message says what is wrong, for people. A code that is not known is an unknown server error.
func (c ErrorCode) Message() string { return c.facts().message }

// Retriable reports whether a client may expect the same request to succeed later.
func (c ErrorCode) Retriable() bool { return c.facts().retriable }
