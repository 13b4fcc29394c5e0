package agent

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Patch is a merge patch of a profile (RFC 7396): each member sets the field that has its name in JSON, and null sets
// what a profile without the member has. A field that Profile declares can be patched without a change here.
type Patch struct {
	set    Profile
	fields []int // those of set that the patch has
}

// UnmarshalJSON reads an object. It refuses members that no profile has, in any other spelling too.
func (p *Patch) UnmarshalJSON(data []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return err
	}
	*p = Patch{}
	fields := reflect.ValueOf(&p.set).Elem()
	for name, value := range members {
		n := slices.Index(profileNames, name)
		if n < 0 {
			return fmt.Errorf("unknown field %q", name)
		}
		if err := json.Unmarshal(value, fields.Field(n).Addr().Interface()); err != nil {
			return fmt.Errorf("member %q is of the wrong type or out of range", name)
		}
		p.fields = append(p.fields, n)
	}
	return nil
}

// Fields are a profile's fields as a form shows them and ReadProfile reads them, by their names.
func (p Profile) Fields() map[string]string {
	all := map[string]string{}
	for n, name := range profileNames {
		switch v := reflect.ValueOf(p).Field(n).Interface().(type) {
		case string:
			all[name] = v
		case []string:
			all[name] = strings.Join(v, " ")
		}
	}
	return all
}

// PatchOf is the patch that sets every field of a profile.
func PatchOf(p Profile) Patch {
	all := Patch{set: p}
	for n := range profileNames {
		all.fields = append(all.fields, n)
	}
	return all
}

// profileNames are the names in JSON of a profile's fields, in their order.
var profileNames = func() (names []string) {
	for f := range reflect.TypeFor[Profile]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}()

// Apply returns the profile after the patch, for the agent of this name. Only what the patch sets is checked: what an
// earlier release has stored is no reason to refuse a change of another field. Error: that of Check.
func (p Patch) Apply(old Profile, name string) (Profile, error) {
	next := old
	from, to := reflect.ValueOf(p.set), reflect.ValueOf(&next).Elem()
	for _, n := range p.fields {
		to.Field(n).Set(from.Field(n))
	}
	return next.Over(Profile{}, name), p.set.Check()
}

// Diff returns the fields in which two profiles differ, as they are in p and in next, by their names in JSON: what an
// audit row has of a change. Both maps are empty where nothing differs.
func (p Profile) Diff(next Profile) (before, after map[string]any) {
	before, after = map[string]any{}, map[string]any{}
	was, is := reflect.ValueOf(p), reflect.ValueOf(next)
	for n, name := range profileNames {
		one, two := plain(was.Field(n)), plain(is.Field(n))
		if !reflect.DeepEqual(one, two) {
			before[name], after[name] = one, two
		}
	}
	return before, after
}

// plain is a field's value in JSON's form: a list is a []any, which is never nil.
func plain(field reflect.Value) any {
	if field.Kind() != reflect.Slice {
		return field.Interface()
	}
	list := make([]any, field.Len())
	for n := range list {
		list[n] = field.Index(n).Interface()
	}
	return list
}
