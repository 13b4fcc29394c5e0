package routes

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCompose(t *testing.T) {
	text, number := object{"type": "string"}, object{"type": "integer"}
	schemas := object{
		"name":  object{"properties": object{"name": text}, "required": []any{"name"}},
		"named": object{include: []any{"name"}, "properties": object{"nick": text}},
		"Full":  object{include: []any{"Short"}, "properties": object{"size": number}, "required": []any{"size", "name"}},
		"Short": object{include: []any{"named"}, "type": "object", "properties": object{"nick": number}},
	}
	if err := compose(schemas); err != nil {
		t.Fatal(err)
	}
	want := object{
		"Short": object{
			"type":       "object",
			"properties": object{"name": text, "nick": number},
			"required":   []any{"name"},
		},
		"Full": object{
			"properties": object{"name": text, "nick": number, "size": number},
			"required":   []any{"name", "size"},
		},
	}
	if diff := cmp.Diff(want, schemas); diff != "" {
		t.Errorf("composed (-want +got):\n%s", diff)
	}
}

func TestIncludeOfNothing(t *testing.T) {
	if err := compose(object{"Agent": object{include: []any{"profil"}}}); !errors.Is(err, ErrDocument) {
		t.Errorf("err = %v, want ErrDocument", err)
	}
}
