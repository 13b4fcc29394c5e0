package mastio

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

const (
	anyOfLike   = "ForAllValues:StringLike"
	leadingKeys = "dynamodb:LeadingKeys"
)

// merged makes one statement of those that differ in nothing but their keys. What it allows is what they allow: a call
// may read, or write, what has one of the keys.
func merged(all []statement) (some []statement) {
	for _, st := range all {
		i := slices.IndexFunc(some, st.likeButForKeys)
		if i < 0 {
			some = append(some, st)
			continue
		}
		keys := slices.Concat(some[i].leading(), st.leading())
		slices.Sort(keys)
		some[i].sid += "And" + st.sid
		some[i].conditions = maps.Clone(some[i].conditions)
		some[i].conditions[anyOfLike] = map[string]any{leadingKeys: slices.Compact(keys)}
	}
	return some
}

// leading are the keys that a statement is for.
func (st statement) leading() []string {
	keys, _ := st.conditions[anyOfLike][leadingKeys].([]string)
	return keys
}

func (st statement) likeButForKeys(other statement) bool {
	rest := func(c conditions) conditions {
		c = maps.Clone(c)
		delete(c, anyOfLike)
		return c
	}
	return !st.deny && !other.deny && len(st.leading()) > 0 && len(other.leading()) > 0 &&
		len(st.conditions[anyOfLike]) == 1 && len(other.conditions[anyOfLike]) == 1 &&
		slices.Equal(st.actions, other.actions) && slices.Equal(st.resources, other.resources) &&
		reflect.DeepEqual(rest(st.conditions), rest(other.conditions))
}

// together adds the statements for transactions whose items different statements allow, and leaves out what they say
// again. AWS documents that each item of
// a transaction needs the right to its own action. It does not say what dynamodb:LeadingKeys then holds: the key of
// that item, or the keys of all items with the same action on the same table. Statements that are narrower than a
// transaction are enough for the first reading only; these are for the second. They add nothing under the first: each
// key of a union is in a statement that allows the same action on the same table in a transaction already. So a
// statement that allows nothing else is left out: IAM takes 10,240 characters a role.
func together(all []statement) []statement {
	keys, widest := map[access][]string{}, map[access]int{}
	for _, st := range all {
		leading := st.leading()
		if st.deny || len(leading) == 0 {
			continue
		}
		for _, action := range st.actions {
			if !slices.Contains(transactional, action) {
				continue
			}
			for _, table := range st.resources {
				a := access{action, table}
				keys[a] = append(keys[a], leading...)
				widest[a] = max(widest[a], len(leading))
			}
		}
	}
	var unions []statement
	united := map[access]bool{}
	byName := func(a, b access) int { return strings.Compare(a.action+a.table, b.action+b.table) }
	for _, a := range slices.SortedFunc(maps.Keys(keys), byName) {
		slices.Sort(keys[a])
		union := slices.Compact(keys[a])
		if len(union) == widest[a] { // one statement has them all
			continue
		}
		united[a] = true
		_, operation, _ := strings.Cut(a.action, ":")
		unions = append(unions, statement{
			sid:        operation + "Together",
			actions:    []string{a.action},
			resources:  []string{a.table},
			conditions: inTransaction(leading(union...)),
		})
	}
	own := slices.DeleteFunc(slices.Clone(all), func(st statement) bool { return st.repeats(united) })
	return append(own, unions...)
}

// access is an action on a table.
type access struct{ action, table string }

// repeats reports whether a statement allows only what the unions of these accesses allow: items of transactions.
func (st statement) repeats(united map[access]bool) bool {
	within := st.conditions["StringEquals"]["dynamodb:EnclosingOperation"]
	if st.deny || len(st.leading()) == 0 || within != "TransactWriteItems" {
		return false
	}
	for _, action := range st.actions {
		for _, table := range st.resources {
			if !united[access{action, table}] {
				return false
			}
		}
	}
	return true
}

// transactional are the actions that the items of a transaction are allowed by.
var transactional = []string{"dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"}
