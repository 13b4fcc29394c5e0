package routes

import (
	"fmt"
	"maps"
	"slices"
	"unicode"
)

// include is the keyword by which a schema of schemas.json names others whose members it has as well. A member that
// several schemas have is written once, in a schema of its own; generators and API Gateway, which read allOf each in a
// way of its own, get the whole schema.
const include = "$include"

// compose resolves every include, and drops the schemas that exist to be included: their names begin in lower case.
func compose(schemas object) error {
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		if err := resolve(schemas, name); err != nil {
			return err
		}
	}
	maps.DeleteFunc(schemas, func(name string, _ any) bool { return unicode.IsLower(rune(name[0])) })
	return nil
}

// resolve adds to a schema the members of those that it includes. A member that the schema describes itself stays as it
// is.
func resolve(schemas object, name string) error {
	schema, ok := schemas[name].(object)
	if !ok {
		return fmt.Errorf("%w: schemas.json has no %q to include", ErrDocument, name)
	}
	included, _ := schema[include].([]any)
	if included == nil {
		return nil // it includes none, or all that it includes are in it
	}
	delete(schema, include)
	own, _ := schema["properties"].(object)
	properties, required := object{}, []any{}
	for _, i := range included {
		part := fmt.Sprint(i)
		if err := resolve(schemas, part); err != nil {
			return err
		}
		from := schemas[part].(object)
		members, _ := from["properties"].(object)
		maps.Copy(properties, members)
		required = join(required, from["required"])
	}
	maps.Copy(properties, own)
	schema["properties"] = properties
	if required = join(required, schema["required"]); len(required) > 0 {
		schema["required"] = required
	}
	return nil
}

// join appends the names that are not there yet.
func join(names []any, more any) []any {
	list, _ := more.([]any)
	for _, name := range list {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
