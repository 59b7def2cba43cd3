package session

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestAPINIsNeverPrinted(t *testing.T) {
	pin := NewPIN("seecret")
	asJSON, err := json.Marshal(map[string]any{"pin": pin})
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%v %+v %#v %s %q %x %d", pin, pin, pin, pin, pin, pin, pin) + string(asJSON) + fmt.Sprintf("%+v", struct{ PIN PIN }{pin})
	if strings.Contains(text, "seecret") || strings.Contains(text, "73656563") {
		t.Error(text)
	}
	if !NewPIN("").IsZero() || pin.IsZero() {
		t.Error("which PIN is none?")
	}
}
