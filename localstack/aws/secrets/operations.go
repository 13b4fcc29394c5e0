package secrets

import (
	"regexp"
	"slices"
	"time"
)

// epoch is a time as AWS JSON has it: seconds since 1970 with a fraction.
type epoch float64

func at(t time.Time) epoch { return epoch(float64(t.UnixMilli()) / 1000) }

type tag struct{ Key, Value string }

type createInput struct {
	Name, Description, ClientRequestToken, KmsKeyId string
	SecretString                                    *string
	SecretBinary                                    []byte
	Tags                                            []tag
}

type createOutput struct {
	ARN, Name string
	VersionId string `json:",omitempty"`
}

var validName = regexp.MustCompile(`^[A-Za-z0-9/_+=.@-]{1,512}$`)

func (s *Server) create(in createInput) (any, error) {
	if !validName.MatchString(in.Name) {
		return nil, refuse("ValidationException", "Invalid name. Must be a valid name containing alphanumeric characters, "+
			"or any of the following: -/_+=.@!")
	}
	hasValue := in.SecretString != nil || in.SecretBinary != nil
	if err := checkValue(in.SecretString, in.SecretBinary); hasValue && err != nil {
		return nil, err
	}
	id, err := versionID(in.ClientRequestToken)
	if err != nil {
		return nil, err
	}
	if old := s.secrets[in.Name]; old != nil {
		return recreate(old, in)
	}
	now := s.cfg.Now()
	made := &secret{
		Name:        in.Name,
		ARN:         newARN(s.cfg.Region, s.cfg.Account, in.Name),
		Description: in.Description,
		Created:     now,
		Changed:     now,
	}
	out := createOutput{ARN: made.ARN, Name: made.Name}
	if hasValue {
		made.add(&version{ID: id, Text: in.SecretString, Binary: in.SecretBinary, Created: now}, []string{current})
		out.VersionId = id
	}
	return out, s.commit(made)
}

// recreate answers the retry of a request whose answer was lost as it was answered then, and refuses all else.
func recreate(old *secret, in createInput) (any, error) {
	v := old.byID(in.ClientRequestToken)
	if v == nil || !v.sameValue(in.SecretString, in.SecretBinary) {
		return nil, refuse("ResourceExistsException", "The operation failed because the secret %s already exists.", in.Name)
	}
	return createOutput{ARN: old.ARN, Name: old.Name, VersionId: v.ID}, nil
}

// maxValue is the longest value AWS takes, in bytes.
const maxValue = 65536

func checkValue(text *string, binary []byte) error {
	switch {
	case text != nil && binary != nil:
		return refuse("InvalidParameterException", "You can't specify both a binary secret value and a string secret value "+
			"in the same secret.")
	case text == nil && binary == nil:
		return refuse("InvalidRequestException", "You must provide either SecretString or SecretBinary.")
	case len(binary) > maxValue || text != nil && len(*text) > maxValue:
		return refuse("ValidationException", "the value is longer than %d bytes", maxValue)
	}
	return nil
}

// versionID is the caller's token, which makes a retry harmless, or a new id.
func versionID(token string) (string, error) {
	if token == "" {
		return newVersionID(), nil
	}
	if len(token) < 32 || len(token) > 64 {
		return "", refuse("InvalidParameterException", "ClientRequestToken must be 32-64 characters long.")
	}
	return token, nil
}

type putInput struct {
	SecretId, ClientRequestToken string
	SecretString                 *string
	SecretBinary                 []byte
	VersionStages                []string
}

type putOutput struct {
	ARN, Name, VersionId string
	VersionStages        []string
}

func (s *Server) put(in putInput) (any, error) {
	if err := checkValue(in.SecretString, in.SecretBinary); err != nil {
		return nil, err
	}
	stages, err := checkStages(in.VersionStages)
	if err != nil {
		return nil, err
	}
	id, err := versionID(in.ClientRequestToken)
	if err != nil {
		return nil, err
	}
	found, err := s.lookup(in.SecretId)
	if err != nil {
		return nil, err
	}
	if old := found.byID(id); old != nil {
		if !old.sameValue(in.SecretString, in.SecretBinary) {
			return nil, refuse("ResourceExistsException", "You can't use ClientRequestToken %s because that value is already "+
				"in use for a version of secret %s.", id, found.ARN)
		}
		return putOutput{found.ARN, found.Name, old.ID, slices.Clone(old.Stages)}, nil
	}
	now := s.cfg.Now()
	v := &version{ID: id, Text: in.SecretString, Binary: in.SecretBinary, Created: now}
	found.add(v, stages)
	found.Changed = now
	return putOutput{found.ARN, found.Name, id, slices.Clone(v.Stages)}, s.commit(found)
}

