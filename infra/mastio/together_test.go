package mastio

import (
	"slices"
	"strings"
	"testing"
)

// What is allowed for a transaction as a whole is allowed for each of its items by a narrow statement already, and to
// any two keys that a function may write in one transaction there is one statement with both.
func TestTransactionsUnderBothReadings(t *testing.T) {
	each(t, func(t *testing.T, d *deployment) {
		type access struct{ function, action, table string }
		narrow, whole := map[access][][]string{}, map[access][]string{}
		for _, s := range d.policies(t) {
			leading := texts(at(s.conditions, anyOfLike, leadingKeys))
			if s.function == "" || len(leading) == 0 {
				continue
			}
			for _, action := range s.actions {
				for _, table := range s.resources {
					a := access{s.function, action, table}
					switch {
					case !slices.Contains(transactional, action):
					case !strings.HasSuffix(s.sid, "Together"):
						narrow[a] = append(narrow[a], leading)
					case at(s.conditions, "StringEquals", "dynamodb:EnclosingOperation") != "TransactWriteItems" ||
						at(s.conditions, "Null", leadingKeys) != "false":
						t.Errorf("%s/%s counts outside of transactions, or without a key", s.function, s.sid)
					default:
						whole[a] = leading
					}
				}
			}
		}
		unions := 0
		for a, each := range narrow {
			all := slices.Concat(each...)
			one := slices.ContainsFunc(append(each, whole[a]), func(keys []string) bool {
				return !slices.ContainsFunc(all, func(k string) bool { return !slices.Contains(keys, k) })
			})
			if !one {
				t.Errorf("%v: no statement has all of %v", a, all)
			}
			for _, k := range whole[a] {
				unions++
				if !slices.Contains(all, k) {
					t.Errorf("%v: a transaction may write %s, an item may not", a, k)
				}
			}
		}
		if unions < 10 || len(narrow) < 10 {
			t.Errorf("%d unions of %d: the search is broken", unions, len(narrow))
		}
	})
}
