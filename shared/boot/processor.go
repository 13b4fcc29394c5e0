package boot

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
)

// wholeProcessor is the memory, in MB, from which on Lambda gives a function one whole processor; the share of it goes
// with the memory. Source: "Configure Lambda function memory", AWS Lambda developer guide.
const wholeProcessor = 1769

const (
	// garbage is how much may be thrown away before the heap is searched, in percent of what lives. A function keeps 5 MB
	// alive: at Go's 100 it would search after every ten requests.
	garbage = 400
	// heapShare is the share of a function's memory, in percent, from which on the heap is searched earlier after all.
	heapShare = 75
)

// fit sets the Go runtime up for the processor and the memory that the function has. A function has less than one
// processor and one request at a time. A second thread that runs Go code would not make a request faster, and would
// cost a wake-up for every answer that the request waits for. Where the memory is not known, everything stays as it
// is.
func fit() {
	memory, err := strconv.ParseInt(os.Getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"), 10, 32) // MB
	if err != nil || memory <= 0 {
		return
	}
	if memory < wholeProcessor {
		runtime.GOMAXPROCS(1)
	}
	debug.SetGCPercent(garbage)
	debug.SetMemoryLimit((memory << 20) * heapShare / 100)
}
