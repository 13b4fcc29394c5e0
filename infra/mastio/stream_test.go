package mastio

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mastio-aws/mastio/shared/routes"
)

// What is committed reaches the bus: from the stream's beginning, in order, and what cannot be passed on is
// reported and keeps nothing else waiting.
func TestStreamReachesItsFunctions(t *testing.T) {
	each(t, func(t *testing.T, d *deployment) {
		var found []string
		for _, m := range d.all("AWS::Lambda::EventSourceMapping") {
			for id, alias := range d.resources { // the name is cut out of the alias' ARN
				if short, ok := strings.CutPrefix(id, "Mastio/"); ok && alias.Type == "AWS::Lambda::Alias" &&
					strings.Contains(fmt.Sprint(m.Properties["FunctionName"]), "Ref:"+short+"]") {
					found = append(found, d.functionName(at(alias.Properties, "FunctionName", "Ref")))
				}
			}
			if m.Properties["StartingPosition"] != "TRIM_HORIZON" || m.Properties["ParallelizationFactor"] != float64(1) ||
				m.Properties["BisectBatchOnFunctionError"] != true ||
				at(m.Properties, "FunctionResponseTypes", 0) != "ReportBatchItemFailures" ||
				at(m.Properties, "DestinationConfig", "OnFailure", "Destination") == nil {
				t.Errorf("%s: %v", m.id, m.Properties)
			}
		}
		slices.Sort(found)
		if !slices.Equal(found, routes.Streamed()) {
			t.Errorf("the stream reaches %v, want %v", found, routes.Streamed())
		}
		if buses := len(d.all("AWS::Events::EventBus")); buses != 1 {
			t.Errorf("%d buses", buses)
		}
	})
}
