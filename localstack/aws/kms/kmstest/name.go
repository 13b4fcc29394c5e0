package kmstest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

var nameChecks = []check{
	{"tags", tags},
	{"tags-paging", tagsPaging},
	{"tags-refused", tagsRefused},
	{"keys-paging", keysPaging},
	{"keys-marker", keysMarker},
	{"aliases", aliases},
	{"aliases-refused", aliasesRefused},
	{"aliases-limit", aliasesLimit},
}

// alias gives a key a fresh alias that is deleted when the test ends.
func (p *probe) alias(id string) string {
	p.Helper()
	name := "alias/kmstest-" + strings.ToLower(rand.Text())
	must(p.client.CreateAlias(p.ctx, &kms.CreateAliasInput{AliasName: &name, TargetKeyId: &id}))(p)
	p.Cleanup(func() {
		_, err := p.client.DeleteAlias(context.WithoutCancel(p.ctx), &kms.DeleteAliasInput{AliasName: &name})
		if err != nil && refused[*types.NotFoundException]("", err) != nil {
			p.Logf("alias %s is left behind: %v", name, err)
		}
	})
	return name
}

func tagsOf(m map[string]string) []types.Tag {
	var out []types.Tag
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, types.Tag{TagKey: aws.String(k), TagValue: aws.String(m[k])})
	}
	return out
}

// wantTags checks all tags of a key, read limit at a time.
func (p *probe) wantTags(id string, limit int32, want map[string]string) error {
	p.Helper()
	got := map[string]string{}
	pages := kms.NewListResourceTagsPaginator(p.client, &kms.ListResourceTagsInput{KeyId: &id, Limit: &limit})
	for pages.HasMorePages() {
		page := must(pages.NextPage(p.ctx))(p)
		if len(page.Tags) > int(limit) || page.Truncated != (page.NextMarker != nil) {
			return fmt.Errorf("page of %d tags, truncated %t, marker %t; limit %d", len(page.Tags), page.Truncated,
				page.NextMarker != nil, limit)
		}
		for _, t := range page.Tags {
			if _, twice := got[aws.ToString(t.TagKey)]; twice {
				return fmt.Errorf("tag %s is listed twice", aws.ToString(t.TagKey))
			}
			got[aws.ToString(t.TagKey)] = aws.ToString(t.TagValue)
		}
	}
	if !maps.Equal(got, want) {
		return fmt.Errorf("tags = %v; want %v", got, want)
	}
	return nil
}

func tags(p *probe) error {
	arn := p.create(&kms.CreateKeyInput{Tags: tagsOf(map[string]string{"a": "1", "b": ""})})
	if err := p.wantTags(arn, 50, map[string]string{"a": "1", "b": ""}); err != nil {
		return fmt.Errorf("created: %w", err)
	}
	must(p.client.TagResource(p.ctx, &kms.TagResourceInput{
		KeyId: &arn,
		Tags:  tagsOf(map[string]string{"a": "2", "c": "3"}),
	}))(p)
	must(p.client.UntagResource(p.ctx, &kms.UntagResourceInput{KeyId: &arn, TagKeys: []string{"b", "never-there"}}))(p)
	return p.wantTags(arn, 50, map[string]string{"a": "2", "c": "3"})
}

func tagsPaging(p *probe) error {
	want := map[string]string{}
	for i := range 7 {
		want["k"+strconv.Itoa(i)] = strconv.Itoa(i)
	}
	return p.wantTags(p.create(&kms.CreateKeyInput{Tags: tagsOf(want)}), 3, want)
}

func tagsRefused(p *probe) error {
	arn := p.symmetric()
	many := map[string]string{}
	for i := range 51 {
		many["k"+strconv.Itoa(i)] = ""
	}
	_, reserved := p.client.TagResource(p.ctx, &kms.TagResourceInput{
		KeyId: &arn,
		Tags:  tagsOf(map[string]string{"aws:k": "v"}),
	})
	_, tooMany := p.client.CreateKey(p.ctx, &kms.CreateKeyInput{Tags: tagsOf(many)})
	_, twice := p.client.CreateKey(p.ctx,
		&kms.CreateKeyInput{Tags: append(tagsOf(map[string]string{"k": "1"}), tagsOf(map[string]string{"k": "2"})...)})
	return errors.Join(
		refused[*types.TagException]("tag with a reserved name", reserved),
		refused[*types.TagException]("create with 51 tags", tooMany),
		refused[*types.TagException]("create with one tag twice", twice),
		p.wantTags(arn, 50, map[string]string{}))
}

