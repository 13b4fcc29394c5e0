// Package metrics writes CloudWatch metrics in the embedded metric format: log lines on standard output, no API call.
package metrics

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Namespace is where CloudWatch files the metrics.
const Namespace = "Mastio"

// Unit is a CloudWatch unit.
type Unit string

// The units in use.
const (
	Count   Unit = "Count"
	Seconds Unit = "Seconds"
)

// Gauge is one value at one moment.
type Gauge struct {
	Name  string
	Unit  Unit
	Value float64
}

// Write writes the gauges as one line. org is the one dimension: an account can hold several organisations.
// Specification: "Embedded metric format specification", Amazon CloudWatch user guide.
func Write(w io.Writer, org string, now time.Time, gauges ...Gauge) error {
	type metric struct {
		Name string
		Unit Unit
	}
	line := map[string]any{"Org": org}
	var metrics []metric
	for _, g := range gauges {
		line[g.Name] = g.Value
		metrics = append(metrics, metric{g.Name, g.Unit})
	}
	line["_aws"] = map[string]any{
		"Timestamp": now.UnixMilli(),
		"CloudWatchMetrics": []any{map[string]any{"Namespace": Namespace, "Dimensions": [][]string{{"Org"}},
			"Metrics": metrics}},
	}
	encoded, err := json.Marshal(line)
	if err != nil {
		return fmt.Errorf("encode metrics: %w", err)
	}
	_, err = w.Write(append(encoded, '\n'))
	return err
}
