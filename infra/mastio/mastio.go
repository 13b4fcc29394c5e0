// Package mastio declares the Mastio as CDK constructs: what is deployed, in which order, and which role may do what.
//
// Tables come from package schema, functions and APIs from package routes. A new table or route needs no change here,
// except that a new function needs its line in permissions.go: without the line synthesis fails.
package mastio

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// Mastio is a whole installation in a stack of the caller.
type Mastio struct {
	Scope   constructs.Construct
	Data    *Data
	Service *Service
	Watch   *Watch
}

// New puts a Mastio below scope, which is a stack or below one. It panics with ErrProps on unusable settings, as
// every construct of the CDK does.
func New(scope constructs.Construct, id string, props Props) *Mastio {
	c := constructs.NewConstruct(scope, &id)
	p := must(props)
	m := &Mastio{Scope: c}
	m.Data = newData(c, "Data", p)
	m.Service = newService(c, "Service", p, m.Data)
	m.Watch = newWatch(c, "Watch", p, m.Service)

	return m
}

// NewStacks puts a Mastio into two stacks of scope: what must outlive everything, and what is deployed every day.
func NewStacks(scope constructs.Construct, props Props, env *awscdk.Environment) *Mastio {
	p := must(props)
	if p.local() { // LocalStack cannot look up another stack's output
		scope.Node().SetContext(jsii.String(crossStack), jsii.String("strong"))
	}
	data := awscdk.NewStack(scope, jsii.String("MastioData"), &awscdk.StackProps{
		Env:                   env,
		StackName:             jsii.String(p.DataStack()),
		TerminationProtection: jsii.Bool(!p.local() && p.protected()),
		Description: jsii.String("Mastio " + p.OrgID + ": tables, truststore, secrets and keys. Losing it loses " +
			"the Org CA."),
	})
	service := awscdk.NewStack(scope, jsii.String("Mastio"), &awscdk.StackProps{
		Env:         env,
		StackName:   jsii.String(p.name("service")),
		Description: jsii.String("Mastio " + p.OrgID + ": functions, first Org CA, APIs, schedules and alarms."),
	})
	service.AddStackDependency(data, nil)
	m := &Mastio{Data: newData(data, "Data", p)}
	m.Service = newService(service, "Service", p, m.Data)
	m.Watch = newWatch(service, "Watch", p, m.Service)

	return m
}

// crossStack is the CDK's flag for references between stacks. cdk.json has "weak": an exported value could not change
// while the other stack imports it, so a setting could not be changed back.
const crossStack = "@aws-cdk/core:defaultCrossStackReferences"

func must(props Props) Props {
	p := props.filled()
	if err := p.check(); err != nil {
		panic(err)
	}
	return p
}

// number makes an optional number; jsii.Number is generic and cannot be named for short.
func number[T int | float64](v T) *float64 { return jsii.Number(float64(v)) }

func output(scope constructs.Construct, id, value, description string) {
	awscdk.NewCfnOutput(scope, &id, &awscdk.CfnOutputProps{Value: &value, Description: &description})
}