func keysPaging(p *probe) error {
	made := []string{p.symmetric(), p.symmetric(), p.symmetric()}
	const limit = 2
	seen := map[string]int{}
	pages := kms.NewListKeysPaginator(p.client, &kms.ListKeysInput{Limit: aws.Int32(limit)})
	for pages.HasMorePages() {
		page := must(pages.NextPage(p.ctx))(p)
		if len(page.Keys) > limit || page.Truncated != (page.NextMarker != nil) {
			return fmt.Errorf("page of %d keys, truncated %t, marker %t", len(page.Keys), page.Truncated, page.NextMarker != nil)
		}
		for _, k := range page.Keys {
			seen[aws.ToString(k.KeyArn)]++
		}
	}
	for _, arn := range made {
		if seen[arn] != 1 {
			return fmt.Errorf("key %s is listed %d times; want once", arn, seen[arn])
		}
	}
	return nil
}

func keysMarker(p *probe) error {
	_, marker := p.client.ListKeys(p.ctx, &kms.ListKeysInput{Marker: aws.String("never given out")})
	_, limit := p.client.ListKeys(p.ctx, &kms.ListKeysInput{Limit: aws.Int32(1001)})
	return errors.Join(
		refused[*types.InvalidMarkerException]("list from a foreign marker", marker),
		invalid("list 1001 keys", limit))
}

func aliases(p *probe) error {
	arn, other := p.symmetric(), p.symmetric()
	mine := []string{p.alias(arn), p.alias(arn), p.alias(arn)}
	p.alias(other)
	_, id, _ := strings.Cut(arn, "key/")
	var got []string
	pages := kms.NewListAliasesPaginator(p.client, &kms.ListAliasesInput{KeyId: &arn, Limit: aws.Int32(2)})
	for pages.HasMorePages() {
		for _, a := range must(pages.NextPage(p.ctx))(p).Aliases {
			if aws.ToString(a.TargetKeyId) != id {
				return fmt.Errorf("alias %s is of key %s; want %s", aws.ToString(a.AliasName), aws.ToString(a.TargetKeyId), id)
			}
			got = append(got, aws.ToString(a.AliasName))
		}
	}
	slices.Sort(got)
	slices.Sort(mine)
	if !slices.Equal(got, mine) {
		return fmt.Errorf("aliases = %v; want %v", got, mine)
	}
	_, err := p.client.CreateAlias(p.ctx, &kms.CreateAliasInput{AliasName: &mine[0], TargetKeyId: &other})
	if err := refused[*types.AlreadyExistsException]("take an alias twice", err); err != nil {
		return err
	}
	must(p.client.DeleteAlias(p.ctx, &kms.DeleteAliasInput{AliasName: &mine[0]}))(p)
	_, described := p.client.DescribeKey(p.ctx, &kms.DescribeKeyInput{KeyId: &mine[0]})
	_, deleted := p.client.DeleteAlias(p.ctx, &kms.DeleteAliasInput{AliasName: &mine[0]})
	return errors.Join(
		refused[*types.NotFoundException]("describe by a deleted alias", described),
		refused[*types.NotFoundException]("delete a deleted alias", deleted))
}

func aliasesRefused(p *probe) error {
	arn := p.symmetric()
	for _, name := range []string{"no-prefix", "alias/with space"} {
		_, err := p.client.CreateAlias(p.ctx, &kms.CreateAliasInput{AliasName: &name, TargetKeyId: &arn})
		if err := invalid("create alias "+name, err); err != nil {
			return err
		}
	}
	return nil
}

func aliasesLimit(p *probe) error {
	arn := p.symmetric()
	for range 50 {
		p.alias(arn)
	}
	_, err := p.client.CreateAlias(p.ctx, &kms.CreateAliasInput{
		AliasName:   aws.String("alias/kmstest-" + strings.ToLower(rand.Text())),
		TargetKeyId: &arn,
	})
	return refused[*types.LimitExceededException]("create alias 51", err)
}
