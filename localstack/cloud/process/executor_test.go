package process

import (
	"os"
	"os/exec"
	"testing"
)

// A function may ask for work before the call that starts it has returned: it waits, and is not cut off.
func TestFunctionThatIsReadyEarly(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	cmd := exec.Command(python, "testdata/early.py")
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
