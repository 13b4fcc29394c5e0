package dynamo

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

// holderPrefix is a partition for each key: an agent's record names its own keys, and a look from the key to the agent
// needs another place.
const holderPrefix = "KEY#"

func holderKey(id agent.ProvedKey) item {
	return key(holderPrefix+base64.RawURLEncoding.EncodeToString(id[:]), single)
}

var errBusy = errors.New("keys were handed back")

// KeyHolders reads who holds keys: one batch, eventually consistent, for half the price. No answer waits for it, and a
// key that is handed back is looked for with its next use.
func (s *Store) KeyHolders(
	ctx context.Context, keys ...agent.ProvedKey,
) (map[agent.ProvedKey]registry.KeyHolder, error) {
	const doing = "read who holds keys"
	asked := types.KeysAndAttributes{ConsistentRead: aws.Bool(false)}
	for _, id := range keys {
		asked.Keys = append(asked.Keys, holderKey(id))
	}
	out, err := s.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
		RequestItems: map[string]types.KeysAndAttributes{s.registry: asked},
	})
	if err == nil && len(out.UnprocessedKeys) > 0 {
		err = errBusy
	}
	if err != nil {
		return nil, unavailable(doing, err)
	}
	found := map[agent.ProvedKey]registry.KeyHolder{}
	for _, i := range out.Responses[s.registry] {
		h, err := decodeHolder(i)
		if err != nil {
			return nil, unavailable(doing, err)
		}
		found[h.Key] = h
	}
	return found, nil
}

func decodeHolder(i item) (registry.KeyHolder, error) {
	r := reader{item: i}
	h := registry.KeyHolder{Agent: agent.ID(r.text("agent")), Until: time.Unix(r.number("ttl"), 0).UTC()}
	octets, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(r.text("pk"), holderPrefix))
	if err != nil || copy(h.Key[:], octets) != len(h.Key) {
		return h, fmt.Errorf("%w: key of a holder", errMalformed)
	}
	return h, r.err
}

// HoldKey notes who holds a key: one conditional write of an item of its own.
func (s *Store) HoldKey(ctx context.Context, h registry.KeyHolder, former agent.ID) error {
	w := writer{holderKey(h.Key)}
	w.text("agent", string(h.Agent))
	w.item["ttl"] = expiry(h.Until)
	if former == "" {
		former = h.Agent
	}
	return s.put(ctx, "note who holds a key", &types.Put{
		TableName:                 &s.registry,
		Item:                      w.item,
		ConditionExpression:       aws.String("attribute_not_exists(pk) OR #agent = :agent OR #agent = :former"),
		ExpressionAttributeNames:  map[string]string{"#agent": "agent"},
		ExpressionAttributeValues: item{":agent": text(string(h.Agent)), ":former": text(string(former))},
	})
}
