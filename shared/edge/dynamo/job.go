package dynamo

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/mastio-aws/mastio/shared/agent"
	"github.com/mastio-aws/mastio/shared/registry"
)

// Job reads a job.
func (s *Store) Job(ctx context.Context, id string) (*registry.Job, error) {
	const doing = "read a job"
	i, err := s.get(ctx, s.registry, key(jobRecords, id))
	if err != nil || i == nil {
		return nil, wrap(doing, err)
	}
	j, err := decodeJob(i)
	if err != nil {
		return nil, unavailable(doing, err)
	}
	return &j, nil
}

// Jobs reads the end of the partition of jobs: two read units where ten jobs are kept, and one where none is.
func (s *Store) Jobs(ctx context.Context) ([]registry.Job, error) {
	const doing = "read the last jobs"
	out, err := s.client.Query(ctx, &dynamodb.QueryInput{
		TableName:                 &s.registry,
		ConsistentRead:            aws.Bool(true),
		ScanIndexForward:          aws.Bool(false),
		Limit:                     aws.Int32(registry.JobsKept),
		KeyConditionExpression:    aws.String("pk = :pk"),
		ExpressionAttributeValues: item{":pk": text(jobRecords)},
	})
	if err != nil {
		return nil, unavailable(doing, err)
	}
	var jobs []registry.Job
	for _, i := range out.Items {
		j, err := decodeJob(i)
		if err != nil {
			return nil, unavailable(doing, err)
		}
		jobs = append(jobs, j)
	}
	return jobs, nil
}

func encodeJob(j registry.Job) item {
	w := writer{key(jobRecords, j.ID)}
	w.text("name", j.Filter.Name)
	w.text("among", j.Filter.Among)
	w.text("method", string(j.Filter.Method))
	w.text("status", string(j.Filter.Status))
	w.text("owner", j.Filter.Owner)
	w.number("generation", j.Filter.Generation)
	w.number("not", j.Filter.Not)
	w.time("due_at", j.Filter.DueAt)
	w.text("actor", j.Actor)
	w.time("began", j.Began)
	w.time("ended", j.Ended)
	w.text("cursor", j.Cursor)
	w.number("total", j.Total)
	w.number("reissued", j.Reissued)
	w.number("notified", j.Notified)
	w.number("failed", j.Failed)
	w.number("version", j.Version+1)
	if !j.Open() {
		w.item["ttl"] = expiry(j.Ended.Add(registry.JobTTL))
	}
	return w.item
}

func decodeJob(i item) (registry.Job, error) {
	r := reader{item: i}
	j := registry.Job{
		ID: r.text("sk"),
		Filter: registry.Filter{
			Name:       r.text("name"),
			Among:      r.text("among"),
			Method:     agent.Method(r.text("method")),
			Status:     agent.Status(r.text("status")),
			Owner:      r.text("owner"),
			Generation: r.number("generation"),
			Not:        r.number("not"),
			DueAt:      r.time("due_at"),
		},
		Actor:  r.text("actor"),
		Began:  r.time("began"),
		Ended:  r.time("ended"),
		Cursor: r.text("cursor"),
		Total:  r.number("total"),
		JobCounts: registry.JobCounts{
			Reissued: r.number("reissued"),
			Notified: r.number("notified"),
			Failed:   r.number("failed"),
		},
		Version: r.number("version"),
	}
	return j, r.err
}