func checkStages(stages []string) ([]string, error) {
	if stages == nil {
		return []string{current}, nil
	}
	if len(stages) == 0 || len(stages) > 20 {
		return nil, refuse("InvalidParameterException", "VersionStages must have 1 to 20 members")
	}
	for _, stage := range stages {
		if stage == "" || len(stage) > 256 {
			return nil, refuse("InvalidParameterException", "a staging label must be 1-256 characters long")
		}
	}
	return stages, nil
}

type valueInput struct{ SecretId, VersionId, VersionStage string }

type valueOutput struct {
	ARN, Name, VersionId string
	SecretString         *string `json:",omitempty"`
	SecretBinary         []byte  `json:",omitempty"`
	VersionStages        []string
	CreatedDate          epoch
}

func (s *Server) value(in valueInput) (any, error) {
	found, err := s.lookup(in.SecretId)
	if err != nil {
		return nil, err
	}
	v, err := pick(found, in)
	if err != nil {
		return nil, err
	}
	return valueOutput{found.ARN, found.Name, v.ID, v.Text, v.Binary, v.Stages, at(v.Created)}, nil
}

func pick(found *secret, in valueInput) (*version, error) {
	if in.VersionId == "" {
		stage := in.VersionStage
		if stage == "" {
			stage = current
		}
		if v := found.labelled(stage); v != nil {
			return v, nil
		}
		return nil, refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for "+
			"staging label: %s", stage)
	}
	v := found.byID(in.VersionId)
	if v == nil {
		return nil, refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for "+
			"VersionId: %s", in.VersionId)
	}
	if in.VersionStage != "" && !slices.Contains(v.Stages, in.VersionStage) {
		return nil, refuse("InvalidRequestException", "You provided a VersionStage that is not associated to the "+
			"provided VersionId.")
	}
	return v, nil
}

type describeInput struct{ SecretId string }

type describeOutput struct {
	ARN, Name          string
	Description        string `json:",omitempty"`
	CreatedDate        epoch
	LastChangedDate    epoch
	VersionIdsToStages map[string][]string
}

func (s *Server) describe(in describeInput) (any, error) {
	found, err := s.lookup(in.SecretId)
	if err != nil {
		return nil, err
	}
	return describeOutput{found.ARN, found.Name, found.Description, at(found.Created), at(found.Changed), found.stages()},
		nil
}

type stageInput struct{ SecretId, VersionStage, MoveToVersionId, RemoveFromVersionId string }

type stageOutput struct{ ARN, Name string }

func (s *Server) updateStage(in stageInput) (any, error) {
	if in.VersionStage == "" || len(in.VersionStage) > 256 {
		return nil, refuse("InvalidParameterException", "a staging label must be 1-256 characters long")
	}
	found, err := s.lookup(in.SecretId)
	if err != nil {
		return nil, err
	}
	to, err := destination(found, in)
	if err != nil {
		return nil, err
	}
	if to == nil && in.VersionStage == current {
		return nil, refuse("InvalidParameterException", "You can only move staging label AWSCURRENT to a different secret "+
			"version. It can't be completely removed.")
	}
	found.move(in.VersionStage, to)
	found.Changed = s.cfg.Now()
	return stageOutput{found.ARN, found.Name}, s.commit(found)
}

// destination is the version to label, nil to only take the label away. The caller must name the version that has
// the label now, so that two who move it at once do not undo each other unawares.
func destination(found *secret, in stageInput) (*version, error) {
	if in.MoveToVersionId == "" && in.RemoveFromVersionId == "" {
		return nil, refuse("InvalidParameterException", "MoveToVersionId and RemoveFromVersionId are both empty")
	}
	to := found.byID(in.MoveToVersionId)
	if in.MoveToVersionId != "" && to == nil {
		return nil, refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for "+
			"VersionId: %s", in.MoveToVersionId)
	}
	holder := ""
	if v := found.labelled(in.VersionStage); v != nil {
		holder = v.ID
	}
	if holder != in.RemoveFromVersionId && (holder != in.MoveToVersionId || in.RemoveFromVersionId != "") {
		return nil, refuse("InvalidParameterException", "staging label %s is attached to version %q, not to %q as "+
			"RemoveFromVersionId says", in.VersionStage, holder, in.RemoveFromVersionId)
	}
	return to, nil
}
