package dynamo

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/orgca"
	"github.com/mastio-aws/mastio/shared/schema"
)

// Keys of the registry. Under org, everything that Org reads sorts before the pointer's second copy.
const (
	org       = "ORG"
	leaseKey  = "LEASE"
	domainKey = "DOMAIN" // the truststore, and what the agents' domain serves of it
	planKey   = "PLAN"
	caPrefix  = "CA#"
	single    = "-" // sort key of a record that is alone in its partition
	endOfOrg  = "POINTER#01"
	firstCopy = "POINTER#00"

	// edge is a partition of its own, so that who adds a CA to it cannot write the organisation's records.
	edge = "EDGE"
	// fleetRecord is how far the fleet has come with the last swap: the function hygiene writes it, and no other record of
	// the organisation.
	fleetRecord   = "FLEET"
	headRecord    = "HEAD" // end of the organisation's chain: likewise, for the checkpoint moves it
	movedPrefix   = "MOVED#"
	seenPrefix    = "SEEN#"
	checkpointKey = "CHECKPOINT"
	// burndownRecord is no record of the organisation, which every rotation reads.
	burndownRecord = "BURNDOWN"
	jobRecords     = "JOBS"
)

func key(pk, sk string) item { return item{"pk": text(pk), "sk": text(sk)} }

func agentKey(id agent.ID) string { return "AGENT#" + string(id) }

// seenKey is a partition of its own, so that the note of a token shares no item with any change of the agent.
func seenKey(id agent.ID) string { return seenPrefix + string(id) }

// seenKeys are the keys of what is noted of agents, under one sort key.
func seenKeys(ids []agent.ID, sk string) []item {
	keys := make([]item, len(ids))
	for n, id := range ids {
		keys[n] = key(seenKey(id), sk)
	}
	return keys
}

func isSeen(i item) bool {
	r := reader{item: i}
	return strings.HasPrefix(r.text("pk"), seenPrefix)
}

func pointerKey(copy int) string { return fmt.Sprintf("POINTER#%02d", copy) }

func pointerFor(id agent.ID) string { return pointerKey(orgca.Copy(string(id))) }

func generationKey(number int64) string { return fmt.Sprintf(caPrefix+"%06d", number) }

// seqKey keeps a chain in order: a billion rows a second would take half an hour to overflow it.
func seqKey(seq int64) string { return fmt.Sprintf("%012d", seq) }

// aliasKey hashes what a certificate shows: a SPIFFE ID may be longer than a key.
func aliasKey(name string) string { return "ALIAS#" + digest(name) }

func edgeKey(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// namedKey is the partition of those who name a CA of the edge: of one item for each of them.
func namedKey(der []byte) string { return edge + "#" + edgeKey(der) }

func epochKey(epoch int64) string { return strconv.FormatInt(epoch, 10) }

// answerKey and proofKey hash what a client chose: it may be long, and need not be the UTF-8 that a key must be.
func answerKey(idempotencyKey string) string { return "IDEM#" + digest(idempotencyKey) }

func proofKey(jkt, jti string) string { return jkt + "#" + digest(jti) }

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// shardOf spreads an index's entries evenly over its partitions.
func shardOf(name string) string {
	h := fnv.New32a()
	h.Write([]byte(name))
	return shardKey(int(h.Sum32() % schema.Shards))
}

func shardKey(shard int) string { return fmt.Sprintf("%02d", shard) }
