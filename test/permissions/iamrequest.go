package permissions

import (
	"encoding/json"
	"maps"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/mastio-aws/mastio/localstack/stack"
	"github.com/mastio-aws/mastio/shared/schema"
)

// iamRequest is one thing that a function did, as IAM is asked for it: the action, the resource as the table spells it,
// and the condition keys that the request carries.
type iamRequest struct {
	function, action, resource string
	context                    map[string][]string
}

// read takes a request apart. A call that touches several items asks for each.
func read(service, function string, r *http.Request, body []byte) []iamRequest {
	var all []iamRequest
	switch service {
	case stack.DynamoDB:
		all = dynamo(operation(r), body)
	case stack.KMS:
		all = keys(operation(r), body)
	case stack.S3:
		all = objects(r)
	case stack.SecretsManager:
		all = secrets(operation(r), body)
	case stack.EventBridge:
		all = []iamRequest{{action: "events:" + operation(r), resource: "Bus"}}
	case stack.Lambda:
		name := path.Base(path.Dir(r.URL.Path))
		all = []iamRequest{{
			action:   "lambda:InvokeFunction",
			resource: "arn:aws:lambda:eu-central-1:111111111111:function:mastio-acme-" + name + ":live",
		}}
	case stack.APIGateway:
		all = []iamRequest{{
			action:   "apigateway:" + r.Method,
			resource: "arn:aws:apigateway:eu-central-1::/domainnames/agents.mastio.acme.example",
		}}
	}
	if all == nil { // what is not understood is not allowed
		all = []iamRequest{{action: service + ":" + r.Method + " " + r.URL.Path + " " + operation(r)}}
	}
	for i := range all {
		all[i].function = function
	}
	return all
}

func operation(r *http.Request) string {
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	return op
}

// item is a map of attribute values of strings, as far as keys go.
type item = map[string]struct {
	S string `json:"S"`
}

// access is what the operations on items have in common.
type access struct {
	TableName string            `json:"TableName"`
	IndexName string            `json:"IndexName"`
	Key       item              `json:"Key"`
	Item      item              `json:"Item"`
	Names     map[string]string `json:"ExpressionAttributeNames"`
	Values    item              `json:"ExpressionAttributeValues"`
	KeyIs     string            `json:"KeyConditionExpression"`
}

func dynamo(op string, body []byte) []iamRequest {
	var in struct {
		access
		RequestItems  map[string]struct{ Keys []item } `json:"RequestItems"`
		TransactItems []map[string]access              `json:"TransactItems"`
	}
	if json.Unmarshal(body, &in) != nil {
		return nil
	}
	var all []iamRequest
	switch op {
	case "BatchGetItem":
		for name, batch := range in.RequestItems {
			a := access{TableName: name}
			one := a.asks(op, nil)
			for _, key := range batch.Keys {
				one.context["dynamodb:LeadingKeys"] = append(one.context["dynamodb:LeadingKeys"],
					normal(key[partitionKey(name, "")].S))
			}
			all = append(all, one)
		}
	case "TransactWriteItems":
		for _, entry := range in.TransactItems {
			for kind, a := range entry {
				action := map[string]string{"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem",
					"ConditionCheck": "ConditionCheckItem"}[kind]
				one := a.asks(action, a.leading())
				one.context["dynamodb:EnclosingOperation"] = []string{op}
				all = append(all, one)
			}
		}
		all = append(all, atOnce(all)...)
	case "GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "CreateBackup":
		all = append(all, in.asks(op, in.leading()))
	}
	return all
}

// atOnce is the other reading of a transaction. AWS does not document whether IAM is asked for each item, or once for
// all items with the same action on the same table, with the keys and attributes of all: both have to be allowed.
func atOnce(items []iamRequest) (all []iamRequest) {
	at := map[string]int{}
	for _, one := range items {
		what := one.action + " " + one.resource
		n, seen := at[what]
		if !seen {
			at[what] = len(all)
			one.context = maps.Clone(one.context)
			all = append(all, one)
			continue
		}
		for key, values := range one.context {
			merged := append(slices.Clone(all[n].context[key]), values...)
			slices.Sort(merged)
			all[n].context[key] = slices.Compact(merged)
		}
	}
	return all
}

func (a access) asks(action string, leading []string) iamRequest {
	resource := "Table" + logical(a.TableName)
	if a.IndexName != "" {
		resource += "/index/" + a.IndexName
	}
	one := iamRequest{action: "dynamodb:" + action, resource: resource, context: map[string][]string{}}
	if len(leading) > 0 {
		one.context["dynamodb:LeadingKeys"] = leading
	}
	if attributes := slices.Sorted(maps.Keys(a.Item)); len(attributes) > 0 {
		one.context["dynamodb:Attributes"] = attributes
	}
	return one
}

// leading is the partition key that the call names.
func (a access) leading() []string {
	name := partitionKey(a.TableName, a.IndexName)
	for _, from := range []item{a.Key, a.Item} {
		if v, ok := from[name]; ok {
			return []string{normal(v.S)}
		}
	}
	for _, equal := range keyEquals.FindAllStringSubmatch(a.KeyIs, -1) {
		attribute := equal[1]
		if real, ok := a.Names[attribute]; ok {
			attribute = real
		}
		if attribute == name {
			return []string{normal(a.Values[equal[2]].S)}
		}
	}
	return nil
}

