package lambda

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// MaxRequest is the size limit of an invocation's payload, in bytes, as on AWS.
const MaxRequest = 6 << 20

// MaxResponse is the size limit of a function's answer, in bytes, as on AWS.
const MaxResponse = 6<<20 + 100

// Function is one deployed function.
type Function struct {
	Name         string
	Path         string            // the bootstrap binary; its folder is the working directory
	Env          map[string]string // settings, including region and credentials
	Timeout      time.Duration     // of one invocation; 0 means 30 s
	MaxInstances int               // processes at once, each serving one invocation at a time; 0 means 4
}

// Config says what to run. Only Functions is required.
type Config struct {
	Functions       []Function
	Stdout          io.Writer     // what the functions print, line by line, after "name | "; nil discards it
	Region, Account string        // for ARNs; "" means us-east-1 and 000000000000
	Queue           int           // invocations that may wait per function before ErrThrottled; 0 means 1000
	InitTimeout     time.Duration // until a new process asks for work; 0 means 10 s
	IdleAfter       time.Duration // an idle instance beyond a function's first ends after this; 0 means 1 minute
	Grace           time.Duration // between SIGTERM and SIGKILL; 0 means 2 s

	// Warmed, if set, is called by Warm for each function that is ready, with the time that it took. Calls do not
	// overlap.
	Warmed func(name string, took time.Duration)
}

func (c Config) withDefaults() Config {
	if c.Stdout == nil {
		c.Stdout = io.Discard
	}
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	if c.Account == "" {
		c.Account = "000000000000"
	}
	if c.Queue <= 0 {
		c.Queue = 1000
	}
	for d, value := range map[*time.Duration]time.Duration{
		&c.InitTimeout: 10 * time.Second, // AWS's limit
		&c.IdleAfter:   time.Minute,
		&c.Grace:       2 * time.Second,
	} {
		if *d <= 0 {
			*d = value
		}
	}
	return c
}

func (f Function) checked() (Function, error) {
	if f.Name == "" {
		return f, errors.New("a function has no name")
	}
	path, err := filepath.Abs(f.Path)
	if err != nil {
		return f, fmt.Errorf("function %s: %w", f.Name, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return f, fmt.Errorf("function %s: %w", f.Name, err)
	}
	if !info.Mode().IsRegular() {
		return f, fmt.Errorf("function %s: %s is not a file", f.Name, path)
	}
	f.Path = path
	if f.Timeout <= 0 {
		f.Timeout = 30 * time.Second
	}
	if f.MaxInstances <= 0 {
		f.MaxInstances = 4
	}
	return f, nil
}
