package dynamo_test

import (
	"crypto/rand"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mastio-aws/mastio/shared/registry/storetest"
)

func BenchmarkStore(b *testing.B) { storetest.Benchmark(b, open(b)) }

// BenchmarkFloor measures the database alone, to compare BenchmarkStore with it in the same run.
func BenchmarkFloor(b *testing.B) {
	client, prefix := tables(b)
	table, replay := prefix+"registry", prefix+"replay"
	b.Run("strong get", func(b *testing.B) {
		floor(b, func() error {
			_, err := client.GetItem(b.Context(), &awsdynamodb.GetItemInput{
				TableName:      &table,
				Key:            key("AGENT#x"),
				ConsistentRead: aws.Bool(true),
			})
			return err
		})
	})
	b.Run("conditional put", func(b *testing.B) {
		floor(b, func() error {
			_, err := client.PutItem(b.Context(), &awsdynamodb.PutItemInput{
				TableName:           &replay,
				Item:                map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: rand.Text()}},
				ConditionExpression: aws.String("attribute_not_exists(pk)"),
			})
			return err
		})
	})
	b.Run("transaction of two", func(b *testing.B) { floor(b, func() error { return transact(b, client, table, 2) }) })
	b.Run("transaction of three", func(b *testing.B) { floor(b, func() error { return transact(b, client, table, 3) }) })
}

func floor(b *testing.B, do func() error) {
	b.SetParallelism(8)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := do(); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func key(pk string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: pk},
		"sk": &types.AttributeValueMemberS{Value: "-"}}
}

func transact(b *testing.B, client *awsdynamodb.Client, table string, items int) error {
	in := &awsdynamodb.TransactWriteItemsInput{}
	for range items {
		in.TransactItems = append(in.TransactItems, types.TransactWriteItem{Put: &types.Put{
			TableName:           &table,
			Item:                key(rand.Text()),
			ConditionExpression: aws.String("attribute_not_exists(pk)"),
		}})
	}
	_, err := client.TransactWriteItems(b.Context(), in)
	return err
}