var keyEquals = regexp.MustCompile(`(#?\w+)\s*=\s*(:\w+)`)

func logical(table string) string {
	table = path.Base(table) // of an ARN
	for _, t := range schema.Tables() {
		if strings.HasSuffix(table, "-"+t.Name) || table == t.Name {
			return t.Name
		}
	}
	return table
}

func partitionKey(table, index string) string {
	for _, t := range schema.Tables() {
		if t.Name != logical(table) {
			continue
		}
		for _, i := range t.Indexes {
			if i.Name == index {
				return i.PartitionKey
			}
		}
		return t.PartitionKey
	}
	return ""
}

// normal makes one of the keys that differ by an agent only, and the organisation the table's.
func normal(key string) string {
	if kind, _, ok := strings.Cut(key, "#"); ok {
		return kind + "#1"
	}
	if name, rest, ok := strings.Cut(key, "/"); ok && !strings.Contains(name, ":") {
		return organisation + "/" + rest
	}
	if strings.Contains(key, "::") {
		return organisation + "::agent"
	}
	return key
}

func keys(op string, body []byte) []iamRequest {
	var in struct {
		KeyID             string `json:"KeyId"`
		SigningAlgorithm  string
		MessageType       string
		KeySpec           string
		KeyUsage          string
		PendingWindow     int               `json:"PendingWindowInDays"`
		EncryptionContext map[string]string `json:"EncryptionContext"`
		TagKeys           []string
		Tags              []struct{ TagKey, TagValue string }
	}
	if json.Unmarshal(body, &in) != nil {
		return nil
	}
	context := map[string][]string{"aws:TagKeys": in.TagKeys}
	for key, v := range map[string]string{"kms:SigningAlgorithm": in.SigningAlgorithm, "kms:MessageType": in.MessageType,
		"kms:KeySpec": in.KeySpec, "kms:KeyUsage": in.KeyUsage} {
		if v != "" {
			context[key] = []string{v}
		}
	}
	for name, v := range in.EncryptionContext {
		context["kms:EncryptionContext:"+name] = []string{v}
	}
	for _, tag := range in.Tags {
		context["aws:TagKeys"] = append(context["aws:TagKeys"], tag.TagKey)
		context["aws:RequestTag/"+tag.TagKey] = []string{tag.TagValue}
	}
	if op == "ScheduleKeyDeletion" {
		context["kms:ScheduleKeyDeletionPendingWindowInDays"] = []string{strconv.Itoa(in.PendingWindow)}
	}
	switch {
	case op == "CreateKey": // with tags it takes the right to tag as well
		return []iamRequest{{
			action:   "kms:CreateKey",
			resource: "*",
			context:  context,
		}, {action: "kms:TagResource", resource: "*", context: context}}
	case in.KeyID == "":
		return []iamRequest{{action: "kms:" + op, resource: "*", context: context}}
	}
	return []iamRequest{{action: "kms:" + op, resource: in.KeyID, context: context}}
}

// objects reads path-style requests, which is what a client does that is pointed at an address.
func objects(r *http.Request) []iamRequest {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	resource, ok := map[string]string{"mastio-truststore": "Truststore", "mastio-audit": "AuditArchive"}[bucket]
	if !ok {
		return nil
	}
	if key != "" {
		resource += "/" + key
	}
	switch {
	case key == "" && r.Method == http.MethodGet:
		return []iamRequest{{
			action:   "s3:ListBucket",
			resource: resource,
			context:  map[string][]string{"s3:prefix": r.URL.Query()["prefix"]},
		}}
	case (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.URL.Query().Has("versionId"):
		return []iamRequest{{action: "s3:GetObjectVersion", resource: resource}}
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return []iamRequest{{action: "s3:GetObject", resource: resource}}
	case r.Method == http.MethodPut:
		return []iamRequest{{action: "s3:PutObject", resource: resource}}
	}
	return nil
}

func secrets(op string, body []byte) []iamRequest {
	var in struct {
		ID    string `json:"SecretId"`
		Name  string
		Stage string `json:"VersionStage"`
	}
	if json.Unmarshal(body, &in) != nil {
		return nil
	}
	resource := "AdminSecret"
	if _, name, ok := strings.Cut(in.ID+in.Name, "mastio/agents/"); ok {
		_, name, _ = strings.Cut(name, "/")
		resource = "arn:aws:secretsmanager:eu-central-1:111111111111:secret:mastio/agents/acme/" + name
	}
	if _, name, ok := strings.Cut(in.ID, "mastio/admins/"); ok {
		_, name, _ = strings.Cut(name, "/")
		resource = "arn:aws:secretsmanager:eu-central-1:111111111111:secret:mastio/admins/acme/" + name
	}
	if strings.Contains(in.ID, "metrics-token") {
		resource = "MetricsToken"
	}
	context := map[string][]string{}
	if in.Stage != "" {
		context["secretsmanager:VersionStage"] = []string{in.Stage}
	}
	return []iamRequest{{action: "secretsmanager:" + op, resource: resource, context: context}}
}
