package mastio

import (
	"maps"
	"slices"
	"strings"
)

const (
	anyOfLike   = "ForAllValues:StringLike"
	leadingKeys = "dynamodb:LeadingKeys"
)

// together are the statements for transactions whose items different statements allow. AWS documents that each item of
// a transaction needs the right to its own action. It does not say what dynamodb:LeadingKeys then holds: the key of
// that item, or the keys of all items with the same action on the same table. Statements that are narrower than a
// transaction are enough for the first reading only; these are for the second. They add nothing under the first: each
// key of a union is in a statement that allows the same action on the same table in a transaction already.
func together(all []statement) []statement {
	type access struct{ action, table string }
	keys, widest := map[access][]string{}, map[access]int{}
	for _, st := range all {
		leading, _ := st.conditions[anyOfLike][leadingKeys].([]string)
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
	byName := func(a, b access) int { return strings.Compare(a.action+a.table, b.action+b.table) }
	for _, a := range slices.SortedFunc(maps.Keys(keys), byName) {
		slices.Sort(keys[a])
		union := slices.Compact(keys[a])
		if len(union) == widest[a] { // one statement has them all
			continue
		}
		_, operation, _ := strings.Cut(a.action, ":")
		unions = append(unions, statement{
			sid:        operation + "Together",
			actions:    []string{a.action},
			resources:  []string{a.table},
			conditions: inTransaction(leading(union...)),
		})
	}
	return unions
}

// transactional are the actions that the items of a transaction are allowed by.
var transactional = []string{"dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"}
