package tablecopy

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// item is one of a table's.
type item = map[string]types.AttributeValue

var errItem = errors.New("not an item in DynamoDB's JSON")

// value is an attribute in DynamoDB's JSON: exactly one of these is there. Octets are base64, as encoding/json has
// them. Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataExport.Output.html
type value struct {
	S    *string           `json:",omitempty"`
	N    *string           `json:",omitempty"`
	B    *[]byte           `json:",omitempty"`
	BOOL *bool             `json:",omitempty"`
	NULL *bool             `json:",omitempty"`
	SS   []string          `json:",omitempty"`
	NS   []string          `json:",omitempty"`
	BS   [][]byte          `json:",omitempty"`
	L    *[]value          `json:",omitempty"`
	M    *map[string]value `json:",omitempty"`
}

type line struct{ Item map[string]value }

func encode(i item) ([]byte, error) {
	m, err := toMap(i)
	if err != nil {
		return nil, err
	}
	return json.Marshal(line{*m.M})
}

func decode(text []byte) (item, error) {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return nil, fmt.Errorf("%w: %w", errItem, err)
	}
	if len(l.Item) == 0 {
		return nil, errItem
	}
	v, err := fromValue(value{M: &l.Item})
	if err != nil {
		return nil, err
	}
	return v.(*types.AttributeValueMemberM).Value, nil
}

func toMap(i item) (value, error) {
	m := make(map[string]value, len(i))
	for name, a := range i {
		v, err := toValue(a)
		if err != nil {
			return value{}, fmt.Errorf("attribute %s: %w", name, err)
		}
		m[name] = v
	}
	return value{M: &m}, nil
}

func toValue(a types.AttributeValue) (value, error) {
	switch a := a.(type) {
	case *types.AttributeValueMemberS:
		return value{S: &a.Value}, nil
	case *types.AttributeValueMemberN:
		return value{N: &a.Value}, nil
	case *types.AttributeValueMemberB:
		return value{B: &a.Value}, nil
	case *types.AttributeValueMemberBOOL:
		return value{BOOL: &a.Value}, nil
	case *types.AttributeValueMemberNULL:
		return value{NULL: &a.Value}, nil
	case *types.AttributeValueMemberSS:
		return value{SS: a.Value}, nil
	case *types.AttributeValueMemberNS:
		return value{NS: a.Value}, nil
	case *types.AttributeValueMemberBS:
		return value{BS: a.Value}, nil
	case *types.AttributeValueMemberL:
		return toList(a.Value)
	case *types.AttributeValueMemberM:
		return toMap(a.Value)
	default:
		return value{}, fmt.Errorf("%w: %T", errItem, a)
	}
}

func toList(values []types.AttributeValue) (value, error) {
	list := make([]value, len(values))
	for n, a := range values {
		v, err := toValue(a)
		if err != nil {
			return value{}, err
		}
		list[n] = v
	}
	return value{L: &list}, nil
}

func fromValue(v value) (types.AttributeValue, error) {
	switch {
	case v.S != nil:
		return &types.AttributeValueMemberS{Value: *v.S}, nil
	case v.N != nil:
		return &types.AttributeValueMemberN{Value: *v.N}, nil
	case v.B != nil:
		return &types.AttributeValueMemberB{Value: *v.B}, nil
	case v.BOOL != nil:
		return &types.AttributeValueMemberBOOL{Value: *v.BOOL}, nil
	case v.NULL != nil:
		return &types.AttributeValueMemberNULL{Value: *v.NULL}, nil
	case v.SS != nil:
		return &types.AttributeValueMemberSS{Value: v.SS}, nil
	case v.NS != nil:
		return &types.AttributeValueMemberNS{Value: v.NS}, nil
	case v.BS != nil:
		return &types.AttributeValueMemberBS{Value: v.BS}, nil
	case v.L != nil:
		return fromList(*v.L)
	case v.M != nil:
		return fromMap(*v.M)
	default:
		return nil, errItem
	}
}

func fromList(values []value) (types.AttributeValue, error) {
	list := make([]types.AttributeValue, len(values))
	for n, v := range values {
		a, err := fromValue(v)
		if err != nil {
			return nil, err
		}
		list[n] = a
	}
	return &types.AttributeValueMemberL{Value: list}, nil
}

func fromMap(values map[string]value) (types.AttributeValue, error) {
	m := make(item, len(values))
	for name, v := range values {
		a, err := fromValue(v)
		if err != nil {
			return nil, fmt.Errorf("attribute %s: %w", name, err)
		}
		m[name] = a
	}
	return &types.AttributeValueMemberM{Value: m}, nil
}
