package mastio

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// To any two keys that a function may write in one transaction there is one statement with both, which counts in
// transactions alone.
func TestTransactionsUnderBothReadings(t *testing.T) {
	each(t, func(t *testing.T, d *deployment) {
		type access struct{ function, action, table string }
		found := map[access][][]string{}
		for _, s := range d.policies(t) {
			leading := texts(at(s.conditions, anyOfLike, leadingKeys))
			if s.function == "" || len(leading) == 0 {
				continue
			}
			if strings.HasSuffix(s.sid, "Together") &&
				(at(s.conditions, "StringEquals", "dynamodb:EnclosingOperation") != "TransactWriteItems" ||
					at(s.conditions, "Null", leadingKeys) != "false") {
				t.Errorf("%s/%s counts outside of transactions, or without a key", s.function, s.sid)
			}
			for _, action := range s.actions {
				for _, table := range s.resources {
					if a := (access{s.function, action, table}); slices.Contains(transactional, action) {
						found[a] = append(found[a], leading)
					}
				}
			}
		}
		for a, each := range found {
			all := slices.Concat(each...)
			one := slices.ContainsFunc(each, func(keys []string) bool {
				return !slices.ContainsFunc(all, func(k string) bool { return !slices.Contains(keys, k) })
			})
			if !one {
				t.Errorf("%v: no statement has all of %v", a, all)
			}
		}
		if len(found) < 10 {
			t.Errorf("%d accesses: the search is broken", len(found))
		}
	})
}

// A union has the keys of the statements that it is made of and no other, and stands for statements that allow nothing
// else.
func TestUnionsAddNothing(t *testing.T) {
	put, remove, change := "dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:UpdateItem"
	in := func(sid string, c conditions, table string, actions ...string) statement {
		return statement{sid: sid, actions: actions, resources: []string{table}, conditions: c}
	}
	got := together(merged([]statement{
		in("Alone", leading("AGENT#*", "DEAD"), "registry", put),
		in("Pair", inTransaction(leading("ALIAS#*")), "registry", put, remove),
		in("Mark", inTransaction(leading("EDGE#*")), "registry", put, remove),
		in("Change", inTransaction(leading("JOBS")), "registry", put, change),
		in("Elsewhere", inTransaction(leading("AGENT#*")), "fleet", put),
		in("Read", leading("AGENT#*"), "registry", "dynamodb:GetItem"),
		in("ReadMore", leading("JOBS"), "registry", "dynamodb:GetItem"),
		{sid: "Never", deny: true, actions: []string{put}, resources: []string{"registry"}, conditions: leading("ORG")},
	}))
	want := []statement{
		in("Alone", leading("AGENT#*", "DEAD"), "registry", put),
		in("PairAndMark", inTransaction(leading("ALIAS#*", "EDGE#*")), "registry", put, remove),
		in("Change", inTransaction(leading("JOBS")), "registry", put, change), // no union has the change
		in("Elsewhere", inTransaction(leading("AGENT#*")), "fleet", put),
		in("ReadAndReadMore", leading("AGENT#*", "JOBS"), "registry", "dynamodb:GetItem"),
		{sid: "Never", deny: true, actions: []string{put}, resources: []string{"registry"}, conditions: leading("ORG")},
		in("PutItemTogether", inTransaction(leading("AGENT#*", "ALIAS#*", "DEAD", "EDGE#*", "JOBS")), "registry", put),
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(statement{})); diff != "" {
		t.Error(diff)
	}
	// With a change of its own as well, both are in unions, and nothing is left to say.
	got = together(merged([]statement{
		in("One", inTransaction(leading("JOBS")), "registry", put, change),
		in("Two", inTransaction(leading("ORG")), "registry", put),
		in("Three", inTransaction(leading("HEAD")), "registry", change),
	}))
	want = []statement{
		in("PutItemTogether", inTransaction(leading("JOBS", "ORG")), "registry", put),
		in("UpdateItemTogether", inTransaction(leading("HEAD", "JOBS")), "registry", change),
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(statement{})); diff != "" {
		t.Error(diff)
	}
}
