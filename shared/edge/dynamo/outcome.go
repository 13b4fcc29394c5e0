package dynamo

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"github.com/mastio-aws/mastio/shared/registry"
)

// unavailable wraps whatever went wrong with a read, and a write that was never sent.
func unavailable(doing string, err error) error {
	return fmt.Errorf("%s: %w: %w", doing, registry.ErrUnavailable, err)
}

// attempts records how the attempts of one call ended. The SDK returns only the last error, but a throttled second
// attempt says nothing about a first attempt that timed out and may have been carried out.
type attempts struct {
	watched bool
	unsure  bool // some attempt may have been carried out without our knowing
}

// watch is the option of a call that records its attempts. It looks at each one just before it is sent, so that a call
// that failed before it sent anything has none.
func (a *attempts) watch(o *dynamodb.Options) {
	a.watched = true
	o.APIOptions = append(o.APIOptions, func(s *middleware.Stack) error {
		return s.Deserialize.Add(middleware.DeserializeMiddlewareFunc("WatchAttempts", a.attempt), middleware.Before)
	})
}

func (a *attempts) attempt(
	ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler,
) (middleware.DeserializeOutput, middleware.Metadata, error) {
	out, metadata, err := next.HandleDeserialize(ctx, in)
	if err != nil && !refused(err) {
		a.unsure = true
	}
	return out, metadata, err
}

// refusals are the codes of errors after which a write certainly did not happen. TransactionInProgressException is not
// among them: the same transaction, sent before, is being carried out.
var refusals = []string{
	"AccessDeniedException", "ConditionalCheckFailedException", "ExpiredTokenException",
	"IdempotentParameterMismatchException",
	"IncompleteSignatureException", "InvalidSignatureException", "ItemCollectionSizeLimitExceededException",
	"MissingAuthenticationTokenException", "ProvisionedThroughputExceededException", "RequestLimitExceeded",
	"ResourceNotFoundException", "SerializationException", "Throttling", "ThrottlingException",
	"TransactionCanceledException",
	"TransactionConflictException", "UnrecognizedClientException", "ValidationException",
}

func refused(err error) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	return ok && slices.Contains(refusals, api.ErrorCode())
}

// maybeDone reports whether a call that failed with err may have been carried out, now or still to come.
func (a *attempts) maybeDone(err error) bool {
	if a.watched {
		return a.unsure
	}
	return !refused(err)
}

// failed says what a failed write means, as far as no condition of it was found false.
func (a *attempts) failed(doing string, err error) error {
	if a.maybeDone(err) {
		return fmt.Errorf("%s: %w: %w", doing, registry.ErrUnknown, err)
	}
	return unavailable(doing, err)
}

// conditionFailed returns the error of a write of one item whose condition was false.
func conditionFailed(err error) (*types.ConditionalCheckFailedException, bool) {
	return errors.AsType[*types.ConditionalCheckFailedException](err)
}

// transacted says what a failed transaction means.
//
// A false condition means that nothing happened, also when an earlier attempt is open: had that one been carried out,
// this one, with the same token, would have succeeded; and it cannot come true any more, because versions, fences and
// chains only grow. IdempotentParameterMismatch means that another change took this ID: this one did not happen, and
// only a read shows what did. A collision with another transaction rules nothing out about an earlier attempt.
func (a *attempts) transacted(doing string, err error) error {
	if _, mismatch := errors.AsType[*types.IdempotentParameterMismatchException](err); mismatch {
		return fmt.Errorf("%s: %w: %w", doing, registry.ErrConflict, err)
	}
	canceled, ok := errors.AsType[*types.TransactionCanceledException](err)
	if !ok {
		return a.failed(doing, err)
	}
	if because(canceled, "ConditionalCheckFailed") || because(canceled, "TransactionConflict") && !a.maybeDone(err) {
		return fmt.Errorf("%s: %w: %w", doing, registry.ErrConflict, err)
	}
	return a.failed(doing, err)
}

func because(e *types.TransactionCanceledException, code string) bool {
	return slices.ContainsFunc(e.CancellationReasons,
		func(r types.CancellationReason) bool { return aws.ToString(r.Code) == code })
}
