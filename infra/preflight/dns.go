package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/route53"
)

// records looks at the hosted zone, and for records in the way of those that the deployment makes.
func (l *looker) records(ctx context.Context) (all []finding) {
	const check = "DNS"
	for _, r := range l.a.all("AWS::Route53::RecordSet") {
		zone, name := r.text("HostedZoneId"), r.text("Name")
		out, err := l.route53.GetHostedZone(ctx, &route53.GetHostedZoneInput{Id: &zone})
		switch {
		case code(err) == "NoSuchHostedZone":
			all = append(all, bad(check, "aws route53 list-hosted-zones --query 'HostedZones[].[Id,Name]' --output text",
				"there is no zone %s in this account", zone))
			continue
		case err != nil:
			all = append(all, unseen(check, err))
			continue
		}
		of := aws.ToString(out.HostedZone.Name)
		if name != of && !strings.HasSuffix(name, "."+of) {
			all = append(all, bad(check, "-c hostedZone= takes the zone of the domains", "%s is not in zone %s, %s", name, zone,
				of))
			continue
		}
		all = append(all, l.record(ctx, r, zone, name))
	}
	return all
}

func (l *looker) record(ctx context.Context, r resource, zone, name string) finding {
	const check = "DNS"
	if l.holds(r) {
		return ok(check, "%s is this stack's", name)
	}
	one := int32(1)
	out, err := l.route53.ListResourceRecordSets(ctx, &route53.ListResourceRecordSetsInput{
		HostedZoneId:    &zone,
		StartRecordName: &name,
		MaxItems:        &one,
	})
	if err != nil {
		return unseen(check, err)
	}
	for _, set := range out.ResourceRecordSets {
		if aws.ToString(set.Name) == name && (set.Type == "A" || set.Type == "CNAME") {
			return bad(check, fmt.Sprintf("remove it: aws route53 list-resource-record-sets --hosted-zone-id %s "+
				"--start-record-name %s --max-items 1 shows it", zone, name),
				"%s has a record of type %s already", name, set.Type)
		}
	}
	return ok(check, "%s has no record yet", name)
}

// keyTag is what each key of an Org CA carries; shared/edge/awskms puts it there.
const keyTag = "mastio:org"

// oldKeys looks for keys of an Org CA whose registry is gone: with those, the first Org CA is refused.
func (l *looker) oldKeys(ctx context.Context) []finding {
	const check = "old keys"
	if len(l.deployed[l.a.stacks[0].name]) > 0 || len(l.a.all("AWS::DynamoDB::GlobalTable")) == 0 {
		return nil // the registry is there
	}
	var found []string
	pages := kms.NewListKeysPaginator(l.kms, &kms.ListKeysInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return []finding{unseen(check, err)}
		}
		for _, key := range page.Keys {
			if l.ofThisOrg(ctx, key.KeyId) {
				found = append(found, aws.ToString(key.KeyArn))
			}
		}
	}
	if len(found) == 0 {
		return []finding{ok(check, "no key of an Org CA of %s is left", l.a.org())}
	}
	return []finding{bad(check, fmt.Sprintf("restore the tables, or, to begin anew for good: go run ./infra/erase --org "+
		"%s --confirm delete-ca-keys", l.a.org()),
		"%d keys of an Org CA of %s are there and no registry: the first Org CA would be refused", len(found), l.a.org())}
}

// ofThisOrg reports whether a key belongs to this organisation and does not wait for its deletion. A key that may not
// be read belongs to another system.
func (l *looker) ofThisOrg(ctx context.Context, id *string) bool {
	tags, err := l.kms.ListResourceTags(ctx, &kms.ListResourceTagsInput{KeyId: id})
	if err != nil {
		return false
	}
	for _, t := range tags.Tags {
		if aws.ToString(t.TagKey) == keyTag && aws.ToString(t.TagValue) == l.a.org() {
			about, err := l.kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: id})
			return err == nil && about.KeyMetadata.DeletionDate == nil
		}
	}
	return false
}
