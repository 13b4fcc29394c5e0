package dynamo

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/mastio-aws/mastio/shared/audit"
	"github.com/mastio-aws/mastio/shared/registry"
)

// encodeRow stores the row as its exported JSON, so that a later check hashes the same octets.
func encodeRow(row audit.Row) (item, error) {
	encoded, err := row.Encode()
	if err != nil {
		return nil, err
	}
	day, _, _ := strings.Cut(row.Timestamp, "T")
	return item{
		"subject": text(row.Subject), "seq": text(seqKey(row.Seq)),
		"day": text(day + "#" + shardOf(row.Subject)), "id": text(row.ID), "row": text(string(encoded)),
	}, nil
}

func decodeRow(i item) (audit.Row, error) {
	r := reader{item: i}
	encoded := r.text("row")
	if r.err != nil {
		return audit.Row{}, r.err
	}
	return audit.Decode([]byte(encoded))
}

func encodeAnswer(a registry.Answer) item {
	w := writer{key(answerKey(a.Key), single)}
	w.text("request", a.Request)
	w.blob("result", a.Result)
	w.text("owner", a.Owner)
	w.item["ttl"] = number(a.Expires.Unix())
	return w.item
}

func decodeAnswer(key string, i item) (registry.Answer, error) {
	r := reader{item: i}
	a := registry.Answer{
		Key:     key,
		Request: r.text("request"),
		Result:  json.RawMessage(r.blob("result")),
		Expires: time.Unix(r.number("ttl"), 0).UTC(),
		Owner:   r.text("owner"),
	}
	return a, r.err
}
